//! What a build made, and why it made nothing.

use super::{BuildRequest, CacheError};
use crate::base::BaseError;
use crate::builder::{BuilderError, RunImage};
use crate::doctor::{Broken, DoctorError};
use crate::files::FilesError;
use crate::isolation::{GroundError, Unisolated};
use crate::lock::LockError;
use crate::output::{OutputError, Written};
use crate::source::SourceError;
use cnb::metadata::BuildMetadata;
use serde::{Deserialize, Serialize};

/// What a build made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Built {
    /// The image's name, as people write it.
    pub name: String,
    /// The manifest's digest.
    pub digest: String,
    /// Compressed bytes of all layers.
    pub size: u64,
    /// Compressed bytes of the base's layers.
    pub base_size: u64,
    /// What it stands on, in words.
    pub base: String,
    /// The other layers: what, compressed bytes, whether the last build's was taken.
    pub layers: Vec<BuiltLayer>,
    /// Process types.
    pub processes: Vec<BuiltProcess>,
    /// The process type that the image starts.
    pub default_process: Option<String>,
    /// What the agent's buildpack says of its agent.
    pub agent: Option<String>,
    /// Where the image went besides the store.
    #[serde(skip_deserializing)]
    pub outputs: Vec<Written>,
}

/// One layer above the base.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BuiltLayer {
    /// What it is, such as `packlight/python:venv`.
    pub name: String,
    /// Compressed bytes.
    pub size: u64,
    /// Whether the last build's was taken, unread.
    pub reused: bool,
}

/// One process type.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BuiltProcess {
    /// Its name.
    pub name: String,
    /// Its command with its default arguments.
    pub command: Vec<String>,
}

pub(super) fn built(
    request: &BuildRequest,
    run_image: &RunImage,
    exported: &lifecycle::Exported,
    metadata: &BuildMetadata,
    outputs: Vec<Written>,
) -> Built {
    let config = &exported.image.config().config;
    let default = config.entrypoint.first().and_then(|it| it.strip_prefix("/cnb/process/"));
    Built {
        name: request.name.short(),
        digest: exported.image.digest().to_string(),
        size: exported.image.size(),
        base_size: run_image.image.size(),
        base: run_image.words.clone(),
        layers: exported
            .layers
            .iter()
            .map(|it| BuiltLayer { name: it.name.clone(), size: it.size, reused: it.reused })
            .collect(),
        processes: metadata
            .processes
            .iter()
            .map(|it| BuiltProcess {
                name: it.kind.clone(),
                command: it.command.0.iter().chain(&it.args).cloned().collect(),
            })
            .collect(),
        default_process: default.map(str::to_owned),
        agent: agents(&exported.image),
        outputs,
    }
}

/// The agents in a line for people.
fn agents(image: &oci::Image) -> Option<String> {
    let all = crate::agent::agents(image).into_iter();
    let all: Vec<String> =
        all.map(|it| format!("{} {} for {}", it.vendor, it.version, it.observes.join(", "))).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// Why a build made nothing.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// This machine does not allow the sandbox.
    #[error(transparent)]
    Forbidden(#[from] sandbox::Forbidden),
    /// Somebody else's buildpacks would run with reduced isolation.
    #[error(transparent)]
    Unisolated(#[from] Unisolated),
    /// The source cannot be built.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store could not do its part.
    #[error(transparent)]
    Store(#[from] oci::StoreError),
    /// The previous image cannot be read.
    #[error(transparent)]
    Analyze(#[from] lifecycle::AnalyzeError),
    /// No buildpack takes the app, or one failed to say.
    #[error(transparent)]
    Detect(#[from] lifecycle::DetectError),
    /// The buildpacks cannot be read.
    #[error(transparent)]
    Catalogue(#[from] lifecycle::CatalogueError),
    /// There is no such builder.
    #[error(transparent)]
    Builder(#[from] BuilderError),
    /// There is no base.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// The shared cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The cached layers could not be made ready.
    #[error(transparent)]
    Restore(#[from] lifecycle::RestoreError),
    /// A buildpack failed.
    #[error(transparent)]
    Build(#[from] lifecycle::BuildError),
    /// The image could not be written.
    #[error(transparent)]
    Export(#[from] lifecycle::ExportError),
    /// The lock cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The image is in the store, but did not get where it should go.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The image is in the store, but what should be told of it could not be written.
    #[error("the image is in the store, and what is told of it could not be handed over")]
    Papers(#[from] FilesError),
    /// The sandbox could not be made ready.
    #[error(transparent)]
    Sandbox(#[from] sandbox::SandboxError),
    /// What a buildpack left cannot be read.
    #[error(transparent)]
    Left(#[from] lifecycle::beneath::BeneathError),
    /// The image could not be tried out.
    #[error("the image is in the store, and could not be tried out")]
    Verify(#[from] DoctorError),
    /// No span of it came.
    #[error("the image is in the store, and no span of it came: {}", .0.why)]
    Unverified(Broken),
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl From<GroundError> for BuildError {
    fn from(error: GroundError) -> Self {
        match error {
            GroundError::Forbidden(error) => Self::Forbidden(error),
            GroundError::Store(error) => Self::Store(error),
        }
    }
}
