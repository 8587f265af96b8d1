//! What one build records for the next: which layers it kept, and a fingerprint that proves each.
//!
//! The record lies beside the layers directory, never in it, so that no buildpack can write it. It is written once the
//! image is there; a build that is killed leaves the old record, and what no longer agrees with it is thrown away.

use cnb::layer::LayerTypes;
use oci::{Digest, LayerRecord, TreeIndex};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The format that this version writes and reads; another one counts as no record.
const VERSION: u32 = 1;

/// What one build records for the next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cache {
    /// The execution environment that was built for.
    pub exec_env: String,
    /// By the buildpack's id.
    pub buildpacks: BTreeMap<String, CachedBuildpack>,
    /// Layers of the image that are no buildpack's: `launcher`, `config`, `process-types`, `sbom`, `app`, ...
    pub parts: BTreeMap<String, LayerRecord>,
}

/// What is recorded of one buildpack.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CachedBuildpack {
    /// `[metadata]` of its `store.toml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<toml::Table>,
    /// Its layers that were for launch or for the next build, by name.
    #[serde(default)]
    pub layers: BTreeMap<String, CachedLayer>,
}

/// What is recorded of one layer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CachedLayer {
    /// What it was for.
    pub types: LayerTypes,
    /// `[metadata]` of its TOML file.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub data: toml::Table,
    /// The digest of its tar, of a layer for launch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha: Option<Digest>,
    /// Its layer of the image, of a layer for launch that had files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<LayerRecord>,
    /// The fingerprint of its directory, of a layer for the next build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<TreeIndex>,
    /// Its Software Bills of Materials: file name and what proves it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sbom: BTreeMap<String, Stamp>,
    /// It was made in a build that came to no image: what an image has under its name is older.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ahead: bool,
}

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Inode.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// When it was changed last: seconds and nanoseconds. Nobody can set it back.
    pub changed: (i64, i64),
}

impl Stamp {
    /// Of a file that is there.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let stat = fs_err::symlink_metadata(path)?;
        Ok(Self { ino: stat.ino(), size: stat.len(), changed: (stat.ctime(), stat.ctime_nsec()) })
    }
}

#[derive(Serialize, Deserialize)]
struct File<C> {
    version: u32,
    #[serde(flatten)]
    cache: C,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Cache {
    /// Reads a record; one that can't be understood, or is another version's, counts as none: then everything is
    /// built anew.
    #[must_use]
    pub fn parse(json: &[u8]) -> Self {
        match serde_json::from_slice::<Version>(json) {
            Ok(file) if file.version == VERSION => serde_json::from_slice(json).unwrap_or_default(),
            _ => Self::default(),
        }
    }

    /// The record as a file.
    ///
    /// # Errors
    /// When a buildpack's metadata can't be written as JSON.
    pub fn print(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&File { version: VERSION, cache: self })
    }

    /// Forgets the layer of this name of every buildpack: the next build finds neither its files nor its metadata in
    /// the cache.
    pub fn forget(&mut self, layer: &str) {
        for buildpack in self.buildpacks.values_mut() {
            buildpack.layers.remove(layer);
        }
    }

    /// The record of a layer of the image, for [`crate::Images::add_layer`].
    #[must_use]
    pub fn known(&self, buildpack: &str, layer: &str) -> Option<&LayerRecord> {
        self.buildpacks.get(buildpack)?.layers.get(layer)?.record.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_parsed_back_dates_included() {
        let data: toml::Table =
            toml::from_str("made = 2024-05-01T10:00:00Z\nn = 1\n[t]\nx = [1.5]\n").unwrap();
        let layer = CachedLayer { data, sha: Some(Digest::of("x")), ..CachedLayer::default() };
        let mut cache = Cache { exec_env: "production".into(), ..Cache::default() };
        cache.buildpacks.entry("a/b".into()).or_default().layers.insert("venv".into(), layer);
        assert_eq!(Cache::parse(&cache.print().unwrap()), cache);
        cache.forget("venv");
        assert!(cache.buildpacks["a/b"].layers.is_empty());
    }

    #[test]
    fn a_record_of_another_version_or_a_torn_one_is_none() {
        assert_eq!(
            Cache::parse(br#"{"version":9,"exec_env":"x","buildpacks":{},"parts":{}}"#),
            Cache::default()
        );
        assert_eq!(Cache::parse(br#"{"version":1,"exec"#), Cache::default());
        assert_eq!(Cache::parse(b""), Cache::default());
    }
}
