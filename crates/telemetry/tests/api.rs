//! The interface for questions: who may ask, what is answered, and what is followed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use std::io::{BufRead, BufReader, Write};

use serde_json::{Value, json};
use support::*;
use telemetry::{Client, ClientError, Imported, Options, Reason, Receiver, Store};

const CODE: &str = "d1c2e3";

fn started() -> Receiver {
    Receiver::start(&Options {
        code: Some(CODE.into()),
        origins: vec!["http://app.example:5173".into()],
        ..Options::default()
    })
    .unwrap()
}

/// A GET with these headers.
fn get(receiver: &Receiver, path: &str, headers: &str) -> Answer {
    parse(&exchange(receiver.address(), &request("GET", path, headers, b"")))
}

fn ask(receiver: &Receiver, path: &str) -> Answer {
    get(receiver, path, &format!("Authorization: Bearer {CODE}\r\n"))
}

/// As [`request`], with another `Host`.
fn with_host(receiver: &Receiver, host: &str, path: &str) -> Answer {
    let headers = format!("Authorization: Bearer {CODE}\r\n");
    let text = String::from_utf8(request("GET", path, &headers, b"")).unwrap();
    let text = text.replace("Host: localhost", &format!("Host: {host}"));
    parse(&exchange(receiver.address(), text.as_bytes()))
}

fn filled() -> Receiver {
    let receiver = started();
    protobuf(receiver.address(), "/v1/traces", &export("shop", &[span(1, 1)]));
    for line in include_str!("lines.jsonl").lines() {
        let paths = [("resourceSpans", "/v1/traces"), ("resourceMetrics", "/v1/metrics"), ("", "/v1/logs")];
        let path = paths.iter().find(|(name, _)| line.contains(name)).unwrap().1;
        assert_eq!(json(receiver.address(), path, line).status, 200);
    }
    receiver
}

#[test]
fn nobody_is_answered_without_the_code() {
    let receiver = filled();
    for path in ["/api/v1/status", "/api/v1/traces", "/api/v1/follow", "/api/v1/export", "/api/v1/none"] {
        assert_eq!(get(&receiver, path, "").status, 401, "{path}");
        assert_eq!(get(&receiver, path, "Authorization: Bearer d1c2e\r\n").status, 401, "{path}");
    }
    assert_eq!(ask(&receiver, "/api/v1/status").status, 200);
    let closed = Receiver::start(&Options::default()).unwrap();
    assert_eq!(ask(&closed, "/api/v1/status").status, 404);
}

#[test]
fn pages_of_others_are_not_answered() {
    let receiver = filled();
    let own = receiver.address();
    let code = format!("Authorization: Bearer {CODE}\r\n");
    for headers in [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://127.0.0.1:1\r\n",
        // It may send, and not ask.
        "Origin: http://app.example:5173\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
    ] {
        assert_eq!(get(&receiver, "/api/v1/traces", &format!("{code}{headers}")).status, 403, "{headers}");
    }
    assert_eq!(receiver.traffic().refused[&Reason::Origin], 6);
    for host in ["evil.example", "evil.example:4318", "127.0.0.1.evil.example"] {
        assert_eq!(with_host(&receiver, host, "/api/v1/traces").status, 403, "{host}");
    }
    for host in [own.to_string(), "localhost:1".into(), "[::1]:1".into()] {
        assert_eq!(with_host(&receiver, &host, "/api/v1/traces").status, 200, "{host}");
    }
    let headers = format!("{code}Sec-Fetch-Site: same-origin\r\nOrigin: http://localhost\r\n");
    assert_eq!(get(&receiver, "/api/v1/traces", &headers).status, 200);
}

#[test]
fn a_session_is_a_cookie_that_other_websites_cannot_use() {
    let receiver = filled();
    let session = |code: &str| {
        send(receiver.address(), "/api/v1/session", "Content-Type: text/plain\r\n", code.as_bytes())
    };
    assert_eq!(session("d1c2e4").status, 403);
    assert_eq!(session("").status, 403);
    let answer = session(CODE);
    assert_eq!(answer.status, 200);
    let cookie = answer.head.lines().find_map(|it| it.strip_prefix("set-cookie: ")).unwrap();
    let name = format!("packlight-{}={CODE}", receiver.address().port());
    assert_eq!(cookie, format!("{name}; Path=/; HttpOnly; SameSite=Strict"));
    assert_eq!(get(&receiver, "/api/v1/status", &format!("Cookie: a=b; {name}; c=d\r\n")).status, 200);
    assert_eq!(get(&receiver, "/api/v1/status", "Cookie: packlight-1=d1c2e3\r\n").status, 401);
}

