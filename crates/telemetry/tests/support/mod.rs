//! The other side of a receiver: requests as bytes, so that wrong ones can be sent too, and messages to send.

#![allow(dead_code, reason = "each test program uses a part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use telemetry::otlp::{AnyValue, KeyValue, Span, Value};
use telemetry::{Options, Receiver};

/// An answer of HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub(crate) fn receiver() -> Receiver {
    Receiver::start(&Options::default()).unwrap()
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Waits for what comes about after an answer.
pub(crate) fn until(it_is: impl Fn() -> bool) {
    let end = soon();
    while !it_is() {
        assert!(Instant::now() < end, "it did not come about");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Sends a request, and reads all that comes until the connection is closed.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = connect(address);
    // The receiver may close before all of it is sent.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

pub(crate) fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

pub(crate) fn parse(answer: &[u8]) -> Answer {
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    Answer { status: head[9..12].parse().unwrap(), head, body: answer[end + 4..].to_vec() }
}

pub(crate) fn send(address: SocketAddr, path: &str, headers: &str, body: &[u8]) -> Answer {
    parse(&exchange(address, &request("POST", path, headers, body)))
}

pub(crate) fn protobuf(address: SocketAddr, path: &str, body: &[u8]) -> Answer {
    send(address, path, "Content-Type: application/x-protobuf\r\n", body)
}

pub(crate) fn json(address: SocketAddr, path: &str, body: &str) -> Answer {
    send(address, path, "Content-Type: application/json\r\n", body.as_bytes())
}

pub(crate) fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(Value::String(value.into()));
    KeyValue { key: key.into(), value: Some(AnyValue { value }) }
}

pub(crate) fn span(trace: u8, id: u8) -> Span {
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        name: "GET /users/{id}".into(),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_005_000_000,
        attributes: vec![
            attribute("http.request.method", "GET"),
            attribute("http.route", "/users/{id}"),
            KeyValue {
                key: "http.response.status_code".into(),
                value: Some(AnyValue { value: Some(Value::Int(200)) }),
            },
        ],
        ..Span::default()
    }
}

/// A request of any signal: one resource, one scope, these records.
pub(crate) fn export<T: prost::Message>(service: &str, records: &[T]) -> Vec<u8> {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Part {
        #[prost(bytes = "vec", repeated, tag = "1")]
        first: Vec<Vec<u8>>,
        #[prost(bytes = "vec", repeated, tag = "2")]
        second: Vec<Vec<u8>>,
    }
    use prost::Message;
    let resource = telemetry::otlp::Resource {
        attributes: vec![attribute("service.name", service)],
        ..telemetry::otlp::Resource::default()
    };
    let scoped =
        Part { first: vec![Vec::new()], second: records.iter().map(Message::encode_to_vec).collect() };
    let of_resource = Part { first: vec![resource.encode_to_vec()], second: vec![scoped.encode_to_vec()] };
    Part { first: vec![of_resource.encode_to_vec()], second: Vec::new() }.encode_to_vec()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}
