//! `run.toml`, and `stack.toml` of platforms from before targets: which run images there are.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#runtoml-toml>

use crate::labels::RunImageNames;
use serde::{Deserialize, Serialize};

/// `run.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunToml {
    /// Run images, the usual one first.
    #[serde(default)]
    pub images: Vec<RunImageNames>,
}

/// `stack.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StackToml {
    /// The run image.
    #[serde(default)]
    pub run_image: RunImageNames,
}
