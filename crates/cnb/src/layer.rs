//! `<layer>.toml`, `build.toml` and `store.toml`: what a buildpack says of its layers and of its work.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#layer-content-metadata-toml>

use serde::{Deserialize, Serialize};

/// `<layer>.toml`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LayerToml {
    /// What the layer is for. Never restored: a buildpack says it anew in each build.
    #[serde(default)]
    pub types: LayerTypes,
    /// Anything the buildpack wants to find again.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub metadata: toml::Table,
}

/// What a layer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LayerTypes {
    /// Later buildpacks see it.
    #[serde(default)]
    pub build: bool,
    /// It is in the app image.
    #[serde(default)]
    pub launch: bool,
    /// It is kept for the next build.
    #[serde(default)]
    pub cache: bool,
}

/// `build.toml`.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#buildtoml-toml>
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BuildToml {
    /// Plan entries that the buildpack did not meet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<Unmet>,
}

/// A plan entry that was not met.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Unmet {
    /// Its name.
    pub name: String,
}

/// `store.toml`: what a buildpack finds again in each build.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StoreToml {
    /// Anything.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub metadata: toml::Table,
}
