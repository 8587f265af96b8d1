//! What the image's labels and its configuration say.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#labels>

use super::spec::LAUNCHER;
use super::{Buildpack, ExportError, ExportRequest, Made, Part};
use cnb::group::Chosen;
use cnb::labels::{
    self, BuildMetadataLabel, BuildpackLayers, LabelBuildpack, LabelProcess, LayerMetadata,
    LifecycleMetadata, RunImageMetadata, RunImageNames, Sha, StackMetadata, StoreMetadata,
};
use cnb::layer::LayerTypes;
use oci::ImageConfig;
use std::collections::BTreeMap;

/// The process that the image starts by itself.
pub(super) fn entrypoint(request: &ExportRequest<'_>) -> Result<String, ExportError> {
    let metadata = request.metadata;
    let process = match request.process_type {
        Some(asked) if !metadata.processes.iter().any(|it| it.kind == asked) => {
            let defined: Vec<&str> = metadata.processes.iter().map(|it| &*it.kind).collect();
            return Err(ExportError::NoProcess { asked: asked.to_owned(), defined: defined.join(", ") });
        }
        Some(asked) => asked,
        None => &metadata.buildpack_default_process_type,
    };
    Ok(if process.is_empty() { LAUNCHER.to_owned() } else { format!("/cnb/process/{process}") })
}

pub(super) fn config(
    request: &ExportRequest<'_>,
    entrypoint: String,
    metadata: &LifecycleMetadata,
) -> Result<ImageConfig, ExportError> {
    let mut config = request.base.image.config().clone();
    config.created = Some(request.created.unwrap_or(oci::CREATED).to_owned());
    let container = &mut config.config;
    container.entrypoint = vec![entrypoint];
    container.cmd = Vec::new();
    container.working_dir = request.dirs.app.inside.display().to_string();
    let path = variable(&container.env, "PATH").unwrap_or_default();
    // as the reference has it; the text speaks of /cnb/process alone, and then `launcher` is not found
    let path = match path {
        "" => "/cnb/process:/cnb/lifecycle".to_owned(),
        path => format!("/cnb/process:/cnb/lifecycle:{path}"),
    };
    for (name, value) in [
        ("CNB_LAYERS_DIR", request.dirs.layers.inside.display().to_string()),
        ("CNB_APP_DIR", request.dirs.app.inside.display().to_string()),
        ("CNB_PLATFORM_API", request.api.to_string()),
        ("CNB_DEPRECATION_MODE", "quiet".to_owned()),
        ("PATH", path),
    ] {
        set_variable(&mut container.env, name, &value);
    }
    container.labels.extend(labels_of(request, metadata)?);
    Ok(config)
}

fn variable<'a>(env: &'a [String], name: &str) -> Option<&'a str> {
    env.iter().find_map(|it| it.strip_prefix(name)?.strip_prefix('='))
}

fn set_variable(env: &mut Vec<String>, name: &str, value: &str) {
    let line = format!("{name}={value}");
    match env.iter().position(|it| it.split('=').next() == Some(name)) {
        Some(at) => env[at] = line,
        None => env.push(line),
    }
}

fn labels_of(
    request: &ExportRequest<'_>,
    metadata: &LifecycleMetadata,
) -> Result<BTreeMap<String, String>, ExportError> {
    let json = |what: &'static str, value: serde_json::Result<String>| {
        value.map_err(|error| ExportError::Print { what, reason: error.to_string() })
    };
    let base = &request.base.image.config().config.labels;
    let rebasable = base.get(labels::REBASABLE).map_or("true", String::as_str);
    let build = build_metadata(request).print(request.features());
    // a buildpack's label comes first: it can't replace what the lifecycle says
    let mut all: BTreeMap<String, String> =
        request.metadata.labels.iter().map(|it| (it.key.clone(), it.value.clone())).collect();
    for (key, value) in [
        (labels::LIFECYCLE_METADATA, json(labels::LIFECYCLE_METADATA, sorted(metadata))?),
        (labels::BUILD_METADATA, json(labels::BUILD_METADATA, build)?),
        (labels::PROJECT_METADATA, request.project.to_string()),
        (labels::REBASABLE, rebasable.to_owned()),
    ] {
        all.insert(key.to_owned(), value);
    }
    if request.features().exec_env {
        all.insert(labels::EXEC_ENV.to_owned(), request.exec_env.to_owned());
    }
    Ok(all)
}

