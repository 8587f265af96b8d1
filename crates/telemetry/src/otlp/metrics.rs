//! [metrics/v1/metrics.proto](https://github.com/open-telemetry/opentelemetry-proto/blob/v1.8.0/opentelemetry/proto/metrics/v1/metrics.proto).

use serde::{Deserialize, Serialize};

use super::common::KeyValue;
use super::json::{self, is_default};

/// One metric with its points; one of the five kinds is there.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metric {
    /// Its name.
    #[prost(string, tag = "1")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub name: String,
    /// What it means.
    #[prost(string, tag = "2")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub description: String,
    /// Its unit, in UCUM.
    #[prost(string, tag = "3")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub unit: String,
    /// Values of now.
    #[prost(message, optional, tag = "5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gauge: Option<Gauge>,
    /// Sums.
    #[prost(message, optional, tag = "7")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sum: Option<Sum>,
    /// Histograms with given bounds.
    #[prost(message, optional, tag = "9")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub histogram: Option<Histogram>,
    /// Histograms with exponential bounds.
    #[prost(message, optional, tag = "10")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exponential_histogram: Option<ExponentialHistogram>,
    /// Quantiles, as Prometheus had them.
    #[prost(message, optional, tag = "11")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// Attributes of the metric itself.
    #[prost(message, repeated, tag = "12")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub metadata: Vec<KeyValue>,
}

/// Values of now.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Gauge {
    /// Its points.
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub data_points: Vec<NumberDataPoint>,
}

/// Sums.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sum {
    /// Its points.
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub data_points: Vec<NumberDataPoint>,
    /// 1 delta, 2 cumulative.
    #[prost(int32, tag = "2")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub aggregation_temporality: i32,
    /// Whether it only grows.
    #[prost(bool, tag = "3")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub is_monotonic: bool,
}

/// Histograms.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Histogram {
    /// Its points.
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub data_points: Vec<HistogramDataPoint>,
    /// 1 delta, 2 cumulative.
    #[prost(int32, tag = "2")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub aggregation_temporality: i32,
}

/// Exponential histograms.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExponentialHistogram {
    /// Its points.
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub data_points: Vec<ExponentialHistogramDataPoint>,
    /// 1 delta, 2 cumulative.
    #[prost(int32, tag = "2")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub aggregation_temporality: i32,
}

/// Summaries.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Summary {
    /// Its points.
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub data_points: Vec<SummaryDataPoint>,
}

/// A number at a time: `as_double` or `as_int`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NumberDataPoint {
    /// Its attributes.
    #[prost(message, repeated, tag = "7")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub attributes: Vec<KeyValue>,
    /// When its time began, in nanoseconds since 1970.
    #[prost(fixed64, tag = "2")]
    #[serde(with = "json::int", skip_serializing_if = "is_default")]
    pub start_time_unix_nano: u64,
    /// When it was taken, in nanoseconds since 1970.
    #[prost(fixed64, tag = "3")]
    #[serde(with = "json::int", skip_serializing_if = "is_default")]
    pub time_unix_nano: u64,
    /// The number.
    #[prost(double, optional, tag = "4")]
    #[serde(with = "json::double_if", skip_serializing_if = "Option::is_none")]
    pub as_double: Option<f64>,
    /// The number, where it is an integer.
    #[prost(sfixed64, optional, tag = "6")]
    #[serde(with = "json::int_if", skip_serializing_if = "Option::is_none")]
    pub as_int: Option<i64>,
    /// Measurements with their traces.
    #[prost(message, repeated, tag = "5")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub exemplars: Vec<Exemplar>,
    /// Bit 0: no value was recorded.
    #[prost(uint32, tag = "8")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub flags: u32,
}

/// A histogram at a time.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HistogramDataPoint {
    /// Its attributes.
    #[prost(message, repeated, tag = "9")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub attributes: Vec<KeyValue>,
    /// When its time began, in nanoseconds since 1970.
    #[prost(fixed64, tag = "2")]
    #[serde(with = "json::int", skip_serializing_if = "is_default")]
    pub start_time_unix_nano: u64,
    /// When it was taken, in nanoseconds since 1970.
    #[prost(fixed64, tag = "3")]
    #[serde(with = "json::int", skip_serializing_if = "is_default")]
    pub time_unix_nano: u64,
    /// How many values.
    #[prost(fixed64, tag = "4")]
    #[serde(with = "json::int", skip_serializing_if = "is_default")]
    pub count: u64,
    /// Their sum.
    #[prost(double, optional, tag = "5")]
    #[serde(with = "json::double_if", skip_serializing_if = "Option::is_none")]
    pub sum: Option<f64>,
    /// How many in each bucket.
    #[prost(fixed64, repeated, tag = "6")]
    #[serde(with = "json::ints", skip_serializing_if = "is_default")]
    pub bucket_counts: Vec<u64>,
    /// The upper bounds of all buckets but the last.
    #[prost(double, repeated, tag = "7")]
    #[serde(with = "json::doubles", skip_serializing_if = "is_default")]
    pub explicit_bounds: Vec<f64>,
    /// The least.
    #[prost(double, optional, tag = "11")]
    #[serde(with = "json::double_if", skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The greatest.
    #[prost(double, optional, tag = "12")]
    #[serde(with = "json::double_if", skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Measurements with their traces.
    #[prost(message, repeated, tag = "8")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub exemplars: Vec<Exemplar>,
    /// Bit 0: no value was recorded.
    #[prost(uint32, tag = "10")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub flags: u32,
}

