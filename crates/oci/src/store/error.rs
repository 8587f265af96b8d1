//! What can go wrong in a store.

use std::{io, path::PathBuf};

use crate::{Digest, ImageError, UnpackError};

/// Why the store could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Written by another version of this program.
    #[error(
        "the store {} has format {found:?}, and this program knows format {known}; nothing in it was changed: use \
         the program that made it, or another directory", root.display()
    )]
    OtherVersion {
        /// The store.
        root: PathBuf,
        /// What its `version` file says.
        found: String,
        /// What this program writes.
        known: u32,
    },
    /// A directory with other things in it.
    #[error("{} is not a store and not empty; nothing in it was changed: choose another directory", root.display())]
    NotAStore {
        /// The directory.
        root: PathBuf,
    },
    /// A directory for a layout with other things in it.
    #[error("{} is not empty and no OCI layout; choose another directory", dir.display())]
    NotALayout {
        /// The directory.
        dir: PathBuf,
    },
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The disk is full.
    #[error("no space left on {}: needs {} for {what}", path.display(), megabytes(*needs))]
    NoSpace {
        /// The store's directory.
        path: PathBuf,
        /// The most bytes that are needed.
        needs: u64,
        /// What was being written.
        what: String,
    },
    /// A blob that something refers to is not there, or is cut short.
    #[error("{digest} is missing from the store or cut short: {}", path.display())]
    Missing {
        /// Its digest.
        digest: Digest,
        /// Where it would be.
        path: PathBuf,
    },
    /// A layer is not known by its diff id.
    #[error("the store has no layer with diff id {diff_id}")]
    UnknownLayer {
        /// The digest of the tar.
        diff_id: Digest,
    },
    /// Contents differ from their name.
    #[error("{}: expected {expected}, found {found}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Its digest by its name.
        expected: Digest,
        /// Its digest by its contents.
        found: Digest,
    },
    /// A document does not parse.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The layers and the configuration of an image do not fit.
    #[error("image {digest}: {problem}")]
    BadImage {
        /// The manifest's digest.
        digest: Digest,
        /// What does not fit.
        problem: String,
    },
    /// A new image's documents can't be written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A layer could not be unpacked.
    #[error("layer {diff_id}: {source}")]
    Unpack {
        /// The digest of its tar.
        diff_id: Digest,
        /// Why.
        source: UnpackError,
    },
}

fn megabytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{} MB", bytes.div_ceil(1_000_000)),
    }
}
