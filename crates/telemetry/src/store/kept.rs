//! What the store's lock guards: the three kinds of records, what they share, and how they make room.

use std::sync::Arc;

use super::logs::Logs;
use super::metrics::Metrics;
use super::traces::Traces;
use super::{Counts, Dropped, Interner};
use crate::decode::Batch;
use crate::record::{Origin, Record, Source};

/// Readers hold on to what was dropped; it is looked for again after so many drops.
const SWEEP_EVERY: u64 = 10_000;

/// What the records share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) sources: Interner<Source>,
    pub(super) texts: Interner<str>,
    pub(super) metrics: Interner<[u8]>,
}

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) limit: usize,
    /// The number of the last record; the first is 1.
    pub(super) sequence: u64,
    pub(super) origins: Interner<Origin>,
    pub(super) shared: Shared,
    pub(super) traces: Traces,
    pub(super) logs: Logs,
    pub(super) metrics: Metrics,
    dropped: Dropped,
    unswept: u64,
}

impl Kept {
    pub(super) fn new(limit: usize) -> Self {
        let shared = Shared {
            sources: Interner::new(Source::bytes),
            texts: Interner::new(|it| it.len() + 48),
            metrics: Interner::new(|it| it.len() + 48),
        };
        Self {
            limit,
            sequence: 0,
            origins: Interner::new(Origin::bytes),
            shared,
            traces: Traces::default(),
            logs: Logs::default(),
            metrics: Metrics::default(),
            dropped: Dropped::default(),
            unswept: 0,
        }
    }

    pub(super) fn keep(&mut self, batch: Batch) {
        let sources: Vec<_> = batch.sources.into_iter().map(|it| self.source(it)).collect();
        for (source, record) in batch.records {
            let Some(source) = sources.get(source) else { continue };
            self.sequence += 1;
            let (source, sequence) = (Arc::clone(source), self.sequence);
            match record {
                Record::Span(span) if self.traces.bytes_of(span.trace) > self.limit / 4 => {
                    // One trace without end would push out all others, itself at last.
                    self.dropped.spans += 1;
                }
                Record::Span(span) => self.traces.keep(span, source, sequence, &mut self.shared),
                Record::Log(log) => self.logs.keep(log, source, sequence),
                Record::Point(point) => self.metrics.keep(point, source, sequence, &mut self.shared),
            }
            self.make_room();
        }
        for source in sources {
            self.release(source);
        }
    }

    /// The one source that equals this one, of the one process that equals its.
    fn source(&mut self, source: Source) -> Arc<Source> {
        let origin = self.origins.get(Arc::clone(source.origin()));
        self.shared.sources.get(source.of(origin))
    }

    fn release(&mut self, source: Arc<Source>) {
        let origin = Arc::clone(source.origin());
        self.shared.sources.release(source);
        self.origins.release(origin);
    }

    pub(super) fn bytes(&self) -> usize {
        let Shared { sources, texts, metrics } = &self.shared;
        let shared = sources.bytes() + texts.bytes() + metrics.bytes() + self.origins.bytes();
        shared + self.traces.bytes() + self.logs.bytes() + self.metrics.bytes()
    }

    /// Traces have half of the room, logs and metrics a quarter each; what one does not use the others may. So a flood of one
    /// kind does not push out the others.
    pub(super) fn make_room(&mut self) {
        while self.bytes() > self.limit {
            let (traces, logs, points) = (self.traces.bytes() / 2, self.logs.bytes(), self.metrics.bytes());
            let dropped = if traces >= logs && traces >= points {
                let spans = self.traces.drop_oldest(&mut self.shared);
                self.dropped.traces += u64::from(!spans.is_empty());
                self.dropped.spans += spans.len() as u64;
                spans
            } else if logs >= points {
                let log = self.logs.drop_oldest();
                self.dropped.logs += 1;
                log.into_iter().collect()
            } else {
                let point = self.metrics.drop_oldest(&mut self.shared);
                self.dropped.points += 1;
                point.into_iter().collect()
            };
            if dropped.is_empty() {
                return;
            }
            self.unswept += dropped.len() as u64;
            dropped.into_iter().for_each(|it| self.release(it));
            if self.unswept >= SWEEP_EVERY {
                self.sweep();
            }
        }
    }

    pub(super) fn sweep(&mut self) {
        self.unswept = 0;
        self.shared.sources.sweep();
        self.shared.texts.sweep();
        self.shared.metrics.sweep();
        self.origins.sweep();
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            spans: self.traces.spans(),
            traces: self.traces.len() as u64,
            logs: self.logs.len() as u64,
            points: self.metrics.points(),
            bytes: self.bytes() as u64,
            limit: self.limit as u64,
            dropped: self.dropped,
        }
    }
}
