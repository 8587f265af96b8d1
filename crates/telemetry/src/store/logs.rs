//! Log records, oldest first.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::id::{SpanId, TraceId};
use crate::otlp::LogRecord;
use crate::record::{NewLog, Source, read};

/// A log record as it is kept.
#[derive(Debug)]
pub struct StoredLog {
    /// The number of the record: later ones have greater.
    pub sequence: u64,
    /// When it happened or, where nobody knows, was seen, in nanoseconds since 1970.
    pub time: u64,
    /// 1 to 24: trace, debug, info, warn, error, fatal, four steps each; 0 where nothing is said.
    pub severity: i32,
    /// The trace that it belongs to.
    pub trace: Option<TraceId>,
    /// The span that it belongs to.
    pub span: Option<SpanId>,
    /// Where it came from.
    pub source: Arc<Source>,
    body: Box<[u8]>,
}

impl StoredLog {
    /// All of it.
    #[must_use]
    pub fn record(&self) -> LogRecord {
        read(&self.body)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + 16 + size_of::<usize>() + self.body.len()
    }
}

#[derive(Debug, Default)]
pub(super) struct Logs {
    records: VecDeque<Arc<StoredLog>>,
    bytes: usize,
}

impl Logs {
    pub(super) fn keep(&mut self, new: NewLog, source: Arc<Source>, sequence: u64) {
        let NewLog { time, severity, trace, span, body } = new;
        let log = StoredLog { sequence, time, severity, trace, span, source, body };
        self.bytes += log.bytes();
        self.records.push_back(Arc::new(log));
    }

    /// Drops one; its source is handed back.
    pub(super) fn drop_oldest(&mut self) -> Option<Arc<Source>> {
        let log = self.records.pop_front()?;
        self.bytes -= log.bytes();
        Some(Arc::clone(&log.source))
    }

    /// Those that arrived after that one, in their order.
    pub(super) fn since(&self, sequence: u64) -> impl Iterator<Item = &Arc<StoredLog>> {
        self.records.range(self.records.partition_point(|it| it.sequence <= sequence)..)
    }

    /// Those that arrived before that one, the last of them first.
    pub(super) fn before(&self, sequence: u64) -> impl Iterator<Item = &Arc<StoredLog>> {
        self.records.range(..self.records.partition_point(|it| it.sequence < sequence)).rev()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }
}
