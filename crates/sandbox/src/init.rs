//! Process 1 of a room: starts the program, reaps what is left to it, passes signals on, and takes the room with it when
//! the program or the caller is gone.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::event::{PollFd, PollFlags};
use rustix::net::RecvFlags;
use rustix::process::{DumpableBehavior, Pid, WaitOptions};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::error::{At, Done, Failure, Step};
use crate::seccomp::Sockets;
use crate::sys::{self, Fork};
use crate::wire::{self, Begin, Report};
use crate::{Process, Stdio};

/// The standard streams of the program.
pub(crate) type Streams = [OwnedFd; 3];

/// A program, and when it begins.
pub(crate) type Work<'a> = (&'a Process, Begin);

/// Lets no later exec bring a capability back. It takes one, and so comes before the rest where ids come in between.
pub(crate) fn drop_bounds() -> Done<()> {
    sys::empty_bounding_set().at(Step::DropPrivileges, "bounding capabilities")
}

/// Gives up every privilege, for this process and all that come after it.
pub(crate) fn drop_privileges(sockets: Sockets) -> Done<()> {
    use rustix::process::{Resource, Rlimit};
    // A core file of the room's would be written where the host's core_pattern says.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none).at(Step::DropPrivileges, "core files")?;
    rustix::thread::clear_ambient_capability_set().at(Step::DropPrivileges, "ambient capabilities")?;
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, none).at(Step::DropPrivileges, "capabilities")?;
    rustix::thread::set_no_new_privs(true).at(Step::DropPrivileges, "no_new_privs")?;
    if sys::landlock_version() >= 6 {
        // Abstract Unix sockets belong to the network namespace, so the host's desktop bus would answer the room; the
        // mounts and ids above cover all else that Landlock has. LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | _SIGNAL.
        sys::landlock_scope(0b11).at(Step::DropPrivileges, "Landlock")?;
    }
    sys::install_filter(&crate::seccomp::filter(sockets)).at(Step::DropPrivileges, "seccomp")?;
    // Nobody in the room may look into this process: it is the host's executable, under the room's user.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Step::DropPrivileges, "dumpable")
}

/// Starts the program, whose process first does `enter`, and stays with it until its end, which is the end of the room.
/// The wait status; none when there was no program, which was reported, or the caller has gone.
pub(crate) fn run(
    control: &OwnedFd,
    work: Work<'_>,
    streams: Streams,
    enter: impl FnOnce() -> Done<()>,
) -> Done<Option<i32>> {
    let process = work.0;
    let program = Program::new(process)?;
    let children = sys::child_signals().at(Step::Fork, "")?;
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).at(Step::Fork, "")?;
    let child = match sys::fork().at(Step::Fork, "")? {
        Fork::Child => {
            let cwd = || rustix::process::chdir(&process.cwd).at(Step::EnterDirectory, &process.cwd);
            if let Err(failure) = enter().and_then(|()| cwd()) {
                report_failure(control.as_fd(), failure);
                sys::exit_now(127);
            }
            become_program(control.as_fd(), work, &program, &streams, &writer)
        }
        Fork::Parent(child) => child,
    };
    drop((streams, writer));
    // The pipe closes at exec; what comes out of it before that is why there was none.
    let mut reason = [0; 5];
    if let Ok(5) = rustix::io::read(&reader, &mut reason) {
        let [errno @ .., there] = reason;
        wire::report(control.as_fd(), &program.refused(i32::from_ne_bytes(errno), there != 0));
        return Ok(None);
    }
    wire::report(control.as_fd(), &Report::Started);
    Ok(watch(control.as_fd(), &children, child))
}

/// Serves as init until the program has ended, with this status, or the caller is gone.
fn watch(control: BorrowedFd<'_>, children: &OwnedFd, program: Pid) -> Option<i32> {
    loop {
        let mut fds =
            [PollFd::from_borrowed_fd(control, PollFlags::IN), PollFd::new(children, PollFlags::IN)];
        let _ = rustix::event::poll(&mut fds, None);
        let (spoken, ended) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if ended {
            let _ = rustix::io::read(children, &mut [0; 128]);
            while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
                if pid == program {
                    return Some(status.as_raw());
                }
            }
        }
        if spoken {
            let mut signal = [0];
            match rustix::net::recv(control, &mut signal, RecvFlags::DONTWAIT) {
                Ok((1.., _)) => sys::kill(program, signal[0].into()),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                _ => return None,
            }
        }
    }
}