#[test]
fn the_page_is_served_to_all_and_runs_its_own_scripts_only() {
    let receiver = filled();
    let page = get(&receiver, "/", "");
    assert!(page.status == 200 && page.text().starts_with("<!doctype html>"));
    assert!(
        page.head.contains("content-security-policy: default-src 'none'; script-src 'self';"),
        "{}",
        page.head
    );
    let script = get(&receiver, "/page.js", "");
    assert!(script.head.contains("content-type: text/javascript"), "{}", script.head);
    let closed = Receiver::start(&Options::default()).unwrap();
    assert_eq!(get(&closed, "/", "").status, 404);
}

#[test]
fn telemetry_of_browsers_is_taken_from_the_websites_that_are_named() {
    let receiver = started();
    let body = export("web", &[span(1, 1)]);
    let post = |origin: &str| {
        let headers = format!("Content-Type: application/x-protobuf\r\nOrigin: {origin}\r\n");
        send(receiver.address(), "/v1/traces", &headers, &body)
    };
    assert_eq!(post("http://evil.example").status, 403);
    let answer = post("http://app.example:5173");
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("access-control-allow-origin: http://app.example:5173"), "{}", answer.head);
    let preflight = |origin: &str| {
        let headers = format!("Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\n");
        parse(&exchange(receiver.address(), &request("OPTIONS", "/v1/traces", &headers, b"")))
    };
    assert_eq!(preflight("http://evil.example").status, 403);
    let answer = preflight("http://app.example:5173");
    assert_eq!(answer.status, 204);
    assert!(answer.head.contains("access-control-allow-headers: content-type"), "{}", answer.head);
    assert_eq!(receiver.store().counts().spans, 1);
}

#[test]
fn the_state_is_told() {
    let receiver = filled();
    protobuf(receiver.address(), "/v1/trace", b"");
    let status = ask(&receiver, "/api/v1/status").json();
    assert_eq!(status["services"], json!(["shop"]));
    assert_eq!(status["listening"], json!([receiver.address().to_string()]));
    assert_eq!(status["kept"]["spans"], 3);
    assert_eq!(status["dropped"]["spans"], 0);
    assert_eq!(status["lastRefused"]["reason"], "path");
    assert_eq!(status["lastRefused"]["detail"], "/v1/trace");
    assert_eq!(status["taken"][0], json!({"protocol": "http/protobuf", "requests": 1, "signal": "traces"}));
    assert_eq!(status["last"], 10);
}

#[test]
fn traces_are_listed_and_shown() {
    let receiver = filled();
    let list =
        ask(&receiver, "/api/v1/traces?service=shop&route=%2Fusers%2F%7Bid%7D&status=200-299&at-least=1ms")
            .json();
    assert_eq!(list["traces"].as_array().unwrap().len(), 1);
    assert_eq!(list["before"], Value::Null);
    let trace = &list["traces"][0];
    assert_eq!((&trace["name"], &trace["duration"]), (&json!("GET /users/{id}"), &json!(5_000_000)));
    assert_eq!(trace["startTimeUnixNano"], "1700000000000000000");
    let tree = ask(&receiver, "/api/v1/traces/5b8efff798038103d269b633813fc60c").json();
    assert_eq!(tree["rows"].as_array().unwrap().len(), 2);
    let second = tree["rows"].as_array().unwrap().iter().find(|it| it["depth"] == 1).unwrap();
    assert_eq!(second["span"]["events"][0]["name"], "exception");
    let source = usize::try_from(second["source"].as_u64().unwrap()).unwrap();
    assert_eq!(tree["sources"][source]["service"], "shop");
    assert_eq!(second["oddities"], json!([]));
    assert_eq!(ask(&receiver, &format!("/api/v1/traces/{}", "09".repeat(16))).status, 404);
}

#[test]
fn logs_metrics_and_routes_are_answered() {
    let receiver = filled();
    let logs = ask(&receiver, "/api/v1/logs?trace=5b8efff798038103d269b633813fc60c&severity=17").json();
    assert_eq!(logs["logs"][0]["text"], "{a: 1}");
    assert_eq!(logs["logs"][0]["spanId"], "eee19b7ec3c1b174");
    let series = ask(&receiver, "/api/v1/series?name=s").json();
    assert_eq!(series["series"][0]["kind"], "counter");
    assert_eq!(series["series"][0]["temporality"], "cumulative");
    let number = series["series"][0]["series"].as_u64().unwrap();
    let one = ask(&receiver, &format!("/api/v1/series/{number}")).json();
    assert_eq!(one["samples"][0]["value"], -3.0);
    assert_eq!(one["metric"]["sum"]["dataPoints"][0]["asInt"], "-3");
    assert_eq!(ask(&receiver, "/api/v1/series/99").status, 404);
    let routes = ask(&receiver, "/api/v1/routes").json();
    assert_eq!(routes["routes"][1]["route"], "GET /");
    assert_eq!(routes["routes"][0]["p99"], 5_000_000);
}

