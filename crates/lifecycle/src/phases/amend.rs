//! Amend: the layers of one buildpack in an image that stands already, without a build of the others. It is no phase of
//! the specification: what changes is what export would have written, and every other layer stays as it is.

use super::export::{config_layer, of_directory, sbom_layer};
use crate::beneath::{Beneath, BeneathError};
use crate::dirs::Dirs;
use crate::images::{Images, ImagesError};
use crate::layers::{self, OnDisk};
use cnb::group::Chosen;
use cnb::labels::{self, LabelBuildpack, LayerMetadata};
use oci::{Digest, Image, ImageConfig, LayerRef, LayerSpec, Owner};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// What amend is asked.
#[derive(Debug)]
pub struct AmendRequest<'a> {
    /// The image.
    pub image: &'a Image,
    /// The buildpack whose layers change.
    pub buildpack: &'a Chosen,
    /// Where it has built; `None`: layers only go.
    pub built: Option<&'a Dirs>,
    /// Its layers that go.
    pub gone: &'a [String],
    /// Labels that change; `None`: that go.
    pub labels: &'a BTreeMap<String, Option<String>>,
    /// A directory with all that `<layers>/sbom/launch` is to hold; `None`: nothing.
    pub bills: Option<&'a Path>,
    /// The text of `<layers>/config/metadata.toml` as the image has it.
    pub metadata: &'a str,
    /// The layers directory, in the image.
    pub layers_dir: &'a Path,
    /// Who owns the new layers' files.
    pub owner: Owner,
}

/// The new image's parts, for [`Images::put`].
#[derive(Debug, Clone, PartialEq)]
pub struct Amended {
    /// Its configuration.
    pub config: ImageConfig,
    /// Its layers, base first.
    pub layers: Vec<LayerRef>,
}

