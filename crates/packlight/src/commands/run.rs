//! `packlight run`.

use super::Here;
use super::telemetry::Beside;
use crate::environment;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, not_yet};
use clap::{Args, ValueEnum};
use platform::Store;
use platform::event::Event;
use platform::run::{Access, AppNetwork, DESTINATION, Exit, Publish, RunRequest, Signals, Volume};
use std::ffi::OsString;
use std::path::PathBuf;
use telemetry::Options;

const EXAMPLES: &str = "\
Examples:
  Start the image; the app is told a free port, and its URL is printed.
      packlight run my-app

  A port of this machine that leads to the app's port 8000; the app's traces on the terminal.
      packlight run my-app -p 5000:8000 -e OTEL_TRACES_EXPORTER=console

  The app's traces to a Jaeger on this machine, its metrics to be scraped by Prometheus.
      packlight run my-app --destination jaeger=http://localhost --destination prometheus=scrape

  The app's traces, metrics and logs live on a page in the browser; nothing else is needed.
      packlight run my-app --telemetry

  Another process type, with arguments of its own.
      packlight run my-app worker -- --verbose

  A shell in the image; with the environment that the app would have.
      packlight run my-app --entrypoint bash
      packlight run my-app --entrypoint launcher -- bash

Ctrl-C asks the app to end; a second Ctrl-C, or ten seconds, end it. The exit code is the app's own; 128 and the
number of the signal that ended it; 125 when it was not started.";

/// Start an image from the store
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The image's name
    name: String,
    /// A process type, in place of the image's own choice
    #[arg(value_name = "PROCESS-TYPE")]
    process: Option<String>,
    /// Arguments for the process
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<OsString>,
    /// A port of this machine that leads to a port of the app [default: a free one, which PORT names]
    #[arg(long = "publish", short = 'p', value_name = "HERE:THERE", value_parser = publish)]
    ports: Vec<Publish>,
    /// A variable for the app; `-e NAME` takes the value from here
    #[arg(long, short, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Variables for the app, one NAME=VALUE a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Where telemetry goes: otlp, jaeger, zipkin, prometheus, elastic, datadog, newrelic, … and its address; an address
    /// that cannot be right is refused
    #[arg(long, value_name = "NAME=URL")]
    destination: Vec<String>,
    /// Receive the app's traces, metrics and logs beside it, and show them live on a page, whose address is printed; what was
    /// received is gone when the app ends
    #[arg(long, conflicts_with = "destination")]
    telemetry: bool,
    /// A file or folder of this machine that the app sees; `:ro` at the end: and may not change
    #[arg(long = "volume", short = 'v', value_name = "HERE:THERE[:ro]", value_parser = volume)]
    volumes: Vec<Volume>,
    /// A program of the image, in place of its processes
    #[arg(long, value_name = "COMMAND", conflicts_with = "process")]
    entrypoint: Option<String>,
    /// The app's network: its own, where `pasta` or `slirp4netns` is installed; `host`: this machine's; `none`
    #[arg(long, value_enum, default_value_t, value_name = "NETWORK")]
    network: Reach,
    /// What starts the image: packlight (docker: not yet)
    #[arg(long, value_name = "ENGINE", hide_short_help = true)]
    engine: Option<String>,
}

/// The app's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Reach {
    /// Its own where possible, else this machine's.
    #[default]
    Auto,
    /// This machine's.
    Host,
    /// None.
    None,
}

pub(super) fn run(here: &Here<'_>, arguments: &Arguments) -> Result<ExitCode, Failure> {
    match arguments.engine.as_deref() {
        None | Some("packlight") => {}
        Some(engine) => {
            return Err(not_yet(&format!("--engine {engine}")).hint(&format!(
                "`packlight build {0} --output docker`, then `docker run --rm -p 8000:8000 -e PORT=8000 {0}`",
                arguments.name
            )));
        }
    }
    let name = here.names(std::slice::from_ref(&arguments.name))?.remove(0);
    let (store, _) = here.open_store().map_err(|it| Failure { code: ExitCode::RUN, ..it })?;
    let mut env = environment::resolve(&arguments.env_file, &arguments.env, &here.env)?;
    if !arguments.destination.is_empty() {
        env.push((DESTINATION.to_owned(), arguments.destination.join(",")));
    }
    let beside = match arguments.telemetry {
        true => Some(receiver(arguments, &store, &mut env)?),
        false => None,
    };
    let request = RunRequest {
        name,
        process: arguments.process.clone(),
        entrypoint: arguments.entrypoint.clone(),
        args: arguments.args.clone(),
        env,
        network: match arguments.network {
            Reach::Auto => AppNetwork::Best,
            Reach::Host => AppNetwork::Host,
            Reach::None => AppNetwork::None,
        },
        ports: arguments.ports.clone(),
        volumes: arguments.volumes.clone(),
    };
    let (tell, signals) = Signals::new();
    here.interrupts.pass_on(tell);
    // Standard output is the app's own.
    here.screen.leave_output_to_the_app();
    let page = beside.as_ref().map(Beside::page).map(|it| format!("the app's telemetry is at {it}"));
    page.into_iter().for_each(|text| here.screen.event(Event::Notice { text }));
    let exit = platform::run::run(&store, &request, &here.env, signals, &|event| here.screen.event(event))?;
    drop(beside);
    Ok(ExitCode(match exit {
        Exit::Code(code) => u8::try_from(code).unwrap_or(u8::MAX),
        Exit::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
    }))
}

