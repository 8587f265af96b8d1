//! Telemetry of a real app in real backends: Zipkin from Maven Central, Debian's Prometheus, Datadog's test agent. What
//! arrived is read back from them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use support::*;

const ZIPKIN: &str = "io.zipkin:zipkin-server:3.6.1:jar:exec";

/// A server that ends with its test.
struct Server(Child);

impl Server {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The app, built once, with every agent that there is: Python 3.13 in place of the one that other tests have.
fn app() -> &'static str {
    static BUILT: OnceLock<()> = OnceLock::new();
    let all = ["--agent", "opentelemetry,datadog,newrelic,elastic,sentry"];
    BUILT.get_or_init(|| drop(build_with("flow-destinations", &repository().join("examples/flask"), &all)));
    "flow-destinations"
}

/// Asks a server until what it answers will do.
fn until(port: u16, path: &str, what: &str, is_there: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let answer = get(port, path);
        if is_there(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}:\n{answer}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn zipkin_jar() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("zipkin");
    let jar = dir.join("zipkin-server-3.6.1-exec.jar");
    if !jar.exists() {
        let plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";
        let (artifact, into) =
            (format!("-Dartifact={ZIPKIN}"), format!("-DoutputDirectory={}", dir.display()));
        say(Command::new("mvn")
            .args(["-q", "-B", plugin, &artifact, &into])
            .current_dir(std::env::temp_dir()))
        .ok();
    }
    jar
}

#[test]
fn spans_that_are_sent_to_zipkin_by_name_are_there() {
    let port = free_port();
    // All three are needed: with the address alone, the port is a random one.
    let addressed = |it: &str, value: &str| format!("-Darmeria.ports[0].{it}={value}");
    let _zipkin = Server::start(
        Command::new("java")
            .args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args([
                addressed("ip", "127.0.0.1"),
                addressed("port", &port.to_string()),
                addressed("protocols[0]", "http"),
            ])
            .arg("-jar")
            .arg(zipkin_jar()),
    );
    until(port, "/health", "Zipkin does not come up", |it| it.contains("\"UP\""));

    let here = free_port();
    let destination = format!("zipkin=http://127.0.0.1:{port}");
    let mut run = packlight(["run", app(), "-e", &format!("PORT={here}"), "--destination", &destination]);
    let running = Running::start(run.args(["-e", "OTEL_SERVICE_NAME=shop"]));
    assert!(get(here, "/").contains("200 OK"));
    let line = running.until("instruments flask");
    assert!(line.contains(&format!("traces → zipkin http://127.0.0.1:{port}/api/v2/spans")), "{line}");
    running.stop("TERM");
    let spans = until(port, "/api/v2/traces?serviceName=shop", "no span", |it| it.contains("\"traceId\""));
    for words in ["\"name\":\"get /\"", "\"kind\":\"SERVER\"", "\"http.response.status_code\":\"200\""] {
        assert!(spans.contains(words), "{words} in {spans}");
    }
}

#[test]
fn prometheus_scrapes_one_port_and_has_the_sum_of_all_workers() {
    let (metrics, here, port) = (free_port(), free_port(), free_port());
    let destination = format!("prometheus=:{metrics}");
    let mut run = packlight(["run", app(), "-e", &format!("PORT={here}"), "--destination", &destination]);
    let running = Running::start(run.args(["-e", "WEB_CONCURRENCY=3"]));
    for _ in 0..50 {
        assert!(get(here, "/").contains("200 OK"));
    }
    let dir = folder(&[(
        "prometheus.yml",
        &format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: app\n  static_configs: [{{targets: ['127.0.0.1:{metrics}']}}]\n"
        ),
    )]);
    let _prometheus = Server::start(
        Command::new("prometheus")
            .arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}")),
    );
    until(port, "/-/ready", "Prometheus does not come up", |it| it.contains("200 OK"));
    let query = "/api/v1/query?query=sum(http_server_request_duration_seconds_count)";
    let answer = until(port, query, "the requests are not counted", |it| it.contains("\"50\""));
    assert!(answer.contains("\"status\":\"success\""), "{answer}");
    let up = get(port, "/api/v1/query?query=target_info");
    assert!(up.contains("\"telemetry_sdk_language\":\"python\""), "{up}");
    running.stop("TERM");
}

/// Datadog's own test agent, in an environment of its own.
fn test_agent() -> PathBuf {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ddapm-test-agent-1.69.1");
    let program = venv.join("bin/ddapm-test-agent");
    if !program.exists() {
        say(Command::new("python3").args(["-m", "venv"]).arg(&venv)).ok();
        say(Command::new(venv.join("bin/pip")).args(["install", "-q", "ddapm-test-agent==1.69.1"])).ok();
    }
    program
}

#[test]
fn datadogs_own_agent_in_an_image_of_ours_reports_to_datadogs_test_agent() {
    let (port, here) = (free_port(), free_port());
    let _agent =
        Server::start(Command::new(test_agent()).args(["--host", "127.0.0.1", "-p", &port.to_string()]));
    until(port, "/info", "the test agent does not come up", |it| it.contains("200 OK"));
    let mut run = packlight(["run", app(), "-e", &format!("PORT={here}")]);
    let running = Running::start(run.args(["-e", &format!("DD_TRACE_AGENT_URL=http://127.0.0.1:{port}")]));
    assert!(get(here, "/").contains("200 OK"));
    let line = running.until("instruments flask");
    assert!(line.contains("packlight: datadog 4.16.0: by DD_TRACE_AGENT_URL"), "{line}");
    let traces = until(port, "/test/traces", "no trace", |it| it.contains("flask.request"));
    for words in ["\"service\": \"flow-destinations\"", "\"http.status_code\": \"200\""] {
        assert!(traces.contains(words), "{words} in {traces}");
    }
    let (_, said) = running.stop("TERM");
    assert!(!said.contains("the agent failed"), "{said}");
}

#[test]
fn a_destination_that_cannot_be_right_starts_nothing() {
    let said = say(&mut packlight(["run", app(), "--destination", "jaeger=http://localhost:16686"]));
    said.fails(2, &["error: destination jaeger: 16686 is Jaeger's page; it takes OTLP over HTTP on 4318"]);
    let said = say(&mut packlight(["run", app(), "--destination", "jager=http://localhost"]));
    said.fails(2, &["there is no destination `jager`; there are otlp, jaeger, zipkin"]);
}
