//! The directories that a build works in, each seen from both sides.

use std::path::{Path, PathBuf};

/// One directory: where it is on this machine, and where programs of the build see it.
///
/// For the programs of `/cnb/lifecycle`, which run in the build's own room, both are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dir {
    /// Its path for this process.
    pub host: PathBuf,
    /// Its path for the programs that run in the build's room.
    pub inside: PathBuf,
}

impl Dir {
    /// A directory with two names.
    pub fn new(host: impl Into<PathBuf>, inside: impl Into<PathBuf>) -> Self {
        Self { host: host.into(), inside: inside.into() }
    }

    /// A directory that has the same path on both sides.
    pub fn same(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { host: path.clone(), inside: path }
    }

    /// What is called `name` in it.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> Self {
        Self { host: self.host.join(&name), inside: self.inside.join(&name) }
    }
}

/// The directories of one build.
#[derive(Debug, Clone)]
pub struct Dirs {
    /// The application. The phases never read it; `bin/detect` and `bin/build` do, so only `inside` matters here.
    pub app: Dir,
    /// The layers.
    pub layers: Dir,
    /// What the platform hands over: `env/` and `bindings/`.
    pub platform: Dir,
    /// The operator's `env/`, when there is one.
    pub build_config: Option<Dir>,
    /// An empty directory through which plans are handed over; programs of the build must be able to reach it, and
    /// nobody else on the machine should be.
    pub work: Dir,
    /// Whom directories and files made for buildpacks are given to, in the host's ids; `None`: they stay the
    /// caller's.
    pub owner: Option<HostOwner>,
}

/// A user and group of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostOwner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}
