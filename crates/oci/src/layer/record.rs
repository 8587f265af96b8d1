//! What is kept of a layer that was added, and what can go wrong while it is.

use std::{fmt, io, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Digest, History, LayerRef, StoreError, media_type};

/// A layer in a store: enough to put it into an image, and to know next time that nothing has changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// The digest of the tar.
    pub diff_id: Digest,
    /// The digest of the blob, which is the tar, compressed or as it is.
    pub digest: Digest,
    /// The blob's length in bytes.
    pub size: u64,
    /// The tar's length in bytes.
    pub uncompressed_size: u64,
    /// The words for the image's history.
    pub created_by: String,
    /// What was found when it was made.
    pub index: TreeIndex,
}

impl LayerRecord {
    /// The layer as an image lists it.
    pub fn layer_ref(&self) -> LayerRef {
        // A tar that was not compressed is its own blob.
        let kind = if self.digest == self.diff_id { media_type::LAYER } else { media_type::LAYER_GZIP };
        LayerRef {
            diff_id: self.diff_id,
            digest: self.digest,
            size: self.size,
            media_type: kind.to_owned(),
            history: vec![History::created_by(&self.created_by)],
        }
    }
}

/// A fingerprint of everything that decides a layer's bytes, found without reading a file.
///
/// `walk` covers path, inode, change time in nanoseconds, size and mode of every entry of every tree and program. A
/// modification time can be set back, a change time can't. `literal` covers the rest: paths, owners, modes, rules
/// and the contents of entries given as bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeIndex {
    /// Entries found.
    pub entries: u64,
    /// Digest of what stat said of them.
    pub walk: Digest,
    /// Digest of what was given.
    pub literal: Digest,
}

/// What adding a layer led to.
#[derive(Debug, Clone)]
pub struct Added {
    /// To be kept for the next time.
    pub record: LayerRecord,
    /// True when nothing was read because nothing had changed.
    pub reused: bool,
    /// What a user should hear of.
    pub notices: Vec<Notice>,
}

/// Something in a tree that a user should hear of, and that is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A socket, FIFO or device, which an image can't hold in a useful way.
    Skipped {
        /// The path on the host.
        path: PathBuf,
        /// `socket`, `FIFO` or `device`.
        kind: &'static str,
    },
    /// A file of more than 1 GiB.
    Large {
        /// The path on the host.
        path: PathBuf,
        /// Its length in bytes.
        size: u64,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped { path, kind } => write!(f, "{} is a {kind} and is left out", path.display()),
            Self::Large { path, size } => {
                let gib = *size as f64 / f64::from(1 << 30);
                write!(f, "{} is {gib:.1} GiB large and becomes a part of the image", path.display())
            }
        }
    }
}

/// Why a layer could not be added.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A file or directory could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The path on the host.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody wrote to a file while it was being read.
    #[error("{} changed while it was read; let nothing write to it and try again", path.display())]
    Changed {
        /// The path on the host.
        path: PathBuf,
    },
    /// A path in the image that cannot be: relative with `..`, or empty.
    #[error("{} is no path in an image", at.display())]
    BadPath {
        /// The path that was given.
        at: PathBuf,
    },
    /// The store could not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
