//! Traces by what is asked of them, the youngest first.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::tree::Tree;
use crate::id::TraceId;
use crate::otlp::common::attribute;
use crate::store::{SpanKind, Store, StoredSpan};

/// Traces that are looked at while the store is held.
const PIECE: usize = 1000;

/// How a trace or a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A span says that it failed, or its HTTP response has a status of 500 or more.
    Failed,
    /// No span does.
    Fine,
}

/// What is asked of a trace. Where more than one of `service`, `route`, `http_status` and `attributes` is given, one span has
/// all of it.
#[derive(Clone, Debug, Default)]
pub struct TraceFilter {
    /// A span of the service.
    pub service: Option<String>,
    /// A span whose route is this, or whose name contains it.
    pub route: Option<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The least and the greatest status of an HTTP response in it.
    pub http_status: Option<(u16, u16)>,
    /// How long all of it took at least, in nanoseconds.
    pub at_least: Option<u64>,
    /// How long all of it took at most, in nanoseconds.
    pub at_most: Option<u64>,
    /// Attributes of a span or its process: the name and, if it matters, the value as text.
    pub attributes: Vec<(String, Option<String>)>,
}

/// A trace in a list.
#[derive(Clone, Debug)]
pub struct TraceSummary {
    /// Its id.
    pub trace: TraceId,
    /// The span that it is called by: one without a parent or, where none has arrived, the one that began first.
    pub first: Arc<StoredSpan>,
    /// Whether that span has no parent.
    pub whole: bool,
    /// When it began, in nanoseconds since 1970.
    pub start: u64,
    /// From its first beginning to its last end, in nanoseconds.
    pub duration: u64,
    /// How many spans have arrived.
    pub spans: usize,
    /// How many of them failed.
    pub failed: usize,
    /// How many spans each service has.
    pub services: BTreeMap<Arc<str>, usize>,
    /// The number of its last record.
    pub sequence: u64,
}

/// Some traces of a list.
#[derive(Clone, Debug)]
pub struct TracePage {
    /// The youngest first.
    pub traces: Vec<TraceSummary>,
    /// What to ask for the next page with; none where there is no more.
    pub before: Option<u64>,
}

impl StoredSpan {
    /// Whether it says that it failed, or its HTTP response does.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        // A server's span of a 4xx is no failure of the server:
        // https://opentelemetry.io/docs/specs/semconv/http/http-spans/#status
        self.failed || self.http_status.is_some_and(|it| it >= 500)
    }
}

impl Store {
    /// Traces that pass, the first `limit` of those that began to arrive before `before`, which a page before this one names.
    #[must_use]
    pub fn traces(&self, filter: &TraceFilter, before: Option<u64>, limit: usize) -> TracePage {
        let mut before = before.unwrap_or(u64::MAX);
        let mut traces = Vec::new();
        loop {
            let piece = self.traces_before(before, PIECE);
            if piece.is_empty() {
                return TracePage { traces, before: None };
            }
            for (first, spans) in piece {
                if traces.len() >= limit {
                    return TracePage { traces, before: Some(before) };
                }
                before = first;
                traces.extend(summary(&spans).filter(|it| filter.passes(it, &spans)));
            }
        }
    }
}

fn summary(spans: &[Arc<StoredSpan>]) -> Option<TraceSummary> {
    let root = |it: &&Arc<StoredSpan>| it.parent.is_none();
    let earliest = || spans.iter().min_by_key(|it| (it.kind != SpanKind::Server, it.start));
    let first = spans.iter().filter(root).min_by_key(|it| it.start).or_else(earliest)?;
    let (start, end) = times(first.trace, spans)?;
    let mut services = BTreeMap::new();
    for span in spans {
        *services.entry(Arc::clone(span.source.origin().service())).or_default() += 1;
    }
    Some(TraceSummary {
        trace: first.trace,
        whole: first.parent.is_none(),
        first: Arc::clone(first),
        start,
        duration: end.saturating_sub(start),
        spans: spans.len(),
        failed: spans.iter().filter(|it| it.has_failed()).count(),
        services,
        sequence: spans.iter().map(|it| it.sequence).max()?,
    })
}

/// When a trace began and ended. Clocks of several processes may differ, which its tree sets right.
fn times(trace: TraceId, spans: &[Arc<StoredSpan>]) -> Option<(u64, u64)> {
    let origin = spans.first()?.source.origin();
    if spans.iter().any(|it| !Arc::ptr_eq(it.source.origin(), origin)) {
        let tree = Tree::of(trace, spans.to_vec());
        return Some((tree.start, tree.end));
    }
    let end = |it: &Arc<StoredSpan>| it.start.saturating_add(it.duration());
    Some((spans.iter().map(|it| it.start).min()?, spans.iter().map(end).max()?))
}

impl TraceFilter {
    fn passes(&self, trace: &TraceSummary, spans: &[Arc<StoredSpan>]) -> bool {
        let outcome = if trace.failed > 0 { Outcome::Failed } else { Outcome::Fine };
        self.outcome.is_none_or(|it| it == outcome)
            && self.at_least.is_none_or(|it| trace.duration >= it)
            && self.at_most.is_none_or(|it| trace.duration <= it)
            && (!self.asks_of_spans() || spans.iter().any(|it| self.passes_span(it)))
    }

    fn asks_of_spans(&self) -> bool {
        self.service.is_some()
            || self.route.is_some()
            || self.http_status.is_some()
            || !self.attributes.is_empty()
    }

    fn passes_span(&self, span: &StoredSpan) -> bool {
        let origin = span.source.origin();
        let route = |it: &String| span.route.as_deref() == Some(it) || span.name.contains(it.as_str());
        self.service.as_deref().is_none_or(|it| **origin.service() == *it)
            && self.route.as_ref().is_none_or(route)
            && self
                .http_status
                .is_none_or(|(from, to)| span.http_status.is_some_and(|it| from <= it && it <= to))
            && self.has_attributes(span)
    }

    fn has_attributes(&self, span: &StoredSpan) -> bool {
        if self.attributes.is_empty() {
            return true;
        }
        let (own, of_process) = (span.span().attributes, span.source.origin().resource().attributes);
        self.attributes.iter().all(|(key, value)| {
            let found = attribute(&own, key).or_else(|| attribute(&of_process, key));
            found.is_some_and(|it| value.as_ref().is_none_or(|value| it.to_string() == *value))
        })
    }
}
