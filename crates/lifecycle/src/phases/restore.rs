//! Restore: the layers directory of the last build becomes what the specification lets a buildpack find.
//!
//! Nothing is copied: what may stay is there already, and everything else is removed. A layer stays only when its
//! directory is proven to be as the record says.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#layer-types>

use crate::beneath::{Beneath, BeneathError};
use crate::cache::{Cache, CachedBuildpack, CachedLayer};
use crate::dirs::Dirs;
use crate::events::{Event, Events};
use crate::phases::analyze::Previous;
use cnb::group::{Chosen, GroupToml};
use cnb::labels::{BuildpackLayers, LayerMetadata};
use cnb::layer::{LayerToml, StoreToml};
use oci::TreeIndex;
use rustix::fs::FileType;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What restore is asked.
#[derive(Debug)]
pub struct RestoreRequest<'a> {
    /// Where everything is; the layers directory is the last build's.
    pub dirs: &'a Dirs,
    /// The buildpacks of this build.
    pub group: &'a GroupToml,
    /// What the last build recorded; empty: nothing is restored from it.
    pub cache: &'a Cache,
    /// What the previous image says; empty: nothing is restored from it.
    pub previous: &'a Previous,
    /// The execution environment of this build.
    pub exec_env: &'a str,
}

/// What is there again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// Layers with their files: buildpack's id and layer's name.
    pub with_files: Vec<(String, String)>,
    /// Layers of which only the metadata is there.
    pub metadata_only: Vec<(String, String)>,
}

/// Why the layers directory could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A file could not be removed or written.
    #[error(transparent)]
    Files(#[from] BeneathError),
    /// What is to be restored can't be written as TOML.
    #[error("{file}: {source}")]
    Print {
        /// The file.
        file: String,
        /// Why.
        source: toml::ser::Error,
    },
}

/// Makes the layers directory what the specification lets a buildpack find.
///
/// # Errors
/// When something can't be removed or written.
pub fn restore(request: &RestoreRequest<'_>, events: &dyn Events) -> Result<Restored, RestoreError> {
    let layers_dir = Beneath::open(&request.dirs.layers)?;
    let directories: BTreeSet<String> =
        request.group.group.iter().map(|it| cnb::id::escape(&it.id)).collect();
    for entry in layers_dir.entries()? {
        let is_ours = entry.name.to_str().is_some_and(|it| directories.contains(it));
        if !is_ours || entry.kind != FileType::Directory {
            layers_dir.remove(&entry.name)?;
        }
    }
    let none = Cache::default();
    let cache = if request.cache.exec_env == request.exec_env { request.cache } else { &none };
    let mut restored = Restored::default();
    for chosen in &request.group.group {
        let sources = Sources {
            id: &chosen.id,
            image: request.previous.metadata.buildpacks.iter().find(|it| it.key == chosen.id),
            cache: cache.buildpacks.get(&chosen.id),
            exec_env: only_for(chosen, request.exec_env),
        };
        let directory = cnb::id::escape(&chosen.id);
        let dir = layers_dir.make_dir(&directory, request.dirs.owner)?;
        let host = request.dirs.layers.host.join(&directory);
        one(request, events, &sources, (&dir, &host), &mut restored)?;
    }
    Ok(restored)
}

/// What is known of the last build of one buildpack.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) id: &'a str,
    pub(super) image: Option<&'a BuildpackLayers>,
    pub(super) cache: Option<&'a CachedBuildpack>,
    /// The execution environment that layers must be for; `None` where the buildpack's API knows of none.
    pub(super) exec_env: Option<&'a str>,
}

/// Since Buildpack API 0.12 a layer may say which execution environments it is for.
pub(super) fn only_for<'a>(chosen: &Chosen, exec_env: &'a str) -> Option<&'a str> {
    let features = cnb::api::buildpack_features(chosen.api);
    features.is_some_and(|it| it.exec_env).then_some(exec_env)
}

