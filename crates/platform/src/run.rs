//! `packlight run`: an image from the store, started in the sandbox as an engine would start it.
//!
//! `run/plan.rs` says what is started, `run/network.rs` how it is reached, `run/watch.rs` stays with it until its end.

mod forward;
mod listening;
mod network;
pub(crate) mod passwd;
mod plan;
mod signals;
mod telemetry;
pub(crate) mod trial;
mod watch;

pub use network::AppNetwork;
pub use sandbox::{Access, Exit};
pub use signals::{Interrupt, Signals, Told};
pub use telemetry::DESTINATION;

use crate::event::{Event, Events};
use crate::isolation::{Ground, GroundError};
use crate::joined::JoinError;
use crate::settings::Environment;
use crate::trees;
use network::Reach;
use oci::{Image, ImageName, Store};
use plan::Plan;
use sandbox::{Isolation, Mount, Network, Process, Room, SandboxError, Stdio, Upper};
use std::ffi::OsString;
use std::path::PathBuf;

/// What is to be started.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The image.
    pub name: ImageName,
    /// A process type, in place of the image's own choice.
    pub process: Option<String>,
    /// A program, in place of any process type.
    pub entrypoint: Option<String>,
    /// Arguments.
    pub args: Vec<OsString>,
    /// Variables, over the image's own; of two with one name the later is meant.
    pub env: Vec<(String, String)>,
    /// Which network the app has.
    pub network: AppNetwork,
    /// Which ports are reached from this machine; empty: a free one, which the app is told by `PORT`.
    pub ports: Vec<Publish>,
    /// Files and folders of this machine.
    pub volumes: Vec<Volume>,
}

impl RunRequest {
    /// The image as it starts by itself.
    #[must_use]
    pub fn of(name: ImageName) -> Self {
        Self {
            name,
            process: None,
            entrypoint: None,
            args: Vec::new(),
            env: Vec::new(),
            network: AppNetwork::default(),
            ports: Vec::new(),
            volumes: Vec::new(),
        }
    }
}

/// A port of this machine's loopback interface that leads to the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish {
    /// The port of this machine.
    pub host: u16,
    /// The port that the app listens on.
    pub inside: u16,
}

/// A file or folder of this machine that the app sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its path here.
    pub host: PathBuf,
    /// Its path there, absolute.
    pub inside: PathBuf,
    /// Whether the app may change it.
    pub access: Access,
}

