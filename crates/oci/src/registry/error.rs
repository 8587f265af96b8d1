//! What goes wrong with registries: where, at what, why, and what to do about it.

use std::{fmt, time::Duration};

use serde::Deserialize;

use crate::{Digest, StoreError};

/// Something that was asked of a registry and could not be done.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot {asked}: {problem}", place(registry, repository.as_deref()))]
pub struct Error {
    /// The registry, as image names spell it; where a mirror was asked, the mirror.
    pub registry: String,
    /// The repository there.
    pub repository: Option<String>,
    /// What was asked for.
    pub asked: String,
    /// Why it could not be had.
    #[source]
    pub problem: Problem,
}

/// Why something could not be had from a registry, with what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Nobody is logged in, or not as somebody whom the registry knows.
    #[error("{}{}", if *known { "the credentials are not accepted" } else { "the registry wants to know who asks" }, login(said, host))]
    Unauthorized {
        /// Where to log in.
        host: String,
        /// Credentials were shown.
        known: bool,
        /// The registry's words.
        said: Said,
    },
    /// This user may not.
    #[error(
        "access is denied{said}; check the repository's name, and that the account of `docker login {host}` may do this"
    )]
    Denied {
        /// Where the account is.
        host: String,
        /// The registry's words.
        said: Said,
    },
    /// There is no such thing.
    #[error(
        "there is no such thing{said}; check the name, the tag and the spelling; a private registry may say so too when it wants a login"
    )]
    NotFound {
        /// The registry's words.
        said: Said,
    },
    /// Another refusal.
    #[error("the registry refused it with status {status}{said}")]
    Refused {
        /// HTTP's number.
        status: u16,
        /// The registry's words.
        said: Said,
    },
    /// Too much was asked.
    #[error("the registry allows no more requests for now{said}{}; wait, or log in with `docker login {host}`", asked_wait(*wait))]
    TooManyRequests {
        /// Where to log in.
        host: String,
        /// How long it asked to wait.
        wait: Option<Duration>,
        /// The registry's words.
        said: Said,
    },
    /// Trouble at the other end, again and again.
    #[error("the registry is in trouble: status {status}{said}, after {}; try again later", so_often(*tries))]
    Unavailable {
        /// HTTP's number.
        status: u16,
        /// So often it was asked.
        tries: u32,
        /// How long it asked to wait.
        wait: Option<Duration>,
        /// The registry's words.
        said: Said,
    },
    /// No connection, or a broken one, again and again.
    #[error("{reason}, after {}; check the registry's name, the network and the proxy", so_often(*tries))]
    Connection {
        /// The system's words.
        reason: String,
        /// So often it was tried.
        tries: u32,
    },
    /// Silence, again and again.
    #[error("waited too long for {what}, in {tries} tries; check the network, or try again later")]
    Stalled {
        /// What was waited for.
        what: String,
        /// So often it was tried.
        tries: u32,
    },
    /// The registry's certificate, or what it speaks, is not right.
    #[error(
        "TLS failed: {reason}; add the authority of the registry's certificate to the settings, or, for a registry without TLS, its host to `insecure`"
    )]
    Tls {
        /// The library's words.
        reason: String,
    },
    /// The host answers, and is something else.
    #[error(
        "{host} does not answer as a registry (status {status} for /v2/); check the registry's name in the image's name"
    )]
    NotARegistry {
        /// The host.
        host: String,
        /// HTTP's number.
        status: u16,
    },
    /// Other bytes than those that were named.
    #[error(
        "{what} has not the digest that it is named by: expected {expected}, found {found}; nothing was kept of it"
    )]
    WrongContent {
        /// A manifest, a configuration or a blob.
        what: String,
        /// By its name.
        expected: Digest,
        /// By its bytes.
        found: Digest,
    },
    /// Fewer or more bytes than were named.
    #[error(
        "{what} has another size than it is named with: expected {expected} bytes, found {found}; nothing was kept of it"
    )]
    WrongSize {
        /// A manifest, a configuration or a blob.
        what: String,
        /// By its descriptor.
        expected: u64,
        /// As it came; "more" when it did not end.
        found: String,
    },
    /// A document of a size that no real one has.
    #[error("{what} is larger than {limit} bytes; that is no image to work with")]
    TooLarge {
        /// A manifest, a configuration or a list.
        what: String,
        /// The most that is read.
        limit: u64,
    },
    /// The oldest of Docker's formats.
    #[error(
        "the image is in Docker's schema 1, which has not been written since 2016; pull and push it again with a current Docker"
    )]
    Schema1,
    /// A layer is nowhere where it was looked for.
    #[error(
        "the layer {layer} is neither there nor in {places}; pull the image that it is of, or name a repository with it"
    )]
    NoLayer {
        /// The layer's blob.
        layer: Digest,
        /// Where it was looked for.
        places: String,
    },
    /// The index has none for this machine.
    #[error("the image is not there for {wanted}; it is there for {available}")]
    NoPlatform {
        /// `os/architecture`.
        wanted: String,
        /// What the index has.
        available: String,
    },
    /// Something that the protocol does not know.
    #[error("the registry's answer makes no sense: {0}")]
    BadAnswer(String),
    /// Credentials that can't be used.
    #[error(transparent)]
    Credentials(#[from] super::CredentialError),
    /// A setting that can't be used.
    #[error("{0}")]
    Setting(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Problem {
    /// How long to wait at least before another try, when one may help.
    pub(super) fn may_pass(&self) -> Option<Duration> {
        match self {
            Self::Connection { .. } | Self::Stalled { .. } => Some(Duration::ZERO),
            Self::TooManyRequests { wait, .. } | Self::Unavailable { wait, .. } => {
                Some(wait.unwrap_or_default())
            }
            _ => None,
        }
    }

    /// The same after so many tries.
    pub(super) fn after(mut self, so_many: u32) -> Self {
        if let Self::Connection { tries, .. }
        | Self::Stalled { tries, .. }
        | Self::Unavailable { tries, .. } = &mut self
        {
            *tries = so_many;
        }
        self
    }
}

/// A registry's own words about a failure: its code and its message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Such as `MANIFEST_UNKNOWN`.
    pub code: String,
    /// A sentence.
    pub message: String,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), self.message.as_str()) {
            ("", "") => Ok(()),
            (code, "") => write!(f, " ({code})"),
            ("", message) => write!(f, " ({message})"),
            (code, message) => write!(f, " ({code}: {message})"),
        }
    }
}

