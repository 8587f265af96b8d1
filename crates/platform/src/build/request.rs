//! What a build is asked.

use crate::output::Output;
use oci::ImageName;
use sandbox::Network;
use std::path::PathBuf;

/// What a build is asked.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The image's name.
    pub name: ImageName,
    /// Further names.
    pub tags: Vec<ImageName>,
    /// The app's folder.
    pub path: PathBuf,
    /// Variables for the buildpacks.
    pub env: Vec<(String, String)>,
    /// Where the image goes besides the store.
    pub outputs: Vec<Output>,
    /// The process type that the image starts, in place of the buildpacks' choice.
    pub default_process: Option<String>,
    /// What of the network the buildpacks reach while they build.
    pub network: Network,
    /// Whether cached layers are left aside.
    pub clear_cache: bool,
    /// What becomes of the lock.
    pub locking: Locking,
}

/// What becomes of the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Locking {
    /// The one beside the source, else the store's; kept in the store.
    #[default]
    Keep,
    /// The same, and written beside the source.
    Write,
    /// Everything is resolved anew; kept in the store.
    Update,
    /// Everything is resolved anew, and written beside the source.
    UpdateAndWrite,
}

impl Locking {
    /// From the two switches of the command line.
    #[must_use]
    pub fn from_switches(lock: Option<()>, update: Option<()>) -> Self {
        match (lock, update) {
            (None, None) => Self::Keep,
            (Some(()), None) => Self::Write,
            (None, Some(())) => Self::Update,
            (Some(()), Some(())) => Self::UpdateAndWrite,
        }
    }

    /// Whether old pins are left aside.
    #[must_use]
    pub fn forgets(self) -> bool {
        matches!(self, Self::Update | Self::UpdateAndWrite)
    }

    /// Whether the lock goes beside the source.
    #[must_use]
    pub fn writes_beside_source(self) -> bool {
        matches!(self, Self::Write | Self::UpdateAndWrite)
    }
}

impl BuildRequest {
    /// All names of the image, its own first.
    pub fn names(&self) -> impl Iterator<Item = &ImageName> {
        std::iter::once(&self.name).chain(&self.tags)
    }
}
