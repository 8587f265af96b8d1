//! Agents in images that stand already: of the store, of a real registry, and of a real Docker engine, whose image comes from
//! a Dockerfile.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use support::registry::Registry;
use support::*;

const FLASK: &str = "examples/flask";

fn flask(name: &str, agent: &str, output: &str) -> String {
    let mut command = packlight(["build", name, "--agent", agent, "-o", output, "-q", "--path"]);
    say(command.arg(repository().join(FLASK))).ok().out.trim().to_owned()
}

fn agent(args: &[&str]) -> Said {
    say(packlight(["agent"]).args(args))
}

fn blob(digest: &str) -> Value {
    let path = shared_store().join("blobs").join(digest.replace(':', "/"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The configuration of an image of the store, by its digest.
fn config(digest: &str) -> Value {
    blob(blob(digest)["config"]["digest"].as_str().unwrap())
}

/// Diff ids by what made them.
fn layers(digest: &str) -> Vec<(String, String)> {
    let config = config(digest);
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    let words = config["history"].as_array().unwrap().iter().filter(|it| it["empty_layer"] != true);
    let ids = config["rootfs"]["diff_ids"].as_array().unwrap();
    words.map(|it| text(&it["created_by"])).zip(ids.iter().map(text)).collect()
}

fn is_of_agents(words: &str) -> bool {
    ["packlight/apm", "Bill-of-Materials", "Launcher Config"].iter().any(|it| words.contains(it))
}

fn digest(name: &str) -> String {
    let said = say(&mut packlight(["inspect", name, "--format", "json"])).ok().out;
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    last["digest"].as_str().unwrap().to_owned()
}

#[test]
fn an_agent_comes_and_goes_and_no_other_byte_changes() {
    let name = "flow-agent-store";
    let before = flask(name, "none", "store");
    assert!(agent(&["list", name]).ok().out.contains("none"));

    let said = agent(&["add", name]).ok();
    assert!(said.out.contains("1 changed"), "{}", said.both());
    let added = digest(name);
    let others =
        |digest: &str| -> Vec<_> { layers(digest).into_iter().filter(|it| !is_of_agents(&it.0)).collect() };
    assert_eq!(others(&added), others(&before));
    // The same as a build with the agent has made it: there is no second way.
    let built = flask(name, "opentelemetry", "store");
    let sorted = |digest: &str| {
        let mut all = layers(digest);
        all.sort();
        all
    };
    assert_eq!(sorted(&added), sorted(&built));

    let said = agent(&["upgrade", name]).ok();
    assert!(said.out.contains("0 changed, 1 as they should be"), "{}", said.both());
    assert_eq!(digest(name), built);
    let listed = agent(&["list", name]).ok().out;
    assert!(listed.contains("opentelemetry") && listed.contains("flask 3"), "{listed}");

    // A second one, which leaves the first alone, and goes again without a trace.
    agent(&["add", name, "--agent", "sentry"]).ok();
    let two = digest(name);
    let new: Vec<_> = layers(&two).into_iter().filter(|it| !layers(&built).contains(it)).collect();
    assert!(new.iter().all(|it| it.0.contains("'sentry'") || it.0.contains("Materials")), "{new:?}");
    let said = say(&mut packlight(["sbom", "download", name, "-o", folder(&[]).path().to_str().unwrap()]));
    assert!(said.ok().out.contains("packlight_apm/sentry/sbom.cdx.json"));
    agent(&["remove", name, "--agent", "sentry"]).ok();
    assert_eq!(digest(name), built);

    // It wakes, as the one of a build does.
    let port = free_port();
    let publish = port.to_string();
    let run = ["run", name, "-p", &publish, "-e", "OTEL_TRACES_EXPORTER=console"];
    let app = Running::start(&mut packlight(run));
    assert!(get(port, "/").contains("Hello, World!"));
    app.until("SpanKind.SERVER");
    app.stop("TERM");

    agent(&["remove", name]).ok();
    assert_eq!(flask("flow-agent-store", "none", "store"), before);
}

#[test]
fn a_dry_run_changes_nothing_and_a_fleet_of_a_registry_is_changed_in_it() {
    let registry = Registry::start();
    let names = [registry.name("team/one"), registry.name("team/two:v1")];
    let before = names.each_ref().map(|it| flask(it, "none", "registry"));
    let pattern = registry.name("team/*");
    let said = agent(&["add", "--all", &pattern, "--dry-run"]).ok();
    assert!(said.out.contains("2 to be changed"), "{}", said.both());
    let of = |name: &str| {
        let to = format!("docker://{name}");
        let inspect = ["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &to];
        say(Command::new("skopeo").args(inspect)).ok().out.trim().to_owned()
    };
    assert_eq!(names.each_ref().map(|it| of(it)), before);

    // A signature as cosign keeps it: of the image as it was.
    let signature =
        format!("docker://{}", registry.name(&format!("team/one:{}.sig", before[0].replace(':', "-"))));
    let from = format!("docker://{}", names[0]);
    say(Command::new("skopeo").args([
        "copy",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        &from,
        &signature,
    ]))
    .ok();
    let signed = folder(&[]);
    let file = signed.path().join("signed");
    let command = format!("echo >>{}", file.display());
    let said = agent(&["add", &names[0], &names[1], "--publish", "--sign", &command]).ok();
    assert!(
        said.both().contains("1 signatures or attestations are of the image as it was"),
        "{}",
        said.both()
    );
    assert!(said.out.contains("2 changed"), "{}", said.both());
    let after = names.each_ref().map(|it| of(it));
    let said = std::fs::read_to_string(&file).unwrap();
    assert!(after.iter().all(|it| said.contains(&format!("@{it}"))), "{said} {after:?}");
    assert!(agent(&["add", &names[0], "--publish"]).ok().out.contains("0 changed"));

    // The image of a registry is not in the store under its name, unless it was built here.
    agent(&["remove", "--all", &pattern]).ok();
    assert_eq!(names.each_ref().map(|it| of(it)), before);
}

#[test]
fn an_image_that_no_buildpack_made_starts_as_it_did_and_is_observed() {
    let docker = |args: &[&str]| say(Command::new("docker").args(args)).ok().out.trim().to_owned();
    flask("flow-agent-root", "none", "docker");
    // A root with Python and packages, of which nothing says that buildpacks made it.
    let container = docker(&["create", "flow-agent-root"]);
    let tar = folder(&[]);
    let tar = tar.path().join("root.tar");
    docker(&["export", "-o", tar.to_str().unwrap(), &container]);
    docker(&["import", tar.to_str().unwrap(), "flow-agent-flat"]);
    docker(&["rm", &container]);
    let venv = "/layers/packlight_python/venv/lib/python3.13/site-packages";
    let dockerfile = format!(
        "FROM flow-agent-flat\nRUN rm -rf /cnb && mv {venv} /opt/site && rm -rf /layers /opt/site/*packlight*\n\
         WORKDIR /workspace\nENV PYTHONPATH=/opt/site\n\
         CMD [\"python3.13\", \"-m\", \"gunicorn\", \"my-app:app\"]\n"
    );
    let context = folder(&[("Dockerfile", &dockerfile)]);
    docker(&["build", "-q", "-t", "flow-agent-plain", context.path().to_str().unwrap()]);
    let shape = |name: &str| {
        docker(&[
            "inspect",
            name,
            "--format",
            "{{json .Config.Entrypoint}} {{json .Config.Cmd}} {{json .Config.Env}} {{json .RootFS.Layers}}",
        ])
    };
    let before = shape("flow-agent-plain");

    agent(&["add", "docker:flow-agent-plain"]).ok();
    let listed = agent(&["list", "docker:flow-agent-plain"]).ok().out;
    assert!(listed.contains("opentelemetry") && listed.contains("flask 3"), "{listed}");
    let port = free_port();
    let port_setting = format!("PORT={port}");
    let args = [
        "run",
        "-d",
        "--network=host",
        "-e",
        &port_setting,
        "-e",
        "OTEL_TRACES_EXPORTER=console",
        "flow-agent-plain",
    ];
    let container = docker(&args);
    assert!(get(port, "/").contains("Hello, World!"));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let logs = loop {
        let logs = say(Command::new("docker").args(["logs", &container])).both();
        if logs.contains("SpanKind.SERVER") || std::time::Instant::now() > deadline {
            break logs;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    };
    docker(&["rm", "-f", &container]);
    assert!(logs.contains("\"name\": \"GET /\"") && logs.contains("flow-agent-plain"), "{logs}");
    // What is asked for in place of CMD is started, as ever.
    let said = docker(&["run", "--rm", "flow-agent-plain", "python3.13", "-c", "print(1 + 1)"]);
    assert_eq!(said, "2");

    agent(&["remove", "docker:flow-agent-plain"]).ok();
    assert_eq!(shape("flow-agent-plain"), before);

    let shell = folder(&[("Dockerfile", "FROM flow-agent-plain\nCMD python3.13 -m gunicorn my-app:app\n")]);
    docker(&["build", "-q", "-t", "flow-agent-shell", shell.path().to_str().unwrap()]);
    agent(&["add", "docker:flow-agent-shell"]).fails(73, &["it starts `/bin/sh`", "exec form"]);
}

#[test]
fn what_cannot_be_changed_says_why_and_stays_as_it_is() {
    let name = "flow-agent-plain-app";
    let build = |app: &Path| {
        let mut command = packlight(["build", name, "--agent", "none", "-o", "store", "-q", "--path"]);
        say(command.arg(app)).ok().out.trim().to_owned()
    };
    let before = build(plain_app().path());
    agent(&["upgrade", name, "--agent", "datadog"]).fails(73, &["the image has no agent datadog"]);
    agent(&["add", name, "--agent", "datadog"]).fails(73, &["stays as it is", "libstdc++6"]);
    agent(&["add", "flow-agent-nowhere"]).fails(73, &["the store has no such image"]);
    agent(&["add", name, "--agent", "dtadog"]).fails(2, &["there is no agent `dtadog`"]);
    agent(&["add", name, "--sign", "true"]).fails(2, &["--publish"]);
    agent(&["add", "oci:/tmp"]).fails(2, &["is a file"]);
    assert_eq!(digest(name), before);
    let other = folder(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /app\nCMD [\"/app\"]\n")]);
    let build = ["build", "-q", "-t", "flow-agent-other", other.path().to_str().unwrap()];
    say(Command::new("docker").args(build)).ok();
    agent(&["add", "docker:flow-agent-other"]).fails(73, &["no Python is in the layers, nor in the base"]);
}