/// Starts a receiver, and tells the app of it: soon, since somebody is looking.
fn receiver(
    arguments: &Arguments,
    store: &Store,
    env: &mut Vec<(String, String)>,
) -> Result<Beside, Failure> {
    if arguments.network == Reach::None {
        return Err(Failure::usage("an app with --network none cannot send telemetry to --telemetry"));
    }
    let beside =
        Beside::start(store, Options::default()).map_err(|it| Failure { code: ExitCode::RUN, ..it })?;
    env.push((DESTINATION.to_owned(), format!("otlp={}", beside.endpoint())));
    for (name, milliseconds) in SOON {
        if !env.iter().any(|(it, _)| it == name) {
            env.push((name.to_owned(), milliseconds.to_owned()));
        }
    }
    Ok(beside)
}

/// How often [what has gathered](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/) is sent, in
/// milliseconds: usually 5 seconds, 1 second and a minute.
const SOON: [(&str, &str); 3] = [
    ("OTEL_BSP_SCHEDULE_DELAY", "200"),
    ("OTEL_BLRP_SCHEDULE_DELAY", "200"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
];

fn publish(text: &str) -> Result<Publish, String> {
    const HOW: &str = "it is HERE:THERE, two port numbers, such as 5000:8000";
    let (text, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    if protocol != "tcp" {
        return Err(format!("not yet: {protocol}; only tcp"));
    }
    let text = text.strip_prefix("127.0.0.1:").or_else(|| text.strip_prefix("localhost:")).unwrap_or(text);
    let (host, inside) = text.split_once(':').unwrap_or((text, text));
    if inside.contains(':') {
        return Err(format!("only 127.0.0.1 is listened on; {HOW}"));
    }
    let port = |text: &str| match text.parse::<u16>() {
        Ok(0) | Err(_) => Err(format!("`{text}` is no port; {HOW}")),
        Ok(port) => Ok(port),
    };
    Ok(Publish { host: port(host)?, inside: port(inside)? })
}

pub(super) fn volume(text: &str) -> Result<Volume, String> {
    const HOW: &str = "it is HERE:THERE or HERE:THERE:ro, such as ./data:/data";
    let (text, access) = match text.rsplit_once(':') {
        Some((rest, "ro")) => (rest, Access::ReadOnly),
        Some((rest, "rw")) => (rest, Access::ReadWrite),
        _ => (text, Access::ReadWrite),
    };
    let (host, inside) = text.split_once(':').ok_or(HOW)?;
    if host.is_empty() || inside.contains(':') {
        return Err(HOW.to_owned());
    }
    if !inside.starts_with('/') {
        return Err(format!("`{inside}` is not absolute: it is a path in the image; {HOW}"));
    }
    Ok(Volume { host: host.into(), inside: inside.into(), access })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_two_numbers_or_one_twice() {
        let port = |text: &str| publish(text).map(|it| (it.host, it.inside));
        assert_eq!(port("5000:8000"), Ok((5000, 8000)));
        assert_eq!(port("8000"), Ok((8000, 8000)));
        assert_eq!(port("127.0.0.1:5000:8000/tcp"), Ok((5000, 8000)));
        assert!(port("0.0.0.0:5000:8000").unwrap_err().contains("only 127.0.0.1"));
        assert!(port("5000:web").unwrap_err().contains("`web` is no port"));
        assert!(port("70000:1").unwrap_err().contains("`70000` is no port"));
        assert!(port("5000:8000/udp").unwrap_err().contains("not yet: udp"));
    }

    #[test]
    fn volumes_are_a_path_here_and_an_absolute_path_there() {
        let parts = |text: &str| volume(text).map(|it| (it.host, it.inside, it.access));
        assert_eq!(parts("./a:/b"), Ok(("./a".into(), "/b".into(), Access::ReadWrite)));
        assert_eq!(parts("a:/b:ro"), Ok(("a".into(), "/b".into(), Access::ReadOnly)));
        assert!(parts("a:b").unwrap_err().contains("`b` is not absolute"));
        assert!(parts("a").unwrap_err().contains("HERE:THERE"));
        assert!(parts("a:/b:/c").unwrap_err().contains("HERE:THERE"));
    }
}