impl Said {
    /// Reads the body of a refusal
    /// (<https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes>).
    pub(super) fn read(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Body {
            Errors { errors: Vec<One> },
            // Those who give out tokens, and proxies, have ways of their own.
            Details { details: String },
            One(One),
        }
        #[derive(Deserialize)]
        struct One {
            #[serde(default)]
            code: serde_json::Value,
            #[serde(default)]
            message: String,
        }
        let one = |one: One| {
            let code = one.code.as_str().map_or_else(String::new, |code| short(code, 60));
            Self { code, message: short(&one.message, 300) }
        };
        match serde_json::from_slice(body) {
            Ok(Body::Errors { errors }) => errors.into_iter().next().map_or_else(Self::default, one),
            Ok(Body::Details { details }) => Self { code: String::new(), message: short(&details, 300) },
            Ok(Body::One(error)) => one(error),
            Err(_) => {
                let text = String::from_utf8_lossy(body);
                // A page for people says less than the status.
                let page = text.trim_start().starts_with('<') || text.len() > 500;
                Self { code: String::new(), message: if page { String::new() } else { short(&text, 200) } }
            }
        }
    }
}

/// One line, without what would move a terminal's cursor.
fn short(text: &str, most: usize) -> String {
    let line: String =
        text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(most + 1).collect();
    if line.chars().count() > most {
        format!("{}…", line.chars().take(most).collect::<String>())
    } else {
        line
    }
}

fn place(registry: &str, repository: Option<&str>) -> String {
    repository.map_or_else(|| registry.to_owned(), |repository| format!("{registry}/{repository}"))
}

fn login(said: &Said, host: &str) -> String {
    format!("{said}; log in with `docker login {host}`")
}

fn so_often(tries: u32) -> String {
    if tries == 1 { "1 try".to_owned() } else { format!("{tries} tries") }
}

fn asked_wait(wait: Option<Duration>) -> String {
    wait.map_or_else(String::new, |wait| format!(", it asks to wait for {} s", wait.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_own_words_are_found_in_every_form() {
        let said = |body: &str| Said::read(body.as_bytes()).to_string();
        let errors = r#"{"errors":[{"code":"DENIED","message":"no\u001b[2J","detail":[{"a":1}]}]}"#;
        assert_eq!(said(errors), " (DENIED: no [2J)");
        assert_eq!(
            said(r#"{"details":"incorrect username or password"}"#),
            " (incorrect username or password)"
        );
        assert_eq!(said(r#"{"code":401,"message":"nope"}"#), " (nope)");
        assert_eq!(said("too many\nrequests\n"), " (too many requests)");
        assert_eq!(said("<html><body>no</body></html>"), "");
        assert_eq!(said(""), "");
        assert_eq!(said(r#"{"errors":[]}"#), "");
    }

    #[test]
    fn an_error_names_place_question_reason_and_next_step() {
        let error = Error {
            registry: "ghcr.io".into(),
            repository: Some("acme/web".into()),
            asked: "read the manifest 1.0".into(),
            problem: Problem::Unauthorized {
                host: "ghcr.io".into(),
                known: false,
                said: Said { code: "UNAUTHORIZED".into(), message: "authentication required".into() },
            },
        };
        assert_eq!(
            error.to_string(),
            "ghcr.io/acme/web: cannot read the manifest 1.0: the registry wants to know who asks (UNAUTHORIZED: \
             authentication required); log in with `docker login ghcr.io`"
        );
    }
}
