//! OTLP over gRPC, from a client that speaks HTTP/2.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::*;
use telemetry::{Protocol, Reason, Receiver, Signal};

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// `grpc-status`, `grpc-message`, and the message.
fn call(receiver: &Receiver, path: &str, encoding: &str, body: Vec<u8>) -> (String, String, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(receiver.address()).await.unwrap();
        let io = TokioIo::new(stream);
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::post(format!("http://{}{path}", receiver.address()))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if !encoding.is_empty() {
            request = request.header("grpc-encoding", encoding);
        }
        let response =
            client.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/grpc");
        let headers = response.headers().clone();
        let collected = response.into_body().collect().await.unwrap();
        let trailers = collected.trailers().cloned().unwrap_or_default();
        let text = |name| {
            let found = trailers.get(name).or(headers.get(name));
            found.map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        (text("grpc-status"), text("grpc-message"), collected.to_bytes().to_vec())
    })
}

fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    [&[flag][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

#[test]
fn calls_are_taken() {
    let receiver = receiver();
    let message = export("shop", &[span(1, 1)]);
    let (status, _, answer) = call(&receiver, TRACES, "", frame(0, &message));
    assert_eq!((status.as_str(), &answer[..]), ("0", &[0; 5][..]));
    let (status, ..) = call(&receiver, TRACES, "gzip", frame(1, &gzip(&message)));
    assert_eq!(status, "0");
    assert_eq!(receiver.store().counts().spans, 2);
    assert_eq!(receiver.traffic().taken[&(Protocol::Grpc, Signal::Traces)], 2);
}

#[test]
fn every_signal_has_its_service() {
    let receiver = receiver();
    for (path, signal) in [
        (TRACES, Signal::Traces),
        ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", Signal::Metrics),
        ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", Signal::Logs),
    ] {
        assert_eq!(call(&receiver, path, "", frame(0, b"")).0, "0");
        assert_eq!(receiver.traffic().taken[&(Protocol::Grpc, signal)], 1);
    }
}

#[test]
fn a_partial_success_is_in_the_answer() {
    let receiver = receiver();
    let bad = telemetry::otlp::Span { span_id: vec![], ..span(1, 1) };
    let (status, _, answer) = call(&receiver, TRACES, "", frame(0, &export("shop", &[bad])));
    assert_eq!(status, "0");
    let length = answer.len() - 5;
    assert_eq!(answer[..5], [0, 0, 0, 0, u8::try_from(length).unwrap()]);
    assert_eq!(answer[7..9], [8, 1], "one span was rejected");
}

#[test]
fn wrong_calls_are_refused_by_the_rules_and_counted() {
    let receiver = receiver();
    let message = export("shop", &[span(1, 1)]);
    let large = vec![0; (16 << 20) + 1];
    let cases = [
        (
            "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
            "",
            frame(0, b""),
            "12",
            Reason::Path,
        ),
        ("/v1/traces", "", frame(0, b""), "12", Reason::Path),
        (TRACES, "", b"\0\0".to_vec(), "3", Reason::Malformed),
        (TRACES, "", frame(2, &message), "3", Reason::Malformed),
        (TRACES, "", [frame(0, &message), vec![1]].concat(), "3", Reason::Malformed),
        (TRACES, "", frame(0, b"\x0a\x05abc"), "3", Reason::Malformed),
        (TRACES, "snappy", frame(1, &message), "12", Reason::Compression),
        (TRACES, "gzip", frame(1, &message), "12", Reason::Compression),
        (TRACES, "gzip", frame(1, &gzip(&large)), "8", Reason::TooLarge),
    ];
    for (at, (path, encoding, body, code, reason)) in cases.into_iter().enumerate() {
        let (status, message, answer) = call(&receiver, path, encoding, body);
        assert_eq!((status.as_str(), answer.len()), (code, 0), "{at}: {message}");
        assert!(!message.is_empty() && message.is_ascii(), "{at}: {message}");
        assert_eq!(receiver.traffic().last_refused.unwrap().reason, reason, "{at}");
    }
    assert_eq!(receiver.store().counts().spans, 0);
}
