//! The caller's side of a room: starting the runner, hearing its reports, and its end.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::Arc;

use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType};

use crate::error::{At, Done, SandboxError, Step};
use crate::wire::{self, Begin, Order, Report};
use crate::{Mount, Process, Room, Stdio, remove_tree, runner};

/// A program that runs in a room; dropping it kills everything in the room and waits for that.
#[derive(Debug)]
pub struct Running {
    /// The writing end of standard input, when it was asked for as a pipe.
    pub stdin: Option<PipeWriter>,
    /// The reading end of standard output, when it was asked for as a pipe.
    pub stdout: Option<PipeReader>,
    /// The reading end of standard error, when it was asked for as a pipe.
    pub stderr: Option<PipeReader>,
    runner: Runner,
    pid: u32,
    exit: Option<Exit>,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// Sends signals to a room's program, from any thread, for as long as it runs.
#[derive(Debug, Clone)]
pub struct Signaller(Arc<OwnedFd>);

/// A program whose room is there and that waits for [`Waiting::begin`]; dropping it removes the room.
#[derive(Debug)]
pub struct Waiting(Running);

impl Room {
    /// Makes the room and starts the program in it; returns once the program itself runs.
    pub fn start(&self, process: &Process) -> Result<Running, SandboxError> {
        let running = self.enter(process, Begin::AtOnce)?;
        running.runner.started()?;
        Ok(running)
    }

    /// Makes the room and lets the program wait at the door, so that something outside can be made ready for it: a
    /// network for [`crate::Network::Own`].
    pub fn prepare(&self, process: &Process) -> Result<Waiting, SandboxError> {
        self.enter(process, Begin::WhenTold).map(Waiting)
    }

    /// Removes what an earlier room's overlay left in its own directory: a mark that its changes were not written to the
    /// disk, with which the kernel does not mount it again.
    fn clear_work(&self) -> Result<(), SandboxError> {
        for mount in &self.mounts {
            if let Mount::Overlay { work, .. } = mount {
                remove_tree(&work.join("work"))?;
            }
        }
        Ok(())
    }

    /// As far as the program's process.
    fn enter(&self, process: &Process, begin: Begin) -> Result<Running, SandboxError> {
        self.clear_work()?;
        let (mut stdin, mut stdout, mut stderr) = (None, None, None);
        let streams = [
            stream(process.stdin, io::stdin().as_fd(), |reader, writer| {
                stdin = Some(writer);
                reader.into()
            })?,
            stream(process.stdout, io::stdout().as_fd(), |reader, writer| {
                stdout = Some(reader);
                writer.into()
            })?,
            stream(process.stderr, io::stderr().as_fd(), |reader, writer| {
                stderr = Some(reader);
                writer.into()
            })?,
        ];
        let runner = Runner::start()?;
        let order = Order { room: self, process: Some(process), begin };
        wire::send_order(runner.socket.as_fd(), &order, streams.each_ref().map(AsFd::as_fd))
            .at(Step::Talk, "")?;
        let pid = loop {
            match runner.hear()? {
                (Report::Hello, sender) => break sender.unwrap_or(0),
                (report, _) => refusal(report)?,
            }
        };
        Ok(Running { stdin, stdout, stderr, runner, pid, exit: None })
    }

    /// Makes the room and an overlay, starts nothing and leaves.
    pub(crate) fn try_out(&self) -> Result<(), SandboxError> {
        let null = null()?;
        let runner = Runner::start()?;
        let order = Order { room: self, process: None, begin: Begin::AtOnce };
        wire::send_order(runner.socket.as_fd(), &order, [null.as_fd(); 3]).at(Step::Talk, "")?;
        runner.started()
    }
}

impl Waiting {
    /// The waiting process' id on the host; its namespaces are the room's.
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// Lets the program begin; returns once it runs.
    pub fn begin(self) -> Result<Running, SandboxError> {
        // A runner that is gone is told by what it said, or did not say, last.
        let _ = rustix::net::send(&self.0.runner.socket, &[wire::GO], rustix::net::SendFlags::NOSIGNAL);
        self.0.runner.started()?;
        Ok(self.0)
    }
}

impl Running {
    /// Waits for the program; when this returns every process of the room is dead.
    ///
    /// Read the pipes to their end first, or on other threads: a program that nobody listens to waits for ever.
    pub fn wait(&mut self) -> Result<Exit, SandboxError> {
        if let Some(exit) = self.exit {
            return Ok(exit);
        }
        let exit = loop {
            match self.runner.hear()?.0 {
                Report::Ended(status) => break Exit::of(status),
                report => refusal(report)?,
            }
        };
        // The runner ends after process 1, and process 1 after everybody else.
        self.runner.child.wait().at(Step::Talk, "")?;
        self.exit = Some(exit);
        Ok(exit)
    }

