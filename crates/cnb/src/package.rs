//! The labels of a buildpackage: an image, or a `.cnb` file, with one buildpack or several.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/distribution.md#buildpackage>. The label with the layers is no part
//! of the specification, but every package has it, since `pack` writes it and takes none without it.

use crate::api::ApiVersion;
use crate::buildpack_toml::{About, BuildpackToml, Stack, Target};
use crate::labels::null_is_empty;
use crate::order::Group;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The label with the [`PackageMetadata`].
pub const PACKAGE_METADATA: &str = "io.buildpacks.buildpackage.metadata";
/// The label with the [`PackageLayers`].
pub const BUILDPACK_LAYERS: &str = "io.buildpacks.buildpack.layers";

/// The value of [`PACKAGE_METADATA`]: which of the package's buildpacks it is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PackageMetadata {
    /// Its id.
    pub id: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// A readable name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// One sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Words to find it by.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// The stacks that all of it runs on.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub stacks: Vec<Stack>,
}

impl PackageMetadata {
    /// Of a package with this buildpack alone. One without stacks, as all are that name targets, runs on any.
    #[must_use]
    pub fn of(buildpack: &BuildpackToml) -> Self {
        let About { id, version, name, description, homepage, keywords, .. } = buildpack.buildpack.clone();
        let any = || vec![Stack { id: "*".to_owned(), mixins: Vec::new() }];
        let stacks = if buildpack.stacks.is_empty() { any() } else { buildpack.stacks.clone() };
        Self { id, version, name, description, homepage, keywords, stacks }
    }
}

/// The value of [`BUILDPACK_LAYERS`]: by id and version, the buildpacks and the layer that each is in.
pub type PackageLayers = BTreeMap<String, BTreeMap<String, PackageLayer>>;

/// One buildpack of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageLayer {
    /// Its Buildpack API.
    pub api: ApiVersion,
    /// The stacks that it runs on.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub stacks: Vec<Stack>,
    /// The targets that it runs on.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// A composite buildpack's groups.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<Group>,
    /// The diff id of its layer.
    #[serde(rename = "layerDiffID")]
    pub layer_diff_id: String,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// A readable name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl PackageLayer {
    /// Of this buildpack, in the layer with this diff id.
    #[must_use]
    pub fn of(buildpack: &BuildpackToml, layer_diff_id: String) -> Self {
        Self {
            api: buildpack.api,
            stacks: buildpack.stacks.clone(),
            targets: buildpack.targets.clone(),
            order: buildpack.order.clone(),
            layer_diff_id,
            homepage: buildpack.buildpack.homepage.clone(),
            name: buildpack.buildpack.name.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_pack_are_read() {
        let label = r#"{"id":"samples/hello","version":"0.0.1","homepage":"https://example.com","stacks":[{"id":"*"}]}"#;
        let metadata: PackageMetadata = serde_json::from_str(label).unwrap();
        assert_eq!((metadata.id.as_str(), metadata.stacks[0].id.as_str()), ("samples/hello", "*"));
        let extension: PackageMetadata = serde_json::from_str(r#"{"id":"a","stacks":null}"#).unwrap();
        assert_eq!((extension.version.as_str(), extension.stacks), ("", Vec::new()));
        let label = r#"{"samples/all":{"1":{"api":"0.10","layerDiffID":"sha256:ab","name":"All",
            "order":[{"group":[{"id":"samples/hello","version":"0.0.1","optional":true}]}]}}}"#;
        let layers: PackageLayers = serde_json::from_str(label).unwrap();
        let all = &layers["samples/all"]["1"];
        assert!(all.order[0].group[0].optional && all.targets.is_empty());
    }

    #[test]
    fn a_buildpack_that_names_targets_runs_on_any_stack_and_its_labels_are_spelled_as_pack_spells_them() {
        let text = "api = \"0.10\"\n[buildpack]\nid = \"a/b\"\nversion = \"1.2.3\"\nname = \"B\"\n\
                    sbom-formats = [\"x\"]\n[[targets]]\nos = \"linux\"\narch = \"amd64\"\n";
        let buildpack: BuildpackToml = crate::parse("buildpack.toml", text).unwrap();
        let metadata = serde_json::to_string(&PackageMetadata::of(&buildpack)).unwrap();
        assert_eq!(metadata, r#"{"id":"a/b","version":"1.2.3","name":"B","stacks":[{"id":"*"}]}"#);
        let layer = serde_json::to_string(&PackageLayer::of(&buildpack, "sha256:ab".to_owned())).unwrap();
        assert_eq!(
            layer,
            r#"{"api":"0.10","targets":[{"os":"linux","arch":"amd64"}],"layerDiffID":"sha256:ab","name":"B"}"#
        );
    }

    #[test]
    fn the_stacks_of_an_old_buildpack_are_kept() {
        let text = "api = \"0.7\"\n[buildpack]\nid = \"a\"\nversion = \"1\"\n[[stacks]]\nid = \"old\"\nmixins = [\"git\"]\n";
        let buildpack: BuildpackToml = crate::parse("buildpack.toml", text).unwrap();
        let metadata = serde_json::to_string(&PackageMetadata::of(&buildpack)).unwrap();
        assert!(metadata.ends_with(r#""stacks":[{"id":"old","mixins":["git"]}]}"#), "{metadata}");
    }
}
