//! The Procfile buildpack: each line of the app's Procfile becomes a process type.
//! It installs nothing, knows no language, and does not judge whether a command exists.
//! Open `procfile.rs` next: what a line means, and when it needs a shell.

mod errors;
mod procfile;

use buildpack::{Build, Built, Command, Context, Detect, Detected, Failure, LaunchToml, Process, Program};
use procfile::{Entry, Run};
use std::process::ExitCode;

fn main() -> ExitCode {
    buildpack::run(&Program { detect, build })
}

/// Passes where there is a Procfile, a wrong one too: in a group this buildpack is optional, and one that failed here
/// would be left out, and with it every process of the image.
fn detect(context: &Detect) -> Result<Detected, Failure> {
    match context.read_app("Procfile")? {
        Some(_) => Ok(Detected::pass()),
        None => Ok(Detected::Fail),
    }
}

fn build(build: &Build) -> Result<Built, Failure> {
    build.log.heading("Procfile");
    let entries = entries(build)?.unwrap_or_default();
    let default = default_type(&entries).map(str::to_owned);
    for entry in &entries {
        let how = match &entry.run {
            Run::Direct(_) => String::new(),
            Run::Shell(reason) => format!("   (in a shell: {reason})"),
        };
        build.log.step(format_args!("{}: {}{how}", entry.kind, entry.line));
    }
    match &default {
        Some(kind) if kind != "web" => {
            build.log.step(format_args!("{kind} is the only process type, so the image starts it"));
        }
        Some(_) => {}
        None => build.log.warning(format_args!("{}", errors::no_default(&entries))),
    }
    let processes = entries.iter().map(|it| process(it, default.as_deref())).collect();
    Ok(Built { launch: LaunchToml { processes, ..LaunchToml::default() }, ..Built::default() })
}

/// `web`; else the only type there is; else none: which one is meant is the user's to say when it is run.
fn default_type(entries: &[Entry]) -> Option<&str> {
    match entries {
        [only] => Some(&only.kind),
        all => all.iter().map(|it| it.kind.as_str()).find(|it| *it == "web"),
    }
}

fn process(entry: &Entry, default: Option<&str>) -> Process {
    let command = match &entry.run {
        Run::Direct(words) => words.clone(),
        Run::Shell(_) => vec!["bash".to_owned(), "-c".to_owned(), entry.line.clone()],
    };
    let default = default == Some(entry.kind.as_str());
    Process { kind: entry.kind.clone(), command: Command(command), default, ..Process::default() }
}

fn entries(context: &Context) -> Result<Option<Vec<Entry>>, Failure> {
    match context.read_app("Procfile")? {
        Some(bytes) => Ok(Some(procfile::parse(&bytes)?)),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<Entry> {
        procfile::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn web_is_the_default_else_the_only_type() {
        assert_eq!(default_type(&parsed("worker: a\nweb: b\n")), Some("web"));
        assert_eq!(default_type(&parsed("worker: a\n")), Some("worker"));
        assert_eq!(default_type(&parsed("worker: a\nclock: b\n")), None);
    }

    #[test]
    fn a_direct_line_is_a_list_and_a_shell_line_is_bash() {
        let entries = parsed("web: gunicorn 'my app:app'\nclock: sleep $N\n");
        let [web, clock] = [process(&entries[0], Some("web")), process(&entries[1], Some("web"))];
        assert_eq!(web.command.0, ["gunicorn", "my app:app"]);
        assert!(web.default && !clock.default);
        assert_eq!(clock.command.0, ["bash", "-c", "sleep $N"]);
    }
}
