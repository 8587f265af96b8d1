//! What a request is answered, by the rules of [OTLP](https://opentelemetry.io/docs/specs/otlp/#otlphttp-response): in the
//! encoding of the request.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use prost::Message;

use crate::decode::{Encoding, Signal};
use crate::otlp::answers::{Answer, PartialSuccess, Status};
use crate::traffic::Reason;

/// A body that is whole, or whole with trailers.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Why a request is not taken.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    pub(super) detail: String,
}

impl Refused {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// What is told to the sender.
    pub(super) fn message(&self) -> String {
        let detail = &self.detail;
        match self.reason {
            Reason::Path => format!(
                "{detail} is no path of OTLP; over HTTP those are /v1/traces, /v1/metrics and /v1/logs"
            ),
            Reason::Method => format!("{detail} is not POST"),
            Reason::ContentType => {
                format!(
                    "content type {detail} is none of application/x-protobuf, application/json and application/grpc"
                )
            }
            Reason::Compression => format!("content encoding {detail}; gzip is understood"),
            Reason::Overloaded => format!("{detail}; try again"),
            _ => detail.clone(),
        }
    }

    fn status(&self) -> StatusCode {
        match self.reason {
            Reason::Path => StatusCode::NOT_FOUND,
            Reason::Method => StatusCode::METHOD_NOT_ALLOWED,
            Reason::ContentType | Reason::Compression => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Reason::Malformed | Reason::Tls | Reason::NotHttp => StatusCode::BAD_REQUEST,
            Reason::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Reason::Stalled => StatusCode::REQUEST_TIMEOUT,
            Reason::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Reason::Origin => StatusCode::FORBIDDEN,
        }
    }

    /// The code of [gRPC](https://grpc.io/docs/guides/status-codes/). What is too large stays so: RESOURCE_EXHAUSTED without
    /// `RetryInfo` is not tried again.
    pub(super) fn code(&self) -> i32 {
        match self.reason {
            Reason::Path | Reason::Compression => 12,
            Reason::TooLarge => 8,
            Reason::Stalled => 4,
            Reason::Overloaded => 14,
            Reason::Origin => 7,
            _ => 3,
        }
    }

    /// As an answer of HTTP. Who sent neither encoding reads JSON.
    pub(super) fn http(&self, encoding: Option<Encoding>) -> Response<Body> {
        let status = Status { code: self.code(), message: self.message() };
        let (kind, body) = match encoding {
            Some(Encoding::Protobuf) => ("application/x-protobuf", status.encode_to_vec()),
            _ => ("application/json", serde_json::to_vec(&status).unwrap_or_default()),
        };
        let mut response = whole(self.status(), kind, body);
        if self.reason == Reason::Method {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        if self.reason == Reason::Overloaded {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    /// As an answer of gRPC: headers that are trailers too.
    pub(super) fn grpc(&self) -> Response<Body> {
        let mut response = Response::new(Empty::new().boxed_unsync());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from(self.code()));
        if let Ok(message) = HeaderValue::from_str(&percent(&self.message())) {
            headers.insert("grpc-message", message);
        }
        response
    }
}

/// What a request that was taken is told.
pub(super) fn taken(rejected: u64, why: Option<String>) -> Answer {
    let partial_success = (rejected > 0).then(|| PartialSuccess {
        rejected: i64::try_from(rejected).unwrap_or(i64::MAX),
        error_message: why.unwrap_or_default(),
    });
    Answer { partial_success }
}

/// That as an answer of HTTP.
pub(super) fn http(answer: &Answer, signal: Signal, encoding: Encoding) -> Response<Body> {
    let (kind, body) = match encoding {
        Encoding::Protobuf => ("application/x-protobuf", answer.encode_to_vec()),
        Encoding::Json => {
            let count = match signal {
                Signal::Traces => "rejectedSpans",
                Signal::Metrics => "rejectedDataPoints",
                Signal::Logs => "rejectedLogRecords",
            };
            ("application/json", answer.json(count).to_string().into_bytes())
        }
    };
    whole(StatusCode::OK, kind, body)
}

pub(super) fn whole(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Full::from(body).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// As gRPC spells [`grpc-message`](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses).
fn percent(message: &str) -> String {
    let byte = |it: u8| match it {
        b' '..=b'$' | b'&'..=b'~' => char::from(it).to_string(),
        _ => format!("%{it:02X}"),
    };
    message.bytes().map(byte).collect()
}
