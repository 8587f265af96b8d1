//! `packlight doctor`.

use super::Here;
use super::run::volume;
use crate::environment;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use clap::Args;
use platform::doctor::{self, Diagnosis, DoctorRequest, Subject};
use platform::run::{AppNetwork, DESTINATION, Publish, RunRequest, Volume};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Each link from the agent to where spans are looked at is tried in turn; the first that is broken is the answer, with what to
do. An image, and what a container was started with, is started here and asked for one page, with a receiver beside it.

Examples:
  Does the app of this image send spans at all? With the destination that it has in production?
      packlight doctor my-app
      packlight doctor my-app -e OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318

  As a Kubernetes manifest starts it, with `command: [gunicorn]` and `args: [app:app]`.
      packlight doctor my-app --entrypoint gunicorn -- app:app

  A container of the Docker engine; an app that was told to send to http://127.0.0.1:4318.
      packlight doctor container:shop
      packlight doctor http://127.0.0.1:8000/

The exit code is 74 when a link is broken.";

/// Find out why there are no spans
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// An image (a name, of the store or else of its registry, docker:NAME, oci:DIR, oci-archive:FILE or
    /// docker-archive:FILE), container:NAME or -ID, or the address of an app that runs
    subject: String,
    /// Arguments for the process
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<OsString>,
    /// A variable for the app; `-e NAME` takes the value from here
    #[arg(long, short, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Variables for the app, one NAME=VALUE a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Where telemetry is to go, as with `run`
    #[arg(long, value_name = "NAME=URL")]
    destination: Vec<String>,
    /// A file or folder of this machine that the app sees, such as a binding
    #[arg(long = "volume", short = 'v', value_name = "HERE:THERE[:ro]", value_parser = volume)]
    volumes: Vec<Volume>,
    /// The process type that is started, in place of the image's own choice
    #[arg(long, value_name = "TYPE")]
    process: Option<String>,
    /// A program of the image in place of its processes, as the app is started elsewhere
    #[arg(long, value_name = "COMMAND", conflicts_with = "process")]
    entrypoint: Option<String>,
    /// The port that the app listens on [default: a free one, which PORT names]
    #[arg(long, short, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// What the app is asked for
    #[arg(long, value_name = "PATH", default_value = "/")]
    path: String,
    /// Seconds that the app may take to listen, and then its span to come
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Where telemetry of an app that runs already is waited for
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4318")]
    listen: SocketAddr,
}

pub(super) fn run(here: &Here<'_>, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let world = here.world()?;
    let subject = Subject::parse(&arguments.subject, world.settings.registry())?;
    let mut env = environment::resolve(&arguments.env_file, &arguments.env, &here.env)?;
    if !arguments.destination.is_empty() {
        env.push((DESTINATION.to_owned(), arguments.destination.join(",")));
    }
    let port = arguments.port.map(|it| Publish { host: it, inside: it });
    let run = RunRequest {
        name: subject.image_name(),
        process: arguments.process.clone(),
        entrypoint: arguments.entrypoint.clone(),
        args: arguments.args.clone(),
        env,
        network: AppNetwork::Host,
        ports: port.into_iter().collect(),
        volumes: arguments.volumes.clone(),
    };
    let request = DoctorRequest {
        subject,
        run,
        path: arguments.path.clone(),
        patience: Duration::from_secs(arguments.timeout),
        listen: arguments.listen,
    };
    let diagnosis = doctor::examine(&world, &request)?;
    let text = text(&diagnosis);
    here.screen.result("diagnosed", &diagnosis, |_| text.clone(), &text);
    Ok(if diagnosis.broken.is_some() { ExitCode::DOCTOR } else { ExitCode::OK })
}

fn text(diagnosis: &Diagnosis) -> String {
    let mut lines: Vec<String> = diagnosis.holds.iter().map(|it| format!("  ok      {it}")).collect();
    match &diagnosis.broken {
        None => lines.push(format!("{}: spans arrive", diagnosis.subject)),
        Some(broken) => {
            lines.push(format!("  broken  {}", broken.why.replace('\n', "\n        ")));
            lines.push(format!("  do      {}", broken.cure));
            lines.push(format!("{}: no spans ({})", diagnosis.subject, broken.link.word()));
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::doctor::{Broken, Link};

    #[test]
    fn the_first_broken_link_is_the_answer() {
        let broken =
            Broken { link: Link::Agent, why: "the image has no agent".into(), cure: "add one".into() };
        let mut diagnosis =
            Diagnosis { subject: "my-app".into(), holds: vec!["it is there".into()], broken: Some(broken) };
        assert_eq!(
            text(&diagnosis),
            "  ok      it is there\n  broken  the image has no agent\n  do      add one\nmy-app: no spans (agent)\n"
        );
        diagnosis.broken = None;
        assert_eq!(text(&diagnosis), "  ok      it is there\nmy-app: spans arrive\n");
    }
}
