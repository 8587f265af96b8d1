//! An app, started here with a receiver beside it and asked for one page.

use super::{DoctorError, probe};
use crate::run::RunRequest;
use crate::run::trial::Trial;
use crate::world::World;
use oci::Image;
use sandbox::Exit;
use std::sync::Arc;
use std::time::{Duration, Instant};
use telemetry::{Options, Receiver, SpanKind, StoredSpan, WantedSpan};

/// What came of an app that was started with a receiver beside it, and asked once.
pub(super) struct Tried {
    pub(super) answer: Answer,
    /// The name of the server's span, and of its service.
    pub(super) span: Option<(String, String)>,
    pub(super) spans: u64,
    pub(super) refused: Option<String>,
    pub(super) printed: String,
}

/// What the app said to a request.
pub(super) enum Answer {
    /// This status.
    Status(u16),
    /// Nothing, and why.
    None(String),
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::None(why) => f.write_str(why),
        }
    }
}

/// Starts the app with a receiver beside it, asks for one page, and waits for its span.
///
/// # Errors
/// When it cannot be started.
pub(super) fn try_out(
    world: &World,
    image: &Image,
    run: &RunRequest,
    (path, patience): (&str, Duration),
) -> Result<Tried, DoctorError> {
    let receiver = Receiver::start(&Options::default())?;
    let mut run = run.clone();
    // The first of all that name one; and soon, not in five seconds.
    run.env.push((crate::run::DESTINATION.to_owned(), format!("otlp=http://{}", receiver.address())));
    run.env.push(("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "100".to_owned()));
    let mut trial = Trial::start(&world.store, (image, &run), &world.env)?;
    let answer = match trial.listens(Instant::now() + patience) {
        true => ask(&trial.url(path), patience),
        false => Answer::None(match trial.ended() {
            Some(it) => format!("the app {}", exit(it)),
            None => format!("the app listens on no port that it was told within {} s", patience.as_secs()),
        }),
    };
    let wanted = WantedSpan { kind: Some(SpanKind::Server), ..WantedSpan::default() };
    let store = receiver.store();
    let span = match &answer {
        Answer::Status(_) => store.wait_for_span(&wanted, Instant::now() + patience),
        Answer::None(_) => None,
    };
    trial.end();
    // What it sends with its last breath counts.
    let span = span.or_else(|| store.wait_for_span(&wanted, Instant::now()));
    let refused = receiver.traffic().last_refused.map(|it| it.detail);
    let span =
        span.map(|it: Arc<StoredSpan>| (it.name.to_string(), it.source.origin().service().to_string()));
    Ok(Tried { answer, span, spans: store.counts().spans, refused, printed: trial.printed() })
}

pub(super) fn ask(url: &str, patience: Duration) -> Answer {
    match probe::client(patience).get(url).call() {
        Ok(response) => Answer::Status(response.status().as_u16()),
        Err(error) => Answer::None(format!("the app does not answer {url}: {error}")),
    }
}

/// How an app ended.
pub(super) fn exit(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("ended with exit code {code}"),
        Exit::Signal(signal) => format!("was ended by signal {signal}"),
    }
}
