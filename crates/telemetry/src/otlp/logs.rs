//! [logs/v1/logs.proto](https://github.com/open-telemetry/opentelemetry-proto/blob/v1.8.0/opentelemetry/proto/logs/v1/logs.proto).

use serde::{Deserialize, Serialize};

use super::common::{AnyValue, KeyValue};
use super::json::{self, is_default};

/// One log record.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogRecord {
    /// When it happened, in nanoseconds since 1970; 0 where nobody knows.
    #[prost(fixed64, tag = "1")]
    #[serde(with = "json::int", skip_serializing_if = "is_default")]
    pub time_unix_nano: u64,
    /// When it was seen, in nanoseconds since 1970.
    #[prost(fixed64, tag = "11")]
    #[serde(with = "json::int", skip_serializing_if = "is_default")]
    pub observed_time_unix_nano: u64,
    /// 1 to 24: trace, debug, info, warn, error, fatal, four steps each.
    #[prost(int32, tag = "2")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub severity_number: i32,
    /// The severity in the words of its source.
    #[prost(string, tag = "3")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub severity_text: String,
    /// What it says.
    #[prost(message, optional, tag = "5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<AnyValue>,
    /// Its attributes.
    #[prost(message, repeated, tag = "6")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub attributes: Vec<KeyValue>,
    /// How many attributes were left out.
    #[prost(uint32, tag = "7")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub dropped_attributes_count: u32,
    /// As the flags of a span.
    #[prost(fixed32, tag = "8")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub flags: u32,
    /// The trace that it belongs to, or empty.
    #[prost(bytes = "vec", tag = "9")]
    #[serde(with = "json::id", skip_serializing_if = "is_default")]
    pub trace_id: Vec<u8>,
    /// The span that it belongs to, or empty.
    #[prost(bytes = "vec", tag = "10")]
    #[serde(with = "json::id", skip_serializing_if = "is_default")]
    pub span_id: Vec<u8>,
    /// The kind of event that it is, or empty.
    #[prost(string, tag = "12")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub event_name: String,
}
