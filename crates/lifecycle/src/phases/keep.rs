//! Keep: what a cache directory or a cache image is to hold for the next build.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#outputs-4>

use super::export::{of_bills, of_directory};
use crate::beneath::{Beneath, BeneathError};
use crate::cache::Cache;
use crate::dirs::Dirs;
use crate::events::{Event, Events};
use crate::images::{Images, ImagesError};
use crate::layers::{self, OnDisk};
use cnb::api::PlatformFeatures;
use cnb::group::{Chosen, GroupToml};
use cnb::labels::{BuildpackLayers, CacheMetadata, LayerMetadata, Sha};
use oci::{Kept, LayerRecord, Owner};

/// What keep is asked.
#[derive(Debug)]
pub struct KeepRequest<'a> {
    /// Where everything is.
    pub dirs: &'a Dirs,
    /// The buildpacks that built.
    pub group: &'a GroupToml,
    /// Who owns the layers' files in their tars.
    pub owner: Owner,
    /// What export recorded: layers that are in the image are not read again.
    pub record: &'a Cache,
    /// What restore brought and nobody has touched: nor are these.
    pub restored: &'a Cache,
    /// What the platform expects.
    pub features: PlatformFeatures,
}

/// What is to be kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ToKeep {
    /// What the next build reads first.
    pub metadata: CacheMetadata,
    /// The layers, each once.
    pub layers: Vec<LayerRecord>,
}

/// Why there is nothing to keep.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// A file could not be read.
    #[error(transparent)]
    Files(#[from] BeneathError),
    /// A layer could not be made.
    #[error(transparent)]
    Images(#[from] ImagesError),
    /// What a buildpack left can't be used.
    #[error("{who}: {reason}")]
    Left {
        /// `id@version`.
        who: String,
        /// What is wrong.
        reason: String,
    },
}

/// Makes a layer of every directory with `cache = true`.
///
/// # Errors
/// When something can't be read.
pub fn keep(
    request: &KeepRequest<'_>,
    images: &dyn Images,
    events: &dyn Events,
) -> Result<ToKeep, KeepError> {
    let layers_dir = Beneath::open(&request.dirs.layers)?;
    let mut kept = ToKeep::default();
    for chosen in &request.group.group {
        let mut buildpack = BuildpackLayers {
            key: chosen.id.clone(),
            version: chosen.version.clone(),
            ..BuildpackLayers::default()
        };
        for layer in cached(&layers_dir, chosen)? {
            if !layer.has_files {
                let text = format!("layer {}:{} is not cached: it has no directory", chosen.id, layer.name);
                events.event(&Event::Warning(&text));
                continue;
            }
            let kept_as = if layer.toml.types.launch { Kept::Too } else { Kept::Only };
            let spec = of_directory(request.dirs, request.owner, chosen, &layer.name).kept(kept_as);
            let known = request.record.known(&chosen.id, &layer.name);
            let known = known.or_else(|| request.restored.known(&chosen.id, &layer.name));
            let sha = add(images.add_layer(&spec, known)?.record, &mut kept.layers);
            let types = layer.toml.types;
            let (build, launch, cache) = (types.build, types.launch, types.cache);
            let metadata = LayerMetadata { sha, data: layer.toml.metadata, build, launch, cache };
            buildpack.layers.insert(layer.name, metadata);
        }
        kept.metadata.buildpacks.push(buildpack);
    }
    let bills = layers_dir.dir("sbom")?.map(|it| it.dir("cache")).transpose()?.flatten();
    if request.features.sbom_layers && bills.is_some() {
        let spec = of_bills(request.dirs, request.owner, "cache").kept(Kept::Only);
        let sha = add(images.add_layer(&spec, None)?.record, &mut kept.layers);
        kept.metadata.sbom = Sha { sha };
    }
    Ok(kept)
}

fn add(record: LayerRecord, layers: &mut Vec<LayerRecord>) -> String {
    let sha = record.diff_id.to_string();
    if !layers.iter().any(|it| it.diff_id == record.diff_id) {
        layers.push(record);
    }
    sha
}

fn cached(layers_dir: &Beneath, chosen: &Chosen) -> Result<Vec<OnDisk>, KeepError> {
    let Some(dir) = layers_dir.dir(cnb::id::escape(&chosen.id))? else { return Ok(Vec::new()) };
    let left =
        |error: layers::LayersError| KeepError::Left { who: chosen.full_name(), reason: error.to_string() };
    let mut all = layers::read(&dir).map_err(left)?;
    all.retain(|it| it.toml.types.cache);
    Ok(all)
}
