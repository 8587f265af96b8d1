//! [trace/v1/trace.proto](https://github.com/open-telemetry/opentelemetry-proto/blob/v1.8.0/opentelemetry/proto/trace/v1/trace.proto).

use serde::{Deserialize, Serialize};

use super::common::KeyValue;
use super::json::{self, is_default};

/// One operation of a service.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Span {
    /// The trace that it is of: 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    #[serde(with = "json::id", skip_serializing_if = "is_default")]
    pub trace_id: Vec<u8>,
    /// Its id: 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    #[serde(with = "json::id", skip_serializing_if = "is_default")]
    pub span_id: Vec<u8>,
    /// What W3C calls `tracestate`.
    #[prost(string, tag = "3")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub trace_state: String,
    /// The span that it is under; empty for the first of a trace.
    #[prost(bytes = "vec", tag = "4")]
    #[serde(with = "json::id", skip_serializing_if = "is_default")]
    pub parent_span_id: Vec<u8>,
    /// Bit 0: sampled; bits 8 and 9: whether the parent is in another process.
    #[prost(fixed32, tag = "16")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub flags: u32,
    /// What was done.
    #[prost(string, tag = "5")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub name: String,
    /// 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    #[prost(int32, tag = "6")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub kind: i32,
    /// When it began, in nanoseconds since 1970.
    #[prost(fixed64, tag = "7")]
    #[serde(with = "json::int", skip_serializing_if = "is_default")]
    pub start_time_unix_nano: u64,
    /// When it ended, in nanoseconds since 1970.
    #[prost(fixed64, tag = "8")]
    #[serde(with = "json::int", skip_serializing_if = "is_default")]
    pub end_time_unix_nano: u64,
    /// Its attributes.
    #[prost(message, repeated, tag = "9")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub attributes: Vec<KeyValue>,
    /// How many attributes were left out.
    #[prost(uint32, tag = "10")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub dropped_attributes_count: u32,
    /// What happened during it.
    #[prost(message, repeated, tag = "11")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub events: Vec<Event>,
    /// How many events were left out.
    #[prost(uint32, tag = "12")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub dropped_events_count: u32,
    /// Spans that it has to do with.
    #[prost(message, repeated, tag = "13")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub links: Vec<Link>,
    /// How many links were left out.
    #[prost(uint32, tag = "14")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub dropped_links_count: u32,
    /// How it ended.
    #[prost(message, optional, tag = "15")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// A moment in a span.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// When, in nanoseconds since 1970.
    #[prost(fixed64, tag = "1")]
    #[serde(with = "json::int", skip_serializing_if = "is_default")]
    pub time_unix_nano: u64,
    /// What.
    #[prost(string, tag = "2")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub name: String,
    /// Its attributes.
    #[prost(message, repeated, tag = "3")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub attributes: Vec<KeyValue>,
    /// How many attributes were left out.
    #[prost(uint32, tag = "4")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub dropped_attributes_count: u32,
}

/// A pointer to a span, of another trace as a rule.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Link {
    /// Its trace.
    #[prost(bytes = "vec", tag = "1")]
    #[serde(with = "json::id", skip_serializing_if = "is_default")]
    pub trace_id: Vec<u8>,
    /// Its id.
    #[prost(bytes = "vec", tag = "2")]
    #[serde(with = "json::id", skip_serializing_if = "is_default")]
    pub span_id: Vec<u8>,
    /// What W3C calls `tracestate`.
    #[prost(string, tag = "3")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub trace_state: String,
    /// Attributes of the link.
    #[prost(message, repeated, tag = "4")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub attributes: Vec<KeyValue>,
    /// How many attributes were left out.
    #[prost(uint32, tag = "5")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub dropped_attributes_count: u32,
    /// As the flags of a span.
    #[prost(fixed32, tag = "6")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub flags: u32,
}

/// How a span ended.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// For people.
    #[prost(string, tag = "2")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub message: String,
    /// 0 unset, 1 ok, 2 error.
    #[prost(int32, tag = "3")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub code: i32,
}
