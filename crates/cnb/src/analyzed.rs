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
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "with_toml_keys")]
    pub metadata: Option<LifecycleMetadata>,
    /// The run image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_image: Option<RunImage>,
    /// The build image, where it is to be extended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_image: Option<ImageReference>,
}

/// The label's JSON spells some keys otherwise than this file does.
fn with_toml_keys<S: serde::Serializer>(
    metadata: &Option<LifecycleMetadata>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut table = toml::Table::try_from(metadata).map_err(serde::ser::Error::custom)?;
    rename(&mut table, "runImage", "run-image");
    if let Some(run_image) = table.get_mut("run-image").and_then(toml::Value::as_table_mut) {
        rename(run_image, "topLayer", "top-layer");
    }
    if let Some(stack) = table.get_mut("stack").and_then(toml::Value::as_table_mut) {
        rename(stack, "runImage", "run-image");
    }
    for layer in layers(&mut table) {
        rename(layer, "data", "metadata");
    }
    table.serialize(serializer)
}

fn rename(table: &mut toml::Table, from: &str, to: &str) {
    if let Some(value) = table.remove(from) {
        table.insert(to.to_owned(), value);
    }
}

fn layers(table: &mut toml::Table) -> impl Iterator<Item = &mut toml::Table> {
    let buildpacks = table.get_mut("buildpacks").and_then(toml::Value::as_array_mut);
    let layers = buildpacks.into_iter().flatten().filter_map(|it| it.get_mut("layers")?.as_table_mut());
    layers.flat_map(|it| it.iter_mut().filter_map(|(_, layer)| layer.as_table_mut()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::{BuildpackLayers, LayerMetadata, RunImageMetadata};

    #[test]
    fn the_labels_json_becomes_the_files_toml_and_back() {
        let data = toml::from_str("version = \"1\"\n").unwrap();
        let layer = LayerMetadata { sha: "sha256:a".into(), data, launch: true, ..LayerMetadata::default() };
        let buildpack = BuildpackLayers {
            key: "a/b".into(),
            layers: [("l".to_owned(), layer)].into(),
            ..BuildpackLayers::default()
        };
        let metadata = LifecycleMetadata {
            buildpacks: vec![buildpack],
            run_image: RunImageMetadata { top_layer: "sha256:b".into(), ..RunImageMetadata::default() },
            ..LifecycleMetadata::default()
        };
        let analyzed = Analyzed { metadata: Some(metadata), ..Analyzed::default() };
        let text = crate::print(&analyzed).unwrap();
        for key in ["[metadata.run-image]", "top-layer = ", "layers.l.metadata]"] {
            assert!(text.contains(key), "{key} in\n{text}");
        }
        assert_eq!(crate::parse::<Analyzed>("analyzed.toml", &text).unwrap(), analyzed);
    }

    #[test]
    fn nulls_of_the_reference_lifecycle_count_as_empty() {
        let json = r#"{"app":null,"buildpacks":[{"key":"x","version":"1","layers":{"l":{"sha":"sha256:a","data":null,"build":false,"launch":true,"cache":false}}}],
            "config":{"sha":"sha256:b"},"launcher":{"sha":""},"process-types":{"sha":""},
            "runImage":{"topLayer":"t","reference":"r"},"stack":{"runImage":{"image":"base","mirrors":null}}}"#;
        let metadata: LifecycleMetadata = serde_json::from_str(json).unwrap();
        assert!(metadata.app.is_empty() && metadata.buildpacks[0].layers["l"].launch);
        assert_eq!(metadata.stack.unwrap().run_image.all().collect::<Vec<_>>(), ["base"]);
    }
}
