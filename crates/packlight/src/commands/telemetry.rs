//! `packlight telemetry`.

use super::Here;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use clap::{Args, Subcommand};
use platform::Store;
use platform::receivers::{self, Remembered};
use serde_json::json;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use telemetry::{Client, ClientError, Counts, DEFAULT_BYTES, Options, Receiver};

const EXAMPLES: &str = "\
Examples:
  Receive what apps of this machine send to OTLP's usual ports, until Ctrl-C.
      packlight telemetry

  On a free port; a page in the browser may send too.
      packlight telemetry --listen 127.0.0.1:0 --cors-origin http://localhost:5173

  Save what it has kept, and load it into a receiver that was started later.
      packlight telemetry export session.jsonl
      packlight telemetry import session.jsonl

The files are OTLP JSON lines, as the OpenTelemetry Collector's `otlpjsonfile` receiver reads and its `file` exporter
writes them. What can be asked over HTTP: docs/reference/telemetry-api.md";

/// Where OTLP is sent to when nobody says where: over HTTP, and over gRPC.
const USUAL: [SocketAddr; 2] = [usual(4318), usual(4317)];

const fn usual(port: u16) -> SocketAddr {
    SocketAddr::V4(std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

/// Receive the telemetry of apps that were started some other way
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Where to listen, as ADDRESS:PORT; each address takes OTLP over HTTP and over gRPC
    /// [default: 127.0.0.1:4318 and 127.0.0.1:4317]
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<SocketAddr>,
    /// How much memory what is kept may take: 64MB, 1GB; the oldest makes room [default: 256MB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<usize>,
    /// A website whose pages may send telemetry, such as http://localhost:5173
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    cors_origin: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write what a receiver has kept to a file
    Export {
        /// The file, of OTLP JSON lines
        file: PathBuf,
        /// Where the receiver listens
        #[arg(long, value_name = "ADDRESS", default_value_t = USUAL[0])]
        from: SocketAddr,
    },
    /// Send what is in a file to a receiver
    Import {
        /// The file, of OTLP JSON lines
        file: PathBuf,
        /// Where the receiver listens
        #[arg(long, value_name = "ADDRESS", default_value_t = USUAL[0])]
        to: SocketAddr,
    },
}

pub(super) fn run(here: &Here<'_>, arguments: &Arguments) -> Result<ExitCode, Failure> {
    match &arguments.verb {
        None => serve(here, arguments),
        Some(Verb::Export { file, from }) => export(here, file, *from),
        Some(Verb::Import { file, to }) => import(here, file, *to),
    }
}

/// A receiver of this user's, with a page; what it has is gone with it.
pub(super) struct Beside {
    receiver: Receiver,
    code: String,
    _remembered: Remembered,
}

impl Beside {
    /// Starts it, with a code of its own.
    pub(super) fn start(store: &Store, options: Options) -> Result<Self, Failure> {
        let failed = |code, it: &std::io::Error| Failure::new(code, &it.to_string());
        let code = receivers::new_code().map_err(|it| failed(ExitCode::GENERAL, &it))?;
        let receiver =
            Receiver::start(&Options { code: Some(code.clone()), ..options }).map_err(|error| {
                Failure::new(ExitCode::GENERAL, &error.to_string())
                    .hint("is another receiver running? `--listen 127.0.0.1:0` takes a free port")
            })?;
        let remembered = receivers::remember(store, receiver.address(), &code)
            .map_err(|it| failed(ExitCode::STORE, &it))?;
        Ok(Self { receiver, code, _remembered: remembered })
    }

    /// Where an app of this machine sends to.
    pub(super) fn endpoint(&self) -> String {
        let mut reached = self.receiver.address();
        if reached.ip().is_unspecified() {
            reached.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        format!("http://{reached}")
    }

    /// The page's address, with the code that opens it.
    pub(super) fn page(&self) -> String {
        format!("{}/#code={}", self.endpoint(), self.code)
    }
}

fn serve(here: &Here<'_>, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (store, _) = here.open_store()?;
    let options = Options {
        addresses: if arguments.listen.is_empty() { USUAL.to_vec() } else { arguments.listen.clone() },
        memory: arguments.memory.unwrap_or(DEFAULT_BYTES),
        code: None,
        origins: arguments.cors_origin.clone(),
    };
    let beside = Beside::start(&store, options)?;
    let (tell, told) = mpsc::channel();
    here.interrupts.pass_on(move |_| tell.send(()).is_ok());
    let addresses: Vec<_> = beside.receiver.addresses().iter().map(ToString::to_string).collect();
    let value = json!({ "addresses": addresses, "code": beside.code });
    here.screen.result("listening", &value, |_| greeting(&beside), &beside.page());
    // An error: there are no signals any more, and with them no end.
    let _ = told.recv();
    let kept = beside.receiver.store();
    drop(beside);
    let counts = kept.counts();
    here.screen.result("received", &received(&counts), |_| farewell(&counts), "");
    Ok(ExitCode::OK)
}

fn greeting(beside: &Beside) -> String {
    let mut text = format!("The page: {}\nTelemetry is received, over HTTP and gRPC, at\n", beside.page());
    for address in beside.receiver.addresses() {
        let others = if address.ip().is_loopback() { "" } else { ", which other machines reach too" };
        // To a string nothing fails.
        let _ = writeln!(text, "    http://{address}{others}");
    }
    let _ = write!(
        text,
        "For an app that is not started by Packlight:\n    OTEL_EXPORTER_OTLP_ENDPOINT={}\n    \
         OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\nCtrl-C ends it, and what it keeps is gone then; \
         `packlight telemetry export FILE` saves that.\n",
        beside.endpoint()
    );
    text
}

fn received(counts: &Counts) -> serde_json::Value {
    let dropped = counts.dropped;
    json!({
        "spans": counts.spans, "logs": counts.logs, "points": counts.points,
        "dropped": { "traces": dropped.traces, "spans": dropped.spans, "logs": dropped.logs, "points": dropped.points },
    })
}

fn farewell(counts: &Counts) -> String {
    let Counts { spans, traces, logs, points, dropped, .. } = counts;
    let mut text = format!(
        "There were {spans} spans of {traces} traces, {logs} log records and {points} points of metrics"
    );
    if dropped.spans + dropped.logs + dropped.points > 0 {
        let _ = write!(
            text,
            ", after {} older records had made room",
            dropped.spans + dropped.logs + dropped.points
        );
    }
    text + ".\n"
}

fn connect(here: &Here<'_>, address: SocketAddr) -> Result<Client, Failure> {
    let (store, _) = here.open_store()?;
    // Without, the receiver answers that it is missing.
    let code = receivers::recall(&store, address).unwrap_or_default();
    Client::connect(address, &code).map_err(|it| failure(&it))
}

fn failure(error: &ClientError) -> Failure {
    let failure = Failure::new(ExitCode::GENERAL, &error.to_string());
    match error {
        ClientError::Connection { .. } => failure.hint("`packlight telemetry` starts a receiver"),
        ClientError::Answer { status: 401, .. } => {
            failure.hint("the receiver was started by another user, or with another --store")
        }
        _ => failure,
    }
}

fn export(here: &Here<'_>, file: &Path, from: SocketAddr) -> Result<ExitCode, Failure> {
    let mut client = connect(here, from)?;
    let unwritable =
        |it: &std::io::Error| Failure::new(ExitCode::GENERAL, &format!("{}: {it}", file.display()));
    let mut new = platform::files::New::beside(file).map_err(|it| unwritable(&it))?;
    client.get("/api/v1/export", &mut new).map_err(|it| failure(&it))?;
    let bytes = new.complete().map_err(|it| unwritable(&it))?;
    let path = file.display().to_string();
    let value = json!({ "file": path, "bytes": bytes });
    here.screen.result("exported", &value, |_| format!("{path}: {bytes} bytes\n"), &path);
    Ok(ExitCode::OK)
}

fn import(here: &Here<'_>, file: &Path, to: SocketAddr) -> Result<ExitCode, Failure> {
    let unreadable = |it: std::io::Error| Failure::new(ExitCode::GENERAL, &it.to_string());
    let mut lines = std::io::BufReader::new(fs_err::File::open(file).map_err(unreadable)?);
    let sent = connect(here, to)?.send_lines(&mut lines).map_err(|error| match error {
        ClientError::Import(it) => Failure::new(ExitCode::GENERAL, &format!("{}: {it}", file.display())),
        other => failure(&other),
    })?;
    let value = json!({ "lines": sent.lines, "rejected": sent.rejected });
    let text = match sent.rejected {
        0 => format!("{} lines were sent\n", sent.lines),
        count => format!("{} lines were sent; {count} records in them cannot be kept\n", sent.lines),
    };
    here.screen.result("imported", &value, |_| text.clone(), "");
    Ok(ExitCode::OK)
}

/// `64MB`, `1GB`: decimal, as everywhere here.
fn size(text: &str) -> Result<usize, String> {
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)];
    let found = units.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)));
    let (number, scale) = found.ok_or("it is a number and GB, MB or kB, such as 256MB")?;
    let number: usize = number.trim().parse().map_err(|_| format!("`{number}` is no number"))?;
    number.checked_mul(scale).filter(|it| *it > 0).ok_or_else(|| format!("`{text}` is out of range"))
}

/// What browsers send as `Origin`: no path, no slash at the end.
fn origin(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(host) if !host.is_empty() && !host.contains(['/', ' ', '*']) => Ok(text.to_owned()),
        _ => {
            Err("it is http:// or https:// and a host, without a path, such as http://localhost:5173".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("256MB"), Ok(256_000_000));
        assert_eq!(size("1 GB"), Ok(1_000_000_000));
        for text in ["", "5", "MB", "-1MB", "0MB", "1.5GB", "99999999999999GB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn origins_are_as_browsers_write_them() {
        assert!(origin("http://localhost:5173").is_ok() && origin("https://app.example").is_ok());
        for text in ["*", "localhost", "http://", "http://a/", "http://*.a", "ftp://a"] {
            assert!(origin(text).is_err(), "{text}");
        }
    }
}
