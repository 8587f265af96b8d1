//! What a builder image says of itself: its label, `/cnb/run.toml` and `/cnb/stack.toml`.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#runtoml-toml>. The label is no part of the
//! specification, but every builder has it, since `pack` writes and reads it.

use crate::labels::null_is_empty;
use serde::{Deserialize, Serialize};

/// The label with the [`BuilderMetadata`].
pub const BUILDER_METADATA: &str = "io.buildpacks.builder.metadata";
/// The label with the stack's id, before there were targets.
pub const STACK_ID: &str = "io.buildpacks.stack.id";
/// Where a builder has its parts.
pub const ORDER_TOML: &str = "cnb/order.toml";
/// The run images.
pub const RUN_TOML: &str = "cnb/run.toml";
/// The run image, before there was `run.toml`.
pub const STACK_TOML: &str = "cnb/stack.toml";

/// The value of [`BUILDER_METADATA`], as far as a build needs it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BuilderMetadata {
    /// In words.
    #[serde(default)]
    pub description: String,
    /// The run images that go with it, the usual one first.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub images: Vec<NamedRunImage>,
    /// The same, before there were several.
    #[serde(default)]
    pub stack: BuilderStack,
    /// The lifecycle in it.
    #[serde(default)]
    pub lifecycle: BuilderLifecycle,
}

/// The stack in a builder's label.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BuilderStack {
    /// The run image.
    #[serde(default, rename = "runImage")]
    pub run_image: NamedRunImage,
}

/// The lifecycle in a builder's label.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BuilderLifecycle {
    /// Its version.
    #[serde(default)]
    pub version: String,
}

/// A run image by its names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NamedRunImage {
    /// Its name.
    #[serde(default)]
    pub image: String,
    /// Where copies of it are.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub mirrors: Vec<String>,
}

/// `run.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct RunToml {
    /// The run images, the usual one first.
    #[serde(default)]
    pub images: Vec<NamedRunImage>,
}

/// `stack.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct StackToml {
    /// The run image.
    #[serde(default, rename = "run-image")]
    pub run_image: NamedRunImage,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_of_pack_is_read() {
        let label = r#"{"description":"","buildpacks":[{"id":"a","version":"1"}],"extensions":null,
            "stack":{"runImage":{"image":"example/run","mirrors":null}},
            "lifecycle":{"version":"0.20.12","apis":{"buildpack":{"supported":["0.7"]}}},
            "images":[{"image":"example/run","mirrors":["mirror.example/run"]}]}"#;
        let metadata: BuilderMetadata = serde_json::from_str(label).unwrap();
        assert_eq!(metadata.images[0].mirrors, ["mirror.example/run"]);
        assert_eq!(metadata.stack.run_image.image, "example/run");
        assert_eq!(metadata.lifecycle.version, "0.20.12");
        let run: RunToml = toml::from_str("[[images]]\nimage = \"x\"\n").unwrap();
        assert_eq!(run.images[0].image, "x");
        let stack: StackToml = toml::from_str("[run-image]\nimage = \"x\"\nmirrors = [\"y\"]\n").unwrap();
        assert_eq!(stack.run_image.mirrors, ["y"]);
    }
}
