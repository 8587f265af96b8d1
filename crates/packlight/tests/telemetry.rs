//! `packlight telemetry` as it is started: it receives, it is asked, it ends.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;

const SPAN: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"scope":{},"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"GET /"}]}]}]}"#;

fn packlight(store: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_packlight"));
    command.env_clear().arg("--store").arg(store).args(["--format", "json", "telemetry"]);
    command
}

fn done(store: &Path, arguments: &[&str]) -> Output {
    packlight(store).args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap_or_else(|_| panic!("{output:?}"))
}

/// A receiver that runs, and is killed where a test ends before it.
struct Receiver {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    address: String,
    code: String,
}

impl Receiver {
    fn start(store: &Path) -> Self {
        let mut child =
            packlight(store).args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(first["event"], "listening");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self { child, lines, address: text(&first["addresses"][0]), code: text(&first["code"]) }
    }

    fn send(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (code, length) = (&self.code, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {code}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// As Ctrl-C does; its last line.
    fn end(mut self) -> Value {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        let last = self.lines.next().unwrap().unwrap();
        assert!(self.child.wait().unwrap().success());
        serde_json::from_str(&last).unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_a_receiver_has_kept_is_saved_and_loaded_into_another() {
    let dir = tempfile::tempdir().unwrap();
    let (store, file) = (dir.path().join("store"), dir.path().join("session.jsonl"));
    let file = file.to_str().unwrap();
    let one = Receiver::start(&store);
    assert!(one.send("POST", "/v1/traces", SPAN).starts_with("HTTP/1.1 200"));
    let exported = json(&done(&store, &["export", file, "--from", &one.address]));
    assert_eq!(
        (&exported["event"], exported["bytes"].as_u64()),
        (&"exported".into(), Some(SPAN.len() as u64 + 1))
    );
    let line: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(line, serde_json::from_str::<Value>(SPAN).unwrap());
    let code = store.join("telemetry").join(format!("{}.code", one.address.rsplit(':').next().unwrap()));
    assert!(code.exists());
    let last = one.end();
    assert_eq!((&last["event"], &last["spans"]), (&"received".into(), &1.into()));
    assert!(!code.exists(), "a code that is of no use");

    let two = Receiver::start(&store);
    let imported = json(&done(&store, &["import", file, "--to", &two.address]));
    assert_eq!((&imported["lines"], &imported["rejected"]), (&1.into(), &0.into()));
    assert!(two.send("GET", "/api/v1/traces", "").contains("5b8efff798038103d269b633813fc60c"));
    assert_eq!(two.end()["spans"], 1);
}

#[test]
fn who_cannot_be_answered_is_told_why() {
    let dir = tempfile::tempdir().unwrap();
    let (store, other) = (dir.path().join("store"), dir.path().join("other"));
    let file = dir.path().join("session.jsonl");
    let file = file.to_str().unwrap();
    let failed = |store: &Path, arguments: &[&str], what: &str, hint: &str| {
        let output = done(store, arguments);
        let said = format!("{}{}", json(&output), String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success() && said.contains(what) && said.contains(hint), "{said}");
    };
    let one = Receiver::start(&store);
    let address = one.address.clone();
    failed(&other, &["export", file, "--from", &address], "answers 401", "with another --store");
    assert!(!Path::new(file).exists(), "no half file");
    failed(&store, &["--listen", &address], "cannot listen on", "--listen 127.0.0.1:0");
    std::fs::write(file, format!("{SPAN}\nnonsense\n")).unwrap();
    failed(&store, &["import", file, "--to", &address], "session.jsonl: line 2: the body is not OTLP", "");
    assert_eq!(one.end()["spans"], 1, "what stood before was sent");
    failed(&store, &["import", file, "--to", &address], "no receiver answers at", "starts a receiver");
    failed(&store, &["export", "/nowhere/file", "--from", &address], "no receiver answers at", "");
}
