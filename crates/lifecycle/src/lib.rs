//! The phases of a build, by the Buildpack and the Platform API: what runs, with which environment, what is kept and
//! what becomes a layer.
//! It starts no process, reaches no registry and prints nothing: a phase is handed a [`Runner`] or [`Images`], returns
//! a value and reports to [`Events`]; detect and build have no way to an image.
//! Open `phases/detect.rs` next, the first rules that a build meets, or `buildpack.rs`, one run of one buildpack.
//!
//! Clauses are cited from <https://github.com/buildpacks/spec/tree/b745fcf> (Platform 0.15, Buildpack 0.12).

pub mod beneath;
mod buildpack;
pub mod cache;
mod cache_image;
mod catalogue;
mod dirs;
mod environment;
mod events;
mod images;
mod layers;
pub mod phases;
mod process;
mod resolve;
mod runner;
mod sbom;
mod semantics;
mod slices;
mod target;
mod volume;

pub use cache::Cache;
pub use cache_image::{CacheImageError, cache_image, cache_metadata};
pub use catalogue::{Catalogue, CatalogueError, Kind, Known};
pub use dirs::{Dir, Dirs, HostOwner};
pub use events::{Event, Events, Silent};
pub use images::{AppSource, AppTree, Images, ImagesError};
pub use phases::after_failure::{FailedRequest, after_failure};
pub use phases::amend::{AmendError, AmendRequest, Amended, amend};
pub use phases::analyze::{AnalyzeError, AnalyzeRequest, Previous, analyze};
pub use phases::build::{BuildError, BuildRequest, Built, build};
pub use phases::detect::{DetectError, DetectRequest, Detected, Left, Said, check_targets, detect};
pub use phases::export::{
    ExportError, ExportRequest, Exported, ExportedLayer, Launcher, RunBase, config_layer, export, report,
};
pub use phases::keep::{KeepError, KeepRequest, ToKeep, keep};
pub use phases::rebase::{Force, RebaseError, RebaseRequest, Rebased, rebase, target_of};
pub use phases::restore::{RestoreError, RestoreRequest, Restored, restore};
pub use phases::restore_from::record as cache_record;
pub use phases::restore_from::{Kept, LayerTars, restore_from};
pub use phases::untouched::{RestoredRequest, restored_layers, untouched};
pub use resolve::{Candidate, Resolution, Unresolved, resolve};
pub use runner::{ExitStatus, Invocation, Phase, RunError, Runner, Stream};
pub use semantics::{EnvFiles, Semantics, Verdict};
pub use volume::{KeptLayer, LayerTar, OpenTar, RestoredLayer, VolumeCache};
