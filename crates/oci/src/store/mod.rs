//! The store: one directory of this machine that holds every image, layer and cache.
//!
//! ```text
//! <root>/version            the number of this format
//! <root>/oci-layout         "this is an OCI image layout", for skopeo and its like
//! <root>/index.json         the names, and the image that each stands for
//! <root>/blobs/sha256/<hex> manifests, configurations and layers
//! <root>/diffs/<hex>        the blob of the layer with this diff id
//! <root>/layers/<hex>/      a layer unpacked, by its diff id; <hex>.lock beside it
//! <root>/apps/<key>/        what one application keeps between builds
//! <root>/downloads/         what came from the network and can come again
//! <root>/payload/<hex>/     programs unpacked from Packlight itself
//! <root>/tmp/<session>/     what is being made; <session>.lock is held while its process lives
//! <root>/lock               held shared by who adds, exclusively by who changes names or removes
//! ```
//!
//! The page of the format is `docs/formats/store.md`. Nothing is written in place: everything is made in `tmp/` and
//! renamed. Each process has a session; what it uses is touched, and `prune` leaves alone what was touched since the
//! oldest living session began.

mod app;
mod blobs;
mod check;
mod downloads;
mod error;
mod images;
mod layers;
mod lock;
mod open;
mod prune;
mod session;
mod tree;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub use app::AppDir;
pub use check::Problem;
pub use downloads::used as download_used;
pub use error::StoreError;
pub use images::Listed;
pub(crate) use images::{REF_NAME, index_entry};
pub use prune::Pruned;
pub use session::Scratch;

use crate::{Compression, Digest};
use session::Session;

/// A store that is open. Its methods may be called from many threads, and from many processes, at the same time.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    session: Arc<Session>,
    compression: Compression,
}

impl Store {
    /// The directory that was given to [`Store::open`].
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a blob lies, or would lie.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// Where downloads are kept: what is in it can be had again.
    pub fn downloads(&self) -> PathBuf {
        self.root.join("downloads")
    }

    /// Where the programs with this digest are unpacked to; made by the caller, by renaming a [`Scratch`].
    pub fn payload_dir(&self, digest: &Digest) -> PathBuf {
        self.root.join("payload").join(digest.hex())
    }
}
