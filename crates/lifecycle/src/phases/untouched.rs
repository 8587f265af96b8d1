//! Layers that were restored and that no buildpack has touched since: export and keep need not read them.
//!
//! Restore knows which layer each directory was filled from, and what the directory looked like right after. Where it
//! still looks like that when the image is made, the layer is the one that was restored, and its digest is known. That is so
//! only for a layer that was made by us of the same paths and for the same owner: what another program put into a tar
//! may not be what we would.

use super::export::of_directory;
use super::restore::Restored;
use crate::cache::{Cache, CachedLayer};
use crate::dirs::Dirs;
use crate::volume::{RestoredLayer, VolumeCache};
use cnb::group::GroupToml;
use cnb::labels::CacheMetadata;
use oci::{Digest, LayerRecord, Owner, TreeIndex};
use std::collections::BTreeMap;

/// Who is asked what restore brought.
#[derive(Debug)]
pub struct RestoredRequest<'a> {
    /// Where everything is.
    pub dirs: &'a Dirs,
    /// The buildpacks of this build.
    pub group: &'a GroupToml,
    /// Who will own the layers' files in their tars.
    pub owner: Owner,
    /// What the cache has.
    pub metadata: &'a CacheMetadata,
    /// What restore brought.
    pub restored: &'a Restored,
}

/// What the directories look like that were filled from a cache directory, for [`VolumeCache::note_restored`]. One that can't
/// be walked is not among them, and is read later.
#[must_use]
pub fn restored_layers(
    request: &RestoredRequest<'_>,
    volume: &VolumeCache,
) -> BTreeMap<String, RestoredLayer> {
    let mut all = BTreeMap::new();
    for (id, layer) in &request.restored.with_files {
        let Some(chosen) = request.group.group.iter().find(|it| it.id == *id) else { continue };
        let of_buildpack = request.metadata.buildpacks.iter().find(|it| it.key == *id);
        let Some(diff_id) = of_buildpack.and_then(|it| it.layers.get(layer)?.sha.parse::<Digest>().ok())
        else {
            continue;
        };
        let spec = of_directory(request.dirs, request.owner, chosen, layer);
        let Ok(index) = TreeIndex::of_settled(&spec) else { continue };
        if volume.literal(&diff_id) == Some(index.literal) {
            all.insert(key(id, layer), RestoredLayer { diff_id, index });
        }
    }
    all
}

/// The same as a record for export and keep. The layers' blobs are their tars, which the cache has: `size_of` says how
/// many bytes.
#[must_use]
pub fn untouched(
    restored: &BTreeMap<String, RestoredLayer>,
    group: &GroupToml,
    size_of: &dyn Fn(&Digest) -> Option<u64>,
) -> Cache {
    let mut cache = Cache::default();
    for chosen in &group.group {
        let prefix = key(&chosen.id, "");
        let layers = restored.iter().filter_map(|(key, it)| Some((key.strip_prefix(&prefix)?, it)));
        let of_buildpack = cache.buildpacks.entry(chosen.id.clone()).or_default();
        for (layer, RestoredLayer { diff_id, index }) in layers {
            let Some(size) = size_of(diff_id) else { continue };
            let record = LayerRecord {
                diff_id: *diff_id,
                digest: *diff_id,
                size,
                uncompressed_size: size,
                created_by: String::new(),
                index: index.clone(),
            };
            let layer = (layer.to_owned(), CachedLayer { record: Some(record), ..CachedLayer::default() });
            of_buildpack.layers.extend([layer]);
        }
    }
    cache
}

/// No id has a colon in it.
/// <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#buildpacktoml-toml>
fn key(id: &str, layer: &str) -> String {
    format!("{id}:{layer}")
}
