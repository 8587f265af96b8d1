//! Docker's credential helpers as programs (<https://github.com/docker/docker-credential-helpers>).

use std::{
    io::Write as _,
    process::{Command, Stdio},
    sync::Arc,
};

use super::credentials::Helper;

/// Runs helpers from the program's own search path. What they say when they fail may go into an error: by their
/// protocol there is no secret in it.
pub fn helper_programs() -> Helper {
    Arc::new(|program, server| {
        let mut child = Command::new(program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("it can't be started ({error}); install it, or log in without it"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not read its input may know the answer all the same.
            let _ = stdin.write_all(server.as_bytes());
        }
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let words = [output.stdout, output.stderr].concat();
        let words: String = String::from_utf8_lossy(&words).chars().take(300).collect();
        Err(format!("it failed for {server}: {}", words.trim()))
    })
}