#[test]
fn questions_that_make_no_sense_are_told_why() {
    let receiver = filled();
    for (path, what) in [
        ("/api/v1/traces?at-least=5", "at-least: \"5\" is no duration"),
        ("/api/v1/traces?limit=x", "limit: \"x\" cannot be read"),
        ("/api/v1/traces?servce=shop", "servce is not asked here"),
        ("/api/v1/traces?status=2xx", "status: \"2xx\" is no status"),
        ("/api/v1/traces?outcome=bad", "outcome: \"bad\" is neither"),
        ("/api/v1/traces/zz", "an id has 32 hexadecimal digits"),
        ("/api/v1/logs?span=0", "span: \"0\" cannot be read"),
        ("/api/v1/follow?after=-1", "after: \"-1\" cannot be read"),
    ] {
        let answer = ask(&receiver, path);
        assert_eq!(answer.status, 400, "{path}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(what), "{path}: {error}");
    }
    assert_eq!(ask(&receiver, "/api/v1/none").status, 404);
    assert_eq!(ask(&receiver, "/api/v1/a/b").status, 404);
    let code = format!("Authorization: Bearer {CODE}\r\n");
    assert_eq!(send(receiver.address(), "/api/v1/status", &code, b"").status, 405);
}

#[test]
fn what_arrives_is_followed() {
    let receiver = filled();
    let mut stream = connect(receiver.address());
    let head =
        format!("GET /api/v1/follow HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {CODE}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "HTTP/1.1 200 OK");
    assert!(
        lines.by_ref().take_while(|it| !it.is_empty()).any(|it| it == "content-type: application/x-ndjson")
    );
    for number in 2..4 {
        protobuf(receiver.address(), "/v1/traces", &export("late", &[span(number, 1)]));
        let line = lines.find(|it| it.starts_with('{')).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        let spans = &line["resourceSpans"][0]["scopeSpans"][0]["spans"];
        assert_eq!(spans[0]["traceId"], format!("{number:02x}").repeat(16));
    }
}

/// It asks for what was, and reads nothing of the answer, while a flood arrives.
#[test]
fn a_reader_that_does_not_read_holds_up_nobody() {
    let receiver = filled();
    let mut stalled = Vec::new();
    for _ in 0..10 {
        let mut stream = connect(receiver.address());
        let head = format!(
            "GET /api/v1/follow?after=0 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {CODE}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stalled.push(stream);
    }
    let spans: Vec<_> = (1..=250).map(|it| span(it, it)).collect();
    let body = export("flood", &spans);
    for _ in 0..80 {
        assert_eq!(protobuf(receiver.address(), "/v1/traces", &body).status, 200);
    }
    assert_eq!(receiver.store().counts().spans, 3 + 250 * 80);
    drop(stalled);
}

#[test]
fn a_question_waits_for_what_is_new() {
    let receiver = filled();
    assert_eq!(ask(&receiver, "/api/v1/wait?after=3").json()["last"], 10);
    assert_eq!(ask(&receiver, "/api/v1/wait?after=10&seconds=0").json()["last"], 10);
    let address = receiver.address();
    let waiting = std::thread::spawn(move || {
        let code = format!("Authorization: Bearer {CODE}\r\n");
        parse(&exchange(address, &request("GET", "/api/v1/wait?after=10", &code, b""))).json()
    });
    protobuf(address, "/v1/traces", &export("late", &[span(3, 1)]));
    assert_eq!(waiting.join().unwrap()["last"], 11);
}

#[test]
fn a_client_carries_a_session_from_one_receiver_to_another() {
    let (one, two) = (filled(), started());
    let mut lines = Vec::new();
    Client::connect(one.address(), CODE).unwrap().get("/api/v1/export", &mut lines).unwrap();
    let mut direct = Vec::new();
    one.store().export(&mut direct).unwrap();
    assert_eq!(String::from_utf8(lines.clone()).unwrap(), String::from_utf8(direct).unwrap());
    let sent = Client::connect(two.address(), CODE).unwrap().send_lines(&mut lines.as_slice()).unwrap();
    assert_eq!((sent.rejected, two.store().counts().spans), (0, 3));
    let store = Store::new(1 << 20);
    assert!(matches!(store.import(&mut lines.as_slice()), Ok(Imported { records: 10, .. })));
    let mut wrong = Client::connect(one.address(), "wrong").unwrap();
    let error = wrong.get("/api/v1/export", &mut Vec::new()).unwrap_err();
    assert!(matches!(error, ClientError::Answer { status: 401, .. }), "{error}");
    let address = two.address();
    two.stop();
    assert!(matches!(Client::connect(address, CODE), Err(ClientError::Connection { .. })));
}
