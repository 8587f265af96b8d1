//! One record as it is kept: the few facts that questions are asked by, and the record itself in protobuf, which is the
//! smallest form that nothing is missing from.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use prost::Message;

use crate::id::{SpanId, TraceId};
use crate::otlp::common::attribute;
use crate::otlp::{InstrumentationScope, KeyValue, LogRecord, Metric, Resource, Span};

/// A process of a service, as its telemetry says who it is.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    service: Arc<str>,
    schema_url: String,
    body: Box<[u8]>,
}

impl Origin {
    pub(crate) fn new(resource: &Resource, schema_url: String) -> Self {
        let name = attribute(&resource.attributes, "service.name").and_then(|it| it.as_str());
        let service = name.filter(|it| !it.is_empty()).unwrap_or("unknown_service").into();
        Self { service, schema_url, body: resource.encode_to_vec().into() }
    }

    /// `service.name`, or `unknown_service` where there is none.
    #[must_use]
    pub fn service(&self) -> &Arc<str> {
        &self.service
    }

    /// All that is known of it.
    #[must_use]
    pub fn resource(&self) -> Resource {
        read(&self.body)
    }

    /// The version of the conventions that it keeps, or empty.
    #[must_use]
    pub fn schema_url(&self) -> &str {
        &self.schema_url
    }

    pub(crate) fn bytes(&self) -> usize {
        self.body.len() + self.schema_url.len() + self.service.len() + 128
    }
}

/// A library in a process: where records come from.
#[derive(Debug)]
pub struct Source {
    origin: Arc<Origin>,
    schema_url: String,
    body: Box<[u8]>,
}

impl Source {
    pub(crate) fn new(origin: Arc<Origin>, scope: &InstrumentationScope, schema_url: String) -> Self {
        Self { origin, schema_url, body: scope.encode_to_vec().into() }
    }

    /// The same in another process' name; the store has each process once.
    pub(crate) fn of(self, origin: Arc<Origin>) -> Self {
        Self { origin, ..self }
    }

    /// The process.
    #[must_use]
    pub fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// The library.
    #[must_use]
    pub fn scope(&self) -> InstrumentationScope {
        read(&self.body)
    }

    /// The version of the conventions that the library keeps, or empty.
    #[must_use]
    pub fn schema_url(&self) -> &str {
        &self.schema_url
    }

    pub(crate) fn bytes(&self) -> usize {
        self.body.len() + self.schema_url.len() + 128
    }
}

/// Processes are compared by where they are kept: a resource may be long, and the sources of it many.
impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.origin, &other.origin)
            && self.body == other.body
            && self.schema_url == other.schema_url
    }
}

impl Eq for Source {}

impl Hash for Source {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.origin).hash(state);
        self.body.hash(state);
        self.schema_url.hash(state);
    }
}

/// What was encoded here is read again.
pub(crate) fn read<T: Message + Default>(body: &[u8]) -> T {
    T::decode(body).unwrap_or_default()
}

/// Why a record that is well formed is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("a span has no valid trace id and span id")]
    Ids,
    #[error("a metric has no name or no data")]
    Empty,
    #[error("a record is larger than 2 MiB")]
    TooLarge,
    #[error("a request has more than 100000 records")]
    TooMany,
}

/// A record that is to be kept.
#[derive(Debug)]
pub(crate) enum Record {
    Span(NewSpan),
    Log(NewLog),
    Point(NewPoint),
}

/// What a span is found by.
#[derive(Debug)]
pub(crate) struct NewSpan {
    pub(crate) trace: TraceId,
    pub(crate) id: SpanId,
    pub(crate) parent: Option<SpanId>,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) kind: i32,
    pub(crate) status: i32,
    pub(crate) name: String,
    pub(crate) method: Option<String>,
    pub(crate) route: Option<String>,
    pub(crate) http_status: Option<i64>,
    pub(crate) body: Box<[u8]>,
}

