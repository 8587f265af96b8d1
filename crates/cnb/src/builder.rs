//! What a builder image says of itself: its label, `/cnb/run.toml` and `/cnb/stack.toml`.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#runtoml-toml>. The label is no part of the
//! specification, but every builder has it, since `pack` writes and reads it.

use crate::api::ApiVersion;
use crate::buildpack_toml::About;
use crate::labels::null_is_empty;
use serde::{Deserialize, Serialize};

/// The label with the [`BuilderMetadata`].
pub const BUILDER_METADATA: &str = "io.buildpacks.builder.metadata";
/// The label with the order, as its author wrote it.
pub const ORDER: &str = "io.buildpacks.buildpack.order";
/// The label with the order of image extensions.
pub const ORDER_EXTENSIONS: &str = "io.buildpacks.buildpack.order-extensions";
/// The label that says of image extensions what [`crate::package::BUILDPACK_LAYERS`] says of buildpacks.
pub const EXTENSION_LAYERS: &str = "io.buildpacks.extension.layers";
/// The label of a lifecycle's own image with its version.
pub const LIFECYCLE_VERSION: &str = "io.buildpacks.lifecycle.version";
/// The label of a lifecycle's own image with its [`LifecycleApis`].
pub const LIFECYCLE_APIS: &str = "io.buildpacks.lifecycle.apis";
/// The label with the stack's id, before there were targets.
pub const STACK_ID: &str = "io.buildpacks.stack.id";
/// Where a builder has its parts.
pub const ORDER_TOML: &str = "cnb/order.toml";
/// The run images.
pub const RUN_TOML: &str = "cnb/run.toml";
/// The run image, before there was `run.toml`.
pub const STACK_TOML: &str = "cnb/stack.toml";

/// The value of [`BUILDER_METADATA`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BuilderMetadata {
    /// In words.
    #[serde(default)]
    pub description: String,
    /// The buildpacks in it.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub buildpacks: Vec<BuilderModule>,
    /// The image extensions in it.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub extensions: Vec<BuilderModule>,
    /// The first of the run images, where platforms from before there were several look for it.
    #[serde(default)]
    pub stack: BuilderStack,
    /// The lifecycle in it.
    #[serde(default)]
    pub lifecycle: BuilderLifecycle,
    /// Which tool made it.
    #[serde(default, rename = "createdBy")]
    pub created_by: Creator,
    /// The run images that go with it, the usual one first.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub images: Vec<NamedRunImage>,
}

/// A buildpack or an extension in a builder's label.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BuilderModule {
    /// Its id.
    #[serde(default)]
    pub id: String,
    /// A readable name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// One sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Words to find it by.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// Execution environments that it supports; empty: all.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub exec_env: Vec<String>,
    /// Whether the user's variables are kept from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clear_env: bool,
}

impl From<About> for BuilderModule {
    fn from(about: About) -> Self {
        let About { id, version, name, description, homepage, keywords, clear_env, exec_env, .. } = about;
        Self { id, name, version, description, homepage, keywords, exec_env, clear_env }
    }
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
    /// The oldest API of each kind.
    #[serde(default)]
    pub api: OldestApis,
    /// All of them.
    #[serde(default)]
    pub apis: LifecycleApis,
}

/// Which tool made a builder.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Creator {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
}

/// `lifecycle.toml`, which lies beside a lifecycle's programs
/// (<https://github.com/buildpacks/rfcs/blob/main/text/0011-lifecycle-descriptor.md>).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct LifecycleToml {
    /// The APIs that it speaks.
    pub apis: LifecycleApis,
    /// The oldest of each kind.
    pub api: OldestApis,
    /// Which it is.
    pub lifecycle: LifecycleVersion,
}

/// Which lifecycle it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LifecycleVersion {
    /// Its version.
    pub version: String,
}

/// The label [`BUILDER_METADATA`] of a lifecycle's own image, which is no builder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LifecycleMetadata {
    /// Which it is.
    pub lifecycle: LifecycleVersion,
    /// The oldest API of each kind.
    pub api: OldestApis,
}

/// The APIs that a lifecycle speaks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LifecycleApis {
    /// Those of buildpacks.
    #[serde(default)]
    pub buildpack: ApiSet,
    /// Those of platforms.
    #[serde(default)]
    pub platform: ApiSet,
}

/// The APIs of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ApiSet {
    /// Those that it warns of.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub deprecated: Vec<ApiVersion>,
    /// Those that it speaks without a word.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub supported: Vec<ApiVersion>,
}

/// The oldest API of each kind, where tools from before [`LifecycleApis`] look.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OldestApis {
    /// That of buildpacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buildpack: Option<ApiVersion>,
    /// That of platforms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<ApiVersion>,
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
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunToml {
    /// The run images, the usual one first.
    #[serde(default)]
    pub images: Vec<NamedRunImage>,
}

/// `stack.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
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
        assert_eq!(metadata.buildpacks[0].id, "a");
        let run: RunToml = toml::from_str("[[images]]\nimage = \"x\"\n").unwrap();
        assert_eq!(run.images[0].image, "x");
        let stack: StackToml = toml::from_str("[run-image]\nimage = \"x\"\nmirrors = [\"y\"]\n").unwrap();
        assert_eq!(stack.run_image.mirrors, ["y"]);
    }

    #[test]
    fn a_descriptor_of_a_lifecycle_is_read_and_its_apis_are_spelled_as_pack_spells_them() {
        let text = "[apis.buildpack]\ndeprecated = []\nsupported = [\"0.7\", \"0.10\"]\n[apis.platform]\nsupported = [\"0.8\"]\n\
                    [api]\nplatform = \"0.8\"\nbuildpack = \"0.7\"\n[lifecycle]\nversion = \"1.2.3\"\nsbom-formats = []\n";
        let descriptor: LifecycleToml = crate::parse("lifecycle.toml", text).unwrap();
        assert_eq!(
            serde_json::to_string(&descriptor.apis).unwrap(),
            r#"{"buildpack":{"deprecated":[],"supported":["0.7","0.10"]},"platform":{"deprecated":[],"supported":["0.8"]}}"#
        );
        let LifecycleToml { lifecycle, api, .. } = descriptor;
        assert_eq!(
            serde_json::to_string(&LifecycleMetadata { lifecycle, api }).unwrap(),
            r#"{"lifecycle":{"version":"1.2.3"},"api":{"buildpack":"0.7","platform":"0.8"}}"#
        );
    }
}
