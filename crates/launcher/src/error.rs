//! Why nothing was started: one line that names the process and the cure.

use cnb::api::ApiVersion;
use std::io;
use std::path::PathBuf;

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says what it is")]
pub enum LaunchError {
    #[error("Platform API {0} is not one that this launcher speaks")]
    PlatformApi(String),
    #[error("buildpack {who} declares Buildpack API {api}, which this launcher does not speak")]
    BuildpackApi { who: String, api: ApiVersion },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{0}")]
    Metadata(String),
    #[error("nothing to start: the image has no default process; start {}", choices(.0))]
    NoCommand(Vec<String>),
    #[error("nothing to start: a command belongs after `--`")]
    NothingAfterDashes,
    #[error("{kind}: this process is for the execution environment {wanted}, and CNB_EXEC_ENV is {exec_env}")]
    ExecEnv { kind: String, wanted: String, exec_env: String },
    #[error("{who}: program `{program}` was not found in PATH={path}")]
    NotFound { who: String, program: String, path: String },
    #[error("{who}: program `{program}` was not found in {}", dir.display())]
    NoFile { who: String, program: String, dir: PathBuf },
    #[error("{who}: {} is not executable; `chmod +x` it before the build", path.display())]
    NotExecutable { who: String, path: PathBuf },
    #[error("{who}: the working directory {}: {source}", dir.display())]
    WorkingDir { who: String, dir: PathBuf, source: io::Error },
    #[error("{who}: {} could not be executed: {source}", path.display())]
    Exec { who: String, path: PathBuf, source: io::Error },
    #[error(
        "{who}: this process needs a shell, and the image has no /bin/bash; put `--` in front of the command"
    )]
    NoShell { who: String },
    #[error("{} {what}", program.display())]
    ExecD { program: PathBuf, what: String },
    #[error("{} could not be run: file descriptor 3, where it answers, is taken by who started this image, and there is no /bin/sh to help", program.display())]
    Descriptor { program: PathBuf },
}

/// Exit codes of the launcher itself.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#launcher>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub i32);

impl LaunchError {
    /// The exit code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::PlatformApi(_) => Code(11),
            Self::BuildpackApi { .. } => Code(12),
            _ => Code(82),
        }
    }
}

fn choices(processes: &[String]) -> String {
    match processes {
        [] => "it with a command".to_owned(),
        list => format!("it with a command, or with one of these as entrypoint: {}", list.join(", ")),
    }
}
