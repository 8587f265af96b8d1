//! Answers that go on: what arrives from now on, and all that is kept. Each is sent as fast as its reader reads, piece by piece,
//! and what the reader is too slow for is lost to it alone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;
use tokio::time::timeout;

use super::ask::Parameters;
use super::{Wrong, answer};
use crate::lines::lines;
use crate::receiver::Shared;
use crate::receiver::answer::Body;

/// Records that are read out of the store at once.
const PIECE: usize = 500;
/// How long `wait` waits where nobody says, and at most, in seconds.
const USUAL: u64 = 25;
const MOST: u64 = 60;

/// OTLP JSON lines of what arrives after a record, until the reader goes.
pub(super) fn follow(shared: &Arc<Shared>, mut asked: Parameters) -> Result<Response<Body>, Wrong> {
    let after = asked.read("after")?.unwrap_or_else(|| shared.store.last_sequence());
    asked.end()?;
    let shared = Arc::clone(shared);
    Ok(streamed(|mut sender| async move {
        let mut last = shared.store.last();
        let mut after = after;
        loop {
            let Some(next) = send(&shared, after, &mut sender).await else { return };
            if next == after && last.changed().await.is_err() {
                return;
            }
            after = next;
        }
    }))
}

/// OTLP JSON lines of all that is kept.
pub(super) fn export(shared: &Arc<Shared>) -> Response<Body> {
    let shared = Arc::clone(shared);
    streamed(|mut sender| async move {
        // What arrives meanwhile would have no end.
        let (end, mut after) = (shared.store.last_sequence(), 0);
        while after < end {
            match send(&shared, after, &mut sender).await {
                Some(next) if next > after => after = next,
                _ => return,
            }
        }
    })
}

/// Answers when something has arrived after a record, or the time is over.
pub(super) async fn wait(shared: &Arc<Shared>, mut asked: Parameters) -> Result<Response<Body>, Wrong> {
    let after = asked.read("after")?.unwrap_or(0);
    let seconds = asked.read("seconds")?.unwrap_or(USUAL).min(MOST);
    asked.end()?;
    let mut last = shared.store.last();
    // An error: the time is over, which is an answer too.
    let _ = timeout(Duration::from_secs(seconds), last.wait_for(|it| *it > after)).await;
    let last = *last.borrow();
    Ok(answer(StatusCode::OK, &json!({ "last": last })))
}

/// Sends what arrived after a record; the last of it, or nothing where the reader is gone.
async fn send(shared: &Arc<Shared>, after: u64, sender: &mut Sender<Bytes>) -> Option<u64> {
    let store = Arc::clone(&shared.store);
    let read = tokio::task::spawn_blocking(move || {
        let arrivals = store.since(after, PIECE);
        let mut text = String::new();
        if arrivals.lost > 0 {
            text += &format!("{}\n", json!({ "resourceSpans": [], "lost": arrivals.lost }));
        }
        lines(&arrivals.records).iter().for_each(|it| {
            text.push_str(it);
            text.push('\n');
        });
        (arrivals.last, text)
    });
    let (last, text) = read.await.ok()?;
    if !text.is_empty() {
        sender.send_data(Bytes::from(text)).await.ok()?;
    }
    Some(last)
}

/// A body that a task fills.
fn streamed<W>(work: impl FnOnce(Sender<Bytes>) -> W) -> Response<Body>
where
    W: Future<Output = ()> + Send + 'static,
{
    let (sender, body) = Channel::<Bytes, std::convert::Infallible>::new(1);
    tokio::spawn(work(sender));
    let mut response = Response::new(body.boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
