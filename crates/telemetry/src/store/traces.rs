//! Traces by their id, oldest first.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::kept::Shared;
use crate::id::{SpanId, TraceId};
use crate::otlp::Span;
use crate::record::{NewSpan, Source, read};

/// What a span is to the other side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpanKind {
    /// Not said, or a number that nobody knows.
    Unspecified,
    /// Within the process.
    Internal,
    /// A request that is answered.
    Server,
    /// A request that is made.
    Client,
    /// A message that is sent.
    Producer,
    /// A message that is received.
    Consumer,
}

impl From<i32> for SpanKind {
    fn from(number: i32) -> Self {
        match number {
            1 => Self::Internal,
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Unspecified,
        }
    }
}

/// A span as it is kept.
#[derive(Debug)]
pub struct StoredSpan {
    /// The number of the record: later ones have greater.
    pub sequence: u64,
    /// Its trace.
    pub trace: TraceId,
    /// Its id. Nothing forbids that two spans of a trace have the same.
    pub id: SpanId,
    /// The span that it says it is under.
    pub parent: Option<SpanId>,
    /// When it began, in nanoseconds since 1970, by the clock of its machine.
    pub start: u64,
    /// When it ended; before its beginning, where a clock was set back.
    pub end: u64,
    /// What it is to the other side.
    pub kind: SpanKind,
    /// Whether it says that it failed.
    pub failed: bool,
    /// What was done.
    pub name: Arc<str>,
    /// The method of its HTTP request.
    pub method: Option<Arc<str>>,
    /// The route of its HTTP request: the path with names for what varies.
    pub route: Option<Arc<str>>,
    /// The status of its HTTP response.
    pub http_status: Option<u16>,
    /// Where it came from.
    pub source: Arc<Source>,
    body: Box<[u8]>,
}

impl StoredSpan {
    /// All of it.
    #[must_use]
    pub fn span(&self) -> Span {
        read(&self.body)
    }

    /// How long it took in nanoseconds; nothing where it ended before it began.
    #[must_use]
    pub fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    fn bytes(&self) -> usize {
        // Two counts of its `Arc`, and its place in the trace.
        size_of::<Self>() + 16 + size_of::<usize>() + self.body.len()
    }
}

/// The spans of one trace, as they arrived.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) spans: Vec<Arc<StoredSpan>>,
    bytes: usize,
}

/// What a trace costs besides its spans: its places in the two maps.
const TRACE_BYTES: usize = size_of::<Trace>() + 2 * size_of::<TraceId>() + 64;

#[derive(Debug, Default)]
pub(super) struct Traces {
    by_id: HashMap<TraceId, Trace>,
    /// By the sequence of their first span.
    by_age: BTreeMap<u64, TraceId>,
    bytes: usize,
    spans: u64,
}

impl Traces {
    pub(super) fn keep(&mut self, new: NewSpan, source: Arc<Source>, sequence: u64, shared: &mut Shared) {
        let mut text = |text: String| shared.texts.get(text);
        let span = StoredSpan {
            sequence,
            trace: new.trace,
            id: new.id,
            parent: new.parent,
            start: new.start,
            end: new.end,
            kind: new.kind.into(),
            failed: new.status == 2,
            name: text(new.name),
            method: new.method.map(&mut text),
            route: new.route.map(&mut text),
            http_status: new.http_status.and_then(|it| u16::try_from(it).ok()),
            source,
            body: new.body,
        };
        let trace = self.by_id.entry(span.trace).or_insert_with(|| {
            self.by_age.insert(sequence, span.trace);
            self.bytes += TRACE_BYTES;
            Trace { bytes: TRACE_BYTES, spans: Vec::new() }
        });
        let bytes = span.bytes();
        trace.bytes += bytes;
        trace.spans.push(Arc::new(span));
        self.bytes += bytes;
        self.spans += 1;
    }

    /// Drops the trace whose first span arrived before all others'. The sources of its spans are handed back.
    pub(super) fn drop_oldest(&mut self, shared: &mut Shared) -> Vec<Arc<Source>> {
        let Some(trace) = self.by_age.pop_first().and_then(|(_, id)| self.by_id.remove(&id)) else {
            return Vec::new();
        };
        self.bytes -= trace.bytes;
        self.spans -= trace.spans.len() as u64;
        let mut sources = Vec::with_capacity(trace.spans.len());
        for span in trace.spans {
            let texts =
                [Some(&span.name), span.method.as_ref(), span.route.as_ref()].map(Option::<&_>::cloned);
            sources.push(Arc::clone(&span.source));
            drop(span);
            texts.into_iter().flatten().for_each(|it| shared.texts.release(it));
        }
        sources
    }

    /// The spans that arrived after that one, in no order.
    pub(super) fn since(&self, sequence: u64) -> impl Iterator<Item = &Arc<StoredSpan>> {
        let traces = self.by_id.values();
        traces.flat_map(move |it| it.spans.iter().rev().take_while(move |it| it.sequence > sequence))
    }

    pub(super) fn bytes_of(&self, trace: TraceId) -> usize {
        self.by_id.get(&trace).map_or(0, |it| it.bytes)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn spans(&self) -> u64 {
        self.spans
    }
}
