//! The capability to run a buildpack's program, which detect and build are handed and nothing else is.

use cnb::env::Environment;
use std::ffi::OsString;
use std::path::PathBuf;

/// Runs programs in the build's room.
pub trait Runner: Sync {
    /// Runs one program to its end and passes on what it prints, as it prints it.
    ///
    /// All processes that it started are dead when this returns. Called from several threads at once by detect.
    ///
    /// # Errors
    /// When the program could not be started or watched; a program that fails is an [`ExitStatus`].
    fn run(
        &self,
        invocation: &Invocation,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<ExitStatus, RunError>;
}

/// One program to run.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// `id@version` of the buildpack or extension.
    pub who: String,
    /// What for.
    pub phase: Phase,
    /// The program, as a path inside.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// All of its environment.
    pub env: Environment,
    /// Where it starts, as a path inside.
    pub cwd: PathBuf,
}

/// What a program is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// `bin/detect`.
    Detect,
    /// `bin/build`.
    Build,
    /// `bin/generate`.
    Generate,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl std::fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Where a program printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A program that could not be run at all.
#[derive(Debug, thiserror::Error)]
#[error("could not be run: {0}")]
pub struct RunError(pub String);
