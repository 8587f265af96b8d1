//! The Docker engine, over its socket: what it has, and how it is given an image.
//!
//! `http.rs` speaks, `load.rs` gives an image; this file knows the rest of the engine's API
//! (<https://docs.docker.com/reference/api/engine/version/v1.41/>).

mod container;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod http;
mod load;
mod read;

use std::{io, os::unix::net::UnixStream, sync::Arc};

use serde::{Deserialize, de::DeserializeOwned};

use crate::{Digest, ImageName, StoreError};
pub use container::Container;
use http::{Address, Dial, Response};
pub use load::Progress;
pub use read::EngineImage;

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// Why the engine could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// A `DOCKER_HOST` of a kind that is not spoken.
    #[error("DOCKER_HOST {host:?} is not supported: use unix:///path/to/docker.sock or tcp://host:port")]
    Host {
        /// What was given.
        host: String,
    },
    /// The connection failed.
    #[error("the Docker engine at {host}: {source}")]
    Io {
        /// Where.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// The engine said no.
    #[error("the Docker engine at {host}: {message}")]
    Engine {
        /// Where.
        host: String,
        /// What it said.
        message: String,
    },
    /// The image could not be read from the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An engine that has answered.
#[derive(Debug, Clone)]
pub struct Engine {
    address: Address,
    host: String,
    version: Version,
}

/// What an engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// `20.10.24` and the like.
    pub version: String,
    /// `1.41` and the like.
    pub api_version: String,
    /// True when it keeps images in containerd's store: by the digests of their blobs, not by chain ids.
    pub containerd_store: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VersionAnswer {
    version: String,
    #[serde(default)]
    api_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InfoAnswer {
    #[serde(default)]
    driver_status: Option<Vec<(String, String)>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImageAnswer {
    id: String,
    #[serde(default, rename = "RootFS")]
    root_fs: RootFsAnswer,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RootFsAnswer {
    #[serde(default)]
    layers: Option<Vec<Digest>>,
}

impl Engine {
    /// The engine at this `DOCKER_HOST`, or at Docker's usual socket when there is none given. `None` when nothing
    /// was given and nothing listens or may be used there.
    ///
    /// # Errors
    /// When a host was given and does not answer, or an engine answers what is not understood.
    pub fn connect(host: Option<&str>) -> Result<Option<Self>, DockerError> {
        let given = host.filter(|host| !host.is_empty());
        let host = given.map_or_else(|| format!("unix://{DEFAULT_SOCKET}"), str::to_owned);
        let unsupported = || DockerError::Host { host: host.clone() };
        let address = match host.split_once("://").ok_or_else(unsupported)? {
            ("unix", path) => Address::Unix(path.into()),
            ("tcp" | "http", address) => Address::Tcp(address.trim_end_matches('/').to_owned()),
            _ => return Err(unsupported()),
        };
        match Self::greet(address, host) {
            Err(DockerError::Io { source, .. }) if given.is_none() && is_absent(&source) => Ok(None),
            other => other.map(Some),
        }
    }

    /// The engine that answers on connections which `dial` opens, for who may not open them; `host` is its name.
    ///
    /// # Errors
    /// When it does not answer, or answers what is not understood.
    pub fn connect_through(
        host: &str,
        dial: impl Fn() -> io::Result<UnixStream> + Send + Sync + 'static,
    ) -> Result<Self, DockerError> {
        Self::greet(Address::Dial(Dial(Arc::new(dial))), host.to_owned())
    }

    fn greet(address: Address, host: String) -> Result<Self, DockerError> {
        let version = Version { version: String::new(), api_version: String::new(), containerd_store: false };
        let mut engine = Self { address, host, version };
        let answer: Option<VersionAnswer> = engine.get("/version")?;
        let answer = answer.ok_or_else(|| engine.refusal("it does not know its version"))?;
        let info: Option<InfoAnswer> = engine.get("/info")?;
        let status = info.and_then(|info| info.driver_status).unwrap_or_default();
        engine.version = Version {
            version: answer.version,
            api_version: answer.api_version,
            containerd_store: status
                .iter()
                .any(|(key, value)| key == "driver-type" && value.starts_with("io.containerd.")),
        };
        Ok(engine)
    }

    /// What the engine said of itself when it was connected to.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Where the engine is, as `DOCKER_HOST` spells it.
    pub fn host(&self) -> &str {
        &self.host
    }

    fn tag(&self, id: &str, name: &ImageName) -> Result<(), DockerError> {
        let tag = name.tag.as_deref().unwrap_or("latest");
        // Of the characters that a valid name may have, none but ':' of a port means something in a query, and that
        // may stand there.
        let path = format!("/images/{id}/tag?repo={}&tag={tag}", name.without_tag());
        let response = self.address.send("POST", &path).map_err(|error| self.io(error))?;
        self.accepted(&response)
    }

    fn inspect(&self, name: &str) -> Result<Option<ImageAnswer>, DockerError> {
        self.get(&format!("/images/{name}/json"))
    }

    /// An answer in JSON; `None` for 404.
    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, DockerError> {
        let response = self.address.send("GET", path).map_err(|error| self.io(error))?;
        if response.status == 404 {
            return Ok(None);
        }
        self.accepted(&response)?;
        let answer = serde_json::from_slice(&response.body);
        answer.map(Some).map_err(|error| self.refusal(&format!("{path} is not understood: {error}")))
    }

    fn accepted(&self, response: &Response) -> Result<(), DockerError> {
        #[derive(Deserialize)]
        struct Message {
            message: String,
        }
        if (200..300).contains(&response.status) {
            return Ok(());
        }
        let said = serde_json::from_slice::<Message>(&response.body).map(|said| said.message);
        let said = said.unwrap_or_else(|_| String::from_utf8_lossy(&response.body).trim().to_owned());
        Err(self.refusal(&format!("{said} (status {})", response.status)))
    }

    fn refusal(&self, message: &str) -> DockerError {
        DockerError::Engine { host: self.host.clone(), message: message.to_owned() }
    }

    fn io(&self, source: io::Error) -> DockerError {
        DockerError::Io { host: self.host.clone(), source }
    }
}

/// Nothing listens there, or not for us.
fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | ConnectionRefused | PermissionDenied)
}
