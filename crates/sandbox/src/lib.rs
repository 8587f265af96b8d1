//! Runs a program in a root file system of its own: namespaces, overlay, mounts, user ids, and nothing left behind.
//! It is not a container engine: it knows no image, no registry, no buildpack, and it needs no daemon and no set-uid helper.
//! Open `runner.rs` next: it tells what happens between [`Room::start`] and the program's first instruction.
//!
//! # Whose files are whose
//!
//! | | started by an ordinary user | started by root |
//! | --- | --- | --- |
//! | the room's user | is the caller | is 0x70000000 + its id, which is nobody's; never the host's root |
//! | [`Room::root`] | the caller's files are the room's user's | the ids on disk are the ids inside |
//! | [`Mount::Overlay`], read-only [`Mount::Bind`] | the same | the owner of the tree is the room's user, others are nobody |
//! | writable [`Mount::Bind`] | the same | as on disk: [`own_dir`] gives it to the room's user |
//!
//! A file of another owner or group than those is "nobody's" inside: readable where its mode says so, and for an ordinary
//! user's room not to be changed, even where the directory would allow it (the kernel answers `EOVERFLOW`).
//!
//! # What it takes
//!
//! Linux 5.12 and user namespaces for an ordinary user; Linux 5.19 and file systems that can be id-mapped for root
//! ([`check_host`] tries). Before Linux 6.6 a tmpfs keeps no marks of an ordinary user's overlay: with [`Upper::Tmpfs`] a
//! directory of a tree below that was removed cannot be made again (`EIO`).
//!
//! What a room cannot do: gain a privilege (no capability, `no_new_privs`, a seccomp filter, Landlock's scopes from Linux
//! 6.12), see a host's path that was not named, outlive the caller. What it can: use the CPU, the memory and, with
//! [`Network::Host`], the network of the host, its loopback included.
//!
//! # Where namespaces are forbidden
//!
//! Root of a plain container may still have a room of [`Isolation::Reduced`] (`reduced.rs`): the same value, the same
//! results, weaker walls. `/` is a directory that is put together for the room and entered with `chroot`; trees are
//! linked or copied into it, a writable directory is moved into it, and what an overlay would have kept in its upper
//! directory is worked out at the end. The room's user is an id that nothing else on the machine has, one room at a time,
//! so that one signal ends all that the room started. What it lacks: a `/proc`; a host name, System V IPC and a list of
//! processes of its own; a loopback of its own with [`Network::None`] (sockets are refused), and [`Network::Own`]
//! altogether.

mod dev;
mod error;
mod host;
mod ids;
mod init;
mod marks;
mod mounts;
mod reduced;
mod routes;
mod runner;
mod running;
mod seccomp;
mod sys;
mod targets;
mod tree;
mod views;
mod wire;

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wire::lossless;

pub use error::{SandboxError, Step};
pub use host::{Allowed, Forbidden, check_host};
pub use marks::{Mark, mark};
pub use running::{Exit, Running, Signaller, Waiting};
pub use tree::{own_dir, remove_tree, whiteouts};

/// Where a program runs: what it sees as `/`, as whom, and what it can reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Unpacked trees that become `/`, topmost first; empty gives an empty tmpfs.
    #[serde(with = "lossless")]
    pub root: Vec<PathBuf>,
    /// Where changes of `/` go.
    pub upper: Upper,
    /// Further mounts, made in this order, so a later one may lie on an earlier one.
    pub mounts: Vec<Mount>,
    /// Who the program is, as seen from inside.
    pub user: Identity,
    /// The host name inside.
    pub hostname: String,
    /// What of the network is reachable.
    pub network: Network,
    /// How far it is shut off; [`check_host`] says what the machine allows.
    pub isolation: Isolation,
}

