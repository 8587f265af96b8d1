//! Which request is which.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName};
use hyper::{Request, Response};

use super::answer::Body;
use super::{Shared, api, grpc, http, page};

/// Answers any request.
pub(super) async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Body>, Infallible> {
    if request.uri().path().starts_with("/api/") {
        return Ok(api::take(request, &shared).await);
    }
    if shared.code.is_some()
        && let Some(page) = page::answer(request.method(), request.uri().path())
    {
        return Ok(page);
    }
    let grpc = header(&request, &CONTENT_TYPE).is_some_and(|it| it.starts_with("application/grpc"));
    Ok(if grpc { grpc::answer(request, &shared).await } else { http::answer(request, &shared).await })
}

/// A header as text, of the bytes that are.
pub(super) fn header<'a>(request: &'a Request<Incoming>, name: &HeaderName) -> Option<&'a str> {
    request.headers().get(name).and_then(|it| it.to_str().ok())
}
