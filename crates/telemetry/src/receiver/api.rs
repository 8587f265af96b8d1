//! The interface for questions, `/api/v1/…`; docs/reference/telemetry-api.md describes it. Times are texts of nanoseconds, as in
//! OTLP's JSON; durations are numbers of nanoseconds.

mod ask;
mod shape;
mod stream;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, HeaderValue, SET_COOKIE};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::answer::{Body, whole};
use super::route::header;
use super::{Shared, body, guard};

/// What keeps a question from being answered.
#[derive(Debug)]
pub(super) struct Wrong {
    status: StatusCode,
    message: String,
}

impl Wrong {
    fn request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    fn missing(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: message.into() }
    }

    fn response(&self) -> Response<Body> {
        answer(self.status, &json!({ "error": self.message }))
    }
}

/// Answers a question.
pub(super) async fn take(request: Request<Incoming>, shared: &Arc<Shared>) -> Response<Body> {
    let Some(code) = &shared.code else {
        return Wrong::missing("this receiver answers no questions").response();
    };
    if let Err(refused) = guard::asker(&request) {
        shared.book.refused(refused.reason, &refused.detail);
        return refused.http(None);
    }
    let path = request.uri().path().trim_start_matches("/api/v1/").to_owned();
    if path == "session" {
        return session(request, shared, code).await;
    }
    if !guard::knows(&request, code, shared.port) {
        let message = "the code is missing: Authorization: Bearer CODE, or the cookie of a session";
        return Wrong { status: StatusCode::UNAUTHORIZED, message: message.into() }.response();
    }
    if request.method() != Method::GET {
        return Wrong { status: StatusCode::METHOD_NOT_ALLOWED, message: "it is a GET".into() }.response();
    }
    let parameters = ask::Parameters::of(request.uri().query().unwrap_or_default());
    let shared = Arc::clone(shared);
    match path.as_str() {
        "follow" => stream::follow(&shared, parameters).unwrap_or_else(|it| it.response()),
        "export" => stream::export(&shared),
        "wait" => stream::wait(&shared, parameters).await.unwrap_or_else(|it| it.response()),
        _ => {
            // A long look at a large store is no reason for senders to wait.
            let looked = tokio::task::spawn_blocking(move || ask::answer(&path, parameters, &shared)).await;
            match looked {
                Ok(Ok(value)) => answer(StatusCode::OK, &value),
                Ok(Err(wrong)) => wrong.response(),
                Err(_) => {
                    Wrong { status: StatusCode::INTERNAL_SERVER_ERROR, message: "stopped".into() }.response()
                }
            }
        }
    }
}

/// A question and its answer, without a connection.
#[cfg(feature = "fuzzing")]
pub(super) fn ask(path: &str, query: &str, shared: &Shared) -> (u16, Value) {
    match ask::answer(path, ask::Parameters::of(query), shared) {
        Ok(value) => (200, value),
        Err(wrong) => (wrong.status.as_u16(), json!({ "error": wrong.message })),
    }
}

/// Whoever knows the code gets a cookie, which a page of another website cannot use.
async fn session(request: Request<Incoming>, shared: &Shared, code: &str) -> Response<Body> {
    if request.method() != Method::POST
        || header(&request, &hyper::header::CONTENT_TYPE) != Some("text/plain")
    {
        return Wrong::request("POST the code as text/plain").response();
    }
    let given = match body::receive(request.into_body(), shared).await {
        Ok(received) => String::from_utf8_lossy(&received.bytes).trim().to_owned(),
        Err(refused) => return refused.http(None),
    };
    if !guard::is_code(&given, code) {
        return Wrong { status: StatusCode::FORBIDDEN, message: "that is not the code".into() }.response();
    }
    let mut response = answer(StatusCode::OK, &json!({}));
    let cookie = format!("{}={code}; Path=/; HttpOnly; SameSite=Strict", guard::cookie_name(shared.port));
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

fn answer(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = whole(status, "application/json", value.to_string().into_bytes());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