/// Why an image is not amended.
#[derive(Debug, thiserror::Error)]
pub enum AmendError {
    /// A label is not understood.
    #[error("the image's label {0} cannot be understood: {1}")]
    Label(&'static str, String),
    /// The launcher's configuration is not understood.
    #[error("the image's config/metadata.toml cannot be understood: {0}")]
    Metadata(String),
    /// What the buildpack left can't be used.
    #[error("{who}: {reason}")]
    Left {
        /// `id@version`.
        who: String,
        /// What is wrong.
        reason: String,
    },
    /// A file could not be read.
    #[error(transparent)]
    Files(#[from] BeneathError),
    /// A layer could not be made.
    #[error(transparent)]
    Images(#[from] ImagesError),
}

/// Puts the buildpack's layers of today in the place of those that the image has.
///
/// # Errors
/// When the image says of itself what cannot be understood, or a layer cannot be made.
pub fn amend(request: &AmendRequest<'_>, images: &dyn Images) -> Result<Amended, AmendError> {
    let add = |spec: &LayerSpec| images.add_layer(spec, None).map(|it| it.record.layer_ref());
    let mut said = Said::of(request.image)?;
    let mut stack = Stack::of(request.image, &said);
    for name in request.gone {
        stack.remove(said.forget(request.buildpack, name).as_deref());
    }
    for (layer, spec) in built(request)? {
        let new = add(&spec)?;
        let old = said.layer(request.buildpack, &layer, &new.diff_id);
        stack.put(old.as_deref(), new);
    }
    let stays = said.settle(request.buildpack);
    let old = said.part("sbom");
    match request.bills {
        Some(dir) => {
            let new = add(&sbom_layer(dir, &request.layers_dir.join("sbom/launch"), request.owner))?;
            said.lifecycle["sbom"] = json!({"sha": new.diff_id.to_string()});
            stack.put(old.as_deref(), new);
        }
        None => {
            stack.remove(old.as_deref());
            remove(&mut said.lifecycle, "sbom");
        }
    }
    let text = launchers(request.metadata, request.buildpack, stays)?;
    if text != request.metadata {
        let new = add(&config_layer(text, request.layers_dir, request.owner))?;
        let old = said.part("config");
        said.lifecycle["config"] = json!({"sha": new.diff_id.to_string()});
        stack.put(old.as_deref(), new);
    }
    Ok(Amended { config: said.config(request), layers: stack.layers })
}

/// The buildpack's new layers for launch.
fn built(request: &AmendRequest<'_>) -> Result<Vec<(OnDisk, LayerSpec)>, AmendError> {
    let Some(dirs) = request.built else { return Ok(Vec::new()) };
    let left = |reason: String| AmendError::Left { who: request.buildpack.full_name(), reason };
    let Some(dir) = Beneath::open(&dirs.layers)?.dir(cnb::id::escape(&request.buildpack.id))? else {
        return Ok(Vec::new());
    };
    let mut all = layers::read(&dir).map_err(|error| left(error.to_string()))?;
    all.retain(|it| it.toml.types.launch);
    if let Some(it) = all.iter().find(|it| !it.has_files) {
        return Err(left(format!(
            "layer `{}` is for launch, and there is no directory of that name",
            it.name
        )));
    }
    let spec = |it: &OnDisk| of_directory(dirs, request.owner, request.buildpack, &it.name);
    Ok(all.into_iter().map(|it| (it.clone(), spec(&it))).collect())
}

/// What the image says of its layers and its buildpacks. Documents, and not types: what is not known stays in them.
struct Said {
    lifecycle: Value,
    build: Value,
}

impl Said {
    fn of(image: &Image) -> Result<Self, AmendError> {
        let parse = |name: &'static str| match image.config().config.labels.get(name) {
            None => Ok(json!({})),
            Some(text) => match serde_json::from_str(text) {
                Ok(value @ Value::Object(_)) => Ok(value),
                Ok(_) => Err(AmendError::Label(name, "it is no object".to_owned())),
                Err(error) => Err(AmendError::Label(name, error.to_string())),
            },
        };
        Ok(Self { lifecycle: parse(labels::LIFECYCLE_METADATA)?, build: parse(labels::BUILD_METADATA)? })
    }

    /// The digest of a part that is not a buildpack's.
    fn part(&self, name: &str) -> Option<String> {
        self.lifecycle.get(name)?.get("sha")?.as_str().map(str::to_owned)
    }

    fn entry(&mut self, buildpack: &Chosen) -> &mut Value {
        let all = list(&mut self.lifecycle, "buildpacks");
        let at = all.iter().position(|it| it["key"] == *buildpack.id).unwrap_or_else(|| {
            all.push(json!({"key": buildpack.id, "version": buildpack.version, "layers": {}}));
            all.len() - 1
        });
        &mut all[at]
    }

    /// Notes a layer, and tells the digest of the one that it takes the place of.
    fn layer(&mut self, buildpack: &Chosen, layer: &OnDisk, diff_id: &Digest) -> Option<String> {
        let types = layer.toml.types;
        let metadata = LayerMetadata {
            sha: diff_id.to_string(),
            data: layer.toml.metadata.clone(),
            build: types.build,
            launch: types.launch,
            cache: types.cache,
        };
        let entry = self.entry(buildpack);
        entry["version"] = buildpack.version.as_str().into();
        if !entry["layers"].is_object() {
            entry["layers"] = json!({});
        }
        let old = entry["layers"][&layer.name]["sha"].as_str().map(str::to_owned);
        entry["layers"][&layer.name] = serde_json::to_value(metadata).unwrap_or_default();
        old
    }

    /// Strikes a layer out, and tells its digest.
    fn forget(&mut self, buildpack: &Chosen, layer: &str) -> Option<String> {
        let layers = self.entry(buildpack)["layers"].as_object_mut()?;
        layers.remove(layer)?["sha"].as_str().map(str::to_owned)
    }

    /// Whether the buildpack has a layer; one that has none has no part in the image.
    fn settle(&mut self, buildpack: &Chosen) -> bool {
        let stays = self.entry(buildpack)["layers"].as_object().is_some_and(|it| !it.is_empty());
        let all = list(&mut self.build, "buildpacks");
        let at = all.iter().position(|it| it["id"] == *buildpack.id);
        let label = LabelBuildpack {
            id: buildpack.id.clone(),
            version: buildpack.version.clone(),
            api: Some(buildpack.api),
            homepage: buildpack.homepage.clone(),
        };
        let label = serde_json::to_value(label).unwrap_or_default();
        match (at, stays) {
            (Some(at), true) => all[at] = label,
            (None, true) => all.push(label),
            (Some(at), false) => drop(all.remove(at)),
            (None, false) => {}
        }
        if !stays {
            list(&mut self.lifecycle, "buildpacks").retain(|it| it["key"] != *buildpack.id);
        }
        stays
    }

    /// Digests of the buildpacks' layers.
    fn of_buildpacks(&self) -> Vec<String> {
        let entries = self.lifecycle["buildpacks"].as_array().into_iter().flatten();
        let layers = entries.filter_map(|it| it["layers"].as_object()).flat_map(|it| it.values());
        layers.filter_map(|it| it["sha"].as_str().map(str::to_owned)).collect()
    }

    fn config(self, request: &AmendRequest<'_>) -> ImageConfig {
        let mut config = request.image.config().clone();
        let all = &mut config.config.labels;
        for (name, value) in request.labels {
            match value {
                Some(value) => drop(all.insert(name.clone(), value.clone())),
                None => drop(all.remove(name)),
            }
        }
        all.insert(labels::LIFECYCLE_METADATA.to_owned(), self.lifecycle.to_string());
        all.insert(labels::BUILD_METADATA.to_owned(), self.build.to_string());
        config
    }
}

/// A list in a document; what stands in its place, as Go's `null` does, is none.
fn list<'a>(document: &'a mut Value, name: &str) -> &'a mut Vec<Value> {
    if !document[name].is_array() {
        document[name] = json!([]);
    }
    match &mut document[name] {
        Value::Array(all) => all,
        _ => unreachable!("it was made one"),
    }
}