/// Why an app was not started, or got lost.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// This machine does not allow the sandbox.
    #[error(transparent)]
    Forbidden(#[from] sandbox::Forbidden),
    /// The store has no such image.
    #[error("the store has no image {name}")]
    NoImage {
        /// What was asked for.
        name: String,
        /// Names that resemble it.
        near: Vec<String>,
    },
    /// The image cannot be read or unpacked.
    #[error(transparent)]
    Store(#[from] oci::StoreError),
    /// The image has no such process type.
    #[error("{image} has no process type `{asked}`; it has: {}", list(there))]
    NoProcess {
        /// The image.
        image: String,
        /// What was asked for.
        asked: String,
        /// What there is.
        there: Vec<String>,
    },
    /// The image says nothing about what to start.
    #[error("{image} starts nothing by itself; its process types: {}", list(there))]
    NothingToStart {
        /// The image.
        image: String,
        /// What could be started.
        there: Vec<String>,
    },
    /// The image's user is not one of the image's.
    #[error("{image}: its user `{user}` is not in its /etc/passwd and not a number")]
    NoUser {
        /// The image.
        image: String,
        /// The user.
        user: String,
    },
    /// A volume is not there.
    #[error("-v {}: there is nothing at this path", .0.display())]
    NoVolume(PathBuf),
    /// A volume cannot be written through.
    #[error("-v {}: with reduced isolation an app has copies of folders, and what it writes there would be lost", .0.display())]
    VolumeWritable(PathBuf),
    /// Somebody else listens on a port.
    #[error("port {port} of this machine is in use{}", if *shared { " (the app would share it)" } else { "" })]
    PortInUse {
        /// The port.
        port: u16,
        /// Whether it is the app's own port, on the network that it shares with this machine.
        shared: bool,
    },
    /// A port cannot be listened on.
    #[error("port {port} of this machine cannot be listened on")]
    Port {
        /// The port.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// The program that connects the app's network failed.
    #[error("{program} could not connect the app's network: {said}")]
    Network {
        /// `pasta` or `slirp4netns`.
        program: String,
        /// What it printed.
        said: String,
    },
    /// A destination of telemetry that cannot be used.
    #[error("{0}")]
    Destination(String),
    /// The image has no such program.
    #[error("{image} has no program {}", program.display())]
    ProgramMissing {
        /// The image.
        image: String,
        /// The program.
        program: PathBuf,
    },
    /// The program cannot be started.
    #[error("{} cannot be started", program.display())]
    ProgramRefused {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The sandbox could not be made.
    #[error(transparent)]
    Sandbox(SandboxError),
}

impl From<JoinError> for RunError {
    fn from(error: JoinError) -> Self {
        Self::Network { program: error.program, said: error.said }
    }
}

fn list(there: &[String]) -> String {
    if there.is_empty() { "none".to_owned() } else { there.join(", ") }
}

/// Starts the image, stays with it and says how it ended. Its standard streams are the caller's.
///
/// # Errors
/// When the image is not there or not startable, or a port is taken; then nothing was started.
pub fn run(
    store: &Store,
    request: &RunRequest,
    env: &Environment,
    signals: Signals,
    events: Events<'_>,
) -> Result<Exit, RunError> {
    let image = find(store, &request.name)?;
    let root = trees::unpacked(store, &image)?;
    let ground = ground(store, request)?;
    ground.tell(events);
    let reach = Reach::choose(request, env, ground.isolation())?;
    let plan = Plan::of(request, &image, &root, &reach.defaults(), env)?;
    let room = Room { isolation: ground.isolation().clone(), ..room(request, root, &plan, &reach)? };
    let process = Process {
        argv: plan.argv.clone(),
        env: plan.env.into_iter().collect(),
        cwd: plan.cwd,
        stdin: Stdio::Inherit,
        stdout: Stdio::Inherit,
        stderr: Stdio::Inherit,
    };
    signals.hear();
    let refused = |error| started(error, request, store);
    let waiting = room.prepare(&process).map_err(refused)?;
    let connected = reach.connect(&waiting, events)?;
    let running = waiting.begin().map_err(refused)?;
    let exit = watch::stay(running, &watch::Manners::of(request), signals, &connected, events);
    drop(connected);
    exit
}

fn find(store: &Store, name: &ImageName) -> Result<Image, RunError> {
    if let Some(image) = store.image(name)? {
        return Ok(image);
    }
    let asked = name.short();
    let names = store.images()?.into_iter().map(|it| it.name);
    let near = names
        .filter(|it| it.registry != crate::base::LOCAL_REGISTRY)
        .filter(|it| it.last_component() == name.last_component() || plan::distance(&it.short(), &asked) <= 3)
        .map(|it| it.short())
        .collect();
    Err(RunError::NoImage { name: asked.strip_suffix(":latest").unwrap_or(&asked).to_owned(), near })
}

/// What the app's room stands on.
fn ground(store: &Store, request: &RunRequest) -> Result<Ground, RunError> {
    if Ground::is_ordinary_users() {
        return Ok(Ground::assumed());
    }
    let ground = Ground::try_out(store).map_err(|error| match error {
        GroundError::Forbidden(error) => RunError::Forbidden(error),
        GroundError::Store(error) => RunError::Store(error),
    })?;
    let writable = request.volumes.iter().find(|it| it.access == Access::ReadWrite);
    match writable {
        Some(volume) if *ground.isolation() != Isolation::Full => {
            Err(RunError::VolumeWritable(volume.host.clone()))
        }
        _ => Ok(ground),
    }
}

fn room(request: &RunRequest, root: Vec<PathBuf>, plan: &Plan, reach: &Reach) -> Result<Room, RunError> {
    let mut mounts = vec![Mount::Tmpfs { target: "/tmp".into() }];
    mounts.extend(reach.mounts());
    for volume in &request.volumes {
        let source = match fs_err::canonicalize(&volume.host) {
            Ok(path) => path,
            Err(_) => return Err(RunError::NoVolume(volume.host.clone())),
        };
        mounts.push(Mount::Bind { source, target: volume.inside.clone(), access: volume.access });
    }
    let network = match (reach.is_own(), reach.is_cut()) {
        (true, _) => Network::Own,
        (_, true) => Network::None,
        _ => Network::Host,
    };
    Ok(Room {
        root,
        upper: Upper::Tmpfs,
        mounts,
        user: plan.user,
        hostname: request.name.last_component().replace(['.', '_'], "-"),
        network,
        isolation: Isolation::Full,
    })
}

/// Why a room did not start: a program that is not there is another thing than a machine that forbids.
fn started(error: SandboxError, request: &RunRequest, store: &Store) -> RunError {
    match error {
        SandboxError::Exec { program, source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            RunError::ProgramMissing { image: request.name.short(), program }
        }
        SandboxError::Exec { program, source, .. } => RunError::ProgramRefused { program, source },
        // Asked only now, because the question costs as much as a start.
        other => match Ground::try_out(store) {
            Err(GroundError::Forbidden(forbidden)) => RunError::Forbidden(forbidden),
            _ => RunError::Sandbox(other),
        },
    }
}

/// A sentence about an app that ended badly by itself.
fn ended(exit: Exit, events: Events<'_>) {
    let text = match exit {
        Exit::Code(0) => return,
        Exit::Code(code) => format!("the app ended with exit code {code}"),
        Exit::Signal(9) => "the app was killed (signal 9): by somebody, or for lack of memory".to_owned(),
        Exit::Signal(signal) => format!("the app was ended by signal {signal}"),
    };
    events(Event::Notice { text });
}