/// A program with all that exec needs, prepared before the fork.
struct Program {
    /// Where it may be, in the order of `PATH`.
    candidates: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
    name: std::path::PathBuf,
}

impl Program {
    fn new(process: &Process) -> Done<Self> {
        let name = process.argv.first().cloned().unwrap_or_default();
        let as_c =
            |bytes: Vec<u8>| CString::new(bytes).map_err(std::io::Error::from).at(Step::StartProgram, &name);
        let variable = |(key, value): &(std::ffi::OsString, std::ffi::OsString)| {
            as_c([key.as_bytes(), b"=", value.as_bytes()].concat())
        };
        Ok(Self {
            candidates: candidates(&name, process).into_iter().map(as_c).collect::<Done<_>>()?,
            argv: process
                .argv
                .iter()
                .map(|argument| as_c(argument.clone().into_vec()))
                .collect::<Done<_>>()?,
            env: process.env.iter().map(variable).collect::<Done<_>>()?,
            name: name.clone().into(),
        })
    }

    /// Whether it is there, seen from inside.
    fn is_there(&self) -> bool {
        self.candidates.iter().any(|path| Path::new(OsStr::from_bytes(path.as_bytes())).exists())
    }

    fn refused(&self, errno: i32, there: bool) -> Report {
        let hint = match errno {
            libc::ENOENT if there => {
                Some("it is there, but the interpreter or dynamic loader that it names is not")
            }
            libc::EACCES => Some("it is not executable, or a directory on the way cannot be entered"),
            libc::ENOEXEC => Some("it is neither an executable of this machine nor a script with a #! line"),
            _ => None,
        };
        Report::Refused { program: self.name.clone(), errno, hint: hint.map(str::to_owned) }
    }
}

fn candidates(name: &OsStr, process: &Process) -> Vec<Vec<u8>> {
    let name = name.as_bytes();
    if name.contains(&b'/') || name.is_empty() {
        return vec![name.to_vec()];
    }
    let path = process.env.iter().find(|(key, _)| key == "PATH").map(|(_, value)| value.as_bytes());
    let path = path.unwrap_or(b"/usr/local/bin:/usr/bin:/bin");
    path.split(|byte| *byte == b':').map(|directory| [directory, b"/", name].concat()).collect()
}

/// The rest of the child's way: terminal, streams, signals, exec.
fn become_program(
    control: BorrowedFd<'_>,
    work: Work<'_>,
    program: &Program,
    streams: &Streams,
    failures: &OwnedFd,
) -> ! {
    let errno = match prepare(control, work, streams) {
        Err(error) => error.raw_os_error(),
        Ok(()) => program.exec().raw_os_error(),
    };
    let [a, b, c, d] = errno.unwrap_or(libc::EIO).to_ne_bytes();
    let _ = rustix::io::write(failures, &[a, b, c, d, u8::from(program.is_there())]);
    sys::exit_now(127)
}

fn prepare(control: BorrowedFd<'_>, (process, begin): Work<'_>, streams: &Streams) -> std::io::Result<()> {
    if process.stdin != Stdio::Inherit {
        rustix::process::setsid()?;
    }
    if begin == Begin::WhenTold {
        // Whoever prepares the room's network now has to find our namespaces, which a process that may not be dumped
        // hides; there is nobody in the room yet from whom to hide.
        rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    }
    wire::report(control, &Report::Hello);
    if begin == Begin::WhenTold && rustix::net::recv(control, &mut [0], RecvFlags::empty())?.0 == 0 {
        sys::exit_now(127); // the caller has gone, and has no use for a reason
    }
    for (stream, number) in streams.iter().zip(0..) {
        sys::put_at(stream.as_fd(), number)?;
    }
    sys::unblock_signals()
}

impl Program {
    /// Tries the candidates as execvp(3) does: the first that is there, and the best reason when none is.
    fn exec(&self) -> std::io::Error {
        let mut reason = std::io::Error::from_raw_os_error(libc::ENOENT);
        for candidate in &self.candidates {
            let error = sys::exec(candidate, &self.argv, &self.env);
            match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR) => {}
                Some(libc::EACCES) => reason = error,
                _ => return error,
            }
        }
        reason
    }
}

/// What is told when a step failed.
pub(crate) fn report_failure(control: BorrowedFd<'_>, failure: Failure) {
    wire::report(control, &Report::Failed(failure));
}
