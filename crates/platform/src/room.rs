//! The build's room: what detect and build see as `/`, and the capability to run programs in it.

use crate::build::network::Reach;
use crate::joined::{Joined, Tool};
use lifecycle::{ExitStatus, Invocation, Phase, RunError, Stream};
use sandbox::{Access, Exit, Identity, Isolation, Mount, Network, Process, Room, Running, Stdio, Upper};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// The build user of our bases (`CNB_USER_ID`, `CNB_GROUP_ID`).
pub(crate) const BUILD_USER: Identity = Identity { uid: 1000, gid: 1000 };

/// Where things are inside.
pub(crate) mod inside {
    /// The application, unless the user chooses another place.
    pub(crate) const APP: &str = "/workspace";
    /// The layers.
    pub(crate) const LAYERS: &str = "/layers";
    /// What the platform hands over.
    pub(crate) const PLATFORM: &str = "/platform";
    /// The buildpacks.
    pub(crate) const BUILDPACKS: &str = "/cnb/buildpacks";
    /// The image extensions.
    pub(crate) const EXTENSIONS: &str = "/cnb/extensions";
    /// Where plans are handed over.
    pub(crate) const WORK: &str = "/cnb/work";
}

/// What a build's room is made of, as paths of this machine.
#[derive(Debug, Clone)]
pub(crate) struct BuildRoom {
    /// The trees of the build image, topmost first; empty while it is not known (then only static programs can run).
    pub(crate) root: Vec<PathBuf>,
    /// Who builds: `CNB_USER_ID` and `CNB_GROUP_ID`.
    pub(crate) user: Identity,
    /// Where the app is, inside.
    pub(crate) app: PathBuf,
    /// The source, read-only, and above it what hides the parts that are left out; topmost first.
    pub(crate) source: Vec<PathBuf>,
    /// What changes in the application directory, thrown away after the build.
    pub(crate) app_changes: Changes,
    /// Where changes that a `bin/detect` makes go, against the specification: nobody sees them.
    pub(crate) detect_changes: PathBuf,
    /// The layers.
    pub(crate) layers: PathBuf,
    /// `env/` and `bindings/`.
    pub(crate) platform: PathBuf,
    /// Where plans are handed over.
    pub(crate) work: PathBuf,
    /// Buildpacks and extensions that are not in the build image, and what the user mounts.
    pub(crate) mounts: Vec<Mount>,
    /// What bin/build sees besides: its home, and what the user's machine uses to reach indexes.
    pub(crate) build_mounts: Vec<Mount>,
    /// What of the network is reached.
    pub(crate) reach: Reach,
    /// How far programs are shut off from this machine.
    pub(crate) isolation: Isolation,
}

/// The two directories that an overlay keeps changes in; of two overlays at the same time each needs its own.
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    /// The changes.
    pub(crate) upper: PathBuf,
    /// The overlay's own directory.
    pub(crate) work: PathBuf,
}

impl Changes {
    /// Makes the two directories in `dir`, which is made as well.
    pub(crate) fn within(
        dir: &Path,
        user: Identity,
        isolation: &Isolation,
    ) -> Result<Self, sandbox::SandboxError> {
        let changes = Self { upper: dir.join("upper"), work: dir.join("work") };
        sandbox::own_dir(&changes.upper, user, isolation)?;
        sandbox::own_dir(&changes.work, user, isolation)?;
        Ok(changes)
    }
}

impl BuildRoom {
    fn room(&self, invocation: &Invocation, changes: &Changes) -> Room {
        let phase = invocation.phase;
        let bind = |source: &Path, target: &str, access| Mount::Bind {
            source: source.to_owned(),
            target: target.into(),
            access,
        };
        let mut mounts = vec![
            Mount::Tmpfs { target: "/tmp".into() },
            bind(&self.platform, inside::PLATFORM, Access::ReadOnly),
            Mount::Overlay {
                target: self.app.clone(),
                lower: self.source.clone(),
                upper: changes.upper.clone(),
                work: changes.work.clone(),
            },
        ];
        mounts.extend(self.mounts.iter().cloned());
        let network = if phase == Phase::Detect { self.reach.detect } else { self.reach.build };
        if network == Network::Outward {
            mounts.extend(self.reach.mounts());
        }
        if phase == Phase::Detect {
            let handed = handed_over(invocation);
            let target = Path::new(inside::WORK).join(&handed);
            mounts.push(Mount::Bind { source: self.work.join(handed), target, access: Access::ReadWrite });
        } else {
            mounts.push(bind(&self.work, inside::WORK, Access::ReadWrite));
            mounts.push(bind(&self.layers, inside::LAYERS, Access::ReadWrite));
            mounts.extend(self.build_mounts.iter().cloned());
        }
        Room {
            root: self.root.clone(),
            upper: Upper::Tmpfs,
            mounts,
            user: self.user,
            hostname: "packlight".to_owned(),
            network,
            isolation: self.isolation.clone(),
        }
    }
}