fn one(
    request: &RestoreRequest<'_>,
    events: &dyn Events,
    sources: &Sources<'_>,
    (dir, host): (&Beneath, &Path),
    restored: &mut Restored,
) -> Result<(), RestoreError> {
    let decisions = decisions(sources, |layer, cached| {
        cached.tree.is_some() && TreeIndex::of_tree(&host.join(layer)).ok() == cached.tree
    });
    remove_the_rest(dir, sources, &decisions)?;
    write(request, events, sources, (dir, &decisions), restored)
}

/// Writes what a buildpack is told of its layers.
pub(super) fn write(
    request: &RestoreRequest<'_>,
    events: &dyn Events,
    sources: &Sources<'_>,
    (dir, decisions): (&Beneath, &BTreeMap<&str, Decision>),
    restored: &mut Restored,
) -> Result<(), RestoreError> {
    for (layer, decision) in decisions {
        let (buildpack, layer) = (sources.id, *layer);
        let with_files = *decision == Decision::Everything;
        match *decision {
            Decision::Nothing => continue,
            Decision::Discarded(reason) => {
                events.event(&Event::LayerDiscarded { buildpack, layer, reason });
                continue;
            }
            Decision::Metadata | Decision::Everything => {}
        }
        let toml =
            LayerToml { metadata: sources.data(layer).cloned().unwrap_or_default(), ..LayerToml::default() };
        let file = format!("{layer}.toml");
        let text = print_without_types(&toml)
            .map_err(|source| RestoreError::Print { file: file.clone(), source })?;
        dir.write(&file, text.as_bytes(), request.dirs.owner)?;
        events.event(&Event::LayerRestored { buildpack, layer, with_files });
        let list = if with_files { &mut restored.with_files } else { &mut restored.metadata_only };
        list.push((buildpack.to_owned(), layer.to_owned()));
    }
    if let Some(metadata) = sources.store() {
        let file = "store.toml".to_owned();
        let text = cnb::print(&StoreToml { metadata: metadata.clone() })
            .map_err(|source| RestoreError::Print { file: file.clone(), source })?;
        dir.write(&file, text.as_bytes(), request.dirs.owner)?;
    }
    Ok(())
}

/// "Excluding the `[types]` table": a buildpack says anew in each build what its layers are for.
fn print_without_types(toml: &LayerToml) -> Result<String, toml::ser::Error> {
    let mut table = toml::Table::new();
    if !toml.metadata.is_empty() {
        table.insert("metadata".to_owned(), toml.metadata.clone().into());
    }
    cnb::print(&table)
}

/// What becomes of one layer of the last build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Files, metadata and bills of materials.
    Everything,
    /// Metadata and bills of materials.
    Metadata,
    /// Nothing is left of it, as its types say.
    Nothing,
    /// Nothing is left of it, for a reason that is worth a word.
    Discarded(&'static str),
}

/// What becomes of each layer; `is_there` says whether the files of a cached one are what was recorded.
pub(super) fn decisions<'a>(
    sources: &Sources<'a>,
    is_there: impl Fn(&str, &CachedLayer) -> bool,
) -> BTreeMap<&'a str, Decision> {
    let image = sources.image.into_iter().flat_map(|it| it.layers.keys());
    let cache = sources.cache.into_iter().flat_map(|it| it.layers.keys());
    let names: BTreeSet<&str> = image.chain(cache).map(String::as_str).collect();
    let decide = |name: &'a str| {
        let image = sources.in_image(name);
        let cache = sources.in_cache(name);
        // a name from a label becomes the name of a file
        if !cnb::id::is_valid_layer(name) || name.contains('\n') {
            return Decision::Discarded("its name is not valid");
        }
        match decide(image, cache, |it| is_there(name, it)) {
            Decision::Everything | Decision::Metadata if !sources.is_for_this_environment(name) => {
                Decision::Discarded("it is for another execution environment")
            }
            decision => decision,
        }
    };
    names.into_iter().map(|name| (name, decide(name))).collect()
}

