//! What is kept, as JSON.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use crate::query::{Oddity, Route, Row, Sample, SeriesInfo, TraceSummary, Tree};
use crate::receiver::Shared;
use crate::record::Source;
use crate::store::StoredLog;
use crate::traffic::Protocol;

pub(super) fn status(shared: &Shared) -> Value {
    let (counts, traffic) = (shared.store.counts(), shared.book.read());
    let protocol = |it: Protocol| match it {
        Protocol::HttpProtobuf => "http/protobuf",
        Protocol::HttpJson => "http/json",
        Protocol::Grpc => "grpc",
    };
    let taken = traffic.taken.iter().map(|((by, signal), count)| {
        json!({ "protocol": protocol(*by), "signal": format!("{signal:?}").to_lowercase(), "requests": count })
    });
    let refused =
        traffic.refused.iter().map(|(reason, count)| json!({ "reason": reason.name(), "requests": count }));
    let last_refused = traffic.last_refused.as_ref().map(|it| {
        let at = it.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string();
        json!({ "atUnixNano": at, "reason": it.reason.name(), "detail": it.detail })
    });
    let dropped = counts.dropped;
    json!({
        "services": shared.store.services(),
        "listening": shared.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "last": shared.store.last_sequence(),
        "kept": {
            "spans": counts.spans, "traces": counts.traces, "logs": counts.logs, "points": counts.points,
            "bytes": counts.bytes, "limit": counts.limit,
        },
        "dropped": {
            "traces": dropped.traces, "spans": dropped.spans, "logs": dropped.logs, "points": dropped.points,
        },
        "taken": taken.collect::<Vec<_>>(),
        "recordsRejected": traffic.records_rejected,
        "refused": refused.collect::<Vec<_>>(),
        "lastRefused": last_refused,
        "connections": traffic.connections,
    })
}

pub(super) fn summary(it: &TraceSummary) -> Value {
    json!({
        "traceId": it.trace.to_string(), "whole": it.whole, "startTimeUnixNano": it.start.to_string(),
        "duration": it.duration, "spans": it.spans, "failed": it.failed, "services": it.services,
        "sequence": it.sequence, "service": it.first.source.origin().service(), "name": it.first.name,
        "method": it.first.method, "route": it.first.route, "status": it.first.http_status,
    })
}

pub(super) fn tree(tree: &Tree) -> Value {
    // Many spans come from few places.
    let mut sources: Vec<&Arc<Source>> = Vec::new();
    let mut rows = Vec::with_capacity(tree.rows.len());
    for it in &tree.rows {
        let source = &it.span.source;
        let at = sources.iter().rposition(|it| Arc::ptr_eq(it, source)).unwrap_or_else(|| {
            sources.push(source);
            sources.len() - 1
        });
        rows.push(row(it, at));
    }
    let source = |it: &&Arc<Source>| {
        let origin = it.origin();
        json!({ "service": origin.service(), "resource": origin.resource(), "scope": it.scope() })
    };
    json!({
        "traceId": tree.trace.to_string(), "startTimeUnixNano": tree.start.to_string(),
        "duration": tree.end.saturating_sub(tree.start), "rows": rows,
        "sources": sources.iter().map(source).collect::<Vec<_>>(),
    })
}

fn row(row: &Row, source: usize) -> Value {
    let span = &row.span;
    json!({
        "depth": row.depth, "parent": row.parent, "children": row.children,
        "startTimeUnixNano": row.start.to_string(), "duration": span.duration(), "failed": span.has_failed(),
        "source": source, "oddities": row.oddities.iter().map(oddity).collect::<Vec<_>>(), "span": span.span(),
    })
}

fn oddity(oddity: &Oddity) -> Value {
    match oddity {
        Oddity::MissingParent => json!({ "kind": "missing-parent" }),
        Oddity::OwnParent => json!({ "kind": "own-parent" }),
        Oddity::Circle => json!({ "kind": "circle" }),
        Oddity::SameId => json!({ "kind": "same-id" }),
        Oddity::Backwards => json!({ "kind": "backwards" }),
        Oddity::Skewed(by) => json!({ "kind": "skewed", "by": by.to_string() }),
    }
}

pub(super) fn log(log: &StoredLog) -> Value {
    let record = log.record();
    json!({
        "sequence": log.sequence, "timeUnixNano": log.time.to_string(), "severity": log.severity,
        "text": record.body.clone().unwrap_or_default().to_string(),
        "traceId": log.trace.map(|it| it.to_string()), "spanId": log.span.map(|it| it.to_string()),
        "service": log.source.origin().service(), "record": record, "scope": log.source.scope(),
    })
}

pub(super) fn series(it: &SeriesInfo) -> Value {
    let metric = it.series.metric();
    let (kind, temporality) = metric.kind();
    json!({
        "series": it.series.number, "service": it.series.source.origin().service(), "name": metric.name,
        "description": metric.description, "unit": metric.unit, "kind": kind, "temporality": temporality,
        "attributes": it.series.attributes(), "points": it.points, "lastTimeUnixNano": it.last.time.to_string(),
        "scope": it.series.source.scope().name,
    })
}

pub(super) fn sample(it: &Sample) -> Value {
    let spread = it.spread.map(|it| json!({ "mean": it.mean, "p50": it.p50, "p95": it.p95, "p99": it.p99 }));
    json!({ "timeUnixNano": it.time.to_string(), "value": it.value, "change": it.change, "spread": spread })
}

pub(super) fn route(it: &Route) -> Value {
    json!({
        "service": it.service, "method": it.method, "route": it.route, "count": it.count, "failed": it.failed,
        "fromUnixNano": it.from.to_string(), "untilUnixNano": it.until.to_string(), "rate": it.rate(),
        "p50": it.p50, "p95": it.p95, "p99": it.p99, "longest": it.longest,
    })
}
