//! Following what arrives: a reader asks for what came after the last that it has seen, whenever it likes. Nothing waits for it;
//! what had to make room in the meantime is counted.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::{Store, StoredLog, StoredPoint, StoredSpan};

/// A record of any kind.
#[derive(Clone, Debug)]
pub enum Record {
    /// A span.
    Span(Arc<StoredSpan>),
    /// A log record.
    Log(Arc<StoredLog>),
    /// A point of a metric.
    Point(Arc<StoredPoint>),
}

impl Record {
    /// Its number: later ones have greater.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Span(it) => it.sequence,
            Self::Log(it) => it.sequence,
            Self::Point(it) => it.sequence,
        }
    }
}

/// What arrived after a record.
#[derive(Clone, Debug)]
pub struct Arrivals {
    /// The records in the order of their arrival.
    pub records: Vec<Record>,
    /// What to ask for next.
    pub last: u64,
    /// How many more there were, which had to make room before they were asked for.
    pub lost: u64,
}

impl Store {
    /// What arrived after the record of that number, the first `limit` of it; 0 is before the first.
    #[must_use]
    pub fn since(&self, sequence: u64, limit: usize) -> Arrivals {
        let kept = self.lock();
        let mut spans = kept.traces.since(sequence).peekable();
        let mut logs = kept.logs.since(sequence).peekable();
        let mut points = kept.metrics.since(sequence).peekable();
        let mut records = Vec::new();
        while records.len() < limit {
            let next = [
                spans.peek().map(|it| it.sequence),
                logs.peek().map(|it| it.sequence),
                points.peek().map(|it| it.sequence),
            ];
            let Some(first) = next.into_iter().flatten().min() else { break };
            let record = match next.iter().position(|it| *it == Some(first)) {
                Some(0) => spans.next().cloned().map(Record::Span),
                Some(1) => logs.next().cloned().map(Record::Log),
                _ => points.next().cloned().map(Record::Point),
            };
            records.extend(record);
        }
        let full = records.len() == limit;
        let last = records.last().filter(|_| full).map_or(kept.sequence, Record::sequence);
        let last = last.max(sequence);
        let lost = (last - sequence).saturating_sub(records.len() as u64);
        Arrivals { records, last, lost }
    }

    /// Waits until something arrived after the record of that number; the number of the last, which is the same where the
    /// deadline came first.
    #[must_use]
    pub fn wait(&self, sequence: u64, deadline: Instant) -> u64 {
        let mut kept = self.lock();
        while kept.sequence <= sequence {
            let left = deadline.checked_duration_since(Instant::now()).filter(|it| !it.is_zero());
            let Some(left) = left else { break };
            kept = self.arrived.wait_timeout(kept, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        kept.sequence
    }

    /// The number of the last record; 0 where there was none yet.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        *self.last.borrow()
    }

    /// That number as it changes, for those who wait without a thread.
    pub(crate) fn last(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }
}
