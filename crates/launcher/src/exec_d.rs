//! `exec.d`: programs of layers that decide variables when the image starts.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#execd>

use crate::RunExecD;
use crate::environment::entries;
use crate::error::LaunchError;
use cnb::env::Environment;
use rustix::pipe::PipeFlags;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// More than any environment holds.
const MOST_OUTPUT: u64 = 4 << 20;

const SHELL: &str = "/bin/sh";

/// Runs the programs of all layers, by buildpack, layer, and name: `exec.d/*`, then those of the process. Each sees
/// what those before it set.
pub(crate) fn run_all(
    env: &mut Environment,
    buildpacks: &[Vec<PathBuf>],
    process: Option<&str>,
    run: RunExecD<'_>,
) -> Result<(), LaunchError> {
    for layer in buildpacks.iter().flatten() {
        let dir = layer.join("exec.d");
        let own = process.map(|it| dir.join(it));
        for dir in std::iter::once(&dir).chain(&own) {
            for program in entries(dir)?.into_iter().filter(|it| !it.path.is_dir()) {
                for (name, value) in run(&program.path, env)? {
                    env.insert(name.into(), value.into());
                }
            }
        }
    }
    Ok(())
}

/// Runs one program; what it writes to file descriptor 3 is a table of variables.
///
/// # Errors
/// When it can't be run, fails, or writes anything else.
pub fn run(program: &Path, env: &Environment) -> Result<BTreeMap<String, String>, LaunchError> {
    let fail = |what: String| LaunchError::ExecD { program: program.to_owned(), what };
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)
        .map_err(|error| fail(format!("could not be run: {error}")))?;
    // the pipe may have got descriptor 3 itself: keep its ends away from there
    let ends = (above_three(&read, program)?, above_three(&write, program)?);
    drop((read, write));
    let (read, write) = ends;
    let child = match descriptor_three(&write, program)? {
        Some(three) => {
            drop(write);
            let child = command(program, env).spawn();
            drop(three);
            child
        }
        None => {
            let mut shell = command(Path::new(SHELL), env);
            shell.args(["-c", "exec \"$0\" 3>&1 1>&2"]).arg(program).stdout(Stdio::from(write)).spawn()
        }
    };
    let mut child = child.map_err(|error| fail(format!("could not be run: {error}")))?;
    let mut text = String::new();
    let copied = std::fs::File::from(read).take(MOST_OUTPUT).read_to_string(&mut text);
    let status = child.wait().map_err(|error| fail(format!("could not be waited for: {error}")))?;
    if !status.success() {
        return Err(fail(format!("failed with {status}")));
    }
    copied.map_err(|error| fail(format!("wrote to descriptor 3 what can't be read: {error}")))?;
    cnb::parse("its answer", &text).map_err(|error| fail(format!("wrote to descriptor 3: {error}")))
}

fn above_three(fd: &OwnedFd, program: &Path) -> Result<OwnedFd, LaunchError> {
    rustix::io::fcntl_dupfd_cloexec(fd, 4).map_err(|error| LaunchError::ExecD {
        program: program.to_owned(),
        what: format!("could not be run: {error}"),
    })
}

fn command(program: &Path, env: &Environment) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(env).stdin(Stdio::null());
    command
}

/// The pipe as descriptor 3, which the program inherits. The lowest free number is what the system gives, so a file
/// that is opened now has it, unless whoever started the launcher passed one of his own there (socket activation, a
/// job server): then it is `None`, and a shell has to put the pipe there in the child.
fn descriptor_three(write: &OwnedFd, program: &Path) -> Result<Option<OwnedFd>, LaunchError> {
    let fail = |error: rustix::io::Errno| LaunchError::Io { path: PathBuf::from("/"), source: error.into() };
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let mut three = rustix::fs::open("/", flags, rustix::fs::Mode::empty()).map_err(fail)?;
    if three.as_raw_fd() == 3 {
        rustix::io::dup2(write, &mut three).map_err(fail)?;
        return Ok(Some(three));
    }
    if Path::new(SHELL).exists() {
        return Ok(None);
    }
    Err(LaunchError::Descriptor { program: program.to_owned() })
}
