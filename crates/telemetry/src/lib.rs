//! OTLP in: received, kept within a bound, and asked for.
//! It sends nothing, writes no file and prints nothing; agents and destinations are others' rooms.
//! Open `receiver.rs` next for what listens, then `store.rs` for what is kept.

mod decode;
mod id;
pub mod otlp;
mod receiver;
mod record;
mod store;
mod traffic;
mod wire;

pub use decode::Signal;
pub use id::{NotAnId, SpanId, TraceId};
pub use receiver::{Options, Receiver, StartError};
pub use record::{Origin, Source};
pub use store::{Counts, DEFAULT_BYTES, Dropped, SpanKind, Store, StoredLog, StoredSpan, WantedSpan};
pub use traffic::{Protocol, Reason, Refusal, Traffic};
