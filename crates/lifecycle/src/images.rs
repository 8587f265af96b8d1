//! The capability to read and make images, which analyze, restore and export are handed and nothing else is.

use oci::{Added, Digest, Image, ImageConfig, LayerRecord, LayerRef, LayerSpec};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A place where images are.
pub trait Images: Sync {
    /// The image of the last build, with the reference to write down for it; `None` when there is none.
    ///
    /// # Errors
    /// When it is there but can't be read.
    fn previous(&self) -> Result<Option<(String, Image)>, ImagesError>;

    /// A layer of the previous image by the digest of its tar, when its blob is still there.
    ///
    /// # Errors
    /// When the place can't be read.
    fn previous_layer(&self, diff_id: &Digest) -> Result<Option<LayerRef>, ImagesError>;

    /// Adds a layer; reads nothing where `known` still describes it. Called from several threads.
    ///
    /// # Errors
    /// When a file can't be read or the place can't take it.
    fn add_layer(&self, spec: &LayerSpec, known: Option<&LayerRecord>) -> Result<Added, ImagesError>;

    /// Puts an image together: `config` without `rootfs` and `history`, which come from the layers, base first.
    ///
    /// # Errors
    /// When the place can't take it.
    fn put(&self, config: &ImageConfig, layers: &[LayerRef]) -> Result<Image, ImagesError>;
}

/// What a place of images could not do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ImagesError(#[from] pub Box<dyn std::error::Error + Send + Sync>);

/// The application as it goes into the image.
#[derive(Debug, Clone)]
pub struct AppSource {
    /// Directories of this machine that lie on top of each other, the last one uppermost.
    pub trees: Vec<AppTree>,
    /// What becomes of modes.
    pub modes: oci::Modes,
    /// The mode of the application directory itself; none: as the uppermost of the trees has it.
    pub root: Option<u32>,
}

/// One directory of the application.
#[derive(Debug, Clone)]
pub struct AppTree {
    /// The directory.
    pub host: PathBuf,
    /// Paths in it that are left out.
    pub skip: BTreeSet<PathBuf>,
}
