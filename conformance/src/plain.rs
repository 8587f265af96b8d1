//! A runner that starts a plain process: no room around it, both sides see the same paths.

use lifecycle::{ExitStatus, Invocation, RunError, Runner, Stream};
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

/// Starts plain processes.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

impl Runner for Plain {
    fn run(
        &self,
        invocation: &Invocation,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<ExitStatus, RunError> {
        let fail = |error: std::io::Error| RunError(error.to_string());
        let (mut read, write) = std::io::pipe().map_err(fail)?;
        let mut command = Command::new(&invocation.program);
        command.args(&invocation.args).env_clear().envs(&invocation.env).current_dir(&invocation.cwd);
        command.stdin(Stdio::null()).stdout(write.try_clone().map_err(fail)?).stderr(write);
        let mut child = command.spawn().map_err(fail)?;
        drop(command);
        let mut buffer = [0; 8192];
        loop {
            match read.read(&mut buffer).map_err(fail)? {
                0 => break,
                n => output(Stream::Out, &buffer[..n]),
            }
        }
        let status = child.wait().map_err(fail)?;
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => ExitStatus::Code(code),
            (None, signal) => ExitStatus::Signal(signal.unwrap_or_default()),
        })
    }
}
