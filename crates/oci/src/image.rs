//! An image: an immutable value that sources make and destinations take.

use crate::{CREATED, Descriptor, Digest, History, ImageConfig, Manifest, media_type};

/// An image's documents. Where its layers lie, in a store or in a registry, is not a matter of this value.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    digest: Digest,
    manifest_json: Vec<u8>,
    manifest: Manifest,
    config_json: Vec<u8>,
    config: ImageConfig,
}

/// Documents that make no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// One of them does not parse.
    #[error("its {document} can't be understood: {source}")]
    Json {
        /// `manifest` or `configuration`.
        document: &'static str,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The configuration is another one than the manifest's.
    #[error("its manifest names the configuration {expected}, and this one is {found}")]
    OtherConfig {
        /// By the manifest.
        expected: Digest,
        /// By its bytes.
        found: Digest,
    },
    /// The two do not fit.
    #[error("it has {layers} layers and {diff_ids} diff ids")]
    Layers {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        diff_ids: usize,
    },
}

/// A layer as a part of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerRef {
    /// The digest of the tar.
    pub diff_id: Digest,
    /// The digest of the blob.
    pub digest: Digest,
    /// The blob's length in bytes.
    pub size: u64,
    /// The blob's media type, which says how it is compressed.
    pub media_type: String,
    /// The layer's history entry, with the entries without a layer that stand beside it.
    pub history: Vec<History>,
}

impl Image {
    /// Makes an image of a configuration, whose `rootfs` and `history` are filled from the layers. What the
    /// configuration does not say of time and platform is 1980, Linux and this machine's.
    ///
    /// # Errors
    /// Only when a value can't be written as JSON.
    pub fn new(config: ImageConfig, layers: &[LayerRef]) -> Result<Self, ImageError> {
        let config = completed(config, layers);
        let config_json =
            config.to_json().map_err(|source| ImageError::Json { document: "configuration", source })?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.to_owned()),
            config: Descriptor::new(media_type::CONFIG, Digest::of(&config_json), config_json.len() as u64),
            layers: layers
                .iter()
                .map(|layer| Descriptor::new(oci_type(&layer.media_type), layer.digest, layer.size))
                .collect(),
            annotations: Default::default(),
            extra: Default::default(),
        };
        let manifest_json =
            manifest.to_json().map_err(|source| ImageError::Json { document: "manifest", source })?;
        Ok(Self { digest: Digest::of(&manifest_json), manifest_json, manifest, config_json, config })
    }

    /// The image that these documents are, byte for byte.
    ///
    /// # Errors
    /// When one does not parse, or they do not belong together.
    pub fn of_documents(manifest_json: Vec<u8>, config_json: Vec<u8>) -> Result<Self, ImageError> {
        let manifest: Manifest = serde_json::from_slice(&manifest_json)
            .map_err(|source| ImageError::Json { document: "manifest", source })?;
        let (expected, found) = (manifest.config.digest, Digest::of(&config_json));
        if expected != found {
            return Err(ImageError::OtherConfig { expected, found });
        }
        let config: ImageConfig = serde_json::from_slice(&config_json)
            .map_err(|source| ImageError::Json { document: "configuration", source })?;
        let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if layers != diff_ids {
            return Err(ImageError::Layers { layers, diff_ids });
        }
        Ok(Self { digest: Digest::of(&manifest_json), manifest_json, manifest, config_json, config })
    }

    /// The manifest's digest, which names the image.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What the image consists of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest, byte for byte.
    pub fn manifest_json(&self) -> &[u8] {
        &self.manifest_json
    }

    /// The manifest's media type: OCI's or Docker's.
    pub fn media_type(&self) -> &str {
        self.manifest.media_type.as_deref().unwrap_or(media_type::MANIFEST)
    }

    /// The configuration, byte for byte.
    pub fn config_json(&self) -> &[u8] {
        &self.config_json
    }

    /// How it is started.
    pub fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// The configuration's digest, which Docker calls the image's id.
    pub fn id(&self) -> Digest {
        self.manifest.config.digest
    }

    /// The bytes that its layers take up, compressed. A manifest may claim more than there can be.
    pub fn size(&self) -> u64 {
        self.manifest.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.size))
    }

    /// The digests of the tars, base first.
    pub fn diff_ids(&self) -> &[Digest] {
        &self.config.rootfs.diff_ids
    }

    /// The layers, base first, each with its share of the history; all of them together have all of it.
    pub fn layers(&self) -> Vec<LayerRef> {
        self.manifest
            .layers
            .iter()
            .zip(self.diff_ids())
            .zip(histories(&self.config))
            .map(|((blob, diff_id), history)| LayerRef {
                diff_id: *diff_id,
                digest: blob.digest,
                size: blob.size,
                media_type: blob.media_type.clone(),
                history,
            })
            .collect()
    }
}

/// For each layer its share of the history.
pub(crate) fn histories(config: &ImageConfig) -> Vec<Vec<History>> {
    let mut shares = vec![Vec::new(); config.rootfs.diff_ids.len()];
    let mut next = 0_usize;
    let mut early = Vec::new();
    for entry in &config.history {
        if !entry.empty_layer {
            next += 1;
        }
        match next.checked_sub(1).and_then(|at| shares.get_mut(at)) {
            Some(share) => {
                share.append(&mut early);
                share.push(entry.clone());
            }
            None => early.push(entry.clone()),
        }
    }
    shares
}

/// The chain ids of a stack of layers: each names a layer together with all beneath it
/// (<https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md#layer-chainid>).
pub fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let id = match chain.last() {
            None => *diff_id,
            Some(parent) => Digest::of(format!("{parent} {diff_id}")),
        };
        chain.push(id);
    }
    chain
}

fn completed(mut config: ImageConfig, layers: &[LayerRef]) -> ImageConfig {
    config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id).collect();
    config.history = layers.iter().flat_map(|layer| layer.history.iter().cloned()).collect();
    config.created.get_or_insert_with(|| CREATED.to_owned());
    if config.os.is_empty() {
        config.os = "linux".to_owned();
    }
    if config.architecture.is_empty() {
        config.architecture = go_architecture().to_owned();
    }
    config
}

/// This machine as Go, and so every image, spells it.
pub(crate) fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// An OCI manifest lists OCI's types; Docker's are the same bytes.
fn oci_type(media_type: &str) -> &str {
    match media_type {
        media_type::DOCKER_LAYER_GZIP => media_type::LAYER_GZIP,
        "application/vnd.docker.image.rootfs.diff.tar" => media_type::LAYER,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_cannot_be_are_no_overflow() {
        let layer = |text: &str| LayerRef {
            diff_id: Digest::of(text),
            digest: Digest::of(text),
            size: u64::MAX,
            media_type: media_type::LAYER.to_owned(),
            history: Vec::new(),
        };
        let image = Image::new(ImageConfig::default(), &[layer("a"), layer("b")]).unwrap();
        assert_eq!(image.size(), u64::MAX);
    }
}