/// What a log record is found by.
#[derive(Debug)]
pub(crate) struct NewLog {
    pub(crate) time: u64,
    pub(crate) severity: i32,
    pub(crate) trace: Option<TraceId>,
    pub(crate) span: Option<SpanId>,
    pub(crate) body: Box<[u8]>,
}

/// A point of a metric.
#[derive(Debug)]
pub(crate) struct NewPoint {
    /// The metric without points: one for all of them, as a description may be long and the points many.
    pub(crate) metric: Arc<[u8]>,
    /// The point's attributes in the order of their keys, as a `Resource` in protobuf.
    pub(crate) attributes: Box<[u8]>,
    pub(crate) time: u64,
    /// The point without its attributes.
    pub(crate) body: Box<[u8]>,
}

impl Record {
    pub(crate) fn span(span: &Span) -> Result<Vec<Self>, Unfit> {
        let text = |keys: [&str; 2]| {
            let found = keys.iter().find_map(|key| attribute(&span.attributes, key));
            found.map(ToString::to_string).filter(|it| !it.is_empty())
        };
        let new = NewSpan {
            trace: TraceId::new(&span.trace_id).ok_or(Unfit::Ids)?,
            id: SpanId::new(&span.span_id).ok_or(Unfit::Ids)?,
            parent: SpanId::new(&span.parent_span_id),
            start: span.start_time_unix_nano,
            end: span.end_time_unix_nano,
            kind: span.kind,
            status: span.status.as_ref().map_or(0, |it| it.code),
            name: span.name.clone(),
            // The old names are what agents sent before 2023, and many do still.
            method: text(["http.request.method", "http.method"]),
            route: text(["http.route", "http.route"]),
            http_status: text(["http.response.status_code", "http.status_code"])
                .and_then(|it| it.parse().ok()),
            body: span.encode_to_vec().into(),
        };
        Ok(vec![Self::Span(new)])
    }

    #[expect(clippy::unnecessary_wraps, reason = "as its siblings")]
    pub(crate) fn log(log: &LogRecord) -> Result<Vec<Self>, Unfit> {
        let observed = log.observed_time_unix_nano;
        Ok(vec![Self::Log(NewLog {
            time: if log.time_unix_nano == 0 { observed } else { log.time_unix_nano },
            severity: log.severity_number,
            trace: TraceId::new(&log.trace_id),
            span: SpanId::new(&log.span_id),
            body: log.encode_to_vec().into(),
        })])
    }

    pub(crate) fn points(metric: Metric) -> Result<Vec<Self>, Unfit> {
        let points = split(metric);
        if points.is_empty() { Err(Unfit::Empty) } else { Ok(points) }
    }
}

/// A metric's points, one by one.
fn split(mut metric: Metric) -> Vec<Record> {
    let mut found = Vec::new();
    if metric.name.is_empty() {
        return found;
    }
    macro_rules! each {
        ($field:ident) => {
            if let Some(data) = metric.$field.as_mut() {
                let points = std::mem::take(&mut data.data_points);
                let common: Arc<[u8]> = metric.encode_to_vec().into();
                for mut point in points {
                    let attributes = sorted(std::mem::take(&mut point.attributes));
                    found.push(Record::Point(NewPoint {
                        metric: Arc::clone(&common),
                        attributes,
                        time: point.time_unix_nano,
                        body: point.encode_to_vec().into(),
                    }));
                }
                metric.$field = None;
            }
        };
    }
    each!(gauge);
    each!(sum);
    each!(histogram);
    each!(exponential_histogram);
    each!(summary);
    found
}

/// The same attributes in another order are the same series.
fn sorted(mut attributes: Vec<KeyValue>) -> Box<[u8]> {
    attributes.sort_by(|a, b| a.key.cmp(&b.key));
    Resource { attributes, ..Resource::default() }.encode_to_vec().into()
}
