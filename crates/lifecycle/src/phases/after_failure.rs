//! After a failure: what was finished before it is there in the next build, so that nothing is made or fetched twice.
//!
//! The specification lets a lifecycle keep the cache of a successful build and is silent about others. The rule here:
//! buildpacks that had exited 0 keep their layers for the next build, as if all had gone well; the one that failed keeps
//! its own only where its descriptor promises that a layer's TOML file says when the layer is whole:
//!
//! ```toml
//! [metadata]
//! finished-layers = true
//! ```
//!
//! Everything else stays as the last successful build left it, and restore finds out whether that is still so.

use crate::beneath::{Beneath, BeneathError};
use crate::cache::{Cache, CachedBuildpack, CachedLayer};
use crate::catalogue::{Catalogue, Kind};
use crate::dirs::Dirs;
use crate::layers;
use crate::phases::build::BuildError;
use cnb::group::{Chosen, GroupToml};
use oci::TreeIndex;
use std::path::Path;

/// What is asked after a build that came to no image.
#[derive(Debug)]
pub struct FailedRequest<'a> {
    /// Where everything is.
    pub dirs: &'a Dirs,
    /// The buildpacks that there are.
    pub catalogue: &'a Catalogue,
    /// The buildpacks of the build.
    pub group: &'a GroupToml,
    /// What the last build recorded.
    pub cache: &'a Cache,
    /// The execution environment.
    pub exec_env: &'a str,
    /// How the build phase ended; `None`: well, and something failed after it.
    pub failure: Option<&'a BuildError>,
}

/// How far one buildpack came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// It exited 0.
    Through,
    /// It failed, and promises that what has a TOML file is whole.
    HalfWay,
    /// It did not run, or nothing is known of what it left.
    Nowhere,
}

/// What the next build can use: the record to keep in place of the last one.
///
/// # Errors
/// When the layers directory can't be read.
pub fn after_failure(request: &FailedRequest<'_>) -> Result<Cache, BeneathError> {
    let none = Cache::default();
    let last = if request.cache.exec_env == request.exec_env { request.cache } else { &none };
    let mut cache =
        Cache { exec_env: request.exec_env.to_owned(), parts: last.parts.clone(), ..Cache::default() };
    let layers_dir = Beneath::open(&request.dirs.layers)?;
    let failed = request.failure.map(|it| it.who().unwrap_or_default());
    let position = failed.and_then(|who| request.group.group.iter().position(|it| it.full_name() == who));
    for (index, chosen) in request.group.group.iter().enumerate() {
        let came = match (failed, position) {
            (None, _) => Came::Through,
            (Some(_), Some(position)) if index < position => Came::Through,
            (Some(_), Some(position)) if index == position => half_way(request, chosen),
            _ => Came::Nowhere,
        };
        let old = last.buildpacks.get(&chosen.id);
        let directory = cnb::id::escape(&chosen.id);
        let recorded = match (came, layers_dir.dir(&directory).ok().flatten()) {
            (Came::Through | Came::HalfWay, Some(dir)) => {
                finished((&dir, &request.dirs.layers.host.join(&directory)), came, old)
            }
            _ => None,
        };
        // A directory that can't be understood has nothing to tell.
        if let Some(recorded) = recorded.or_else(|| old.cloned()) {
            cache.buildpacks.insert(chosen.id.clone(), recorded);
        }
    }
    Ok(cache)
}

fn half_way(request: &FailedRequest<'_>, chosen: &Chosen) -> Came {
    // What left something unusable behind is not believed in the rest.
    let ended = matches!(request.failure, Some(BuildError::Failed { .. } | BuildError::Run { .. }));
    let known = request.catalogue.get(Kind::Buildpack, &chosen.id, &chosen.version);
    if ended && known.is_ok_and(|it| it.finished_layers) { Came::HalfWay } else { Came::Nowhere }
}

fn finished(
    (dir, host): (&Beneath, &Path),
    came: Came,
    old: Option<&CachedBuildpack>,
) -> Option<CachedBuildpack> {
    let mut recorded = CachedBuildpack { store: old.and_then(|it| it.store.clone()), ..Default::default() };
    let bills = layers::bills(dir).ok()?;
    for layer in layers::read(dir).ok()? {
        let known = old.and_then(|it| it.layers.get(&layer.name));
        let types = layer.toml.types;
        let entry = if types.cache && layer.has_files {
            let tree = TreeIndex::of_tree(&host.join(&layer.name)).ok()?;
            let same = known.filter(|it| it.tree.as_ref() == Some(&tree) && it.data == layer.toml.metadata);
            Some(CachedLayer {
                types,
                data: layer.toml.metadata,
                sha: same.and_then(|it| it.sha),
                record: same.and_then(|it| it.record.clone()),
                tree: Some(tree),
                sbom: bills.get(&layer.name).cloned().unwrap_or_default(),
                ahead: same.is_none_or(|it| it.ahead),
            })
        } else if came == Came::HalfWay && layers::is_ignored(types) {
            // Restored without its types, and the buildpack did not come to it.
            known.cloned()
        } else {
            // Only for launch: the image has it.
            known.filter(|it| types.launch && !it.types.cache).cloned()
        };
        recorded.layers.extend(entry.map(|it| (layer.name, it)));
    }
    Some(recorded)
}