/// With its keys sorted, as it comes out again when some of it is edited: what was added and taken out leaves no trace.
fn sorted(metadata: &LifecycleMetadata) -> serde_json::Result<String> {
    Ok(serde_json::to_value(metadata)?.to_string())
}

fn build_metadata(request: &ExportRequest<'_>) -> BuildMetadataLabel {
    let metadata = request.metadata;
    let buildpack = |it: &Chosen| LabelBuildpack {
        id: it.id.clone(),
        version: it.version.clone(),
        api: Some(it.api),
        homepage: it.homepage.clone(),
    };
    let processes = metadata.processes.iter().map(|it| LabelProcess {
        kind: it.kind.clone(),
        command: it.command.0.clone(),
        args: it.args.clone(),
        direct: it.direct,
        buildpack_id: it.buildpack_id.clone(),
        working_dir: it.working_dir.clone(),
        exec_env: it.exec_env.clone(),
    });
    BuildMetadataLabel {
        buildpacks: metadata.buildpacks.iter().map(buildpack).collect(),
        extensions: metadata.extensions.iter().map(buildpack).collect(),
        launcher: request.launcher.metadata.clone(),
        processes: processes.collect(),
        default_process_type: metadata.buildpack_default_process_type.clone(),
    }
}

pub(super) fn lifecycle_metadata(
    request: &ExportRequest<'_>,
    buildpacks: &[Buildpack<'_>],
    made: &[Made<'_>],
) -> LifecycleMetadata {
    let base = request.base;
    let names = RunImageNames { image: base.name.clone(), mirrors: base.mirrors.clone() };
    let stack = (!names.image.is_empty()).then(|| StackMetadata { run_image: names.clone() });
    let names = if request.features().targets { names } else { RunImageNames::default() };
    let all = |part| made.iter().filter(move |it| it.part == part);
    LifecycleMetadata {
        app: all(Part::App).map(|it| Sha { sha: it.layer.diff_id.to_string() }).collect(),
        sbom: sha_of(made, Part::Sbom),
        buildpacks: buildpacks.iter().map(|it| buildpack_metadata(it, made)).collect(),
        config: sha_of(made, Part::Config).unwrap_or_default(),
        launcher: sha_of(made, Part::Launcher).unwrap_or_default(),
        process_types: sha_of(made, Part::ProcessTypes).unwrap_or_default(),
        run_image: RunImageMetadata {
            top_layer: base.image.diff_ids().last().map(ToString::to_string).unwrap_or_default(),
            reference: base.reference.clone(),
            image: names.image,
            mirrors: names.mirrors,
        },
        stack,
    }
}

fn buildpack_metadata(buildpack: &Buildpack<'_>, made: &[Made<'_>]) -> BuildpackLayers {
    let Chosen { id, version, .. } = buildpack.chosen;
    let launch = buildpack.layers.iter().filter(|it| it.toml.types.launch);
    let layers = launch.map(|it| {
        let types = it.toml.types;
        let sha = sha_of(made, Part::Buildpack { id, layer: &it.name }).unwrap_or_default().sha;
        let data = it.toml.metadata.clone();
        let LayerTypes { build, launch, cache } = types;
        (it.name.clone(), LayerMetadata { sha, data, build, launch, cache })
    });
    BuildpackLayers {
        key: id.clone(),
        version: version.clone(),
        layers: layers.collect(),
        store: buildpack.store.as_ref().map(|it| StoreMetadata { metadata: it.metadata.clone() }),
    }
}

fn sha_of(made: &[Made<'_>], part: Part<'_>) -> Option<Sha> {
    made.iter().find(|it| it.part == part).map(|it| Sha { sha: it.layer.diff_id.to_string() })
}
