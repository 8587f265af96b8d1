//! Bodies: received within a limit of bytes and of time, and unpacked within the same limit.

use std::io::Read;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::Shared;
use super::answer::Refused;
use crate::traffic::Reason;

/// Bytes of one body, compressed or not: 16 MiB. The SDKs' batches are well below one.
pub(super) const BODY: usize = 16 << 20;
/// Bytes of all bodies that are being received.
const RECEIVING: usize = 64 << 20;
/// How long the next piece of a body may take, and how long all of it.
const PIECE: Duration = Duration::from_secs(10);
const WHOLE: Duration = Duration::from_secs(60);

/// A body, and its bytes in the count of all, for as long as it is there.
pub(super) struct Received<'a> {
    pub(super) bytes: Vec<u8>,
    shared: &'a Shared,
    counted: usize,
}

impl Drop for Received<'_> {
    fn drop(&mut self) {
        self.shared.receiving.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

impl Received<'_> {
    fn count(&mut self, bytes: usize) -> Result<(), Refused> {
        let all = self.shared.receiving.fetch_add(bytes, Ordering::Relaxed);
        self.counted += bytes;
        if all + bytes > RECEIVING {
            return Err(Refused::new(Reason::Overloaded, "too much is being received"));
        }
        Ok(())
    }
}

fn too_large() -> Refused {
    Refused::new(Reason::TooLarge, format!("a body of more than {} MiB", BODY >> 20))
}

/// All of a body.
pub(super) async fn receive(mut body: Incoming, shared: &Shared) -> Result<Received<'_>, Refused> {
    let mut received = Received { bytes: Vec::new(), shared, counted: 0 };
    // So that an answer is waited for when the receiver stops, be the body empty.
    received.count(1)?;
    let end = Instant::now() + WHOLE;
    loop {
        let patience = end.saturating_duration_since(Instant::now()).min(PIECE);
        let Ok(frame) = timeout(patience, body.frame()).await else {
            return Err(Refused::new(Reason::Stalled, "the body did not come in time"));
        };
        let Some(frame) = frame else { return Ok(received) };
        let frame =
            frame.map_err(|it| Refused::new(Reason::Malformed, format!("the body breaks off: {it}")))?;
        // Trailers, which mean nothing in a request.
        let Ok(data) = frame.into_data() else { continue };
        if received.bytes.len() + data.len() > BODY {
            return Err(too_large());
        }
        received.count(data.len())?;
        received.bytes.extend_from_slice(&data);
    }
}

/// What was packed with gzip.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(BODY).unwrap_or(u64::MAX) + 1;
    MultiGzDecoder::new(packed)
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|it| Refused::new(Reason::Compression, format!("gzip that is broken ({it})")))?;
    if bytes.len() > BODY { Err(too_large()) } else { Ok(bytes) }
}
