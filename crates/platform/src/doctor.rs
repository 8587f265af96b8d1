//! Why are there no spans? The way of a span from the agent to where it is looked at, link by link: the first one that is
//! broken is the answer.
//!
//! `doctor/patient.rs` has the links of an image, `doctor/tried.rs` starts an app and asks it, `doctor/probe.rs` asks a destination, `doctor/container.rs` looks at a
//! container of the Docker engine, `doctor/elsewhere.rs` at an app that runs somewhere.

mod container;
mod elsewhere;
mod patient;
mod probe;
mod tried;

use crate::images::{self, ImageError, Source};
use crate::run::{RunError, RunRequest};
use crate::world::World;
use oci::{Image, ImageName, NameError};
use patient::Patient;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;
use telemetry::StartError;

/// What is asked.
#[derive(Debug, Clone)]
pub struct DoctorRequest {
    /// Who is ill.
    pub subject: Subject,
    /// How an image is started; its name is the subject's.
    pub run: RunRequest,
    /// What the app is asked for.
    pub path: String,
    /// How long the app may take to listen, and then its span to come.
    pub patience: Duration,
    /// Where telemetry of an app that runs already is waited for.
    pub listen: SocketAddr,
}

/// Who is ill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An image, which is started here.
    Image(Source),
    /// A container of the Docker engine: what it was started with is looked at and tried out here.
    Container(String),
    /// An app that runs somewhere.
    Url(String),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Of whom.
    pub subject: String,
    /// The links that hold, in their order.
    pub holds: Vec<String>,
    /// The first that does not; none: spans arrive.
    pub broken: Option<Broken>,
}

/// A link that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Which.
    pub link: Link,
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub cure: String,
}

/// The links, in the order in which they are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// The image has an agent.
    Agent,
    /// The app is started by the launcher.
    Launcher,
    /// The agent wakes.
    Awake,
    /// Where it sends to can be used.
    Destination,
    /// The destination takes what is sent, and its clock is ours.
    Exporter,
    /// The clocks agree.
    Clock,
    /// The app runs and answers.
    App,
    /// The agent observes what answers.
    Instrumentation,
    /// The request's span is taken.
    Sampling,
    /// It arrives.
    Delivery,
}

/// Why nothing could be found out.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// The image cannot be had.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The app cannot be started.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The receiver cannot be started.
    #[error("telemetry cannot be received here")]
    Receiver(#[from] StartError),
    /// The store could not do its part.
    #[error(transparent)]
    Store(#[from] oci::StoreError),
    /// There is no such container, or no engine.
    #[error("the Docker engine has no container {0}")]
    NoContainer(String),
}

/// The end of an examination.
enum Stop {
    Broken(Broken),
    Failed(DoctorError),
}

impl<E: Into<DoctorError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

fn broken(link: Link, why: impl Into<String>, cure: impl Into<String>) -> Stop {
    Stop::Broken(Broken { link, why: why.into(), cure: cure.into() })
}

/// Looks for the first broken link.
///
/// # Errors
/// When there is nothing to look at.
pub fn examine(world: &World, request: &DoctorRequest) -> Result<Diagnosis, DoctorError> {
    let (subject, mut holds) = (request.subject.name(), Vec::new());
    let ended = match &request.subject {
        Subject::Url(url) => elsewhere::examine(request, url, &mut holds),
        Subject::Image(source) => of_image(world, source).and_then(|image| {
            let patient = Patient { world, image: &image, request, run: request.run.clone() };
            patient.examine(&mut holds)
        }),
        Subject::Container(name) => container::find(world, name, request, &mut holds).and_then(|it| {
            let patient = Patient { world, image: &it.image, request, run: it.run };
            patient.examine(&mut holds)
        }),
    };
    match ended {
        Ok(()) => Ok(Diagnosis { subject, holds, broken: None }),
        Err(Stop::Broken(broken)) => Ok(Diagnosis { subject, holds, broken: Some(broken) }),
        Err(Stop::Failed(error)) => Err(error),
    }
}

impl Link {
    /// The word that people see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Launcher => "launcher",
            Self::Awake => "awake",
            Self::Destination => "destination",
            Self::Exporter => "exporter",
            Self::Clock => "clock",
            Self::App => "app",
            Self::Instrumentation => "instrumentation",
            Self::Sampling => "sampling",
            Self::Delivery => "delivery",
        }
    }
}

impl Subject {
    /// Reads what a user says: an address, `container:NAME`, or an image.
    ///
    /// # Errors
    /// When it is no name of an image.
    pub fn parse(text: &str, default_registry: &str) -> Result<Self, NameError> {
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Self::Url(text.to_owned()));
        }
        match text.strip_prefix("container:") {
            Some(name) => Ok(Self::Container(name.to_owned())),
            None => Ok(Self::Image(Source::parse(text, default_registry)?)),
        }
    }

    /// The image's name, where it has one.
    #[must_use]
    pub fn image_name(&self) -> ImageName {
        let named = |name: &str| ImageName {
            registry: String::new(),
            repository: name.to_owned(),
            tag: None,
            digest: None,
        };
        match self {
            Self::Image(Source::Registry(name) | Source::Engine(name)) => name.clone(),
            _ => named("app"),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Image(source) => source.to_string(),
            Self::Container(name) | Self::Url(name) => name.clone(),
        }
    }
}

fn of_image(world: &World, source: &Source) -> Result<Image, Stop> {
    Ok(match source {
        Source::Registry(name) => match world.store.image(name)? {
            Some(image) => image,
            None => images::obtain(world, source, images::PullPolicy::Always, &|_| {})?.image,
        },
        other => images::obtain(world, other, images::PullPolicy::Always, &|_| {})?.image,
    })
}

/// Tries an image out and says what is wrong with its spans; nothing when one arrives.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn verify(
    world: &World,
    (name, image): (&ImageName, &Image),
    path: &str,
    patience: Duration,
) -> Result<Result<String, Broken>, DoctorError> {
    let subject = Subject::Image(Source::Registry(name.clone()));
    let request = DoctorRequest {
        subject,
        run: RunRequest::of(name.clone()),
        path: path.to_owned(),
        patience,
        listen: (std::net::Ipv4Addr::LOCALHOST, 0).into(),
    };
    let patient = Patient { world, image, request: &request, run: request.run.clone() };
    match patient.agents().and_then(|_| patient.delivers()) {
        Ok(text) => Ok(Ok(text)),
        Err(Stop::Broken(broken)) => Ok(Err(broken)),
        Err(Stop::Failed(error)) => Err(error),
    }
}
