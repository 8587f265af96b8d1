//! A tool that a buildpack runs: its output is streamed to the log, kept, and free of the secrets it was given.

use crate::Log;
use cnb::env::Environment;
use std::ffi::OsStr;
use std::io::{self, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;

/// A program with its arguments and environment.
#[derive(Debug)]
pub struct Tool {
    command: Command,
    name: String,
    secrets: Vec<String>,
    shown: Shown,
    input: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Shown {
    Nothing,
    Errors(fn(&str) -> bool),
    All,
}

/// A tool that did not do its work.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{name}` {why}")]
pub struct ToolFailure {
    /// The program's name.
    pub name: String,
    /// What happened, a fragment that fits after the name.
    pub why: String,
    /// All that it printed on stdout, secrets masked.
    pub stdout: String,
    /// All that it printed on stderr, secrets masked.
    pub stderr: String,
}

impl Tool {
    /// The program at `program`, or found on `PATH`, with no arguments and exactly the environment `env`.
    ///
    /// Nothing is streamed until [`Tool::stream`] or [`Tool::stream_errors`] is called.
    pub fn new(program: impl AsRef<OsStr>, env: &Environment) -> Self {
        let program = program.as_ref();
        let mut command = Command::new(program);
        command.env_clear().envs(env).stdin(Stdio::null());
        let name = Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned();
        Self { command, name, secrets: Vec::new(), shown: Shown::Nothing, input: Vec::new() }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Removes a variable.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Runs it there.
    #[must_use]
    pub fn in_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Texts that are shown as `****`, in the log and in what is kept.
    #[must_use]
    pub fn secrets(mut self, secrets: impl IntoIterator<Item = String>) -> Self {
        self.secrets.extend(secrets.into_iter().filter(|it| !it.is_empty()));
        self
    }

    /// What it reads on stdin; nothing by default.
    #[must_use]
    pub fn input(mut self, bytes: Vec<u8>) -> Self {
        self.command.stdin(Stdio::piped());
        self.input = bytes;
        self
    }

    /// Streams both outputs to the log.
    #[must_use]
    pub fn stream(mut self) -> Self {
        self.shown = Shown::All;
        self
    }

    /// Streams stderr to the log.
    #[must_use]
    pub fn stream_errors(self) -> Self {
        self.stream_some_errors(|_| true)
    }

    /// Streams those lines of stderr for which `wanted` is true; all of it is kept.
    #[must_use]
    pub fn stream_some_errors(mut self, wanted: fn(&str) -> bool) -> Self {
        self.shown = Shown::Errors(wanted);
        self
    }

    /// Runs it and returns what it printed on stdout, secrets **not** masked: it is a value, not for eyes.
    ///
    /// # Errors
    /// When it cannot be started or ends with anything but 0.
    pub fn run(mut self, log: &Log) -> Result<String, ToolFailure> {
        let failed = |why: String, stdout: String, stderr: String| ToolFailure {
            name: self.name.clone(),
            why,
            stdout,
            stderr,
        };
        let spawned = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| {
            failed(format!("could not be started: {error}"), String::new(), String::new())
        })?;
        if let Some(mut stdin) = child.stdin.take() {
            let input = std::mem::take(&mut self.input);
            // A tool that reads less than all of it has its reasons; its exit code says whether it failed.
            std::thread::spawn(move || stdin.write_all(&input));
        }
        let (sender, lines) = mpsc::channel();
        let readers = [
            child.stdout.take().map(|it| read_lines(it, Stream::Out, sender.clone())),
            child.stderr.take().map(|it| read_lines(it, Stream::Err, sender)),
        ];
        let (mut stdout, mut stderr) = (String::new(), String::new());
        for (stream, line) in lines {
            let masked = mask(&line, &self.secrets);
            let shown = match self.shown {
                Shown::Nothing => false,
                Shown::Errors(wanted) => stream == Stream::Err && wanted(masked.trim_end()),
                Shown::All => true,
            };
            if shown {
                log.output(masked.trim_end());
            }
            match stream {
                Stream::Out => stdout.push_str(&line),
                Stream::Err => stderr.push_str(&masked),
            }
        }
        for reader in readers.into_iter().flatten() {
            // A reader thread that panicked has nothing left to say.
            let _ = reader.join();
        }
        let status = child.wait().map_err(|error| failed(error.to_string(), String::new(), String::new()))?;
        if status.success() {
            return Ok(stdout);
        }
        let why = match status.code() {
            Some(code) => format!("ended with exit code {code}"),
            None => format!("was ended by {status}"),
        };
        Err(failed(why, mask(&stdout, &self.secrets), stderr))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Out,
    Err,
}

fn read_lines(
    from: impl Read + Send + 'static,
    stream: Stream,
    to: mpsc::Sender<(Stream, String)>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while matches!(read_line(&mut from, &mut line), Ok(1..)) {
            if to.send((stream, String::from_utf8_lossy(&line).into_owned())).is_err() {
                return;
            }
        }
    })
}

fn read_line(from: &mut impl io::BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    line.clear();
    from.read_until(b'\n', line)
}

/// `text` with every secret replaced by `****`.
#[must_use]
pub fn mask(text: &str, secrets: &[String]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "****"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Tool {
        Tool::new("/bin/sh", &Environment::new()).args(["-c", script])
    }

    #[test]
    fn output_is_streamed_and_a_secret_is_not_shown() {
        let (log, memory) = Log::memory();
        let out = shell("echo at https://u:hunter2@h/; echo bad hunter2 >&2")
            .secrets(["hunter2".to_owned()])
            .stream()
            .run(&log)
            .unwrap();
        assert_eq!(out, "at https://u:hunter2@h/\n");
        assert!(memory.text().contains("      at https://u:****@h/\n"), "{}", memory.text());
        assert!(!memory.text().contains("hunter2"), "{}", memory.text());
    }

    #[test]
    fn a_failure_says_how_it_ended_and_what_was_printed() {
        let log = Log::memory().0;
        let failure = shell("echo why >&2; exit 3").run(&log).unwrap_err();
        assert_eq!(failure.to_string(), "`sh` ended with exit code 3");
        assert_eq!(failure.stderr, "why\n");
        let failure = Tool::new("/no/such", &Environment::new()).run(&log).unwrap_err();
        assert!(failure.to_string().starts_with("`such` could not be started"), "{failure}");
    }

    #[test]
    fn input_is_read_to_its_end() {
        let bytes = vec![b'x'; 300_000];
        let tool = Tool::new("/usr/bin/wc", &Environment::new()).args(["-c"]).input(bytes);
        assert_eq!(tool.run(&Log::memory().0).unwrap().trim(), "300000");
    }

    #[test]
    fn the_environment_is_what_was_given_and_no_more() {
        let mut env = Environment::new();
        env.insert("A".into(), "1".into());
        let out = Tool::new("/usr/bin/env", &env).env("B", "2").run(&Log::memory().0).unwrap();
        assert_eq!(out, "A=1\nB=2\n");
    }
}