    /// Sends a signal to the program; one that has ended is left alone.
    pub fn signal(&self, signal: i32) -> Result<(), SandboxError> {
        self.signaller().send(signal)
    }

    /// A handle that can send signals while another thread waits.
    pub fn signaller(&self) -> Signaller {
        Signaller(Arc::clone(&self.runner.socket))
    }

    /// The program's process id on the host.
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

impl Signaller {
    /// Sends a signal to the program; one that has ended is left alone.
    pub fn send(&self, signal: i32) -> Result<(), SandboxError> {
        use rustix::io::Errno;
        let byte = u8::try_from(signal).map_err(io::Error::other).at(Step::Talk, "")?;
        match rustix::net::send(&self.0, &[byte], rustix::net::SendFlags::NOSIGNAL) {
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => Ok(()),
            Err(error) => Err(error).at(Step::Talk, "").map_err(Into::into),
        }
    }
}

impl Exit {
    fn of(status: i32) -> Self {
        let signal = status & 0x7f;
        if signal == 0 { Self::Code((status >> 8) & 0xff) } else { Self::Signal(signal) }
    }
}

/// The runner's process and our end of the socket; gone together.
#[derive(Debug)]
struct Runner {
    child: Child,
    socket: Arc<OwnedFd>,
}

impl Runner {
    fn start() -> Done<Self> {
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .at(Step::StartRunner, "")?;
        rustix::net::sockopt::set_socket_passcred(&ours, true).at(Step::StartRunner, "")?;
        // Its standard input and not a further descriptor: so `Command` needs no fork, and no other thread's child can
        // inherit the socket by accident.
        let child = Command::new("/proc/self/exe")
            .arg0(runner::NAME)
            .env_clear()
            .stdin(theirs)
            .stdout(std::process::Stdio::null())
            .spawn()
            .at(Step::StartRunner, "/proc/self/exe")?;
        Ok(Self { child, socket: Arc::new(ours) })
    }

    /// Waits until the program runs, or to hear why not.
    fn started(&self) -> Result<(), SandboxError> {
        loop {
            match self.hear()?.0 {
                Report::Started => return Ok(()),
                report => refusal(report)?,
            }
        }
    }

    fn hear(&self) -> Result<(Report, Option<u32>), SandboxError> {
        wire::hear(self.socket.as_fd()).at(Step::Talk, "")?.ok_or(SandboxError::Lost)
    }
}

/// The bad news in a report, if it is one.
fn refusal(report: Report) -> Result<(), SandboxError> {
    match report {
        Report::Hello | Report::Started => Ok(()),
        Report::Failed(failure) => Err(failure.into()),
        Report::Refused { program, errno, hint } => {
            Err(SandboxError::Exec { program, source: io::Error::from_raw_os_error(errno), hint })
        }
        Report::Ended(_) => Err(SandboxError::Lost),
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // A signaller may still hold the socket, so closing it would not do.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
        let _ = self.child.wait();
    }
}

fn stream(
    kind: Stdio,
    inherited: BorrowedFd<'_>,
    piped: impl FnOnce(PipeReader, PipeWriter) -> OwnedFd,
) -> Done<OwnedFd> {
    match kind {
        Stdio::Inherit => inherited.try_clone_to_owned().at(Step::StartRunner, ""),
        Stdio::Null => null(),
        Stdio::Pipe => io::pipe().map(|(reader, writer)| piped(reader, writer)).at(Step::StartRunner, ""),
    }
}

fn null() -> Done<OwnedFd> {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .at(Step::StartRunner, "/dev/null")?;
    Ok(file.into())
}
