//! [OTLP/gRPC](https://opentelemetry.io/docs/specs/otlp/#otlpgrpc): one message in, one out, as
//! [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md) frames them.

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, Version};
use prost::Message;

use super::answer::{Body, Refused};
use super::http::keep;
use super::route::header;
use super::{Shared, body};
use crate::decode::{Encoding, Signal};
use crate::otlp::answers::Answer;
use crate::traffic::{Protocol, Reason};

/// Takes a call, or says why not.
pub(super) async fn answer(request: Request<Incoming>, shared: &Shared) -> Response<Body> {
    // Who sends this over HTTP/1.1 reads no trailers either.
    let framed = request.version() == Version::HTTP_2;
    match take(request, shared).await {
        Ok(answer) => success(&answer),
        Err(refused) => {
            shared.book.refused(refused.reason, &refused.detail);
            if framed { refused.grpc() } else { refused.http(None) }
        }
    }
}

async fn take(request: Request<Incoming>, shared: &Shared) -> Result<Answer, Refused> {
    let kind = header(&request, &CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if request.version() != Version::HTTP_2 || !matches!(kind, "application/grpc" | "application/grpc+proto")
    {
        let how = format!("{kind} over {:?}", request.version());
        return Err(Refused::new(Reason::ContentType, how));
    }
    let signal = match request.uri().path() {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Signal::Traces,
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Signal::Metrics,
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Signal::Logs,
        other => return Err(Refused::new(Reason::Path, other)),
    };
    if request.method() != Method::POST {
        return Err(Refused::new(Reason::Method, request.method().as_str()));
    }
    let compression = HeaderName::from_static("grpc-encoding");
    let compression = header(&request, &compression).unwrap_or("identity").to_owned();
    let received = body::receive(request.into_body(), shared).await?;
    let (packed, message) = unframe(&received.bytes)?;
    let unpacked = match (packed, compression.as_str()) {
        (false, _) => None,
        (true, "gzip") => Some(body::unpack(message)?),
        (true, _) => return Err(Refused::new(Reason::Compression, compression)),
    };
    let message = unpacked.as_deref().unwrap_or(message);
    keep(message, signal, Encoding::Protobuf, (Protocol::Grpc, shared))
}

/// The one message of a body, and whether it is compressed.
pub(super) fn unframe(body: &[u8]) -> Result<(bool, &[u8]), Refused> {
    let wrong = || Refused::new(Reason::Malformed, "the body is not one message of gRPC");
    let ([flag, length @ ..], message) = body.split_first_chunk::<5>().ok_or_else(wrong)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| wrong())?;
    if *flag > 1 || message.len() != length {
        return Err(wrong());
    }
    Ok((*flag == 1, message))
}

fn success(answer: &Answer) -> Response<Body> {
    let length = answer.encoded_len();
    let mut body = BytesMut::with_capacity(5 + length);
    body.put_u8(0);
    body.put_u32(u32::try_from(length).unwrap_or_default());
    body.put_slice(&answer.encode_to_vec());
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::<Bytes>::from(body.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(body.boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
