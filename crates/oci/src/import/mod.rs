//! Images from elsewhere on this machine into the store: OCI layouts, and archives as skopeo and `docker save` write
//! them. Every blob is believed only by its digest.
//!
//! `layout.rs` reads a folder, `archive.rs` a tar; an engine's image comes as such a tar.

mod archive;
mod layout;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use archive::archive;
pub use layout::layout;

use crate::{Digest, ImageError, Platform, StoreError};

/// Which image of several.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its tag or name there; none: the only one.
    pub tag: Option<&'a str>,
    /// The machine that it is for.
    pub platform: &'a Platform,
}

/// Why an image could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The store could not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file can't be read; the error names it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("{} is neither an OCI layout nor an archive of an image: {reason}", path.display())]
    NoImage {
        /// The file or folder.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// There are several, or not the one that was asked for.
    #[error("{} has no image {wanted}; it has {available}", path.display())]
    NotThere {
        /// The file or folder.
        path: PathBuf,
        /// What was asked for.
        wanted: String,
        /// What there is.
        available: String,
    },
    /// A document can't be understood.
    #[error("{}: {document} can't be understood: {source}", path.display())]
    Json {
        /// The file or folder.
        path: PathBuf,
        /// Which.
        document: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// Contents are not what their digest says.
    #[error("{}: expected {expected}, found {found}", path.display())]
    WrongContent {
        /// The file.
        path: PathBuf,
        /// By its name.
        expected: Digest,
        /// By its bytes.
        found: Digest,
    },
    /// The documents make no image.
    #[error("{}: {source}", path.display())]
    Image {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: ImageError,
    },
}

fn json<T: for<'a> serde::Deserialize<'a>>(
    path: &Path,
    document: impl Into<String>,
    bytes: &[u8],
) -> Result<T, ImportError> {
    let document = document.into();
    serde_json::from_slice(bytes).map_err(|source| ImportError::Json {
        path: path.to_owned(),
        document,
        source,
    })
}

/// A document of a layout or archive.
fn document(path: &Path) -> Result<Vec<u8>, ImportError> {
    Ok(crate::bounded::read(path)?)
}
