//! `group.toml`: what detection chose.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#grouptoml-toml>

use crate::api::ApiVersion;
use serde::{Deserialize, Serialize};

/// `group.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GroupToml {
    /// Buildpacks, in the order in which they build.
    #[serde(default)]
    pub group: Vec<Chosen>,
    /// Image extensions that passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_extensions: Vec<Chosen>,
}

/// A buildpack or extension that passed detection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The Buildpack API that it declares.
    pub api: ApiVersion,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
}

impl Chosen {
    /// `id@version`, as people write it.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}@{}", self.id, self.version)
    }
}