/// How far a room is shut off from the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Isolation {
    /// By namespaces and mounts of its own.
    Full,
    /// By `chroot` and a user id, for root of a machine that allows no more.
    Reduced {
        /// The caller's own directory, in which the room is put together and removed again. On the file system of
        /// [`Room::root`] files are linked and not copied; what is writable must be on it.
        #[serde(with = "lossless")]
        below: PathBuf,
    },
}

/// Where the changes of a room's `/` go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Upper {
    /// To memory, gone with the room.
    Tmpfs,
    /// To a directory that stays.
    Dir {
        /// The directory that keeps the changes.
        #[serde(with = "lossless")]
        upper: PathBuf,
        /// The overlay's own empty directory on the same file system.
        #[serde(with = "lossless")]
        work: PathBuf,
    },
}

/// One thing put into a room; a `target` is a path inside, and its symbolic links never lead out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mount {
    /// A directory or file of the host at another place.
    Bind {
        /// The host's path.
        #[serde(with = "lossless")]
        source: PathBuf,
        /// The path inside.
        #[serde(with = "lossless")]
        target: PathBuf,
        /// Whether the room may change it; a writable one must be [`own_dir`]'s.
        access: Access,
    },
    /// Trees of the host under a writable layer: the room may change what it sees, the trees stay as they are.
    Overlay {
        /// The path inside.
        #[serde(with = "lossless")]
        target: PathBuf,
        /// The host's trees, topmost first.
        #[serde(with = "lossless")]
        lower: Vec<PathBuf>,
        /// The directory that keeps the changes.
        #[serde(with = "lossless")]
        upper: PathBuf,
        /// The overlay's own empty directory on the same file system as `upper`.
        #[serde(with = "lossless")]
        work: PathBuf,
    },
    /// An empty directory in memory, writable by everybody (mode 1777).
    Tmpfs {
        /// The path inside.
        #[serde(with = "lossless")]
        target: PathBuf,
    },
    /// A read-only file with these contents, owned by the room's user.
    File {
        /// The path inside.
        #[serde(with = "lossless")]
        target: PathBuf,
        /// What the file contains.
        #[serde(with = "lossless")]
        contents: Vec<u8>,
        /// Its permission bits.
        mode: u32,
    },
}

/// May a room write there?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// No, not even its owner.
    ReadOnly,
    /// As its owner and mode say.
    ReadWrite,
}

/// A user and a group, as seen from inside a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
}

/// What of the network a room reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// The host's, with its loopback.
    Host,
    /// Nothing but a loopback of its own.
    None,
    /// A network namespace of its own, loopback up, that pasta or slirp4netns can join through `/proc/<pid>/ns`, user
    /// namespace first; [`Room::prepare`] gives them time for it.
    Own,
    /// As [`Network::Own`], and link-local addresses lead nowhere, nor do the others at which clouds hand out credentials.
    Outward,
}

/// A program to run in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Program and arguments; a program without a slash is looked for in the `PATH` of `env`.
    #[serde(with = "lossless")]
    pub argv: Vec<OsString>,
    /// The whole environment; nothing is inherited.
    #[serde(with = "lossless")]
    pub env: Vec<(OsString, OsString)>,
    /// The working directory inside; it must exist.
    #[serde(with = "lossless")]
    pub cwd: PathBuf,
    /// Standard input; only with `Inherit` does the program keep the caller's terminal (job control, Ctrl-C).
    pub stdin: Stdio,
    /// Standard output.
    pub stdout: Stdio,
    /// Standard error.
    pub stderr: Stdio,
}

/// What a standard stream is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdio {
    /// The caller's own stream.
    Inherit,
    /// `/dev/null`.
    Null,
    /// A pipe whose other end is in [`Running`].
    Pipe,
}

/// Serves as the sandbox's runner and never returns when this process was started as one; else does nothing.
///
/// It must be the first statement of `main` in every program that uses this crate.
pub fn serve_if_asked() {
    if std::env::args_os().next().is_some_and(|name| name == runner::NAME) {
        runner::serve();
        sys::exit_now(0);
    }
}
