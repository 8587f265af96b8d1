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
    Arc::new(|program, server| ask(&mut Command::new(program), server))
}

fn ask(program: &mut Command, server: &str) -> Result<Vec<u8>, String> {
    let mut child = program
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_is_asked_on_its_input_and_believed_by_its_status() {
        let dir = tempfile::tempdir().unwrap();
        let run = |text: &str| {
            let path = dir.path().join("docker-credential-test");
            testing::program(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            ask(&mut Command::new(path), "ghcr.io")
        };
        let printed = run("read -r server; echo \"$1 $server\"");
        assert_eq!(printed.unwrap(), b"get ghcr.io\n");
        // One that does not read.
        assert_eq!(run("echo {}").unwrap(), b"{}\n");
        let error = run("echo credentials not found in native keychain; exit 1").unwrap_err();
        assert_eq!(error, "it failed for ghcr.io: credentials not found in native keychain");
        let error = ask(&mut Command::new(dir.path().join("none")), "ghcr.io").unwrap_err();
        assert!(error.starts_with("it can't be started (No such file"), "{error}");
    }
}
