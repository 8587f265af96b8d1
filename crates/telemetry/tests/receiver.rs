//! What a receiver takes, and what it answers, over real connections.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use support::*;
use telemetry::otlp::{Gauge, LogRecord, Metric, NumberDataPoint};
use telemetry::{Options, Protocol, Reason, Receiver, Signal, SpanKind, StartError, WantedSpan};

fn of(service: &str) -> WantedSpan {
    WantedSpan { service: Some(service.into()), kind: None }
}

#[test]
fn spans_in_protobuf_are_kept_and_waited_for() {
    let receiver = receiver();
    let store = receiver.store();
    let waiting = std::thread::spawn(move || {
        let wanted = WantedSpan { service: Some("shop".into()), kind: Some(SpanKind::Server) };
        store.wait_for_span(&wanted, soon())
    });
    let other = protobuf(receiver.address(), "/v1/traces", &export("other", &[span(9, 9)]));
    assert_eq!((other.status, other.body.len()), (200, 0));
    protobuf(receiver.address(), "/v1/traces", &export("shop", &[span(1, 1)]));
    let found = waiting.join().unwrap().unwrap();
    assert_eq!(found.trace.to_string(), "01".repeat(16));
    assert_eq!(&*found.name, "GET /users/{id}");
    assert_eq!(found.route.as_deref(), Some("/users/{id}"));
    assert_eq!((found.http_status, found.duration(), found.failed), (Some(200), 5_000_000, false));
    assert_eq!(found.span(), span(1, 1));
    assert_eq!(receiver.traffic().taken[&(Protocol::HttpProtobuf, Signal::Traces)], 2);
    assert_eq!(receiver.store().services(), ["other".into(), "shop".into()]);
}

#[test]
fn a_wait_ends_at_its_deadline_without_what_was_wanted() {
    let receiver = receiver();
    protobuf(receiver.address(), "/v1/traces", &export("other", &[span(1, 1)]));
    assert!(receiver.store().wait_for_span(&of("shop"), Instant::now()).is_none());
    let soon = Instant::now() + Duration::from_millis(20);
    assert!(receiver.store().wait_for_span(&of("shop"), soon).is_none());
    assert!(receiver.store().wait_for_span(&WantedSpan::default(), Instant::now()).is_some());
}

#[test]
fn logs_and_points_are_kept() {
    let receiver = receiver();
    protobuf(receiver.address(), "/v1/logs", &export("shop", &[LogRecord::default(), LogRecord::default()]));
    let point = NumberDataPoint { as_int: Some(3), ..NumberDataPoint::default() };
    let gauge = Gauge { data_points: vec![point.clone(), point] };
    let metric = Metric { name: "queue".into(), gauge: Some(gauge), ..Metric::default() };
    protobuf(receiver.address(), "/v1/metrics", &export("shop", &[metric]));
    let counts = receiver.store().counts();
    assert_eq!((counts.logs, counts.points, counts.spans), (2, 2, 0));
}

/// As the specification writes its example: ids in hexadecimal, integers as texts, what nobody knows left alone.
const JSON: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name",
  "value":{"stringValue":"js"}}]},"scopeSpans":[{"scope":{"name":"lib","version":"1","attributes":null},
  "spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174","parentSpanId":"",
  "name":"I'm a server span","startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1544712661000000000,
  "kind":2,"status":{"code":2},"flags":257,"news":[{}],"attributes":[{"key":"n","value":{"intValue":"-7"}},
  {"key":"d","value":{"doubleValue":"NaN"}},{"key":"b","value":{"bytesValue":"AQI"}},{"key":"empty","value":{}},
  {"key":"list","value":{"arrayValue":{"values":[{"intValue":7},{"boolValue":true}]}}}]}]}]}]}"#;

#[test]
fn spans_in_json_are_kept() {
    let receiver = receiver();
    let answer = json(receiver.address(), "/v1/traces", JSON);
    assert_eq!((answer.status, answer.text().as_str()), (200, "{}"));
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    let found = receiver.store().wait_for_span(&of("js"), Instant::now()).unwrap();
    assert!(found.failed && found.parent.is_none());
    assert_eq!(found.duration(), 1_000_000_000);
    let span = found.span();
    let values: Vec<_> =
        span.attributes.iter().map(|it| it.value.clone().unwrap_or_default().to_string()).collect();
    assert_eq!(values, ["-7", "NaN", "AQI=", "", "[7, true]"]);
    assert_eq!(span.flags, 257);
    assert_eq!(found.source.scope().name, "lib");
}

#[test]
fn compressed_bodies_are_unpacked() {
    let receiver = receiver();
    let packed = gzip(&export("zip", &[span(1, 1)]));
    let headers = "Content-Type: application/x-protobuf\r\nContent-Encoding: gzip\r\n";
    assert_eq!(send(receiver.address(), "/v1/traces", headers, &packed).status, 200);
    assert!(receiver.store().wait_for_span(&of("zip"), Instant::now()).is_some());
}

