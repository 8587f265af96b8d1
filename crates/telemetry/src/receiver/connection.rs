//! Connections: taken, looked at before they are believed to be HTTP, served, and ended.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::{Shared, route};
use crate::traffic::Reason;

/// Connections at a time. An SDK keeps one open for each signal.
const CONNECTIONS: usize = 512;
/// How long a client may take to begin, and between two requests' headers.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long requests may take to end when the receiver is stopped.
const GRACE: Duration = Duration::from_millis(500);

/// Serves until it is told to stop.
pub(super) async fn serve(listeners: Vec<TcpListener>, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let tasks: Vec<_> =
        listeners.into_iter().map(|it| tokio::spawn(accept(it, Arc::clone(&shared)))).collect();
    // An error: the receiver is gone, which means the same.
    let _ = stopped.await;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    let ended = async {
        while shared.receiving.load(Ordering::Relaxed) > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let _ = timeout(GRACE, ended).await;
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // No file descriptor is left, or the client is gone already.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        shared.book.connected();
        if shared.connections.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS {
            shared.connections.fetch_sub(1, Ordering::Relaxed);
            shared.book.refused(Reason::Overloaded, "too many connections");
            continue;
        }
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            talk(stream, &shared).await;
            shared.connections.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

async fn talk(stream: TcpStream, shared: &Arc<Shared>) {
    let mut first = [0; 1];
    match timeout(PATIENCE, stream.peek(&mut first)).await {
        // It came and went, as a check of the port does.
        Ok(Ok(0) | Err(_)) | Err(_) => return,
        // 22 begins a TLS record of a handshake: https://www.rfc-editor.org/rfc/rfc8446#section-5.1
        Ok(Ok(_)) if first == [22] => {
            return shared.book.refused(Reason::Tls, "a TLS handshake");
        }
        Ok(Ok(_)) => {}
    }
    // Answers are short: they need not wait for more to send.
    let _ = stream.set_nodelay(true);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(64 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(64)
        .max_header_list_size(16 << 10)
        .keep_alive_interval(Some(Duration::from_secs(60)));
    let service = service_fn(|request| route::answer(request, Arc::clone(shared)));
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await
        && let Some(error) = error.downcast_ref::<hyper::Error>()
        && (error.is_parse() || error.is_parse_too_large())
    {
        shared.book.refused(Reason::NotHttp, &error.to_string());
    }
}
