//! What the next build needs to know of this one.

use super::{Buildpack, ExportError, ExportRequest, Made, Part};
use crate::cache::{Cache, CachedBuildpack, CachedLayer};
use crate::layers::OnDisk;
use oci::TreeIndex;

pub(super) fn new_cache(
    request: &ExportRequest<'_>,
    buildpacks: &[Buildpack<'_>],
    made: &[Made<'_>],
) -> Result<Cache, ExportError> {
    let mut cache = Cache { exec_env: request.exec_env.to_owned(), ..Cache::default() };
    for it in made {
        if let (Part::Sbom | Part::App | Part::Launcher | Part::Config | Part::ProcessTypes, Some(record)) =
            (it.part, &it.record)
        {
            cache.parts.insert(it.name.clone(), record.clone());
        }
    }
    for buildpack in buildpacks {
        let mut recorded = CachedBuildpack {
            store: buildpack.store.as_ref().map(|it| it.metadata.clone()),
            ..CachedBuildpack::default()
        };
        for layer in buildpack.layers.iter().filter(|it| it.toml.types.launch || it.toml.types.cache) {
            let entry = cached_layer(request, buildpack, layer, made)?;
            recorded.layers.insert(layer.name.clone(), entry);
        }
        cache.buildpacks.insert(buildpack.chosen.id.clone(), recorded);
    }
    Ok(cache)
}

fn cached_layer(
    request: &ExportRequest<'_>,
    buildpack: &Buildpack<'_>,
    layer: &OnDisk,
    made: &[Made<'_>],
) -> Result<CachedLayer, ExportError> {
    let id = &buildpack.chosen.id;
    let types = layer.toml.types;
    let part = Part::Buildpack { id, layer: &layer.name };
    let made = made.iter().find(|it| it.part == part);
    let last = request.cache.buildpacks.get(id).and_then(|it| it.layers.get(&layer.name));
    let tree = match last {
        _ if !types.cache || !layer.has_files => None,
        // nothing has changed since it was walked
        Some(last) if last.tree.is_some() && made.is_some_and(|it| it.reused) => last.tree.clone(),
        _ => {
            let dir = request.dirs.layers.host.join(cnb::id::escape(id)).join(&layer.name);
            Some(TreeIndex::of_tree(&dir)?)
        }
    };
    Ok(CachedLayer {
        types,
        data: layer.toml.metadata.clone(),
        sha: made.map(|it| it.layer.diff_id),
        record: made.and_then(|it| it.record.clone()),
        tree,
        sbom: buildpack.sbom.get(&layer.name).cloned().unwrap_or_default(),
        ahead: false,
    })
}
