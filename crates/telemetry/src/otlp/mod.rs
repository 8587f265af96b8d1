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
pub use trace::{Event, Link, Span, Status};
