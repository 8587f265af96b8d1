//! What a build made, in a dozen lines.

use super::style::Styles;
use super::{bytes, quoted};
use platform::build::Built;
use std::time::Duration;

/// The summary of a build.
pub(crate) fn text(built: &Built, took: Duration, style: Styles) -> String {
    let mut lines = vec![
        String::new(),
        format!("{} in {:.1} s", style.bold(&format!("Built {}", built.name)), took.as_secs_f64()),
        String::new(),
    ];
    let mut fact =
        |name: &str, value: &str| lines.push(format!("  {} {value}", style.dim(&format!("{name:10}"))));
    fact("digest", &built.digest);
    fact("size", &format!("{}, compressed", bytes(built.size)));
    for (size, name, mark) in layers(built) {
        let mark = if mark.is_empty() { String::new() } else { format!("  {}", style.dim(mark)) };
        fact("", &format!("{size:>9}  {name}{mark}"));
    }
    let width = built.processes.iter().map(|it| it.name.len()).max().unwrap_or(0);
    for (index, process) in built.processes.iter().enumerate() {
        let name = format!("{:width$}", process.name);
        let default = built.default_process.as_ref() == Some(&process.name);
        let mark = if default { format!("  {}", style.dim("(default)")) } else { String::new() };
        fact(
            if index == 0 { "processes" } else { "" },
            &format!("{}  {}{mark}", style.cyan(&name), quoted(&process.command)),
        );
    }
    fact("agent", built.agent.as_deref().unwrap_or("none"));
    fact("is in", "the store");
    for written in &built.outputs {
        let kind = if written.kind == "docker" { "the Docker engine" } else { written.kind };
        fact("", &format!("{kind} {}", style.dim(&written.place)));
    }
    lines.push(String::new());
    lines.push(format!("Run it:  {}", style.bold(&next(built))));
    if built.outputs.iter().any(|it| it.kind == "docker") {
        lines.push(format!(
            "Docker:  docker run --rm -p 8000:8000 -e PORT=8000 {}{}",
            entrypoint(built),
            name(built)
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Size, name and what to remark of each layer, the base first.
fn layers(built: &Built) -> Vec<(String, &str, &'static str)> {
    let base = (bytes(built.base_size), built.base.as_str(), "base");
    let others = built
        .layers
        .iter()
        .map(|it| (bytes(it.size), it.name.as_str(), if it.reused { "unchanged" } else { "" }));
    std::iter::once(base).chain(others).collect()
}

/// What to type next. An image without a default process type needs one to be named.
fn next(built: &Built) -> String {
    match (&built.default_process, built.processes.first()) {
        (None, Some(first)) => format!("packlight run {} {}", name(built), first.name),
        _ => format!("packlight run {}", name(built)),
    }
}

/// Under an engine, a process type is an entrypoint.
fn entrypoint(built: &Built) -> String {
    match (&built.default_process, built.processes.first()) {
        (None, Some(first)) => format!("--entrypoint {} ", first.name),
        _ => String::new(),
    }
}

/// `:latest` goes without saying.
fn name(built: &Built) -> &str {
    built.name.strip_suffix(":latest").unwrap_or(&built.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::build::{BuiltLayer, BuiltProcess};
    use platform::output::Written;

    fn built() -> Built {
        let process = |name: &str, words: &[&str]| BuiltProcess {
            name: name.into(),
            command: words.iter().map(|it| (*it).to_owned()).collect(),
        };
        let layer = |name: &str, size, reused| BuiltLayer { name: name.into(), size, reused };
        Built {
            name: "my-app:latest".into(),
            digest: "sha256:abc".into(),
            size: 26_700_000,
            base_size: 24_300_000,
            base: "Debian trixie, 41 packages".into(),
            layers: vec![layer("packlight/python:venv", 2_300_000, true), layer("app-1", 333, false)],
            processes: vec![process("web", &["gunicorn", "my-app:app"]), process("worker", &["celery"])],
            default_process: Some("web".into()),
            agent: Some("opentelemetry 1.45.1, asleep until a destination is named".into()),
            outputs: vec![Written { kind: "oci", place: "/tmp/layout".into(), id: None }],
        }
    }

    #[test]
    fn a_build_is_summed_up_with_the_command_to_run_next() {
        insta::assert_snapshot!(text(&built(), Duration::from_millis(12_340), Styles::PLAIN), @r"

        Built my-app:latest in 12.3 s

          digest     sha256:abc
          size       26.7 MB, compressed
                       24.3 MB  Debian trixie, 41 packages  base
                        2.3 MB  packlight/python:venv  unchanged
                         333 B  app-1
          processes  web     gunicorn my-app:app  (default)
                     worker  celery
          agent      opentelemetry 1.45.1, asleep until a destination is named
          is in      the store
                     oci /tmp/layout

        Run it:  packlight run my-app
        ");
    }

    #[test]
    fn what_went_to_docker_is_run_there_and_what_has_no_default_is_named() {
        let docker = Written { kind: "docker", place: "/var/run/docker.sock".into(), id: None };
        let built = Built { default_process: None, outputs: vec![docker], ..built() };
        let text = text(&built, Duration::from_secs(1), Styles::PLAIN);
        assert!(text.contains("the Docker engine /var/run/docker.sock\n"), "{text}");
        assert!(text.contains("Run it:  packlight run my-app web\n"), "{text}");
        assert!(
            text.contains("docker run --rm -p 8000:8000 -e PORT=8000 --entrypoint web my-app\n"),
            "{text}"
        );
    }
}
