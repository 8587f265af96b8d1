//! [OTLP/HTTP](https://opentelemetry.io/docs/specs/otlp/#otlphttp).

use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use hyper::{Method, Request, Response};

use super::answer::{self, Body, Refused};
use super::route::header;
use super::{Shared, body};
use crate::decode::{Encoding, Signal, decode};
use crate::traffic::{Protocol, Reason};

/// Takes a request, or says why not.
pub(super) async fn answer(request: Request<Incoming>, shared: &Shared) -> Response<Body> {
    let kind = header(&request, &CONTENT_TYPE).unwrap_or_default();
    let encoding = encoding(kind);
    match take(request, encoding, shared).await {
        Ok(response) => response,
        Err(refused) => {
            shared.book.refused(refused.reason, &refused.detail);
            refused.http(encoding)
        }
    }
}

/// The encoding that a content type names; what follows a semicolon does not matter.
fn encoding(kind: &str) -> Option<Encoding> {
    match kind.split(';').next()?.trim().to_ascii_lowercase().as_str() {
        "application/x-protobuf" => Some(Encoding::Protobuf),
        "application/json" => Some(Encoding::Json),
        _ => None,
    }
}

async fn take(
    request: Request<Incoming>,
    encoding: Option<Encoding>,
    shared: &Shared,
) -> Result<Response<Body>, Refused> {
    let signal = match request.uri().path() {
        "/v1/traces" => Signal::Traces,
        "/v1/metrics" => Signal::Metrics,
        "/v1/logs" => Signal::Logs,
        other => return Err(Refused::new(Reason::Path, other)),
    };
    if request.method() != Method::POST {
        return Err(Refused::new(Reason::Method, request.method().as_str()));
    }
    let Some(encoding) = encoding else {
        let kind = header(&request, &CONTENT_TYPE).unwrap_or("(none)");
        return Err(Refused::new(Reason::ContentType, kind));
    };
    let packed = match header(&request, &CONTENT_ENCODING).unwrap_or_default().trim() {
        "" | "identity" => false,
        "gzip" => true,
        other => return Err(Refused::new(Reason::Compression, other)),
    };
    let received = body::receive(request.into_body(), shared).await?;
    let unpacked = if packed { Some(body::unpack(&received.bytes)?) } else { None };
    let body = unpacked.as_ref().unwrap_or(&received.bytes);
    let protocol = match encoding {
        Encoding::Protobuf => Protocol::HttpProtobuf,
        Encoding::Json => Protocol::HttpJson,
    };
    let answer = keep(body, signal, encoding, (protocol, shared))?;
    Ok(answer::http(&answer, signal, encoding))
}

/// Reads a body and keeps what it brought.
pub(super) fn keep(
    body: &[u8],
    signal: Signal,
    encoding: Encoding,
    (protocol, shared): (Protocol, &Shared),
) -> Result<crate::otlp::answers::Answer, Refused> {
    let mut batch =
        decode(signal, encoding, body).map_err(|it| Refused::new(Reason::Malformed, it.to_string()))?;
    let answer = answer::taken(batch.rejected, batch.why.take().map(|it| it.to_string()));
    shared.book.took(protocol, signal, batch.rejected);
    shared.store.keep(batch);
    Ok(answer)
}
