//! What listens. One thread serves OTLP over HTTP/1.1 and HTTP/2, which gRPC is, on each address, and keeps what it takes in a
//! store.

mod answer;
mod api;
mod body;
mod connection;
mod grpc;
mod guard;
mod http;
mod page;
mod route;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::store::{DEFAULT_BYTES, Store};
use crate::traffic::{Book, Traffic};

/// Questions that are answered at a time, each on a thread; they end when nobody asks.
const QUESTIONS: usize = 4;

/// What a receiver is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes one that is free. Each address serves every protocol.
    pub addresses: Vec<SocketAddr>,
    /// Bytes that the store may use; see [`Store::new`].
    pub memory: usize,
    /// What whoever asks must know; with none, nothing is answered. It stands in a header, so it is of printable ASCII.
    pub code: Option<String>,
    /// Websites whose pages may send telemetry, as browsers write them: `http://localhost:5173`.
    pub origins: Vec<String>,
}

/// A free port of the loopback interface, and the usual memory.
impl Default for Options {
    fn default() -> Self {
        let addresses = vec![(Ipv4Addr::LOCALHOST, 0).into()];
        Self { addresses, memory: DEFAULT_BYTES, code: None, origins: Vec::new() }
    }
}

/// What keeps a receiver from starting.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// No address was given.
    #[error("no address to listen on")]
    NoAddress,
    /// The machine gives no thread or no event queue.
    #[error("cannot start the receiver's thread: {0}")]
    Thread(#[source] io::Error),
}

/// What the connections of a receiver share.
#[derive(Debug)]
struct Shared {
    store: Arc<Store>,
    book: Arc<Book>,
    /// Bytes of bodies that are being received.
    receiving: AtomicUsize,
    connections: AtomicUsize,
    addresses: Vec<SocketAddr>,
    /// Of the first address.
    port: u16,
    code: Option<String>,
    origins: Vec<String>,
}

/// A receiver that listens until it is stopped or dropped.
#[derive(Debug)]
pub struct Receiver {
    first: SocketAddr,
    shared: Arc<Shared>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Receiver {
    /// Starts to listen. When this returns, connections are taken.
    ///
    /// # Errors
    ///
    /// An address is taken or not of this machine, or there is no thread to be had.
    pub fn start(options: &Options) -> Result<Self, StartError> {
        let listeners = options.addresses.iter().map(|it| listen(*it)).collect::<Result<Vec<_>, _>>()?;
        let addresses: Vec<_> = listeners.iter().map(|(address, _)| *address).collect();
        let first = *addresses.first().ok_or(StartError::NoAddress)?;
        let shared = Arc::new(Shared::new(Store::new(options.memory), options, addresses));
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(QUESTIONS)
            .build()
            .map_err(StartError::Thread)?;
        let listeners = {
            let _inside = runtime.enter();
            let of_runtime = |(_, it)| tokio::net::TcpListener::from_std(it).map_err(StartError::Thread);
            listeners.into_iter().map(of_runtime).collect::<Result<Vec<_>, _>>()?
        };
        let serve = connection::serve(listeners, Arc::clone(&shared), stopped);
        let thread = std::thread::Builder::new()
            .name("otlp-receiver".into())
            .spawn(move || runtime.block_on(serve))
            .map_err(StartError::Thread)?;
        Ok(Self { first, shared, running: Some((stop, thread)) })
    }

    /// The first address that it listens on, with its port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.first
    }

    /// All addresses, as the options order them.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.shared.addresses
    }

    /// What it keeps; it outlives the receiver.
    #[must_use]
    pub fn store(&self) -> Arc<Store> {
        Arc::clone(&self.shared.store)
    }

    /// What came to the door.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.shared.book.read()
    }

    /// Stops to listen, lets requests that are being answered end within half a second, and cuts off the others.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            // Neither fails but where the thread has ended before.
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn new(store: Store, options: &Options, addresses: Vec<SocketAddr>) -> Self {
        Self {
            store: Arc::new(store),
            book: Arc::default(),
            receiving: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            port: addresses.first().map_or(0, SocketAddr::port),
            addresses,
            code: options.code.clone(),
            origins: options.origins.clone(),
        }
    }
}

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing {
    use super::{Arc, Options, Shared, Store, api, body, grpc};

    pub(crate) fn ask(store: &Arc<Store>, path: &str, query: &str) -> (u16, serde_json::Value) {
        let mut shared = Shared::new(Store::new(0), &Options::default(), Vec::new());
        shared.store = Arc::clone(store);
        api::ask(path, query, &shared)
    }

    pub(crate) fn grpc(framed: &[u8]) -> Option<Vec<u8>> {
        let (packed, message) = grpc::unframe(framed).ok()?;
        if packed { body::unpack(message).ok() } else { Some(message.to_vec()) }
    }
}

fn listen(address: SocketAddr) -> Result<(SocketAddr, TcpListener), StartError> {
    let open = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok((listener.local_addr()?, listener))
    };
    open().map_err(|source| StartError::Listen { address, source })
}