/// An exponential histogram at a time.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExponentialHistogramDataPoint {
    /// Its attributes.
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub attributes: Vec<KeyValue>,
    /// When its time began, in nanoseconds since 1970.
    #[prost(fixed64, tag = "2")]
    #[serde(with = "json::int", skip_serializing_if = "is_default")]
    pub start_time_unix_nano: u64,
    /// When it was taken, in nanoseconds since 1970.
    #[prost(fixed64, tag = "3")]
    #[serde(with = "json::int", skip_serializing_if = "is_default")]
    pub time_unix_nano: u64,
    /// How many values.
    #[prost(fixed64, tag = "4")]
    #[serde(with = "json::int", skip_serializing_if = "is_default")]
    pub count: u64,
    /// Their sum.
    #[prost(double, optional, tag = "5")]
    #[serde(with = "json::double_if", skip_serializing_if = "Option::is_none")]
    pub sum: Option<f64>,
    /// The base of the bounds is 2 to the power of 2 to the power of minus this.
    #[prost(sint32, tag = "6")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub scale: i32,
    /// How many values are zero.
    #[prost(fixed64, tag = "7")]
    #[serde(with = "json::int", skip_serializing_if = "is_default")]
    pub zero_count: u64,
    /// Values above zero.
    #[prost(message, optional, tag = "8")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<Buckets>,
    /// Values below zero.
    #[prost(message, optional, tag = "9")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negative: Option<Buckets>,
    /// The least.
    #[prost(double, optional, tag = "12")]
    #[serde(with = "json::double_if", skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The greatest.
    #[prost(double, optional, tag = "13")]
    #[serde(with = "json::double_if", skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// What counts as zero.
    #[prost(double, tag = "14")]
    #[serde(with = "json::double", skip_serializing_if = "is_default")]
    pub zero_threshold: f64,
    /// Measurements with their traces.
    #[prost(message, repeated, tag = "11")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub exemplars: Vec<Exemplar>,
    /// Bit 0: no value was recorded.
    #[prost(uint32, tag = "10")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub flags: u32,
}

/// Buckets of an exponential histogram.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Buckets {
    /// The index of the first.
    #[prost(sint32, tag = "1")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub offset: i32,
    /// How many values in each.
    #[prost(uint64, repeated, tag = "2")]
    #[serde(with = "json::ints", skip_serializing_if = "is_default")]
    pub bucket_counts: Vec<u64>,
}

/// A summary at a time.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SummaryDataPoint {
    /// Its attributes.
    #[prost(message, repeated, tag = "7")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub attributes: Vec<KeyValue>,
    /// When its time began, in nanoseconds since 1970.
    #[prost(fixed64, tag = "2")]
    #[serde(with = "json::int", skip_serializing_if = "is_default")]
    pub start_time_unix_nano: u64,
    /// When it was taken, in nanoseconds since 1970.
    #[prost(fixed64, tag = "3")]
    #[serde(with = "json::int", skip_serializing_if = "is_default")]
    pub time_unix_nano: u64,
    /// How many values.
    #[prost(fixed64, tag = "4")]
    #[serde(with = "json::int", skip_serializing_if = "is_default")]
    pub count: u64,
    /// Their sum.
    #[prost(double, tag = "5")]
    #[serde(with = "json::double", skip_serializing_if = "is_default")]
    pub sum: f64,
    /// The quantiles.
    #[prost(message, repeated, tag = "6")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub quantile_values: Vec<ValueAtQuantile>,
    /// Bit 0: no value was recorded.
    #[prost(uint32, tag = "8")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub flags: u32,
}

/// A quantile.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ValueAtQuantile {
    /// Which, 0 to 1.
    #[prost(double, tag = "1")]
    #[serde(with = "json::double", skip_serializing_if = "is_default")]
    pub quantile: f64,
    /// Its value.
    #[prost(double, tag = "2")]
    #[serde(with = "json::double", skip_serializing_if = "is_default")]
    pub value: f64,
}

/// One measurement.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Exemplar {
    /// Attributes that the point has not.
    #[prost(message, repeated, tag = "7")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub filtered_attributes: Vec<KeyValue>,
    /// When, in nanoseconds since 1970.
    #[prost(fixed64, tag = "2")]
    #[serde(with = "json::int", skip_serializing_if = "is_default")]
    pub time_unix_nano: u64,
    /// The number.
    #[prost(double, optional, tag = "3")]
    #[serde(with = "json::double_if", skip_serializing_if = "Option::is_none")]
    pub as_double: Option<f64>,
    /// The number, where it is an integer.
    #[prost(sfixed64, optional, tag = "6")]
    #[serde(with = "json::int_if", skip_serializing_if = "Option::is_none")]
    pub as_int: Option<i64>,
    /// Its span, or empty.
    #[prost(bytes = "vec", tag = "4")]
    #[serde(with = "json::id", skip_serializing_if = "is_default")]
    pub span_id: Vec<u8>,
    /// Its trace, or empty.
    #[prost(bytes = "vec", tag = "5")]
    #[serde(with = "json::id", skip_serializing_if = "is_default")]
    pub trace_id: Vec<u8>,
}