/// The directory of the hand-over that is this program's own, where its plan lies: several detect at once, and none has a
/// use for another's. (With reduced isolation, what is writable for one is nowhere else meanwhile.)
fn handed_over(invocation: &Invocation) -> PathBuf {
    let plan = invocation.args.last().map(Path::new);
    let own = plan.and_then(Path::parent).and_then(|dir| dir.strip_prefix(inside::WORK).ok());
    own.unwrap_or(Path::new("")).to_owned()
}

impl lifecycle::Runner for BuildRoom {
    fn run(
        &self,
        invocation: &Invocation,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<ExitStatus, RunError> {
        let failed = |error: sandbox::SandboxError| RunError(error.to_string());
        let changes = match invocation.phase {
            Phase::Detect => {
                let own = self.detect_changes.join(cnb::id::escape(&invocation.who));
                Changes::within(&own, self.user, &self.isolation).map_err(failed)?
            }
            _ => self.app_changes.clone(),
        };
        let room = self.room(invocation, &changes);
        run_outward(&room, &process_of(invocation), self.reach.tool.as_ref(), output)
    }
}

/// What is started for a phase.
pub(crate) fn process_of(invocation: &Invocation) -> Process {
    let mut argv = vec![invocation.program.clone().into_os_string()];
    argv.extend(invocation.args.iter().cloned());
    Process {
        argv,
        env: invocation.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        cwd: invocation.cwd.clone(),
        stdin: Stdio::Null,
        stdout: Stdio::Pipe,
        stderr: Stdio::Pipe,
    }
}

/// [`run`], where a room with the way out alone has it from a tool.
///
/// # Errors
/// When the room could not be made, its network not connected or the program not started.
pub(crate) fn run_outward(
    room: &Room,
    process: &Process,
    tool: Option<&Tool>,
    output: &mut dyn FnMut(Stream, &[u8]),
) -> Result<ExitStatus, RunError> {
    let failed = |error: sandbox::SandboxError| RunError(error.to_string());
    let Some(tool) = tool.filter(|_| room.network == Network::Outward) else {
        return run(room, process, output).map_err(failed);
    };
    let waiting = room.prepare(process).map_err(failed)?;
    let _joined = Joined::join(tool, &[], waiting.pid()).map_err(|error| RunError(error.to_string()))?;
    listen(waiting.begin().map_err(failed)?, output).map_err(failed)
}

/// Runs a program to its end and passes on what it prints.
///
/// # Errors
/// When the room could not be made or the program not started.
pub(crate) fn run(
    room: &Room,
    process: &Process,
    output: &mut dyn FnMut(Stream, &[u8]),
) -> Result<ExitStatus, sandbox::SandboxError> {
    listen(room.start(process)?, output)
}

fn listen(
    mut running: Running,
    output: &mut dyn FnMut(Stream, &[u8]),
) -> Result<ExitStatus, sandbox::SandboxError> {
    let (sender, receiver) = mpsc::channel();
    let (out, err) = (running.stdout.take(), running.stderr.take());
    std::thread::scope(|scope| {
        let (err_sender, out_sender) = (sender.clone(), sender);
        scope.spawn(move || forward(out, Stream::Out, &out_sender));
        scope.spawn(move || forward(err, Stream::Err, &err_sender));
        for (stream, bytes) in receiver {
            output(stream, &bytes);
        }
    });
    Ok(match running.wait()? {
        Exit::Code(code) => ExitStatus::Code(code),
        Exit::Signal(signal) => ExitStatus::Signal(signal),
    })
}

fn forward(pipe: Option<impl Read>, stream: Stream, to: &mpsc::Sender<(Stream, Vec<u8>)>) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = pipe.read(&mut buffer) {
        if to.send((stream, buffer[..count].to_vec())).is_err() {
            return;
        }
    }
}
