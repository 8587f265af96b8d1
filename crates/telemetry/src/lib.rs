//! OTLP in: received, kept within a bound, and asked for.
//! It sends nothing, writes no file and prints nothing; agents and destinations are others' rooms.
//! Open `receiver.rs` next for what listens, then `store.rs` for what is kept.

mod client;
mod decode;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod id;
mod lines;
pub mod otlp;
mod query;
mod receiver;
mod record;
mod store;
mod traffic;
mod wire;

pub use client::{Client, ClientError, Sent};
pub use decode::Signal;
pub use id::{NotAnId, SpanId, TraceId};
pub use lines::{ImportError, Imported};
pub use query::{
    LogFilter, MetricFilter, Oddity, Outcome, Route, Row, Sample, SeriesInfo, Spread, TraceFilter, TracePage,
    TraceSummary, Tree,
};
pub use receiver::{Options, Receiver, StartError};
pub use record::{Origin, Source};
pub use store::{
    Arrivals, Counts, DEFAULT_BYTES, Dropped, Record, Series, SpanKind, Store, StoredLog, StoredPoint,
    StoredSpan, WantedSpan,
};
pub use traffic::{Protocol, Reason, Refusal, Traffic};
