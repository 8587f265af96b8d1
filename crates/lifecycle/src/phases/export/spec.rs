//! What each layer of the image is made of.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#outputs-4>

use super::{Buildpack, ExportError, ExportRequest, How, Job, Part};
use crate::beneath::Beneath;
use crate::dirs::Dirs;
use crate::events::{Event, Events};
use crate::layers::OnDisk;
use crate::slices;
use cnb::group::Chosen;
use cnb::metadata::BuildMetadata;
use oci::{Kept, LayerSpec, Modes, Owner, TreeRules};
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
    if request.features().sbom_layers
        && layers_dir.dir("sbom")?.map(|it| it.dir("launch")).transpose()?.flatten().is_some()
    {
        jobs.push(part("sbom", Part::Sbom, of_bills(request.dirs, request.owner, "launch")));
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
        let spec = of_directory(request.dirs, request.owner, chosen, &layer.name);
        let spec = spec.kept(if layer.toml.types.cache { Kept::Too } else { Kept::No });
        return Ok(Job { name, part, how: How::Add(spec, request.cache.known(&chosen.id, &layer.name)) });
    }
    if layer.toml.types.cache {
        let reason =
            format!("layer `{}` has `cache = true`, but there is no directory of that name", layer.name);
        return Err(ExportError::Left { who, reason });
    }
    let previous = request.previous.metadata.buildpacks.iter().find(|it| it.key == chosen.id);
    match previous.and_then(|it| it.layers.get(&layer.name)) {
        Some(it) => {
            let words = words(chosen, &layer.name);
            Ok(Job { name, part, how: How::Reuse { who, layer: &layer.name, sha: &it.sha, words } })
        }
        None => Err(ExportError::NothingToReuse { who, layer: layer.name.clone() }),
    }
}

/// A buildpack's layer with files.
pub(crate) fn of_directory(dirs: &Dirs, owner: Owner, chosen: &Chosen, layer: &str) -> LayerSpec {
    let dir = dirs.layers.join(cnb::id::escape(&chosen.id)).join(layer);
    LayerSpec::new(words(chosen, layer)).tree(dir.host, dir.inside, TreeRules::new(owner, Modes::Keep))
}

fn words(chosen: &Chosen, layer: &str) -> String {
    format!("Layer: '{layer}', Created by buildpack: {}", chosen.full_name())
}

/// The bills of materials of one kind, `launch` or `cache`.
pub(crate) fn of_bills(dirs: &Dirs, owner: Owner, kind: &str) -> LayerSpec {
    let dir = dirs.layers.join("sbom").join(kind);
    sbom_layer(&dir.host, &dir.inside, owner)
}

/// The layer of bills of materials that lie in `host`.
pub(crate) fn sbom_layer(host: &Path, inside: &Path, owner: Owner) -> LayerSpec {
    let rules = TreeRules::new(owner, Modes::Normalise);
    LayerSpec::new("Software Bill-of-Materials").tree(host, inside, rules)
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
    // As with the reference: what is for the image's labels and layers alone is nothing that a launcher reads.
    let read = BuildMetadata { slices: Vec::new(), labels: Vec::new(), ..request.metadata.clone() };
    let text = read.print(request.features()).map_err(print)?;
    Ok(config_layer(text, &request.dirs.layers.inside, request.owner))
}

/// The layer of the launcher's configuration, with this `metadata.toml`.
#[must_use]
pub fn config_layer(text: String, layers_dir: &Path, owner: Owner) -> LayerSpec {
    let dir = layers_dir.join("config");
    LayerSpec::new("Buildpacks Launcher Config").dir(&dir, 0o755, owner).file(
        dir.join("metadata.toml"),
        0o644,
        owner,
        text,
    )
}

fn process_types(request: &ExportRequest<'_>) -> LayerSpec {
    let spec = LayerSpec::new("Buildpacks Process Types").dir("/cnb/process", 0o755, Owner::ROOT);
    request
        .metadata
        .processes
        .iter()
        .fold(spec, |spec, it| spec.symlink(Path::new("/cnb/process").join(&it.kind), LAUNCHER, Owner::ROOT))
}
