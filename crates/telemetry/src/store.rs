//! What was received, in memory and within a bound: whole traces, log records and points of metrics, each dropped from
//! its oldest on when room is wanted. Whoever reads is handed values and holds no lock while looking at them, so the slowest of
//! readers cannot hold up a writer.

mod arrivals;
mod intern;
mod kept;
mod logs;
mod metrics;
mod pieces;
mod traces;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::decode::Batch;
use crate::record::Origin;
use intern::Interner;
use kept::Kept;
use tokio::sync::watch;

pub use arrivals::{Arrivals, Record};
pub use logs::StoredLog;
pub(crate) use metrics::add;
pub use metrics::{Series, StoredPoint};
pub use traces::{SpanKind, StoredSpan};

/// The memory that is used where nobody says otherwise: 256 MB.
pub const DEFAULT_BYTES: usize = 256_000_000;

/// All telemetry that was received and still has room.
#[derive(Debug)]
pub struct Store {
    kept: Mutex<Kept>,
    arrived: Condvar,
    /// The sequence of the last record, for those who wait without a thread.
    last: watch::Sender<u64>,
}

/// How much is kept, and how much was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Spans that are kept.
    pub spans: u64,
    /// Traces that are kept.
    pub traces: u64,
    /// Log records that are kept.
    pub logs: u64,
    /// Points of metrics that are kept.
    pub points: u64,
    /// Bytes that all of it takes, about.
    pub bytes: u64,
    /// The bound that those stay under.
    pub limit: u64,
    /// What had to go.
    pub dropped: Dropped,
}

/// What was kept once and had to make room, or had none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Whole traces.
    pub traces: u64,
    /// Spans: of those traces, and of traces that became too large to be held at all.
    pub spans: u64,
    /// Log records.
    pub logs: u64,
    /// Points of metrics.
    pub points: u64,
}

/// What somebody waits for.
#[derive(Clone, Debug, Default)]
pub struct WantedSpan {
    /// Of a service of that name; any where there is none.
    pub service: Option<String>,
    /// Of that kind; any where there is none.
    pub kind: Option<SpanKind>,
}

impl WantedSpan {
    fn is(&self, span: &StoredSpan) -> bool {
        self.service.as_deref().is_none_or(|it| it == &**span.source.origin().service())
            && self.kind.is_none_or(|it| it == span.kind)
    }
}

impl Store {
    /// An empty store that keeps about `limit` bytes, of which at least 1 MiB is used whatever is asked.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            kept: Mutex::new(Kept::new(limit.max(1 << 20))),
            arrived: Condvar::new(),
            last: watch::Sender::new(0),
        }
    }

    /// Keeps what a request brought.
    pub(crate) fn keep(&self, batch: Batch) {
        let mut kept = self.lock();
        kept.keep(batch);
        let last = kept.sequence;
        drop(kept);
        self.arrived.notify_all();
        // Two requests may pass each other here; the number only grows.
        self.last.send_if_modified(|it| {
            let grows = *it < last;
            *it = last.max(*it);
            grows
        });
    }

    /// The first span that was received, is still kept, and is as wanted; waits for one until the deadline. A span arrives when
    /// it has ended and its process has sent it, with most agents seconds later.
    #[must_use]
    pub fn wait_for_span(&self, wanted: &WantedSpan, deadline: Instant) -> Option<Arc<StoredSpan>> {
        let mut kept = self.lock();
        let mut seen = 0;
        loop {
            if let Some(span) = kept.traces.since(seen).find(|it| wanted.is(it)) {
                return Some(Arc::clone(span));
            }
            seen = kept.sequence;
            let left = deadline.checked_duration_since(Instant::now()).filter(|it| !it.is_zero())?;
            let (next, _) = self.arrived.wait_timeout(kept, left).unwrap_or_else(PoisonError::into_inner);
            kept = next;
        }
    }

    /// The services that something is kept of, by name.
    #[must_use]
    pub fn services(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.lock().origins.iter().map(|it| Arc::clone(it.service())).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The processes that something is kept of.
    #[must_use]
    pub fn origins(&self) -> Vec<Arc<Origin>> {
        self.lock().origins.iter().cloned().collect()
    }

    /// How much is kept, and how much was.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().counts()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
