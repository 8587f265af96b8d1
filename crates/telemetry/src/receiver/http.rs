//! [OTLP/HTTP](https://opentelemetry.io/docs/specs/otlp/#otlphttp).

use hyper::body::Incoming;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY,
};
use hyper::{Method, Request, Response, StatusCode};

use super::answer::{self, Body, Refused};
use super::route::header;
use super::{Shared, body, guard};
use crate::decode::{Encoding, Signal, decode};
use crate::traffic::{Protocol, Reason};

/// Takes a request, or says why not.
pub(super) async fn answer(request: Request<Incoming>, shared: &Shared) -> Response<Body> {
    let kind = header(&request, &CONTENT_TYPE).unwrap_or_default();
    let encoding = encoding(kind);
    let origin = match guard::sender(&request, &shared.origins) {
        Ok(origin) => origin.map(str::to_owned),
        Err(refused) => {
            shared.book.refused(refused.reason, &refused.detail);
            return refused.http(encoding);
        }
    };
    let response = if origin.is_some() && request.method() == Method::OPTIONS {
        preflight()
    } else {
        take(request, encoding, shared).await.unwrap_or_else(|refused| {
            shared.book.refused(refused.reason, &refused.detail);
            refused.http(encoding)
        })
    };
    allow(response, origin.as_deref())
}

/// A browser asks first: <https://fetch.spec.whatwg.org/#http-cors-protocol>.
fn preflight() -> Response<Body> {
    let mut response = answer::whole(StatusCode::NO_CONTENT, "text/plain", Vec::new());
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    let names = "content-type, content-encoding, user-agent, traceparent, tracestate, baggage";
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(names));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

/// Lets the page that sent something read the answer.
fn allow(mut response: Response<Body>, origin: Option<&str>) -> Response<Body> {
    if let Some(origin) = origin.and_then(|it| HeaderValue::from_str(it).ok()) {
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        response.headers_mut().insert(VARY, HeaderValue::from_static("Origin"));
    }
    response
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
