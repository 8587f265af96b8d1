//! Restore where the layers of the last build are kept as tars: in a cache directory or a cache image.
//!
//! The rules are those of `restore.rs`; here the files are brought, and nothing that is in the layers directory already
//! is taken away, since platforms keep their own files in it.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#layer-restoration>

use super::restore::{Decision, RestoreError, RestoreRequest, Restored, Sources, decisions, only_for, write};
use crate::beneath::{Beneath, BeneathError};
use crate::cache::{Cache, CachedBuildpack, CachedLayer};
use crate::events::{Event, Events};
use crate::sbom::FORMATS;
use cnb::api::PlatformFeatures;
use cnb::labels::{BuildpackLayers, CacheMetadata};
use cnb::layer::LayerTypes;
use oci::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Where layers of the last build are kept as tars.
pub trait LayerTars: Sync {
    /// Unpacks what a layer has beneath `at` into the directory `into`. Called from several threads.
    ///
    /// `Err` says why the layer can't be used: it is gone, cut short or not what its digest says.
    ///
    /// # Errors
    /// When the layer can't be used; what is in `into` then is worth nothing.
    fn unpack(&self, diff_id: &Digest, at: &Path, into: &Path) -> Result<(), String>;
}

/// What was kept, besides what is asked of any restore.
pub struct Kept<'a> {
    /// What there is.
    pub metadata: &'a CacheMetadata,
    /// Where it is.
    pub tars: &'a dyn LayerTars,
    /// What the platform expects.
    pub features: PlatformFeatures,
}

/// The record of a cache as [`RestoreRequest::cache`] takes it.
#[must_use]
pub fn record(metadata: &CacheMetadata, exec_env: &str) -> Cache {
    let layers = |buildpack: &BuildpackLayers| {
        let layer = |it: &cnb::labels::LayerMetadata| CachedLayer {
            types: LayerTypes { build: it.build, launch: it.launch, cache: it.cache },
            data: it.data.clone(),
            sha: it.sha.parse().ok(),
            ..CachedLayer::default()
        };
        buildpack.layers.iter().map(|(name, it)| (name.clone(), layer(it))).collect()
    };
    let buildpack = |it: &BuildpackLayers| {
        let store = it.store.as_ref().map(|it| it.metadata.clone());
        (it.key.clone(), CachedBuildpack { store, layers: layers(it) })
    };
    let buildpacks = metadata.buildpacks.iter().map(buildpack).collect();
    Cache { exec_env: exec_env.to_owned(), buildpacks, parts: BTreeMap::new() }
}

/// Makes the layers directory what the specification lets a buildpack find.
///
/// # Errors
/// When something can't be written. A layer that can't be brought is a warning, and its buildpack makes it anew.
pub fn restore_from(
    request: &RestoreRequest<'_>,
    kept: &Kept<'_>,
    events: &dyn Events,
) -> Result<Restored, RestoreError> {
    let layers_dir = Beneath::open(&request.dirs.layers)?;
    let mut cache = request.cache.clone();
    if !kept.features.restore_from_cache_alone {
        forget_what_the_image_lacks(&mut cache, request);
    }
    let request = &RestoreRequest { cache: &cache, ..*request };
    let mut all = Vec::new();
    for chosen in &request.group.group {
        let sources = Sources {
            id: &chosen.id,
            image: request.previous.metadata.buildpacks.iter().find(|it| it.key == chosen.id),
            cache: cache.buildpacks.get(&chosen.id),
            exec_env: only_for(chosen, request.exec_env),
        };
        let dir = layers_dir.make_dir(cnb::id::escape(&chosen.id), request.dirs.owner)?;
        all.push((sources, dir));
    }
    let brought = bring(request, kept, events, &all)?;
    bring_bills(kept, request, &layers_dir, events)?;
    let mut restored = Restored::default();
    for (sources, dir) in &all {
        let is_there = |layer: &str, _: &CachedLayer| brought.contains(&(sources.id, layer.to_owned()));
        let decisions = decisions(sources, is_there);
        write(request, events, sources, (dir, &decisions), &mut restored)?;
        hand_out_bills(&layers_dir, dir, sources.id, &decisions)?;
    }
    layers_dir.remove("sbom")?;
    Ok(restored)
}