/// The table of the specification. The image knows the layers for launch, the cache those for the next build; where
/// both know one, it must be the same, unless the cache is ahead of it.
fn decide(
    image: Option<&LayerMetadata>,
    cache: Option<&CachedLayer>,
    is_there: impl Fn(&CachedLayer) -> bool,
) -> Decision {
    let image = image.filter(|it| it.launch);
    if let Some(cached) = cache.filter(|it| it.types.cache) {
        let same = match (image, cached.sha) {
            _ if cached.ahead => true,
            (Some(image), Some(sha)) => image.sha == sha.to_string(),
            (Some(_), None) => false,
            (None, _) => true,
        };
        return match same {
            false => Decision::Discarded("the image has another version of it"),
            true if is_there(cached) => Decision::Everything,
            true => Decision::Discarded("its files are not as the last build left them"),
        };
    }
    match image {
        Some(it) if !it.build && !it.cache => Decision::Metadata,
        _ => Decision::Nothing,
    }
}

impl<'a> Sources<'a> {
    fn in_image(&self, layer: &str) -> Option<&'a LayerMetadata> {
        self.image?.layers.get(layer)
    }

    fn in_cache(&self, layer: &str) -> Option<&'a CachedLayer> {
        self.cache?.layers.get(layer)
    }

    fn data(&self, layer: &str) -> Option<&'a toml::Table> {
        let is_ahead = self.in_cache(layer).is_some_and(|it| it.ahead && it.types.cache);
        let image = self.in_image(layer).filter(|it| it.launch && !is_ahead).map(|it| &it.data);
        image.or_else(|| self.in_cache(layer).map(|it| &it.data))
    }

    /// A list `exec-env` in a layer's metadata names the execution environments that the layer is for; `*` is any.
    ///
    /// <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#layer-content-metadata-toml>
    fn is_for_this_environment(&self, layer: &str) -> bool {
        let list = self.data(layer).and_then(|it| it.get("exec-env")).and_then(toml::Value::as_array);
        let (Some(wanted), Some(list)) = (self.exec_env, list) else { return true };
        list.iter().filter_map(toml::Value::as_str).any(|it| it == "*" || it == wanted)
    }

    fn store(&self) -> Option<&'a toml::Table> {
        let image = self.image.and_then(|it| it.store.as_ref()).map(|it| &it.metadata);
        image.or_else(|| self.cache.and_then(|it| it.store.as_ref()))
    }

    /// A bill of materials in `dir` is the one of a layer that is restored, unchanged.
    fn is_bill_of(&self, file: &str, decisions: &BTreeMap<&str, Decision>, dir: &Beneath) -> bool {
        let Some((layer, _)) = file.rsplit_once(".sbom.") else { return false };
        let Some(cached) = self.in_cache(layer) else { return false };
        let same_layer = match decisions.get(layer) {
            Some(Decision::Everything) => true,
            // of a layer that is only in the image, the record must speak of that image
            Some(Decision::Metadata) => {
                let image = self.in_image(layer).map(|it| it.sha.clone());
                image.is_some() && image == cached.sha.map(|it| it.to_string())
            }
            _ => false,
        };
        same_layer && cached.sbom.get(file).is_some_and(|it| dir.stamp(file).ok().flatten() == Some(*it))
    }
}

fn remove_the_rest(
    dir: &Beneath,
    sources: &Sources<'_>,
    decisions: &BTreeMap<&str, Decision>,
) -> Result<(), BeneathError> {
    for entry in dir.entries()? {
        let stays = entry.name.to_str().is_some_and(|name| match entry.kind {
            FileType::Directory => decisions.get(name) == Some(&Decision::Everything),
            FileType::RegularFile => sources.is_bill_of(name, decisions, dir),
            _ => false,
        });
        if !stays {
            dir.remove(&entry.name)?;
        }
    }
    Ok(())
}
