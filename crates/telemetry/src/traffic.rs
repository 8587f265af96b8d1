//! What came to the receiver's door: requests that were taken, by protocol, and those that were turned away, by reason. Whoever
//! sees no telemetry looks here first.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::decode::Signal;

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// OTLP/HTTP with protobuf: `http/protobuf`.
    HttpProtobuf,
    /// OTLP/HTTP with JSON: `http/json`.
    HttpJson,
    /// OTLP/gRPC: `grpc`.
    Grpc,
}

/// Why a request was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A path or a gRPC method that is none of OTLP's. `/` and `/v1/traces/v1/traces` are what wrong endpoints make.
    Path,
    /// A method other than POST.
    Method,
    /// A content type other than the three of OTLP.
    ContentType,
    /// A compression other than gzip, or gzip that is broken.
    Compression,
    /// A body that is not OTLP in what its content type says.
    Malformed,
    /// A body beyond the limit, compressed or not.
    TooLarge,
    /// The body did not come in time.
    Stalled,
    /// More was being received than there is room for; to be tried again.
    Overloaded,
    /// A TLS handshake: the endpoint says `https`, and this port speaks without.
    Tls,
    /// Bytes that are neither HTTP/1.1 nor HTTP/2.
    NotHttp,
    /// A page of another website sent it, or a name that is not this machine's was asked for.
    Origin,
}

impl Reason {
    /// A short name, for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Method => "method",
            Self::ContentType => "content-type",
            Self::Compression => "compression",
            Self::Malformed => "malformed",
            Self::TooLarge => "too-large",
            Self::Stalled => "stalled",
            Self::Overloaded => "overloaded",
            Self::Tls => "tls",
            Self::NotHttp => "not-http",
            Self::Origin => "origin",
        }
    }
}

/// One request that was turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// When.
    pub at: SystemTime,
    /// Why.
    pub reason: Reason,
    /// What was wrong with it: the path, the content type, where it breaks off. Of at most 200 characters, none of them a control
    /// character; but a stranger chose them.
    pub detail: String,
}

/// What came so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests that were taken.
    pub taken: BTreeMap<(Protocol, Signal), u64>,
    /// Records of those that were left out, which the sender was told.
    pub records_rejected: u64,
    /// Requests that were turned away.
    pub refused: BTreeMap<Reason, u64>,
    /// The last of those.
    pub last_refused: Option<Refusal>,
    /// Connections that were made, whatever came of them.
    pub connections: u64,
}

/// Where the receiver writes it down.
#[derive(Debug, Default)]
pub(crate) struct Book(Mutex<Traffic>);

impl Book {
    pub(crate) fn read(&self) -> Traffic {
        self.with(|it| it.clone())
    }

    pub(crate) fn connected(&self) {
        self.with(|it| it.connections += 1);
    }

    pub(crate) fn took(&self, protocol: Protocol, signal: Signal, rejected: u64) {
        self.with(|it| {
            *it.taken.entry((protocol, signal)).or_default() += 1;
            it.records_rejected += rejected;
        });
    }

    pub(crate) fn refused(&self, reason: Reason, detail: &str) {
        let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        let detail = detail.chars().take(200).map(plain).collect();
        self.with(|it| {
            *it.refused.entry(reason).or_default() += 1;
            it.last_refused = Some(Refusal { at: SystemTime::now(), reason, detail });
        });
    }

    fn with<T>(&self, then: impl FnOnce(&mut Traffic) -> T) -> T {
        then(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
