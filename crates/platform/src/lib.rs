//! One operation from its start to its end: build an image, run it, look after the store and the base.
//! It prints nothing, reads no environment and never exits: a program hands it values and gets values and events back.
//! Open `build.rs` next: the way of a build, each line a step.

pub mod agent;
mod app;
mod at_once;
pub mod base;
pub mod build;
pub mod builder;
pub mod doctor;
pub mod error;
pub mod event;
pub mod files;
pub mod housekeeping;
pub mod images;
pub mod inspect;
pub mod isolation;
mod joined;
pub mod lock;
mod machine;
pub mod output;
pub mod package;
pub mod payload;
pub mod rebase;
pub mod receivers;
mod registries;
mod relay;
mod room;
pub mod run;
pub mod sbom;
pub mod settings;
pub mod source;
mod trees;
mod vcs;
pub mod world;

// What a program that uses this crate needs of the rooms below, so that it need not know them.
pub use lifecycle::{DetectError, Verdict};
pub use oci::{ImageName, NameError, Store, StoreError};
pub use sandbox::{Access, Forbidden, serve_if_asked};

/// Errors of the phases, as a [`build::BuildError`] carries them.
pub mod lifecycle_errors {
    pub use lifecycle::{BuildError, ExportError, RestoreError, Said};
}