fn remove(document: &mut Value, name: &str) {
    if let Some(all) = document.as_object_mut() {
        all.remove(name);
    }
}

/// The image's layers, and where a buildpack's new one goes: above those that are there.
struct Stack {
    layers: Vec<LayerRef>,
    next: usize,
}

impl Stack {
    fn of(image: &Image, said: &Said) -> Self {
        let layers = image.layers();
        let known = said.of_buildpacks();
        let is = |it: &LayerRef, sha: &str| it.diff_id.to_string() == sha;
        let of_buildpack = layers.iter().rposition(|it| known.iter().any(|sha| is(it, sha)));
        let base = said.lifecycle["runImage"]["topLayer"].as_str().unwrap_or_default();
        let top = of_buildpack.or_else(|| layers.iter().rposition(|it| is(it, base)));
        Self { next: top.map_or(layers.len(), |it| it + 1), layers }
    }

    fn find(&self, sha: Option<&str>) -> Option<usize> {
        let sha = sha?;
        self.layers.iter().position(|it| it.diff_id.to_string() == sha)
    }

    /// In the place of an old one; one with the same files stays, whoever has packed it.
    fn put(&mut self, old: Option<&str>, new: LayerRef) {
        match self.find(old) {
            Some(at) if self.layers[at].diff_id == new.diff_id => {}
            Some(at) => self.layers[at] = new,
            None => {
                self.layers.insert(self.next, new);
                self.next += 1;
            }
        }
    }

    fn remove(&mut self, sha: Option<&str>) {
        if let Some(at) = self.find(sha) {
            self.layers.remove(at);
            self.next -= usize::from(at < self.next);
        }
    }
}

/// `config/metadata.toml` with the buildpack among those whose layers the launcher looks through, or without.
fn launchers(text: &str, buildpack: &Chosen, stays: bool) -> Result<String, AmendError> {
    let wrong = |error: &dyn std::error::Error| AmendError::Metadata(error.to_string());
    let mut table: toml::Table = toml::from_str(text).map_err(|it| wrong(&it))?;
    let all = table.entry("buildpacks").or_insert_with(|| toml::Value::Array(Vec::new()));
    let all = all.as_array_mut().ok_or_else(|| AmendError::Metadata("`buildpacks` is no list".to_owned()))?;
    let at = all.iter().position(|it| it.get("id").and_then(toml::Value::as_str) == Some(&buildpack.id));
    let entry = toml::Value::try_from(buildpack).map_err(|it| wrong(&it))?;
    match (at, stays) {
        (Some(at), true) if all[at] == entry => return Ok(text.to_owned()),
        (Some(at), true) => all[at] = entry,
        (None, true) => all.push(entry),
        (Some(at), false) => drop(all.remove(at)),
        (None, false) => return Ok(text.to_owned()),
    }
    cnb::print(&table).map_err(|it| wrong(&it))
}
