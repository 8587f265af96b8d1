//! What questions take out of the store: lists of values, short enough that nobody waits long for the lock.

use std::sync::Arc;

use super::{Store, StoredLog, StoredPoint, StoredSpan};
use crate::id::TraceId;

impl Store {
    /// The spans of a trace as they arrived; none of a trace that is not kept.
    #[must_use]
    pub fn spans_of(&self, trace: TraceId) -> Vec<Arc<StoredSpan>> {
        self.lock().traces.spans_of(trace).to_vec()
    }

    /// So many traces whose first span arrived before that record, the last of them first, each with the number of that span.
    pub(crate) fn traces_before(&self, sequence: u64, count: usize) -> Vec<(u64, Vec<Arc<StoredSpan>>)> {
        let kept = self.lock();
        kept.traces.before(sequence).take(count).map(|(first, spans)| (first, spans.to_vec())).collect()
    }

    /// All spans that pass a test of facts that are at hand.
    pub(crate) fn spans_that(&self, pass: impl Fn(&StoredSpan) -> bool) -> Vec<Arc<StoredSpan>> {
        self.lock().traces.since(0).filter(|it| pass(it)).cloned().collect()
    }

    /// So many log records that arrived before that record, the last of them first.
    pub(crate) fn logs_before(&self, sequence: u64, count: usize) -> Vec<Arc<StoredLog>> {
        self.lock().logs.before(sequence).take(count).cloned().collect()
    }

    /// How many points each series has, and the last of them.
    pub(crate) fn last_points(&self) -> Vec<(usize, Arc<StoredPoint>)> {
        let kept = self.lock();
        kept.metrics.series().filter_map(|it| Some((it.len(), Arc::clone(it.back()?)))).collect()
    }

    /// The points of a series, oldest first.
    pub(crate) fn points_of(&self, series: u64) -> Vec<Arc<StoredPoint>> {
        self.lock().metrics.points_of(series)
    }
}
