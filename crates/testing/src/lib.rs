//! What the tests of several rooms share. Nothing that a user gets contains it. Open this file, or `server.rs` for a
//! server of a few lines.

pub mod server;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes an executable that is started right away.
///
/// It is written by a process of its own: a descriptor that this one had open for writing could be inherited by a child
/// that another test starts at the same moment, and as long as that child has not reached its own `exec`, whoever starts
/// the new program is told `ETXTBSY` (<https://github.com/golang/go/issues/22315>).
///
/// # Errors
/// When `install` cannot be started or cannot write there.
pub fn program(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    let mut command = Command::new("install");
    let mut child = command
        .args(["-D", "--mode=755", "/dev/stdin"])
        .arg(path)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(content.as_ref())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_can_be_started_while_others_start_theirs() {
        let dir = std::env::temp_dir().join(format!("testing-{}", std::process::id()));
        let status = |it: &str| {
            let path = dir.join(it).join("bin/program");
            program(&path, "#!/bin/sh\nexit 7\n").unwrap();
            Command::new(path).status().unwrap().code()
        };
        std::thread::scope(|scope| {
            for thread in 0..8 {
                scope.spawn(move || {
                    (0..20).for_each(|n| assert_eq!(status(&format!("{thread}/{n}")), Some(7)));
                });
            }
        });
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn where_nothing_can_be_written_the_reason_is_given() {
        let error = program(Path::new("/proc/program"), "").unwrap_err().to_string();
        assert!(error.contains("/proc/program"), "{error}");
    }
}