#[test]
fn what_cannot_be_kept_is_told_to_the_sender() {
    let receiver = receiver();
    let nameless = telemetry::otlp::Span { trace_id: vec![0; 16], ..span(1, 1) };
    let answer = protobuf(receiver.address(), "/v1/traces", &export("shop", &[span(1, 2), nameless]));
    assert_eq!(answer.status, 200);
    let message = b"a span has no valid trace id and span id";
    assert!(answer.body.windows(message.len()).any(|it| it == message), "{:?}", answer.text());
    assert_eq!(receiver.store().counts().spans, 1);
    let short = JSON.replace("eee19b7ec3c1b174", "eee1");
    let answer = json(receiver.address(), "/v1/traces", &short);
    assert_eq!(answer.json()["partialSuccess"]["rejectedSpans"], "1", "{}", answer.text());
    assert_eq!(receiver.traffic().records_rejected, 2);
}

/// A wrong request, its status and its reason.
type Wrong<'a> = (&'a str, &'a str, &'a str, &'a [u8], u16, Reason);

#[test]
fn wrong_requests_are_refused_by_the_rules_and_counted() {
    const PROTOBUF: &str = "Content-Type: application/x-protobuf\r\n";
    const JSON: &str = "Content-Type: application/json\r\n";
    const GZIP: &str = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";
    let large = vec![b' '; (16 << 20) + 1];
    let bomb = gzip(&large);
    let deep = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"attributes":[{{"value":{}}}]}}]}}]}}]}}"#,
        r#"{"arrayValue":{"values":["#.repeat(5000) + &"]}}".repeat(5000)
    );
    let cases: [Wrong<'_>; 15] = [
        ("POST", "/", PROTOBUF, b"", 404, Reason::Path),
        ("POST", "/v1/traces/v1/traces", PROTOBUF, b"", 404, Reason::Path),
        ("GET", "/v1/traces", PROTOBUF, b"", 405, Reason::Method),
        ("POST", "/v1/traces", "Content-Type: text/plain\r\n", b"{}", 415, Reason::ContentType),
        ("POST", "/v1/traces", "", b"{}", 415, Reason::ContentType),
        ("POST", "/v1/traces", "Content-Type: application/grpc\r\n", b"\0\0\0\0\0", 415, Reason::ContentType),
        (
            "POST",
            "/v1/logs",
            "Content-Type: application/json\r\nContent-Encoding: br\r\n",
            b"{}",
            415,
            Reason::Compression,
        ),
        ("POST", "/v1/logs", GZIP, b"{}", 415, Reason::Compression),
        ("POST", "/v1/logs", PROTOBUF, b"\x0a\x05abc", 400, Reason::Malformed),
        ("POST", "/v1/logs", PROTOBUF, b"{}", 400, Reason::Malformed),
        ("POST", "/v1/logs", JSON, b"\xff", 400, Reason::Malformed),
        ("POST", "/v1/metrics", JSON, b"{\"resourceMetrics\":{}}", 400, Reason::Malformed),
        ("POST", "/v1/traces", JSON, deep.as_bytes(), 400, Reason::Malformed),
        ("POST", "/v1/traces", PROTOBUF, &large, 413, Reason::TooLarge),
        ("POST", "/v1/logs", GZIP, &bomb, 413, Reason::TooLarge),
    ];
    let receiver = receiver();
    for (at, (method, path, headers, body, status, reason)) in cases.into_iter().enumerate() {
        let answer = parse(&exchange(receiver.address(), &request(method, path, headers, body)));
        assert_eq!(answer.status, status, "{at}: {}", answer.text());
        assert!(!answer.body.is_empty(), "{at}");
        let traffic = receiver.traffic();
        assert_eq!(traffic.refused.values().sum::<u64>(), at as u64 + 1, "{at}");
        assert_eq!(traffic.last_refused.unwrap().reason, reason, "{at}");
    }
    assert!(receiver.traffic().taken.is_empty());
}

#[test]
fn errors_are_in_the_encoding_of_the_request() {
    let receiver = receiver();
    let answer = protobuf(receiver.address(), "/v1/traces", b"{}");
    assert!(answer.head.contains("content-type: application/x-protobuf"), "{}", answer.head);
    assert_eq!(answer.body[..2], [8, 3], "google.rpc.Status with INVALID_ARGUMENT");
    let answer = json(receiver.address(), "/v1/traces", "[");
    assert_eq!(answer.json()["code"], 3);
}

#[test]
fn what_is_not_http_is_named() {
    let receiver = receiver();
    assert_eq!(exchange(receiver.address(), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), b"");
    until(|| receiver.traffic().last_refused.is_some_and(|it| it.reason == Reason::Tls));
    exchange(receiver.address(), b"\x80\x01\x02\x03\x04\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n");
    until(|| receiver.traffic().last_refused.is_some_and(|it| it.reason == Reason::NotHttp));
    assert_eq!(receiver.traffic().connections, 2);
}

