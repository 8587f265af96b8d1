//! The files of an image that say what is in it: the launcher's configuration and the bills of materials.

use super::{Refusal, Site};
use crate::images::part;
use cnb::labels::LIFECYCLE_METADATA;
use oci::{Image, ImageName};
use std::path::{Path, PathBuf};

/// What an image has of files that say what is in it.
pub(super) struct Papers {
    pub(super) layers_dir: PathBuf,
    /// `config/metadata.toml`.
    pub(super) metadata: String,
    /// What is to be in `sbom/launch`.
    launch: PathBuf,
}

impl Papers {
    pub(super) fn of(
        site: &Site<'_>,
        (image, registry): (&Image, Option<&ImageName>),
        scratch: &Path,
    ) -> Result<Self, Refusal> {
        let place = part::Place { image, registry };
        let layers_dir = part::layers_dir(image)?;
        let (config, bills) = (scratch.join("old-config"), scratch.join("old-sbom"));
        let diff_id = config_layer(image).ok_or_else(|| {
            Refusal::Other(format!("its label {LIFECYCLE_METADATA} names no layer of its configuration"))
        })?;
        let at = layers_dir.join("config");
        part::unpack(site.world, place, (&diff_id, &at), &config, site.events)?;
        match crate::sbom::diff_id(image) {
            Some(diff_id) => {
                let at = layers_dir.join("sbom");
                part::unpack(site.world, place, (&diff_id, &at), &bills, site.events)?;
            }
            None => fs_err::create_dir(&bills)?,
        }
        for dir in [&config, &bills] {
            only_files(dir)?;
        }
        let metadata = oci::bounded::read_text(&config.join("metadata.toml"))?;
        Ok(Self { layers_dir, metadata, launch: bills.join("launch") })
    }

    /// The bills of these layers go, and others come.
    pub(super) fn replace(
        &self,
        buildpack: &str,
        layers: &[String],
        new: Option<&Path>,
    ) -> Result<(), Refusal> {
        let own = cnb::id::escape(buildpack);
        for layer in layers {
            sandbox::remove_tree(&self.launch.join(&own).join(layer))
                .map_err(|error| Refusal::Build(Box::new(error.into())))?;
            if let Some(new) = new.map(|it| it.join(&own).join(layer)).filter(|it| it.is_dir()) {
                let to = self.launch.join(&own).join(layer);
                fs_err::create_dir_all(&to)?;
                for entry in fs_err::read_dir(new)? {
                    let entry = entry?;
                    fs_err::copy(entry.path(), to.join(entry.file_name()))?;
                }
            }
        }
        // An empty folder is nothing that an export would have left.
        let is_empty = |dir: &Path| fs_err::read_dir(dir).is_ok_and(|mut it| it.next().is_none());
        for dir in [self.launch.join(&own), self.launch.clone()] {
            if is_empty(&dir) {
                fs_err::remove_dir(&dir)?;
            }
        }
        Ok(())
    }

    pub(super) fn bills(&self) -> Option<&Path> {
        self.launch.is_dir().then_some(self.launch.as_path())
    }
}

fn config_layer(image: &Image) -> Option<String> {
    let label = image.config().config.labels.get(LIFECYCLE_METADATA)?;
    let label: serde_json::Value = serde_json::from_str(label).ok()?;
    label["config"]["sha"].as_str().map(str::to_owned)
}

/// An image may be hostile: what is read and written here by its path must not lead out by a link.
fn only_files(dir: &Path) -> Result<(), Refusal> {
    for entry in fs_err::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            only_files(&entry.path())?;
        } else if !kind.is_file() {
            let name = entry.file_name().display().to_string();
            let text =
                format!("{name}, in its configuration or bills of materials, is neither a file nor a folder");
            return Err(Refusal::Other(text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_an_images_papers_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(dir.path().join("launch/a_b")).unwrap();
        fs_err::write(dir.path().join("launch/a_b/sbom.cdx.json"), "{}").unwrap();
        only_files(dir.path()).unwrap();
        fs_err::os::unix::fs::symlink("/etc", dir.path().join("launch/packlight_apm")).unwrap();
        let said = only_files(dir.path()).unwrap_err().to_string();
        assert!(said.starts_with("packlight_apm, in its configuration"), "{said}");
    }
}
