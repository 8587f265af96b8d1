//! `order.toml`: the groups of buildpacks that detection tries, in order.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#ordertoml-toml>

use serde::{Deserialize, Serialize};

/// `order.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Order {
    /// Groups of buildpacks; the first that passes wins.
    #[serde(default)]
    pub order: Vec<Group>,
    /// Groups of image extensions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order_extensions: Vec<Group>,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Group {
    /// Its members, in order.
    #[serde(default)]
    pub group: Vec<Member>,
}

/// One member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Member {
    /// The buildpack's id.
    pub id: String,
    /// Its version; empty where the builder has only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Whether the group passes without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}
