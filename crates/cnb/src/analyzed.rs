//! `analyzed.toml`: the previous image and the run image.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#analyzedtoml-toml>

use crate::buildpack_toml::Distro;
use crate::labels::LifecycleMetadata;
use serde::{Deserialize, Serialize};

/// `analyzed.toml`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Analyzed {
    /// The previous image, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageReference>,
    /// What the previous image says of its layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<LifecycleMetadata>,
    /// The run image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_image: Option<RunImage>,
    /// The build image, where it is to be extended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_image: Option<ImageReference>,
}

/// An image that was found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ImageReference {
    /// A digest reference or an image id.
    pub reference: String,
}

/// The run image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunImage {
    /// A digest reference or an image id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reference: String,
    /// The name that was asked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// Whether extensions will extend it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub extend: bool,
    /// What it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetData>,
}

/// What an image runs on. `arch-variant` is the reference's key where the text says `variant`; platforms read the
/// former.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TargetData {
    /// The base's id (`io.buildpacks.base.id`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Operating system, in Go's words (`linux`).
    pub os: String,
    /// Architecture, in Go's words (`amd64`).
    pub arch: String,
    /// Variant of the architecture.
    #[serde(default, alias = "variant", skip_serializing_if = "String::is_empty")]
    pub arch_variant: String,
    /// The distribution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distro: Option<Distro>,
}
