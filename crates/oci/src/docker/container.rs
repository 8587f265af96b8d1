//! A container of the engine: what it was started with, and what it has printed.

use serde::Deserialize;

use super::{DockerError, Engine};

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The name of its image, or the image's id.
    pub image: String,
    /// What is started; `None`: what the image says.
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments.
    pub args: Vec<String>,
    /// All its variables, `NAME=value`.
    pub env: Vec<String>,
    /// Whether it runs.
    pub running: bool,
    /// `exited (1)` and the like, for people.
    pub status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    config: Config,
    state: State,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    image: String,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    #[serde(default)]
    env: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    running: bool,
    #[serde(default)]
    exit_code: i64,
}

/// So many lines of a log are asked for, its first ones among them only when it is no longer.
const LINES: u32 = 2000;

impl Engine {
    /// A container by its name or id; `None`: there is none.
    ///
    /// # Errors
    /// When the engine does not answer, or answers what is not understood.
    pub fn container(&self, name: &str) -> Result<Option<Container>, DockerError> {
        let Some(path) = path(name) else { return Ok(None) };
        let answer: Option<Answer> = self.get(&format!("{path}/json"))?;
        Ok(answer.map(|Answer { config, state }| Container {
            image: config.image,
            entrypoint: config.entrypoint,
            args: config.cmd.unwrap_or_default(),
            env: config.env.unwrap_or_default(),
            running: state.running,
            status: format!("{} ({})", state.status, state.exit_code),
        }))
    }

    /// The last 2000 lines that a container has printed, to standard output and error.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub fn container_log(&self, name: &str) -> Result<String, DockerError> {
        let Some(path) = path(name) else { return Ok(String::new()) };
        let path = format!("{path}/logs?stdout=1&stderr=1&tail={LINES}");
        let response = self.address.send("GET", &path).map_err(|error| self.io(error))?;
        self.accepted(&response)?;
        Ok(String::from_utf8_lossy(&unframed(&response.body)).into_owned())
    }
}

/// Engines name containers with these characters alone.
fn path(name: &str) -> Option<String> {
    let is_name = !name.is_empty()
        && name.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'.' | b'-'));
    is_name.then(|| format!("/containers/{name}"))
}

/// Without a terminal each piece has a head of eight bytes, of which the last four are its length.
/// <https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach>
fn unframed(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [stream @ 0..=2, 0, 0, 0, a, b, c, d, more @ ..] = rest {
        let _ = stream;
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (piece, next) = more.split_at(length.min(more.len()));
        text.extend_from_slice(piece);
        rest = next;
    }
    // A terminal's has none.
    text.extend_from_slice(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_log_lose_their_heads_and_a_terminals_log_has_none() {
        let framed = b"\x01\0\0\0\0\0\0\x03one\x02\0\0\0\0\0\0\x04 two";
        assert_eq!(unframed(framed), b"one two");
        assert_eq!(unframed(b"plain\n"), b"plain\n");
        assert_eq!(unframed(b"\x01\0\0\0\xff\xff\xff\xffcut"), b"cut");
    }

    #[test]
    fn what_is_no_name_is_not_asked_for() {
        assert_eq!(path("a_b-1.c").as_deref(), Some("/containers/a_b-1.c"));
        assert_eq!(path("../images"), None);
        assert_eq!(path(""), None);
    }
}
