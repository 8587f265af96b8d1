//! Asks a receiver of this machine, and sends to it. For the few questions of a command line; one after the other.

use std::io::{self, BufRead, Read, Write};
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::decode::Signal;
use crate::lines::{ImportError, LINE, signal_of};

/// A connection to a receiver.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    code: String,
    sender: SendRequest<Full<Bytes>>,
    runtime: Runtime,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Lines with telemetry.
    pub lines: u64,
    /// Records that the receiver cannot keep: ids or names are missing.
    pub rejected: u64,
}

/// What keeps a receiver from being asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing listens there, or the connection broke.
    #[error("no receiver answers at {address}: {what}")]
    Connection {
        /// Where.
        address: SocketAddr,
        /// Why.
        what: String,
    },
    /// It answered with an error.
    #[error("the receiver at {address} answers {status}: {body}")]
    Answer {
        /// Where.
        address: SocketAddr,
        /// The status of HTTP.
        status: u16,
        /// What it said, of at most 500 characters.
        body: String,
    },
    /// The answer cannot be written down, or what is to be sent cannot be read.
    #[error(transparent)]
    File(#[from] io::Error),
    /// What is to be sent is wrong.
    #[error(transparent)]
    Import(#[from] ImportError),
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    ///
    /// Nothing listens there.
    pub fn connect(address: SocketAddr, code: &str) -> Result<Self, ClientError> {
        let lost = |what: String| ClientError::Connection { address, what };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.map_err(|it| lost(it.to_string()))?;
            let (sender, connection) =
                handshake(TokioIo::new(stream)).await.map_err(|it| lost(it.to_string()))?;
            tokio::spawn(connection);
            Ok::<_, ClientError>(sender)
        })?;
        Ok(Self { address, code: code.to_owned(), sender, runtime })
    }

    /// Writes the answer to a question, such as `/api/v1/export`, piece by piece.
    ///
    /// # Errors
    ///
    /// The connection, an answer other than 200, the writer.
    pub fn get(&mut self, path: &str, to: &mut dyn Write) -> Result<(), ClientError> {
        let request = self.request(Method::GET, path, "", Bytes::new());
        let address = self.address;
        let sender = &mut self.sender;
        self.runtime.block_on(async {
            let mut response = send(sender, request, address).await?;
            while let Some(frame) = response.frame().await {
                let frame = frame.map_err(|it| ClientError::Connection { address, what: it.to_string() })?;
                if let Some(data) = frame.data_ref() {
                    to.write_all(data)?;
                }
            }
            Ok(())
        })
    }

    /// Sends OTLP JSON lines, each as a request of its own.
    ///
    /// # Errors
    ///
    /// The reader, a line that is no request of OTLP, the connection, a line that is refused. What stood before was sent.
    pub fn send_lines(&mut self, from: &mut dyn BufRead) -> Result<Sent, ClientError> {
        let mut sent = Sent::default();
        let (mut text, mut line) = (Vec::new(), 0);
        loop {
            line += 1;
            text.clear();
            if from.take(LINE + 1).read_until(b'\n', &mut text)? == 0 {
                return Ok(sent);
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            let path = match signal_of(&text, line)? {
                Signal::Traces => "/v1/traces",
                Signal::Metrics => "/v1/metrics",
                Signal::Logs => "/v1/logs",
            };
            let request = self.request(Method::POST, path, "application/json", Bytes::from(text.clone()));
            let (address, sender) = (self.address, &mut self.sender);
            let answer = self.runtime.block_on(async {
                let response = send(sender, request, address).await?;
                let body = response.into_body().collect().await;
                body.map_err(|it| ClientError::Connection { address, what: it.to_string() })
            })?;
            sent.lines += 1;
            sent.rejected += rejected(&answer.to_bytes());
        }
    }

    fn request(&self, method: Method, path: &str, kind: &str, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        // A path of ours, or a person's, who is told by the receiver that it is none.
        *request.uri_mut() = path.parse().unwrap_or_default();
        let headers = [
            (HOST, self.address.to_string()),
            (AUTHORIZATION, format!("Bearer {}", self.code)),
            (CONTENT_TYPE, kind.to_owned()),
        ];
        for (name, value) in headers {
            if let Ok(value) = value.parse() {
                request.headers_mut().insert(name, value);
            }
        }
        request
    }
}

/// The number in a partial success.
fn rejected(answer: &[u8]) -> u64 {
    let answer: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
    let counts = answer["partialSuccess"].as_object().into_iter().flatten();
    counts.filter_map(|(_, value)| value.as_str()?.parse::<u64>().ok()).sum()
}

async fn send(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    address: SocketAddr,
) -> Result<Response<Incoming>, ClientError> {
    let lost = |it: hyper::Error| ClientError::Connection { address, what: it.to_string() };
    sender.ready().await.map_err(lost)?;
    let response = sender.send_request(request).await.map_err(lost)?;
    if response.status() == StatusCode::OK {
        return Ok(response);
    }
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.map_err(lost)?.to_bytes();
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let body = String::from_utf8_lossy(&body).chars().take(500).map(plain).collect();
    Err(ClientError::Answer { address, status, body })
}
