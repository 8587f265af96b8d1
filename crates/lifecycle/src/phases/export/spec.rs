//! What each layer of the image is made of.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#outputs-4>

use super::{Buildpack, ExportError, ExportRequest, How, Job, Part};
use crate::beneath::Beneath;
use crate::events::{Event, Events};
use crate::layers::OnDisk;
use crate::slices;
use cnb::group::Chosen;
use oci::{LayerSpec, Modes, Owner, TreeRules};
use std::path::Path;

/// Where the launcher is in an image.
pub(super) const LAUNCHER: &str = "/cnb/lifecycle/launcher";

/// Every layer, in the order of the image: those that change least come first.
pub(super) fn jobs<'a>(
    request: &ExportRequest<'a>,
    buildpacks: &'a [Buildpack<'a>],
    events: &dyn Events,
) -> Result<Vec<Job<'a>>, ExportError> {
    let mut jobs = Vec::new();
    for buildpack in buildpacks {
        for layer in buildpack.layers.iter().filter(|it| it.toml.types.launch) {
            jobs.push(buildpack_layer(request, buildpack.chosen, layer)?);
        }
    }
    let part = |name: &str, part, spec| Job {
        name: name.to_owned(),
        part,
        how: How::Add(spec, request.cache.parts.get(name)),
    };
    let layers_dir = Beneath::open(&request.dirs.layers)?;
    if layers_dir.dir("sbom")?.map(|it| it.dir("launch")).transpose()?.flatten().is_some() {
        let host = request.dirs.layers.host.join("sbom/launch");
        let at = request.dirs.layers.inside.join("sbom/launch");
        let rules = TreeRules::new(request.owner, Modes::Normalise);
        let spec = LayerSpec::new("Software Bill-of-Materials").tree(host, at, rules);
        jobs.push(part("sbom", Part::Sbom, spec));
    }
    jobs.push(part("launcher", Part::Launcher, launcher(request)));
    jobs.push(part("config", Part::Config, launcher_config(request)?));
    if !request.metadata.processes.is_empty() {
        jobs.push(part("process-types", Part::ProcessTypes, process_types(request)));
    }
    // Last, unlike the reference: an engine knows a layer together with those beneath it, so that a change of source is
    // one new layer.
    let at = &request.dirs.app.inside;
    let app = slices::divide(request.app, at, request.owner, &request.metadata.slices)
        .map_err(ExportError::Slices)?;
    for warning in &app.warnings {
        events.event(&Event::Warning(warning));
    }
    let slices = app.specs.len().saturating_sub(1);
    for (i, spec) in app.specs.into_iter().enumerate() {
        let name = if i < slices { format!("app-slice-{}", i + 1) } else { "app".to_owned() };
        jobs.push(part(&name, Part::App, spec));
    }
    Ok(jobs)
}

fn buildpack_layer<'a>(
    request: &ExportRequest<'a>,
    chosen: &'a Chosen,
    layer: &'a OnDisk,
) -> Result<Job<'a>, ExportError> {
    let who = chosen.full_name();
    let part = Part::Buildpack { id: &chosen.id, layer: &layer.name };
    let name = format!("{}:{}", chosen.id, layer.name);
    if layer.has_files {
        let dir = request.dirs.layers.join(cnb::id::escape(&chosen.id)).join(&layer.name);
        let words = format!("Layer: '{}', Created by buildpack: {who}", layer.name);
        let rules = TreeRules::new(request.owner, Modes::Keep);
        let spec = LayerSpec::new(words).tree(dir.host, dir.inside, rules);
        return Ok(Job { name, part, how: How::Add(spec, request.cache.known(&chosen.id, &layer.name)) });
    }
    if layer.toml.types.cache {
        let reason =
            format!("layer `{}` has `cache = true`, but there is no directory of that name", layer.name);
        return Err(ExportError::Left { who, reason });
    }
    let previous = request.previous.metadata.buildpacks.iter().find(|it| it.key == chosen.id);
    match previous.and_then(|it| it.layers.get(&layer.name)) {
        Some(it) => Ok(Job { name, part, how: How::Reuse { who, layer: &layer.name, sha: &it.sha } }),
        None => Err(ExportError::NothingToReuse { who, layer: layer.name.clone() }),
    }
}

fn launcher(request: &ExportRequest<'_>) -> LayerSpec {
    LayerSpec::new("Buildpacks Application Launcher").program(
        LAUNCHER,
        0o755,
        Owner::ROOT,
        &request.launcher.program,
    )
}

fn launcher_config(request: &ExportRequest<'_>) -> Result<LayerSpec, ExportError> {
    let print = |error: toml::ser::Error| ExportError::Print {
        what: "config/metadata.toml",
        reason: error.to_string(),
    };
    let text = cnb::print(request.metadata).map_err(print)?;
    let dir = request.dirs.layers.inside.join("config");
    Ok(LayerSpec::new("Buildpacks Launcher Config").dir(&dir, 0o755, request.owner).file(
        dir.join("metadata.toml"),
        0o644,
        request.owner,
        text,
    ))
}

fn process_types(request: &ExportRequest<'_>) -> LayerSpec {
    let spec = LayerSpec::new("Buildpacks Process Types").dir("/cnb/process", 0o755, Owner::ROOT);
    request
        .metadata
        .processes
        .iter()
        .fold(spec, |spec, it| spec.symlink(Path::new("/cnb/process").join(&it.kind), LAUNCHER, Owner::ROOT))
}
