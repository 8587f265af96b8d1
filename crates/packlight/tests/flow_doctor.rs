//! `packlight doctor` and `build --verify`: each link between an app and its spans is broken once, and named.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use std::process::Command;
use std::sync::OnceLock;
use support::*;
use testing::server;

/// A flask app with the agent, in the store.
fn flask() -> &'static str {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        build("flow-doctor", &repository().join("examples/flask"));
    });
    "flow-doctor"
}

fn doctor(subject: &str, args: &[&str]) -> Said {
    say(packlight(["doctor", subject]).args(args))
}

/// The link that is broken, with these words.
#[track_caller]
fn breaks(said: Said, link: &str, words: &[&str]) {
    let end = format!("no spans ({link})");
    let words: Vec<&str> = words.iter().copied().chain([end.as_str()]).collect();
    said.fails(74, &words);
}

#[test]
fn spans_of_an_app_arrive_and_an_image_without_an_agent_is_told_how_to_get_one() {
    let said = doctor(flask(), &[]).ok().out;
    assert!(said.contains("gives the span `GET /` of the service flow-doctor"), "{said}");
    assert!(said.ends_with("spans arrive\n"), "{said}");
    let app = plain_app();
    say(packlight(["build", "flow-doctor-none", "--agent", "none", "-o", "store", "--path"]).arg(app.path()))
        .ok();
    breaks(doctor("flow-doctor-none", &[]), "agent", &["packlight agent add flow-doctor-none"]);
    doctor("flow-doctor-nowhere:1", &[]).fails(1, &["docker.io/library/flow-doctor-nowhere"]);
}

#[test]
fn an_agent_that_does_not_wake_says_why() {
    let app = flask();
    let on = ["-e", "OTEL_TRACES_EXPORTER=console"];
    let with = |more: &[&str]| doctor(app, &[&on[..], more].concat());
    breaks(
        with(&["--entrypoint", "gunicorn", "--", "my-app:app"]),
        "launcher",
        &["`gunicorn`, past the launcher", "`args:`"],
    );
    breaks(with(&["-e", "PACKLIGHT_AGENT_SKIP_PROCESSES=web"]), "awake", &["sleep in the process type web"]);
    breaks(with(&["-e", "OTEL_SDK_DISABLED=true"]), "awake", &["OTEL_SDK_DISABLED is true"]);
    breaks(doctor(app, &["-e", "OTEL_SERVICE_NAME=x"]), "awake", &["nothing names a destination"]);
    // Somebody else's injection came first.
    let said =
        with(&["-e", "DD_INJECTION_ENABLED=tracer", "-e", "PYTHONPATH=/opt/datadog-packages/ddtrace_pkgs"]);
    breaks(said, "awake", &["instrumented already, by Datadog's"]);
}

#[test]
fn a_destination_that_cannot_be_right_or_takes_nothing_is_named() {
    let app = flask();
    let to = |destination: &str| doctor(app, &["--destination", destination]);
    breaks(to("jaeger=http://127.0.0.1:16686"), "destination", &["16686 is Jaeger's page"]);
    let nobody = format!("otlp=http://127.0.0.1:{}", free_port());
    breaks(to(&nobody), "exporter", &["cannot be reached", "nobody listens there"]);
    for (status, cure) in
        [(404, "the path is wrong"), (401, "the key or the headers"), (415, "another product's port")]
    {
        let address = server::serve(move |_| server::json(status, "{}"));
        breaks(to(&format!("otlp=http://{address}")), "exporter", &[&format!("answers {status}"), cure]);
    }
    let late = server::serve(|_| (200, vec!["Date: Sun, 06 Nov 1994 08:49:37 GMT".to_owned()], Vec::new()));
    breaks(to(&format!("otlp=http://{late}")), "clock", &["s ahead of that of http://"]);
    // One that takes it, and is asked with the user's headers.
    let (say, said) = std::sync::mpsc::channel();
    let fine = server::serve(move |asked| {
        drop(say.send((asked.path.clone(), asked.header("x-key").map(str::to_owned))));
        (200, Vec::new(), Vec::new())
    });
    let endpoint = format!("OTEL_EXPORTER_OTLP_ENDPOINT=http://{fine}");
    let out = doctor(app, &["-e", &endpoint, "-e", "OTEL_EXPORTER_OTLP_HEADERS=x-key=a%20b"]).ok().out;
    assert!(out.contains("takes what is sent") && out.ends_with("spans arrive\n"), "{out}");
    let asked: Vec<_> = said.try_iter().collect();
    assert!(asked.contains(&("/v1/traces".to_owned(), Some("a b".to_owned()))), "{asked:?}");
}

