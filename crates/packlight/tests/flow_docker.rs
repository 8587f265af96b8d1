//! The same image under a real Docker engine: `make test` starts one and names it in `DOCKER_HOST`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use std::process::Command;
use support::*;

fn docker(args: &[&str]) -> Said {
    let mut command = Command::new("docker");
    say(command.args(args))
}

#[test]
fn an_engine_answers() {
    let said = docker(&["version"]);
    assert_eq!(
        said.code,
        Some(0),
        "no Docker engine: run this through tools/with-docker.sh\n{}",
        said.both()
    );
}

#[test]
fn a_flask_app_runs_under_docker_with_every_entrypoint_and_prints_its_server_span() {
    let name = "flow-docker-flask";
    let mut command = packlight(["build", name, "--output", "docker", "--path"]);
    say(command.arg(repository().join("examples/flask"))).ok();

    let port = free_port();
    let port_setting = format!("PORT={port}");
    let container = Container::start(&[
        "--network=host",
        "-e",
        &port_setting,
        "-e",
        "OTEL_TRACES_EXPORTER=console",
        name,
    ]);
    let answer = get(port, "/");
    assert!(answer.contains("Hello, World!") && answer.contains("3.13"), "{answer}");
    let printed = container.until("SpanKind.SERVER");
    assert!(printed.contains("\"name\": \"GET /\""), "{printed}");
    assert!(printed.contains(&format!("\"service.name\": \"{name}\"")), "{printed}");
    drop(container);

    let shell = docker(&[
        "run",
        "--rm",
        "--entrypoint",
        "launcher",
        name,
        "bash",
        "-c",
        "echo $CNB_APP_DIR; pwd; id -u",
    ])
    .ok();
    assert_eq!(shell.out.lines().last(), Some("1001"), "{}", shell.both());
    let console = ["-e", "OTEL_TRACES_EXPORTER=console"];
    let web = docker(&[&["run", "--rm", "--entrypoint", "web"][..], &console, &[name, "--version"]].concat());
    // The engine finds `web` in the PATH, so the launcher is started by that name alone.
    assert!(web.both().contains("gunicorn") && web.both().contains("traces → console"), "{}", web.both());
}

#[test]
fn a_second_build_sends_only_the_layer_that_changed() {
    let app = plain_app();
    let sending = || {
        let mut command =
            packlight(["--format", "json", "build", "flow-docker-layers", "--output", "docker", "--path"]);
        let said = say(command.arg(app.path())).ok().both();
        said.lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find(|it| it["event"] == "sending")
            .map(|it| it["layers"].as_u64().unwrap())
    };
    sending();
    std::fs::write(app.path().join("new"), "x").unwrap();
    assert_eq!(sending(), Some(1));
    let said = docker(&["run", "--rm", "--entrypoint", "launcher", "flow-docker-layers", "cat", "new"]).ok();
    assert_eq!(said.out, "x");
}

struct Container {
    id: String,
}

impl Container {
    fn start(args: &[&str]) -> Self {
        let said = docker(&[&["run", "--detach"], args].concat()).ok();
        Self { id: said.out.trim().to_owned() }
    }

    fn until(&self, words: &str) -> String {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            let printed = docker(&["logs", &self.id]).both();
            if printed.contains(words) {
                return printed;
            }
            assert!(std::time::Instant::now() < deadline, "no {words:?} in:\n{printed}");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.id]);
    }
}