/// Before Platform API 0.14, a layer of the image comes back only by what the image says of it.
fn forget_what_the_image_lacks(cache: &mut Cache, request: &RestoreRequest<'_>) {
    for (id, buildpack) in &mut cache.buildpacks {
        let image = request.previous.metadata.buildpacks.iter().find(|it| it.key == *id);
        let in_image = |name: &String| image.is_some_and(|it| it.layers.contains_key(name));
        buildpack.layers.retain(|name, it| !it.types.launch || in_image(name));
    }
}

struct Job<'a> {
    id: &'a str,
    layer: String,
    sha: Digest,
    /// In the tar.
    at: PathBuf,
    /// On this machine.
    into: PathBuf,
}

type Brought<'a> = BTreeSet<(&'a str, String)>;

/// Brings the files of every layer that shall have them, several at a time.
fn bring<'a>(
    request: &RestoreRequest<'_>,
    kept: &Kept<'_>,
    events: &dyn Events,
    all: &[(Sources<'a>, Beneath)],
) -> Result<Brought<'a>, BeneathError> {
    let mut jobs = Vec::new();
    for (sources, dir) in all {
        for (layer, decision) in decisions(sources, |_, _| true) {
            let sha = sources.cache.and_then(|it| it.layers.get(layer)).and_then(|it| it.sha);
            let (Decision::Everything, Some(sha)) = (decision, sha) else { continue };
            dir.remove(layer)?;
            dir.make_dir(layer, request.dirs.owner)?;
            let place = request.dirs.layers.join(cnb::id::escape(sources.id)).join(layer);
            let (at, into) = (place.inside, place.host);
            jobs.push(Job { id: sources.id, layer: layer.to_owned(), sha, at, into });
        }
    }
    let queue = Mutex::new(jobs.iter());
    let done: Mutex<Vec<(&Job<'_>, Result<(), String>)>> = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(jobs.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().ok().and_then(|mut it| it.next());
                    let Some(job) = next else { return };
                    let result = kept.tars.unpack(&job.sha, &job.at, &job.into);
                    if let Ok(mut done) = done.lock() {
                        done.push((job, result));
                    }
                }
            });
        }
    });
    let mut brought = Brought::new();
    for (job, result) in done.into_inner().unwrap_or_default() {
        match result {
            Ok(()) => {
                brought.insert((job.id, job.layer.clone()));
            }
            Err(reason) => {
                let text = format!("layer {}:{} is not restored: {reason}", job.id, job.layer);
                events.event(&Event::Warning(&text));
                if let Some((_, dir)) = all.iter().find(|(it, _)| it.id == job.id) {
                    dir.remove(&job.layer)?;
                }
            }
        }
    }
    Ok(brought)
}

/// The bills of materials of cached layers are a layer of the cache; those of the image were brought by analysis.
fn bring_bills(
    kept: &Kept<'_>,
    request: &RestoreRequest<'_>,
    layers_dir: &Beneath,
    events: &dyn Events,
) -> Result<(), BeneathError> {
    let Ok(sha) = kept.metadata.sbom.sha.parse::<Digest>() else { return Ok(()) };
    if !kept.features.sbom_layers || request.cache.buildpacks.is_empty() {
        return Ok(());
    }
    let bills = layers_dir.make_dir("sbom", None)?;
    bills.remove("cache")?;
    bills.make_dir("cache", None)?;
    let place = request.dirs.layers.join("sbom/cache");
    if let Err(reason) = kept.tars.unpack(&sha, &place.inside, &place.host) {
        events.event(&Event::Warning(&format!("the cache's bills of materials are not restored: {reason}")));
        bills.remove("cache")?;
    }
    Ok(())
}

/// `sbom/<kind>/<buildpack>/<layer>/sbom.<ext>` becomes `<buildpack>/<layer>.sbom.<ext>`, for layers that are restored.
fn hand_out_bills(
    layers_dir: &Beneath,
    dir: &Beneath,
    id: &str,
    decisions: &BTreeMap<&str, Decision>,
) -> Result<(), BeneathError> {
    let Some(bills) = layers_dir.dir("sbom")? else { return Ok(()) };
    for kind in ["cache", "launch"] {
        let Some(of_kind) = bills.dir(kind)? else { continue };
        let Some(of_buildpack) = of_kind.dir(cnb::id::escape(id))? else { continue };
        for (layer, decision) in decisions {
            if !matches!(decision, Decision::Everything | Decision::Metadata) {
                continue;
            }
            let Some(of_layer) = of_buildpack.dir(layer)? else { continue };
            for (extension, _) in FORMATS {
                of_layer.copy(&format!("sbom.{extension}"), dir, &format!("{layer}.sbom.{extension}"))?;
            }
        }
    }
    Ok(())
}
