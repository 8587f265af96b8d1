//! `report.toml`: what an export made.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#reporttoml-toml>

use serde::{Deserialize, Serialize};

/// `report.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// The image.
    pub image: ReportImage,
}

/// The image that was made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ReportImage {
    /// All names that it was given.
    pub tags: Vec<String>,
    /// The manifest's digest, in a registry or a layout.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// The image id, in an engine.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image_id: String,
    /// Bytes of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_size: Option<u64>,
}
