//! What can go wrong between [`crate::Room::start`] and the program, in one shape that also crosses the runner's socket.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::wire::lossless;

/// Why a room could not be made, its program not started, or a tree not prepared or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The program is not there, or is no program.
    #[error("cannot run {} in the sandbox: {source}{}", program.display(), in_brackets(hint.as_deref()))]
    Exec {
        /// The program as it was asked for.
        program: PathBuf,
        /// The system's reason; `NotFound` and `PermissionDenied` are the usual ones.
        source: io::Error,
        /// What to do about it, where that is known.
        hint: Option<String>,
    },
    /// A step of the preparation failed.
    #[error("cannot {step}{}: {source}{}", of(path), in_brackets(hint.as_deref()))]
    Setup {
        /// What was tried.
        step: Step,
        /// On which path; empty when there is none.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
        /// What to do about it, where that is known.
        hint: Option<String>,
    },
    /// The runner died without a word: killed from outside, or by the kernel for lack of memory.
    #[error("the sandbox's runner ended without a word (killed, or out of memory)")]
    Lost,
}

/// A step has a path, or none.
fn of(path: &Path) -> String {
    if path.as_os_str().is_empty() { String::new() } else { format!(" {}", path.display()) }
}

fn in_brackets(hint: Option<&str>) -> String {
    hint.map(|hint| format!(" ({hint})")).unwrap_or_default()
}

/// A step on the way to a room; prints as what one would try to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant is its words in Display")]
pub enum Step {
    StartRunner,
    Talk,
    MakeUserNamespace,
    MapIds,
    MakeNamespaces,
    Fork,
    OpenSource,
    MakeScratch,
    ShiftOwner,
    MountOverlay,
    Bind,
    MountTmpfs,
    MountProc,
    MountDev,
    MakeTarget,
    WriteFile,
    ChangeRoot,
    SetHostname,
    StartLoopback,
    RefuseAddresses,
    TakeIdentity,
    DropPrivileges,
    EnterDirectory,
    StartProgram,
    OwnDirectory,
    RemoveTree,
    Whiteout,
    TakeUser,
    Copy,
    MoveIn,
    KeepChanges,
    EndProcesses,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StartRunner => "start the sandbox's runner",
            Self::Talk => "talk to the sandbox's runner",
            Self::MakeUserNamespace => "make a user namespace",
            Self::MapIds => "map the user ids of the sandbox in",
            Self::MakeNamespaces => "make the sandbox's namespaces",
            Self::Fork => "start the sandbox's first process",
            Self::OpenSource => "open",
            Self::MakeScratch => "make the sandbox's scratch directory",
            Self::ShiftOwner => "give the sandbox's user the ownership of",
            Self::MountOverlay => "mount an overlay in the sandbox on",
            Self::Bind => "bind into the sandbox",
            Self::MountTmpfs => "mount a tmpfs in the sandbox on",
            Self::MountProc => "mount proc in the sandbox:",
            Self::MountDev => "prepare the sandbox's device",
            Self::MakeTarget => "make the mount point in the sandbox",
            Self::WriteFile => "write the sandbox's file",
            Self::ChangeRoot => "enter the sandbox's root",
            Self::SetHostname => "set the sandbox's host name to",
            Self::StartLoopback => "start the sandbox's loopback interface",
            Self::RefuseAddresses => "close link-local addresses to the sandbox",
            Self::TakeIdentity => "become the sandbox's user",
            Self::DropPrivileges => "drop privileges:",
            Self::EnterDirectory => "enter the working directory in the sandbox",
            Self::StartProgram => "start the program in the sandbox:",
            Self::OwnDirectory => "make writable for the sandbox's user",
            Self::RemoveTree => "remove",
            Self::Whiteout => "hide",
            Self::TakeUser => "take a user id for the sandbox with",
            Self::Copy => "copy into the sandbox",
            Self::MoveIn => "move into the sandbox and back",
            Self::KeepChanges => "keep what the sandbox changed in",
            Self::EndProcesses => "end the sandbox's processes",
        })
    }
}

/// A step that failed, as the runner reports it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) step: Step,
    #[serde(with = "lossless")]
    pub(crate) path: PathBuf,
    pub(crate) errno: i32,
    pub(crate) hint: Option<String>,
}

/// The result of a step.
pub(crate) type Done<T> = Result<T, Failure>;

/// Says of a failing call which step it was, on which path.
pub(crate) trait At<T> {
    fn at(self, step: Step, path: impl AsRef<Path>) -> Done<T>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: Step, path: impl AsRef<Path>) -> Done<T> {
        self.map_err(|error| Failure {
            step,
            path: path.as_ref().to_owned(),
            errno: error.into().raw_os_error().unwrap_or(libc::EIO),
            hint: None,
        })
    }
}

impl Failure {
    /// The same failure on another path.
    pub(crate) fn on(self, path: &Path) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// The same failure with advice, where the errno is one of these.
    pub(crate) fn advise(mut self, errnos: &[i32], hint: &str) -> Self {
        if errnos.contains(&self.errno) {
            self.hint = Some(hint.to_owned());
        }
        self
    }
}

impl From<Failure> for SandboxError {
    fn from(failure: Failure) -> Self {
        let source = io::Error::from_raw_os_error(failure.errno);
        Self::Setup { step: failure.step, path: failure.path, source, hint: failure.hint }
    }
}