/// Nothing of a stranger's reaches a terminal as it is.
#[test]
fn what_is_told_of_a_refusal_is_short_and_plain() {
    let receiver = receiver();
    let path = format!("/{}", "a".repeat(900));
    protobuf(receiver.address(), &path, b"");
    let headers = "Content-Type: application/x-\u{9b}31m\r\n";
    assert_eq!(receiver.traffic().last_refused.unwrap().detail.len(), 200);
    send(receiver.address(), "/v1/traces", headers, b"");
    assert!(!receiver.traffic().last_refused.unwrap().detail.contains(char::is_control));
}

#[test]
fn a_client_that_stalls_holds_up_nobody() {
    let receiver = receiver();
    let whole = request("POST", "/v1/traces", "Content-Type: application/x-protobuf\r\n", &[0; 1000]);
    let mut stalled: Vec<TcpStream> = (0..50).map(|_| connect(receiver.address())).collect();
    for stream in &mut stalled {
        stream.write_all(&whole[..whole.len() - 500]).unwrap();
    }
    assert_eq!(protobuf(receiver.address(), "/v1/traces", &export("shop", &[span(1, 1)])).status, 200);
    drop(stalled);
    receiver.stop();
}

#[test]
fn a_receiver_that_was_stopped_is_gone_and_its_store_is_not() {
    let receiver = receiver();
    let (address, store) = (receiver.address(), receiver.store());
    let mut open = connect(address);
    protobuf(address, "/v1/traces", &export("shop", &[span(1, 1)]));
    receiver.stop();
    assert!(TcpStream::connect(address).is_err());
    let _ = open.write_all(b"GET / HTTP/1.1\r\n\r\n");
    let mut rest = Vec::new();
    let _ = open.read_to_end(&mut rest);
    assert!(rest.is_empty());
    assert_eq!(store.counts().spans, 1);
}

#[test]
fn an_address_that_is_taken_is_an_error_that_names_it() {
    let first = receiver();
    let options = Options { addresses: vec![first.address()], ..Options::default() };
    let error = Receiver::start(&options).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot listen on {}: ", first.address())), "{error}");
    let none = Receiver::start(&Options { addresses: vec![], ..Options::default() });
    assert!(matches!(none, Err(StartError::NoAddress)));
}

#[test]
fn every_address_serves_every_protocol() {
    let any = (Ipv4Addr::LOCALHOST, 0).into();
    let options = Options { addresses: vec![any, any], ..Options::default() };
    let receiver = Receiver::start(&options).unwrap();
    assert_eq!(receiver.addresses().len(), 2);
    for address in receiver.addresses() {
        protobuf(*address, "/v1/traces", &export("shop", &[span(1, 1)]));
    }
    assert_eq!(receiver.store().counts().spans, 2);
}

/// Two bytes on the wire are a span, and hundreds in memory; what is kept of them is bounded, and the rest is told.
#[test]
fn what_is_small_on_the_wire_does_not_become_large() {
    let receiver = receiver();
    let empty = vec![telemetry::otlp::Span::default(); 1_000_000];
    let answer = protobuf(receiver.address(), "/v1/traces", &export("shop", &empty));
    assert_eq!((answer.status, receiver.traffic().records_rejected), (200, 1_000_000));
    let good: Vec<_> = (0..100_001).map(|_| LogRecord::default()).collect();
    protobuf(receiver.address(), "/v1/logs", &export("shop", &good));
    assert_eq!((receiver.store().counts().logs, receiver.traffic().records_rejected), (100_000, 1_000_001));
    // One record of the request may be many points.
    let data_points = vec![NumberDataPoint::default(); 100_001];
    let metric = Metric { name: "m".into(), gauge: Some(Gauge { data_points }), ..Metric::default() };
    protobuf(receiver.address(), "/v1/metrics", &export("shop", &[metric]));
    assert_eq!((receiver.store().counts().points, receiver.traffic().records_rejected), (100_000, 1_000_002));
}

#[test]
fn a_million_attributes_are_a_record_that_is_too_large_or_kept_as_it_is() {
    let receiver = receiver();
    let attributes = vec![telemetry::otlp::KeyValue::default(); 1_000_000];
    let many = telemetry::otlp::Span { attributes, ..span(1, 1) };
    protobuf(receiver.address(), "/v1/traces", &export("shop", &[many.clone(), span(1, 2)]));
    assert_eq!(receiver.store().counts().spans, 2, "two million bytes");
    let value = "v".repeat(3 << 20);
    let large = telemetry::otlp::Span { attributes: vec![attribute("k", &value)], ..span(1, 3) };
    let answer = protobuf(receiver.address(), "/v1/traces", &export("shop", &[large, span(1, 4)]));
    assert!(answer.text().contains("a record is larger than 2 MiB"), "{}", answer.text());
    assert_eq!(receiver.store().counts().spans, 3);
}

/// A text of protobuf is UTF-8, wherever it stands.
#[test]
fn texts_that_are_not_utf8_are_malformed() {
    let receiver = receiver();
    let name = b"GET /users/{id}";
    let mut body = export("shop", &[span(1, 1)]);
    let at = body.windows(name.len()).position(|it| it == name).unwrap();
    body[at] = 0xff;
    assert_eq!(protobuf(receiver.address(), "/v1/traces", &body).status, 400);
    assert_eq!(receiver.store().counts().spans, 0);
}