#[test]
fn an_app_that_sends_no_span_is_asked_why() {
    let app = flask();
    let fine = server::serve(|_| (200, Vec::new(), Vec::new()));
    let to = format!("otlp=http://{fine}");
    let with = |more: &[&str]| doctor(app, &[&["--destination", to.as_str()][..], more].concat());
    breaks(
        with(&["-e", "OTEL_TRACES_SAMPLER=always_off", "--timeout", "8"]),
        "sampling",
        &["OTEL_TRACES_SAMPLER=always_off takes no span"],
    );
    let excluded = ["-e", "OTEL_PYTHON_FLASK_EXCLUDED_URLS=health", "--path", "/health", "--timeout", "8"];
    breaks(with(&excluded), "sampling", &["OTEL_PYTHON_FLASK_EXCLUDED_URLS=health leaves /health out"]);

    // A server of Python's own library, which no agent observes.
    let plain = plain_app();
    build("flow-doctor-plain", plain.path());
    breaks(
        doctor("flow-doctor-plain", &["--timeout", "8"]),
        "instrumentation",
        &["the app answered 200, and no span came"],
    );
    // One that listens nowhere, and one that ends.
    for (text, words) in [
        ("import time; time.sleep(60)", "listens on no port"),
        ("raise SystemExit(7)", "ended with exit code 7"),
    ] {
        std::fs::write(plain.path().join("server.py"), text).unwrap();
        build("flow-doctor-plain", plain.path());
        breaks(doctor("flow-doctor-plain", &["--timeout", "6"]), "app", &[words]);
    }
}

#[test]
fn an_app_that_runs_elsewhere_is_asked_and_what_comes_is_looked_at() {
    let app = flask();
    let (port, otlp) = (free_port(), free_port());
    let listen = format!("127.0.0.1:{otlp}");
    let (publish, url) = (port.to_string(), format!("http://127.0.0.1:{port}/"));
    let look = |more: &[&str]| doctor(&url, &[&["--listen", listen.as_str()][..], more].concat());
    breaks(look(&["--timeout", "2"]), "app", &["does not answer"]);
    let destination = format!("otlp=http://{listen}");
    let run = Running::start(&mut packlight(["run", app, "-p", &publish, "--destination", &destination]));
    get(port, "/");
    let said = look(&[]).ok().out;
    assert!(said.contains("the span `GET /` of the service flow-doctor arrived"), "{said}");
    // Who has ended has let go of the port, which somebody who was killed may still hold.
    run.stop("TERM");
    let run = Running::start(&mut packlight(["run", app, "-p", &publish]));
    get(port, "/");
    breaks(
        look(&["--timeout", "2"]),
        "delivery",
        &["nothing came", "PACKLIGHT_DESTINATION=otlp=http://127.0.0.1"],
    );
    run.stop("TERM");
}

#[test]
fn a_container_is_looked_at_and_what_it_was_started_with_is_tried_out() {
    let docker = |args: &[&str]| say(Command::new("docker").args(args)).ok().out.trim().to_owned();
    say(packlight(["build", "flow-doctor-docker", "-o", "docker", "--path"])
        .arg(repository().join("examples/flask")))
    .ok();
    let start = |name: &str, args: &[&str]| {
        let before = ["run", "-d", "--name", name];
        docker(&[&before[..], args].concat());
    };
    start("flow-doctor-one", &["-e", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "flow-doctor-docker"]);
    let said = doctor("container:flow-doctor-one", &[]);
    breaks(said, "exporter", &["http://127.0.0.1:1/v1/traces cannot be reached", "the container itself"]);
    start(
        "flow-doctor-two",
        &["--entrypoint", "python3.13", "flow-doctor-docker", "-c", "import time; time.sleep(60)"],
    );
    breaks(doctor("container:flow-doctor-two", &[]), "launcher", &["`python3.13`, past the launcher"]);
    start(
        "flow-doctor-three",
        &["--entrypoint", "python3.13", "flow-doctor-docker", "-c", "raise SystemExit(3)"],
    );
    docker(&["wait", "flow-doctor-three"]);
    breaks(doctor("container:flow-doctor-three", &[]), "app", &["exited (3)"]);
    doctor("container:flow-doctor-four", &[]).fails(1, &["no container flow-doctor-four"]);
    docker(&["rm", "-f", "flow-doctor-one", "flow-doctor-two", "flow-doctor-three"]);
}

#[test]
fn a_build_that_verifies_goes_nowhere_without_a_span() {
    let out = folder(&[]);
    let place = |name: &str| out.path().join(name);
    let verified = |app: &std::path::Path, agent: &str, to: &str| {
        let to = format!("oci:{}", place(to).display());
        let mut command =
            packlight(["build", "flow-doctor-verify", "--verify", "--agent", agent, "-o", &to, "--path"]);
        say(command.arg(app))
    };
    let flask = repository().join("examples/flask");
    let said = verified(&flask, "opentelemetry", "yes").ok().both();
    assert!(said.contains("gives the span `GET /` of the service flow-doctor-verify"), "{said}");
    assert!(place("yes").join("index.json").exists());
    verified(&flask, "none", "no")
        .fails(64, &["no span of it came: the image has no agent", "packlight agent add"]);
    let plain = plain_app();
    verified(plain.path(), "opentelemetry", "no").fails(64, &["the app answered 200, and no span came"]);
    assert!(!place("no").exists());
}
