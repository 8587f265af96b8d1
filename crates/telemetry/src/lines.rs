//! OTLP JSON lines: [the file format](https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/) that the Collector's
//! `otlpjsonfile` receiver reads and its `file` exporter writes. Each line is one request of one signal.

use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::decode::{Encoding, Malformed, Signal, decode};
use crate::otlp::Metric;
use crate::record::{Origin, Source};
use crate::store::{Record, Store, add};

/// Records that are read out of the store at once.
const PIECE: usize = 1000;
/// Bytes of one line, as of one request: 16 MiB.
pub(crate) const LINE: u64 = 16 << 20;

/// What a file brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Lines with telemetry.
    pub lines: u64,
    /// Records that were kept, though some of them may have had to make room since.
    pub records: u64,
    /// Records that cannot be kept: ids or names are missing.
    pub rejected: u64,
}

/// Why a file was not read to its end. What stood before is kept.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read.
    #[error("line {line}: {source}")]
    Read {
        /// The first is 1.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// A line is no request of OTLP.
    #[error("line {line}: {what}")]
    Line {
        /// The first is 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
}

impl Store {
    /// Writes all that is kept, in the order in which it arrived. The number of lines.
    ///
    /// # Errors
    ///
    /// The writer's.
    pub fn export(&self, to: &mut dyn Write) -> io::Result<u64> {
        let (mut after, mut written) = (0, 0);
        loop {
            let arrivals = self.since(after, PIECE);
            if arrivals.records.is_empty() {
                return Ok(written);
            }
            for line in lines(&arrivals.records) {
                to.write_all(line.as_bytes())?;
                to.write_all(b"\n")?;
                written += 1;
            }
            after = arrivals.last;
        }
    }

    /// Reads lines until the end.
    ///
    /// # Errors
    ///
    /// A line that is too long, cut off, or no request of traces, metrics or logs.
    pub fn import(&self, from: &mut dyn BufRead) -> Result<Imported, ImportError> {
        let mut imported = Imported::default();
        let (mut text, mut line) = (Vec::new(), 0);
        loop {
            line += 1;
            text.clear();
            let read = from.take(LINE + 1).read_until(b'\n', &mut text);
            if read.map_err(|source| ImportError::Read { line, source })? == 0 {
                return Ok(imported);
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            let wrong = |it: Malformed| ImportError::Line { line, what: it.to_string() };
            let signal = signal_of(&text, line)?;
            let batch = decode(signal, Encoding::Json, &text).map_err(wrong)?;
            imported.lines += 1;
            imported.records += batch.records.len() as u64;
            imported.rejected += batch.rejected;
            self.keep(batch);
        }
    }
}

/// Which signal a line is of, by the name of its list.
pub(crate) fn signal_of(text: &[u8], line: u64) -> Result<Signal, ImportError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Names {
        #[serde(default)]
        resource_spans: Option<serde::de::IgnoredAny>,
        #[serde(default)]
        resource_metrics: Option<serde::de::IgnoredAny>,
        #[serde(default)]
        resource_logs: Option<serde::de::IgnoredAny>,
    }
    let wrong = |what: String| ImportError::Line { line, what };
    if text.len() as u64 > LINE {
        return Err(wrong(format!("it is longer than {} MiB", LINE >> 20)));
    }
    let names: Names = serde_json::from_slice(text).map_err(|it| wrong(Malformed::from(it).to_string()))?;
    let spans = names.resource_spans.map(|_| Signal::Traces);
    let metrics = names.resource_metrics.map(|_| Signal::Metrics);
    let found = spans.or(metrics).or(names.resource_logs.map(|_| Signal::Logs));
    found.ok_or_else(|| wrong("it has none of resourceSpans, resourceMetrics and resourceLogs".into()))
}

/// The lines that records make: at most one for each signal.
pub(crate) fn lines(records: &[Record]) -> Vec<String> {
    let (mut spans, mut logs) = (Groups::new("scopeSpans", "spans"), Groups::new("scopeLogs", "logRecords"));
    let mut metrics = Groups::new("scopeMetrics", "metrics");
    let mut open: Vec<(Arc<Source>, usize, Metric)> = Vec::new();
    for record in records {
        match record {
            Record::Span(it) => spans.add(&it.source, json!(it.span())),
            Record::Log(it) => logs.add(&it.source, json!(it.record())),
            Record::Point(it) => {
                let (source, place) = (&it.series.source, it.series.metric_place());
                let same = open.iter_mut().rev().find(|(of, at, _)| Arc::ptr_eq(of, source) && *at == place);
                if let Some((.., metric)) = same {
                    add(metric, it, &it.series.attributes());
                } else {
                    open.push((Arc::clone(source), place, it.metric()));
                }
            }
        }
    }
    open.into_iter().for_each(|(source, _, metric)| metrics.add(&source, json!(metric)));
    let all = [("resourceSpans", spans), ("resourceMetrics", metrics), ("resourceLogs", logs)];
    let some = all.into_iter().filter(|(_, groups)| !groups.groups.is_empty());
    some.map(|(key, groups)| json!({ key: groups.into_json() }).to_string()).collect()
}

/// The records of one library.
type Scoped = (Arc<Source>, Vec<Value>);

/// Records by where they come from.
struct Groups {
    scoped: &'static str,
    records: &'static str,
    groups: Vec<(Arc<Origin>, Vec<Scoped>)>,
}

impl Groups {
    fn new(scoped: &'static str, records: &'static str) -> Self {
        Self { scoped, records, groups: Vec::new() }
    }

    fn add(&mut self, source: &Arc<Source>, record: Value) {
        let origin = source.origin();
        let group = if let Some(at) = self.groups.iter().rposition(|(it, _)| Arc::ptr_eq(it, origin)) {
            &mut self.groups[at].1
        } else {
            self.groups.push((Arc::clone(origin), Vec::new()));
            let last = self.groups.len() - 1;
            &mut self.groups[last].1
        };
        if let Some((_, records)) = group.iter_mut().rev().find(|(it, _)| Arc::ptr_eq(it, source)) {
            records.push(record);
        } else {
            group.push((Arc::clone(source), vec![record]));
        }
    }

    fn into_json(self) -> Value {
        let (scoped, records) = (self.scoped, self.records);
        let with_url = |mut object: Map<String, Value>, url: &str| {
            if !url.is_empty() {
                object.insert("schemaUrl".into(), url.into());
            }
            Value::Object(object)
        };
        let group = |(origin, sources): (Arc<Origin>, Vec<Scoped>)| {
            let source = |(source, list): Scoped| {
                let mut object = Map::new();
                object.insert("scope".into(), json!(source.scope()));
                object.insert(records.into(), list.into());
                with_url(object, source.schema_url())
            };
            let mut object = Map::new();
            object.insert("resource".into(), json!(origin.resource()));
            object.insert(scoped.into(), sources.into_iter().map(source).collect::<Vec<_>>().into());
            with_url(object, origin.schema_url())
        };
        self.groups.into_iter().map(group).collect::<Vec<_>>().into()
    }
}
