//! `<layers>/config/metadata.toml`: what the builder tells the exporter and the launcher.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#metadatatoml-toml>

use crate::api::ApiVersion;
use crate::group::Chosen;
use crate::launch::{Command, Label, Slice};
use serde::{Deserialize, Serialize};

/// `metadata.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BuildMetadata {
    /// The process type that the image starts when nothing else is asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub buildpack_default_process_type: String,
    /// The buildpacks that built, in order.
    #[serde(default)]
    pub buildpacks: Vec<Chosen>,
    /// The extensions that took part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Chosen>,
    /// All process types.
    #[serde(default)]
    pub processes: Vec<LaunchProcess>,
    /// Parts of the app directory that become layers of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<Slice>,
    /// Labels of the app image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
}

/// A process type as the launcher reads it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LaunchProcess {
    /// Its name.
    #[serde(rename = "type")]
    pub kind: String,
    /// The program and the arguments that are always given.
    #[serde(default)]
    pub command: Command,
    /// Default arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Run without a shell.
    #[serde(default)]
    pub direct: bool,
    /// Whether the image starts it when nothing else is asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// The buildpack that asked for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub buildpack_id: String,
    /// Where it starts; empty: the app directory.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Execution environments that it is for; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exec_env: Vec<String>,
}

impl BuildMetadata {
    /// The Buildpack API of the buildpack called `id`.
    #[must_use]
    pub fn api_of(&self, id: &str) -> Option<ApiVersion> {
        self.buildpacks.iter().find(|it| it.id == id).map(|it| it.api)
    }
}
