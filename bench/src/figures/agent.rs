//! What the agent adds to an app's start: asleep, and awake beside the way that its own project recommends.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::Figure;
use crate::Result;
use crate::ground::{Ground, WARM};
use crate::stopwatch::{Contestant, interleaved, output};

pub(super) const DORMANT: Figure = Figure {
    name: "agent-dormant",
    what: "time that the sleeping agent adds to the app's start, until its first answer",
    aim: "under 2 ms",
    measure: dormant,
};

pub(super) const ACTIVE: Figure = Figure {
    name: "agent-active",
    what: "time that the agent adds to the app's start, against `opentelemetry-instrument` with the default distro",
    aim: "at most 40 % of it",
    measure: active,
};

const ROUNDS: usize = 11;
/// No answer for so long is a failure and no figure.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `opentelemetry-bootstrap` would add to the example.
const DISTRO: &str =
    "\nopentelemetry-distro\nopentelemetry-exporter-otlp-proto-http\nopentelemetry-instrumentation-flask\n";

#[expect(clippy::print_stdout, reason = "a program")]
fn dormant(ground: &Ground) -> Result<()> {
    let app = ground.app("agent-dormant")?.to_string_lossy().into_owned();
    output(&mut ground.packlight(WARM, &["--quiet", "build", "with-agent", "--path", &app]))?;
    output(
        &mut ground
            .packlight(WARM, &["--quiet", "build", "without-agent", "--path", &app, "--agent", "none"]),
    )?;
    let timings = interleaved(
        3 * ROUNDS,
        vec![
            Contestant::new("without agent", || first_answer(ground, "without-agent", &[])),
            Contestant::new("with a sleeping agent", || first_answer(ground, "with-agent", &[])),
        ],
    )?;
    timings.iter().for_each(|it| println!("{it}"));
    println!("   added: {:.2} ms", timings[1].more_than(&timings[0]));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a program")]
fn active(ground: &Ground) -> Result<()> {
    let app = ground.app("agent-active")?;
    let path = app.to_string_lossy().into_owned();
    output(&mut ground.packlight(WARM, &["--quiet", "build", "with-agent", "--path", &path]))?;
    output(
        &mut ground
            .packlight(WARM, &["--quiet", "build", "without-agent", "--path", &path, "--agent", "none"]),
    )?;
    let requirements = fs::read_to_string(app.join("requirements.txt"))?;
    fs::write(app.join("requirements.txt"), requirements + DISTRO)?;
    fs::write(app.join("Procfile"), "web: opentelemetry-instrument gunicorn my-app:app\n")?;
    output(
        &mut ground.packlight(WARM, &["--quiet", "build", "with-distro", "--path", &path, "--agent", "none"]),
    )?;

    let endpoint = format!("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:{}", sink()?);
    let otlp = ["OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", endpoint.as_str()];
    let timings = interleaved(
        ROUNDS,
        vec![
            Contestant::new("without agent", || first_answer(ground, "without-agent", &[])),
            Contestant::new("with the agent awake", || first_answer(ground, "with-agent", &otlp)),
            Contestant::new("with opentelemetry-instrument", || first_answer(ground, "with-distro", &otlp)),
        ],
    )?;
    timings.iter().for_each(|it| println!("{it}"));
    let (ours, theirs) = (timings[1].more_than(&timings[0]), timings[2].more_than(&timings[0]));
    println!("   added: {ours:.0} ms, the default distro {theirs:.0} ms: {:.0} %", 100.0 * ours / theirs);
    Ok(())
}

/// From the start of `packlight run` to the app's first answer.
fn first_answer(ground: &Ground, name: &str, variables: &[&str]) -> Result<Duration> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let (publish, set) = (format!("{port}:{port}"), format!("PORT={port}"));
    let mut run = ground.packlight(WARM, &["run", name, "-p", &publish, "-e", &set]);
    for variable in variables {
        run.args(["-e", variable]);
    }
    run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    let mut child = run.spawn()?;
    let answered = loop {
        if ask(port).is_some() {
            break Ok(begin.elapsed());
        }
        if let Some(status) = child.try_wait()? {
            break Err(format!("{name} ended with {status} before it answered"));
        }
        if begin.elapsed() > PATIENCE {
            break Err(format!("{name} did not answer within {} s", PATIENCE.as_secs()));
        }
        std::thread::sleep(Duration::from_micros(500));
    };
    if child.try_wait()?.is_none() {
        // As Ctrl-C would, so that the app can leave in order.
        output(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]))?;
        child.wait()?;
    }
    Ok(answered?)
}

fn ask(port: u16) -> Option<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.").then_some(())
}

/// A destination that takes everything, so that nobody waits for one; its port.
fn sink() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 64 * 1024];
                while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(port)
}
