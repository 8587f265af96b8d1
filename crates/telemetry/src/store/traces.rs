//! Traces by their id, oldest first.

use std::collections::{BTreeMap, HashMap, VecDeque};
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

    /// Whether the other is the same span, sent again.
    pub(crate) fn is_repeated_by(&self, other: &Self) -> bool {
        self.id == other.id && self.body == other.body && Arc::ptr_eq(&self.source, &other.source)
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
    /// Each span by its sequence: its trace, and its place in that. Of traces that are gone some may be left.
    order: VecDeque<(u64, TraceId, usize)>,
    bytes: usize,
    spans: u64,
}

/// What a span costs in `order`.
const PLACE_BYTES: usize = size_of::<(u64, TraceId, usize)>();

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
        self.order.push_back((sequence, span.trace, trace.spans.len()));
        trace.spans.push(Arc::new(span));
        self.bytes += bytes + PLACE_BYTES;
        self.spans += 1;
    }

    /// Drops the trace whose first span arrived before all others'. The sources of its spans are handed back.
    pub(super) fn drop_oldest(&mut self, shared: &mut Shared) -> Vec<Arc<Source>> {
        let Some(trace) = self.by_age.pop_first().and_then(|(_, id)| self.by_id.remove(&id)) else {
            return Vec::new();
        };
        self.bytes -= trace.bytes;
        self.spans -= trace.spans.len() as u64;
        while self.order.front().is_some_and(|it| !self.is_kept(*it)) {
            self.order.pop_front();
            self.bytes -= PLACE_BYTES;
        }
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

    /// The spans that arrived after that one, in their order.
    pub(super) fn since(&self, sequence: u64) -> impl Iterator<Item = &Arc<StoredSpan>> {
        let from = self.order.partition_point(|(it, ..)| *it <= sequence);
        let placed = self.order.range(from..);
        // A trace that is gone may have begun anew: then another span is in that place.
        placed.filter_map(|(number, id, at)| self.at(*id, *at).filter(|it| it.sequence == *number))
    }

    fn is_kept(&self, (sequence, trace, at): (u64, TraceId, usize)) -> bool {
        self.at(trace, at).is_some_and(|it| it.sequence == sequence)
    }

    fn at(&self, trace: TraceId, at: usize) -> Option<&Arc<StoredSpan>> {
        self.by_id.get(&trace)?.spans.get(at)
    }

    /// The spans of a trace as they arrived.
    pub(super) fn spans_of(&self, trace: TraceId) -> &[Arc<StoredSpan>] {
        self.by_id.get(&trace).map_or(&[], |it| &it.spans)
    }

    /// Traces whose first span arrived before that one, the last of them first; each with the sequence of its first span.
    pub(super) fn before(&self, sequence: u64) -> impl Iterator<Item = (u64, &[Arc<StoredSpan>])> {
        let older = self.by_age.range(..sequence).rev();
        older.map(|(first, id)| (*first, self.spans_of(*id)))
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
