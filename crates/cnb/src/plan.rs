//! Build plans: what a buildpack's detection writes, what detection as a whole settles on, and what each buildpack
//! is handed when it builds.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#build-plan-toml>

use serde::{Deserialize, Serialize};

/// The build plan that one `bin/detect` writes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BuildPlan {
    /// The first alternative.
    #[serde(flatten)]
    pub first: Alternative,
    /// Further alternatives, tried in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub or: Vec<Alternative>,
}

/// One alternative of a build plan.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Alternative {
    /// What the buildpack can provide.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<Provide>,
    /// What it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Require>,
}

/// A dependency that can be provided.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Provide {
    /// Its name.
    pub name: String,
}

/// A dependency that is needed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Require {
    /// Its name.
    pub name: String,
    /// The version wanted, a key of old buildpacks (until Buildpack API 0.10).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Anything the provider understands.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub metadata: toml::Table,
}

/// `plan.toml`: what detection settled on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// One entry for each dependency.
    #[serde(default)]
    pub entries: Vec<PlanEntry>,
}

/// One dependency with those who provide it and what was asked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PlanEntry {
    /// Who can provide it, in build order.
    #[serde(default)]
    pub providers: Vec<Provider>,
    /// What was asked; all of one name.
    #[serde(default)]
    pub requires: Vec<Require>,
}

/// A provider of a plan entry.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Provider {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Whether it is an image extension.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub extension: bool,
}

/// The buildpack plan: what one buildpack is asked for when it builds.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#buildpack-plan-toml>
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BuildpackPlan {
    /// What is asked.
    #[serde(default)]
    pub entries: Vec<Require>,
}
