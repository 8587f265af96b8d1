//! The messages of [OTLP 1](https://github.com/open-telemetry/opentelemetry-proto/tree/v1.8.0/opentelemetry/proto) as
//! Rust types: one type is read from and written to protobuf and JSON, so the two cannot differ. A `oneof` of numbers
//! or of messages is a list of optional fields here: on the wire it is the same.

pub(crate) mod answers;
pub(crate) mod common;
mod json;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod trace;

pub use common::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, Resource, Value};
pub use logs::LogRecord;
pub use metrics::{
    Buckets, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, Sum, Summary, SummaryDataPoint, ValueAtQuantile,
};
/// What a metric is.
impl Metric {
    /// Its type, and `delta` or `cumulative` where it has a temporality.
    #[must_use]
    pub fn kind(&self) -> (&'static str, Option<&'static str>) {
        let temporality = |number| match number {
            1 => Some("delta"),
            2 => Some("cumulative"),
            _ => None,
        };
        if self.gauge.is_some() {
            ("gauge", None)
        } else if let Some(it) = &self.sum {
            (if it.is_monotonic { "counter" } else { "sum" }, temporality(it.aggregation_temporality))
        } else if let Some(it) = &self.histogram {
            ("histogram", temporality(it.aggregation_temporality))
        } else if let Some(it) = &self.exponential_histogram {
            ("exponential-histogram", temporality(it.aggregation_temporality))
        } else {
            ("summary", None)
        }
    }
}

pub use trace::{Event, Link, Span, Status};
