//! An image: an immutable value that sources make and destinations take.

use crate::{Digest, History, ImageConfig, Manifest};

/// An image whose documents are in a store.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    pub(crate) digest: Digest,
    pub(crate) manifest_json: Vec<u8>,
    pub(crate) manifest: Manifest,
    pub(crate) config: ImageConfig,
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

    /// How it is started.
    pub fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// The configuration's digest, which Docker calls the image's id.
    pub fn id(&self) -> Digest {
        self.manifest.config.digest
    }

    /// The bytes that its layers take up, compressed.
    pub fn size(&self) -> u64 {
        self.manifest.layers.iter().map(|layer| layer.size).sum()
    }

    /// The digests of the tars, base first.
    pub fn diff_ids(&self) -> &[Digest] {
        &self.config.rootfs.diff_ids
    }

    /// The layers, base first, each with its share of the history; all of them together have all of it.
    pub fn layers(&self) -> Vec<LayerRef> {
        let mut layers: Vec<LayerRef> = self
            .manifest
            .layers
            .iter()
            .zip(self.diff_ids())
            .map(|(blob, diff_id)| LayerRef {
                diff_id: *diff_id,
                digest: blob.digest,
                size: blob.size,
                media_type: blob.media_type.clone(),
                history: Vec::new(),
            })
            .collect();
        let mut next = 0_usize;
        let mut early = Vec::new();
        for entry in &self.config.history {
            if !entry.empty_layer {
                next += 1;
            }
            match next.checked_sub(1).and_then(|at| layers.get_mut(at)) {
                Some(layer) => {
                    layer.history.append(&mut early);
                    layer.history.push(entry.clone());
                }
                None => early.push(entry.clone()),
            }
        }
        layers
    }
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
