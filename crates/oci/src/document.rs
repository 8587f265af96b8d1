//! The JSON documents of the OCI image specification, as types that keep what they do not know.
//!
//! A key that these types do not name (Docker's `Healthcheck`, an annotation of tomorrow) lands in `extra` and is
//! written back: <https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md>.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Digest, canonical};

/// The media types that are written, and those of Docker's that are read.
pub mod media_type {
    /// An image index.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// An image manifest.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An image's configuration.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// A layer compressed by gzip.
    pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// A layer that is not compressed.
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// Docker's manifest.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's index, which it calls a manifest list.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker's layer compressed by gzip.
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
}

/// Where some content is: its type, digest and size in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is.
    pub media_type: String,
    /// The content's digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The machine that an image is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Names and notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Keys that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Descriptor {
    /// A descriptor without annotations.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            platform: None,
            annotations: BTreeMap::new(),
            extra: Map::new(),
        }
    }
}

/// The machine that an image is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Platform {
    /// As Go spells it: `amd64`, `arm64`.
    pub architecture: String,
    /// As Go spells it: `linux`.
    pub os: String,
    /// `v8` and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Keys that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// What an image consists of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// This document's own type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, base first.
    pub layers: Vec<Descriptor>,
    /// Notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Keys that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A list of images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// This document's own type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The images.
    pub manifests: Vec<Descriptor>,
    /// Notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Keys that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Index {
    /// The entry for a platform: the same system and processor, and the same variant of it or none. Where there is none,
    /// the platforms that there are, in words.
    ///
    /// # Errors
    /// When there is none.
    pub fn for_platform(&self, wanted: &Platform) -> Result<&Descriptor, String> {
        let fits = |entry: &&Descriptor| {
            let platform = entry.platform.as_ref();
            platform.is_some_and(|it| it.os == wanted.os && it.architecture == wanted.architecture)
        };
        let variant = |entry: &Descriptor| entry.platform.as_ref().and_then(|it| it.variant.clone());
        let fitting: Vec<&Descriptor> = self.manifests.iter().filter(fits).collect();
        let exact = fitting.iter().find(|entry| variant(entry) == wanted.variant);
        let usual = || match wanted.variant {
            // Who names no variant takes what there is; `v8` is all that an arm64 can be.
            None => fitting.first(),
            Some(_) => fitting.iter().find(|entry| variant(entry).is_none()),
        };
        exact.or_else(usual).copied().ok_or_else(|| {
            // Attestations are listed as of an unknown platform.
            let known = self.manifests.iter().filter_map(|it| it.platform.as_ref());
            let mut known: Vec<String> =
                known.filter(|it| it.os != "unknown").map(ToString::to_string).collect();
            known.dedup();
            if known.is_empty() { "no platform".to_owned() } else { known.join(", ") }
        })
    }
}

impl Default for Index {
    fn default() -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::INDEX.to_owned()),
            manifests: Vec::new(),
            annotations: BTreeMap::new(),
            extra: Map::new(),
        }
    }
}

/// How an image is started, and what its layers unpack to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// RFC 3339; `None` when the image does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// As Go spells it: `amd64`.
    #[serde(default)]
    pub architecture: String,
    /// As Go spells it: `linux`.
    #[serde(default)]
    pub os: String,
    /// How a container is started.
    #[serde(default)]
    pub config: ContainerConfig,
    /// The layers, uncompressed, base first.
    #[serde(default)]
    pub rootfs: RootFs,
    /// What made each layer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// Keys that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// How a container is started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// A name or id, or `user:group`; empty means root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `8080/tcp` and the like.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Value>,
    /// `NAME=value`, in order.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The program and its first arguments.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Arguments that a user's own replace.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// Paths that hold data.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Value>,
    /// Where the program starts.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Notes that tools read.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// `SIGTERM` unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Keys that this version does not know, Docker's `Healthcheck` among them.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Docker writes `"Cmd": null` where nothing is set.
fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// The layers of an image, uncompressed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The digest of each layer's tar, base first.
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: "layers".to_owned(), diff_ids: Vec::new() }
    }
}

/// What made a layer, or changed the configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// True for an entry that has no layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
    /// Keys that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl History {
    /// An entry for a layer of ours: these words, and the time that all our layers have.
    pub fn created_by(words: &str) -> Self {
        Self {
            created: Some(crate::CREATED.to_owned()),
            created_by: Some(words.to_owned()),
            empty_layer: false,
            extra: Map::new(),
        }
    }
}

macro_rules! canonical_json {
    ($($document:ty),*) => {$(
        impl $document {
            /// The one spelling whose digest names this document.
            ///
            /// # Errors
            /// Only when a value can't be written as JSON.
            pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
                canonical::to_vec(self)
            }
        }
    )*};
}
canonical_json!(Manifest, Index, ImageConfig);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_not_known_is_written_back_as_it_was_read() {
        let text = r#"{"schemaVersion":2,"manifests":[],"x":184467.2198528525807}"#;
        let index: Index = serde_json::from_str(text).unwrap();
        let printed = index.to_json().unwrap();
        // The double that is nearest; serde_json's quicker way of reading ends beside it.
        assert!(String::from_utf8_lossy(&printed).contains(r#""x":184467.21985285258"#));
        assert_eq!(serde_json::from_slice::<Index>(&printed).unwrap(), index);
    }
}
