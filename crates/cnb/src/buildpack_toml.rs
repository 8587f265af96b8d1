//! `buildpack.toml` and `extension.toml`.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#buildpacktoml-toml>

use crate::api::ApiVersion;
use crate::order::Group;
use serde::{Deserialize, Serialize};

/// The API version alone, so that a descriptor that is too new gets a message about versions and not about keys.
#[derive(Debug, Deserialize)]
pub struct ApiOnly {
    /// The Buildpack API of the descriptor.
    pub api: ApiVersion,
}

/// `buildpack.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildpackToml {
    /// The Buildpack API.
    pub api: ApiVersion,
    /// Who the buildpack is.
    pub buildpack: About,
    /// A composite buildpack's groups; empty for a component buildpack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<Group>,
    /// Where it runs; empty: anywhere that its programs do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// Stacks of old buildpacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stacks: Vec<Stack>,
    /// Anything the author likes.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub metadata: toml::Table,
}

/// `extension.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExtensionToml {
    /// The Buildpack API.
    pub api: ApiVersion,
    /// Who the extension is.
    pub extension: About,
    /// Where it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// Anything the author likes.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub metadata: toml::Table,
}

/// Who a buildpack or an extension is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct About {
    /// Its id, such as `packlight/python`.
    pub id: String,
    /// `X.Y.Z`.
    pub version: String,
    /// A readable name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// One sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// Whether the user's variables are kept from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clear_env: bool,
    /// Media types of the SBOM files that it writes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sbom_formats: Vec<String>,
    /// Execution environments that it supports; empty: all. The reference lifecycle reads a list, where the text of
    /// the specification shows tables; existing buildpacks use the list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exec_env: Vec<String>,
}

/// One `[[targets]]` entry.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Target {
    /// Operating system; empty: any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub os: String,
    /// Architecture; empty: any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arch: String,
    /// Variant of the architecture; empty: any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// Distributions; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distros: Vec<Distro>,
}

/// A distribution and its version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Distro {
    /// `ID` of `/etc/os-release`.
    pub name: String,
    /// `VERSION_ID` of `/etc/os-release`; empty: any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
}

/// One `[[stacks]]` entry of an old buildpack.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stack {
    /// The stack's id, `*` for any.
    pub id: String,
    /// Packages that it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mixins: Vec<String>,
}
