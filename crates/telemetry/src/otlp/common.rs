//! [common.proto and resource.proto](https://github.com/open-telemetry/opentelemetry-proto/tree/v1.8.0/opentelemetry/proto).

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::json::{self, Spelled, is_default};

/// One attribute.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KeyValue {
    /// Its name.
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "json::or_default")]
    pub key: String,
    /// Its value.
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<AnyValue>,
}

/// A value of any type, or none.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AnyValue {
    /// The value.
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub value: Option<Value>,
}

/// What a value may be.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Value {
    /// A text.
    #[prost(string, tag = "1")]
    String(String),
    /// True or false.
    #[prost(bool, tag = "2")]
    Bool(bool),
    /// An integer.
    #[prost(int64, tag = "3")]
    Int(i64),
    /// A number.
    #[prost(double, tag = "4")]
    Double(f64),
    /// A list.
    #[prost(message, tag = "5")]
    Array(ArrayValue),
    /// A map.
    #[prost(message, tag = "6")]
    Kvlist(KeyValueList),
    /// Bytes.
    #[prost(bytes, tag = "7")]
    Bytes(Vec<u8>),
}

/// A list of values.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ArrayValue {
    /// The values.
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "json::or_default")]
    pub values: Vec<AnyValue>,
}

/// A map of values.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyValueList {
    /// Its entries.
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "json::or_default")]
    pub values: Vec<KeyValue>,
}

/// The library that made a record.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InstrumentationScope {
    /// Its name.
    #[prost(string, tag = "1")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub version: String,
    /// Its attributes.
    #[prost(message, repeated, tag = "3")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub attributes: Vec<KeyValue>,
    /// How many attributes were left out.
    #[prost(uint32, tag = "4")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub dropped_attributes_count: u32,
}

/// What made a record: a process of a service.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resource {
    /// Its attributes, `service.name` among them.
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub attributes: Vec<KeyValue>,
    /// How many attributes were left out.
    #[prost(uint32, tag = "2")]
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json::or_default")]
    pub dropped_attributes_count: u32,
}

impl AnyValue {
    /// The text that it is, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Some(Value::String(it)) => Some(it),
            _ => None,
        }
    }
}

/// A value as a person writes it in a filter: a text as it is, anything else in JSON.
impl std::fmt::Display for AnyValue {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.value {
            None => Ok(()),
            Some(Value::String(it)) => to.write_str(it),
            Some(Value::Bool(it)) => write!(to, "{it}"),
            Some(Value::Int(it)) => write!(to, "{it}"),
            Some(Value::Double(it)) => write!(to, "{it}"),
            Some(Value::Bytes(it)) => to.write_str(&json::base64::encode(it)),
            Some(Value::Array(it)) => {
                to.write_str("[")?;
                for (at, value) in it.values.iter().enumerate() {
                    write!(to, "{}{value}", if at == 0 { "" } else { ", " })?;
                }
                to.write_str("]")
            }
            Some(Value::Kvlist(it)) => {
                to.write_str("{")?;
                for (at, KeyValue { key, value }) in it.values.iter().enumerate() {
                    write!(to, "{}{key}: ", if at == 0 { "" } else { ", " })?;
                    value.iter().try_for_each(|value| write!(to, "{value}"))?;
                }
                to.write_str("}")
            }
        }
    }
}

/// The value of an attribute in a list of them.
pub(crate) fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a AnyValue> {
    attributes.iter().find(|it| it.key == key)?.value.as_ref()
}

impl Serialize for AnyValue {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        struct Double(f64);
        impl Serialize for Double {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                json::double::serialize(&self.0, to)
            }
        }
        let mut map = to.serialize_map(None)?;
        match &self.value {
            None => {}
            Some(Value::String(it)) => map.serialize_entry("stringValue", it)?,
            Some(Value::Bool(it)) => map.serialize_entry("boolValue", it)?,
            Some(Value::Int(it)) => map.serialize_entry("intValue", &it.to_string())?,
            Some(Value::Double(it)) => map.serialize_entry("doubleValue", &Double(*it))?,
            Some(Value::Array(it)) => map.serialize_entry("arrayValue", it)?,
            Some(Value::Kvlist(it)) => map.serialize_entry("kvlistValue", it)?,
            Some(Value::Bytes(it)) => map.serialize_entry("bytesValue", &json::base64::encode(it))?,
        }
        map.end()
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = AnyValue;

    fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("an object with one of stringValue, boolValue, intValue, …")
    }

    fn visit_unit<E: Error>(self) -> Result<AnyValue, E> {
        Ok(AnyValue::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyValue, A::Error> {
        let mut value = None;
        // The names of the specification, and those of the .proto file, which protobuf's JSON takes too.
        while let Some(key) = map.next_key::<String>()? {
            let read = match key.as_str() {
                "stringValue" | "string_value" => map.next_value::<Option<_>>()?.map(Value::String),
                "boolValue" | "bool_value" => map.next_value::<Option<_>>()?.map(Value::Bool),
                "intValue" | "int_value" => {
                    map.next_value::<Option<Spelled<_>>>()?.map(|it| Value::Int(it.0))
                }
                "doubleValue" | "double_value" => {
                    map.next_value::<Option<Spelled<_>>>()?.map(|it| Value::Double(it.0))
                }
                "arrayValue" | "array_value" => map.next_value::<Option<_>>()?.map(Value::Array),
                "kvlistValue" | "kvlist_value" => map.next_value::<Option<_>>()?.map(Value::Kvlist),
                "bytesValue" | "bytes_value" => match map.next_value::<Option<String>>()? {
                    Some(text) => {
                        let bytes = json::base64::decode(&text);
                        Some(Value::Bytes(
                            bytes.ok_or_else(|| A::Error::custom("bytes that are not Base64"))?,
                        ))
                    }
                    None => None,
                },
                _ => {
                    map.next_value::<serde::de::IgnoredAny>()?;
                    None
                }
            };
            value = read.or(value);
        }
        Ok(AnyValue { value })
    }
}

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValueVisitor)
    }
}
