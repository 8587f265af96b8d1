//! What is known of a cache directory's layers without reading them: a file of ours beside what the reference has there.
//!
//! ```text
//! <dir>/packlight.json    which files were proven to be their layers, and which directories were restored from them
//! ```
//!
//! Whatever it says is compared with what stat says, and the change time of a file can't be set back. So a cache that
//! another lifecycle wrote in the meantime, and a file that was damaged, are read as if there were no notes.

use crate::cache::Stamp;
use oci::{Digest, TreeIndex};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

const FILE: &str = "packlight.json";
/// The format that this version writes and reads; notes of another one count as none.
const VERSION: u32 = 1;

/// All that is known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Notes {
    version: u32,
    /// By diff id.
    #[serde(default)]
    pub(super) proven: BTreeMap<Digest, Proven>,
    /// By the buildpack's id and the layer's name.
    #[serde(default)]
    pub(super) restored: BTreeMap<String, RestoredLayer>,
}

/// A file that was read from end to end and is its layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Proven {
    /// The file as it was then.
    pub(super) stamp: Stamp,
    /// What the layer was made of beside its files ([`TreeIndex::literal`]), where it was made by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) literal: Option<Digest>,
}

/// A directory that was filled from a layer and that nobody has touched since, as long as it looks like this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestoredLayer {
    /// The layer.
    pub diff_id: Digest,
    /// What the directory looks like.
    pub index: TreeIndex,
}

impl Notes {
    /// Those of a cache directory; none where they can't be read or are another version's.
    pub(super) fn read(dir: &Path) -> Self {
        let json = fs_err::read(dir.join(FILE)).unwrap_or_default();
        let notes = serde_json::from_slice::<Self>(&json).unwrap_or_default();
        if notes.version == VERSION { notes } else { Self::default() }
    }

    /// # Errors
    /// When they can't be written.
    pub(super) fn write(mut self, dir: &Path) -> io::Result<()> {
        self.version = VERSION;
        let json = serde_json::to_vec(&self).map_err(io::Error::other)?;
        let new = dir.join(format!("{FILE}.new"));
        fs_err::write(&new, json)?;
        fs_err::rename(new, dir.join(FILE))
    }
}
