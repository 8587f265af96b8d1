//! From the body of a request to records as the store keeps them. The whole body is read before anything is kept: a
//! request is taken, or it is malformed. What is well formed and yet cannot be kept is counted, for the partial success.

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::otlp::{InstrumentationScope, LogRecord, Metric, Resource, Span};
use crate::record::{Origin, Record, Source, Unfit};
use crate::wire;

/// What a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Points of metrics.
    Metrics,
    /// Log records.
    Logs,
}

/// How a request is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Protobuf,
    Json,
}

/// Records of one request that are kept: the SDKs send 512 at once. It bounds what a small body becomes in memory.
const RECORDS: usize = 100_000;
/// Bytes of one record in protobuf. One that is larger is left out, and the rest of its request kept.
const RECORD_BYTES: usize = 2 << 20;

/// Why a body was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the body is not protobuf: {0}")]
    Wire(#[from] wire::NotProtobuf),
    #[error("the body is not OTLP in protobuf: {0}")]
    Protobuf(#[from] prost::DecodeError),
    #[error("the body is not UTF-8, which JSON is")]
    Utf8,
    #[error("the body is not OTLP in JSON: {0}")]
    Json(String),
}

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error.to_string())
    }
}

/// What one request brought.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Where records came from.
    pub(crate) sources: Vec<Source>,
    /// Each with the index of its source.
    pub(crate) records: Vec<(usize, Record)>,
    /// How many were left out.
    pub(crate) rejected: u64,
    /// Why the first of them was.
    pub(crate) why: Option<Unfit>,
}

/// Reads a body.
pub(crate) fn decode(signal: Signal, encoding: Encoding, body: &[u8]) -> Result<Batch, Malformed> {
    let mut batch = Batch::default();
    match encoding {
        Encoding::Protobuf => protobuf(signal, body, &mut batch)?,
        Encoding::Json => {
            let text = std::str::from_utf8(body).map_err(|_| Malformed::Utf8)?;
            json(signal, text, &mut batch)?;
        }
    }
    Ok(batch)
}

impl Batch {
    fn reject(&mut self, why: Unfit) {
        self.rejected += 1;
        self.why.get_or_insert(why);
    }

    fn keep(&mut self, records: Result<Vec<Record>, Unfit>) {
        let source = self.sources.len() - 1;
        match records {
            Ok(records) => {
                for record in records {
                    if self.records.len() < RECORDS {
                        self.records.push((source, record));
                    } else {
                        self.reject(Unfit::TooMany);
                    }
                }
            }
            Err(why) => self.reject(why),
        }
    }

    /// Whether a record of that many bytes is to be read at all.
    fn has_room_for(&mut self, bytes: usize) -> bool {
        if bytes > RECORD_BYTES {
            self.reject(Unfit::TooLarge);
        } else if self.records.len() >= RECORDS {
            self.reject(Unfit::TooMany);
        } else {
            return true;
        }
        false
    }
}

/// `Export…ServiceRequest`, `Resource…` and `Scope…` have the same field numbers for every signal.
fn protobuf(signal: Signal, body: &[u8], batch: &mut Batch) -> Result<(), Malformed> {
    for group in wire::messages(body, 1) {
        let group = group?;
        let resource = Resource::decode(&*wire::message(group, 1)?)?;
        let origin = Arc::new(Origin::new(&resource, text(group)?));
        for scoped in wire::messages(group, 2) {
            let scoped = scoped?;
            let scope = InstrumentationScope::decode(&*wire::message(scoped, 1)?)?;
            if wire::messages(scoped, 2).next().is_none() {
                continue;
            }
            batch.sources.push(Source::new(Arc::clone(&origin), &scope, text(scoped)?));
            for record in wire::messages(scoped, 2) {
                let record = record?;
                if batch.has_room_for(record.len()) {
                    let records = match signal {
                        Signal::Traces => Record::span(&Span::decode(record)?),
                        Signal::Logs => Record::log(&LogRecord::decode(record)?),
                        Signal::Metrics => Record::points(Metric::decode(record)?),
                    };
                    batch.keep(records);
                }
            }
        }
    }
    Ok(())
}

/// `schema_url`, which is field 3 of `Resource…` and of `Scope…`.
fn text(message: &[u8]) -> Result<String, Malformed> {
    let last = wire::messages(message, 3).last().transpose()?.unwrap_or_default();
    String::from_utf8(last.to_vec()).map_err(|_| Malformed::Utf8)
}

/// An object of JSON whose values are not read yet.
type Object<'a> = HashMap<String, &'a RawValue>;

fn json(signal: Signal, body: &str, batch: &mut Batch) -> Result<(), Malformed> {
    let (of_resource, of_scope, records) = match signal {
        Signal::Traces => ("resourceSpans", "scopeSpans", "spans"),
        Signal::Logs => ("resourceLogs", "scopeLogs", "logRecords"),
        Signal::Metrics => ("resourceMetrics", "scopeMetrics", "metrics"),
    };
    for group in list(&serde_json::from_str(body)?, of_resource)? {
        let group: Object<'_> = serde_json::from_str(group.get())?;
        let resource: Resource = value(&group, "resource")?;
        let origin = Arc::new(Origin::new(&resource, value(&group, "schemaUrl")?));
        for scoped in list(&group, of_scope)? {
            let scoped: Object<'_> = serde_json::from_str(scoped.get())?;
            let found = list(&scoped, records)?;
            if found.is_empty() {
                continue;
            }
            let (scope, url) = (value(&scoped, "scope")?, value(&scoped, "schemaUrl")?);
            batch.sources.push(Source::new(Arc::clone(&origin), &scope, url));
            for record in found {
                let text = record.get();
                // Twice: JSON spells the same record longer.
                if batch.has_room_for(text.len() / 2) {
                    let records = match signal {
                        Signal::Traces => Record::span(&serde_json::from_str(text)?),
                        Signal::Logs => Record::log(&serde_json::from_str(text)?),
                        Signal::Metrics => Record::points(serde_json::from_str(text)?),
                    };
                    batch.keep(records);
                }
            }
        }
    }
    Ok(())
}

fn list<'a>(object: &Object<'a>, key: &str) -> Result<Vec<&'a RawValue>, Malformed> {
    value(object, key)
}

/// What stands under a key; nothing and `null` are the default.
fn value<'a, T: Deserialize<'a> + Default>(object: &Object<'a>, key: &str) -> Result<T, Malformed> {
    let Some(raw) = object.get(key) else { return Ok(T::default()) };
    Ok(serde_json::from_str::<Option<T>>(raw.get())?.unwrap_or_default())
}
