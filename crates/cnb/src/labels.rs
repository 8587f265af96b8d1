//! The labels of an app image, and the JSON in them.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#labels>

use crate::api::{ApiVersion, PlatformFeatures};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Layers, run image and launcher, for the next build and for rebase.
pub const LIFECYCLE_METADATA: &str = "io.buildpacks.lifecycle.metadata";
/// Buildpacks and processes, for people and tools.
pub const BUILD_METADATA: &str = "io.buildpacks.build.metadata";
/// Where the source came from.
pub const PROJECT_METADATA: &str = "io.buildpacks.project.metadata";
/// `true` or `false`.
pub const REBASABLE: &str = "io.buildpacks.rebasable";
/// The execution environment of the build.
pub const EXEC_ENV: &str = "io.buildpacks.exec-env";
/// Layers of a cache image, and the name of the file in a cache directory that says the same.
pub const CACHE_METADATA: &str = "io.buildpacks.lifecycle.cache.metadata";
/// The stack's id, of images from before targets.
pub const STACK_ID: &str = "io.buildpacks.stack.id";
/// The stack's packages, of images from before targets.
pub const STACK_MIXINS: &str = "io.buildpacks.stack.mixins";
/// What all labels of a stack begin with.
pub const STACK_PREFIX: &str = "io.buildpacks.stack.";
/// What all labels of a base begin with.
pub const BASE_PREFIX: &str = "io.buildpacks.base.";
/// The base's id.
pub const BASE_ID: &str = "io.buildpacks.base.id";
/// The base's distribution.
pub const BASE_DISTRO_NAME: &str = "io.buildpacks.base.distro.name";
/// The version of the base's distribution.
pub const BASE_DISTRO_VERSION: &str = "io.buildpacks.base.distro.version";

/// A layer's diff id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sha {
    /// `sha256:…`.
    pub sha: String,
}

/// The value of [`LIFECYCLE_METADATA`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LifecycleMetadata {
    /// App slices, the rest last.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub app: Vec<Sha>,
    /// The launch SBOM layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sbom: Option<Sha>,
    /// The buildpacks' layers.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub buildpacks: Vec<BuildpackLayers>,
    /// The launcher's configuration.
    #[serde(default)]
    pub config: Sha,
    /// The launcher.
    #[serde(default)]
    pub launcher: Sha,
    /// The symbolic links in `/cnb/process`.
    #[serde(default, rename = "process-types")]
    pub process_types: Sha,
    /// The run image.
    #[serde(default, rename = "runImage", alias = "run-image")]
    pub run_image: RunImageMetadata,
    /// The run image's names, where platforms from before targets look for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<StackMetadata>,
}

/// The value of [`CACHE_METADATA`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CacheMetadata {
    /// The layer of bills of materials; empty: none.
    #[serde(default)]
    pub sbom: Sha,
    /// The buildpacks' layers.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub buildpacks: Vec<BuildpackLayers>,
}

/// `stack` of [`LIFECYCLE_METADATA`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StackMetadata {
    /// The run image's names.
    #[serde(default, rename = "runImage", alias = "run-image")]
    pub run_image: RunImageNames,
}

/// The names by which a run image can be found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunImageNames {
    /// Its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// Other names of it.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
}

impl RunImageNames {
    /// All of them, the first one first.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.image).chain(&self.mirrors).map(String::as_str).filter(|it| !it.is_empty())
    }
}

/// Go writes `null` for a list or map that was never filled.
pub(crate) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// The layers of one buildpack.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BuildpackLayers {
    /// The buildpack's id.
    pub key: String,
    /// Its version.
    pub version: String,
    /// By layer name.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub layers: BTreeMap<String, LayerMetadata>,
    /// What is in its `store.toml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreMetadata>,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LayerMetadata {
    /// Its diff id.
    #[serde(default)]
    pub sha: String,
    /// The `[metadata]` of its TOML file; under that name in `analyzed.toml`.
    #[serde(
        default,
        alias = "metadata",
        deserialize_with = "null_is_empty",
        skip_serializing_if = "toml::Table::is_empty"
    )]
    pub data: toml::Table,
    /// Whether later buildpacks saw it.
    #[serde(default)]
    pub build: bool,
    /// Whether it is in the app image.
    #[serde(default)]
    pub launch: bool,
    /// Whether it was kept for the next build.
    #[serde(default)]
    pub cache: bool,
}

/// What is in a `store.toml`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StoreMetadata {
    /// Anything.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub metadata: toml::Table,
}

/// The run image that the app image stands on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunImageMetadata {
    /// The diff id of its last layer.
    #[serde(default, rename = "topLayer", alias = "top-layer")]
    pub top_layer: String,
    /// A digest reference or an image id.
    #[serde(default)]
    pub reference: String,
    /// The name by which it can be found; empty: local to one store.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// Other names of it.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
}

/// The value of [`BUILD_METADATA`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BuildMetadataLabel {
    /// The buildpacks that built, in order.
    pub buildpacks: Vec<LabelBuildpack>,
    /// The extensions that took part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<LabelBuildpack>,
    /// The launcher.
    pub launcher: LauncherMetadata,
    /// Process types.
    pub processes: Vec<LabelProcess>,
    /// The process type that the image starts when nothing else is asked.
    #[serde(default, rename = "buildpack-default-process-type", skip_serializing_if = "String::is_empty")]
    pub default_process_type: String,
}

impl BuildMetadataLabel {
    /// The label's text, as a tool of this Platform API reads it.
    ///
    /// # Errors
    /// When something of it can't be said in JSON.
    pub fn print(&self, features: PlatformFeatures) -> serde_json::Result<String> {
        let mut json = serde_json::to_value(self)?;
        if !features.command_list {
            for (said, process) in
                self.processes.iter().zip(json["processes"].as_array_mut().into_iter().flatten())
            {
                if let Some((program, always)) = said.command.split_first() {
                    process["command"] = program.as_str().into();
                    process["args"] = always.iter().chain(&said.args).cloned().collect();
                }
            }
        }
        Ok(json.to_string())
    }
}

/// A buildpack in a label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelBuildpack {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The Buildpack API that it declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiVersion>,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
}

/// The launcher in a label.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LauncherMetadata {
    /// Its version.
    pub version: String,
    /// Where it was built from.
    #[serde(default)]
    pub source: LauncherSource,
}

/// Where a launcher was built from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LauncherSource {
    /// Its git repository.
    #[serde(default)]
    pub git: GitSource,
}

/// A commit of a git repository.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GitSource {
    /// Where it is.
    #[serde(default)]
    pub repository: String,
    /// Which commit.
    #[serde(default)]
    pub commit: String,
}

/// A process type in a label.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LabelProcess {
    /// Its name.
    #[serde(rename = "type")]
    pub kind: String,
    /// The program and the arguments that are always given.
    pub command: Vec<String>,
    /// Default arguments.
    pub args: Vec<String>,
    /// Run without a shell.
    pub direct: bool,
    /// The buildpack that asked for it.
    #[serde(rename = "buildpackID")]
    pub buildpack_id: String,
    /// Where it starts.
    #[serde(default, rename = "working-dir", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Execution environments that it is for.
    #[serde(default, rename = "exec-env", skip_serializing_if = "Vec::is_empty")]
    pub exec_env: Vec<String>,
}
