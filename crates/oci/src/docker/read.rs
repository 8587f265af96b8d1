//! What an engine has: an image's configuration, and its layers one by one.

use std::{
    collections::HashMap,
    io::{self, BufReader, Read, Write},
    path::Path,
};

use serde::Deserialize;
use serde_json::{Map, Value};
use tempfile::NamedTempFile;

use super::{DockerError, Engine};
use crate::{
    ContainerConfig, Digest, History, Image, ImageConfig, ImageName, LayerRef, docker_archive::tag_of,
    layer_tar, media_type, unpack::each_entry,
};

/// An image of an engine's.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineImage {
    /// By which the engine knows it.
    pub id: String,
    /// Its configuration and its layers. An engine does not tell of blobs: digests and sizes are not to be believed.
    pub image: Image,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    os_version: String,
    #[serde(default)]
    config: Option<Map<String, Value>>,
    #[serde(rename = "RootFS")]
    root_fs: Layers,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Layers {
    #[serde(default)]
    layers: Option<Vec<Digest>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Step {
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    size: i64,
}

/// What an engine adds to a configuration that is no part of it.
const OF_CONTAINERS: [&str; 9] = [
    "Hostname",
    "Domainname",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "Image",
];

impl Engine {
    /// The image of this name or id.
    ///
    /// # Errors
    /// When the engine does not answer, or answers what is not understood.
    pub fn image(&self, name: &str) -> Result<Option<EngineImage>, DockerError> {
        let Some(found) = self.get::<Inspected>(&format!("/images/{name}/json"))? else { return Ok(None) };
        let diff_ids = found.root_fs.layers.clone().unwrap_or_default();
        let steps: Vec<Step> = self.get(&format!("/images/{}/history", found.id))?.unwrap_or_default();
        let layers: Vec<LayerRef> = diff_ids
            .into_iter()
            .zip(histories(&steps, found.root_fs.layers.map_or(0, |it| it.len())))
            .map(|(diff_id, history)| LayerRef {
                diff_id,
                digest: diff_id,
                size: 0,
                media_type: media_type::LAYER.to_owned(),
                history: vec![history],
            })
            .collect();
        let mut container = found.config.unwrap_or_default();
        OF_CONTAINERS.iter().for_each(|it| drop(container.remove(*it)));
        let config: ContainerConfig = serde_json::from_value(Value::Object(container))
            .map_err(|error| self.refusal(&format!("the configuration of {name}: {error}")))?;
        let mut extra = Map::new();
        for (key, value) in [("variant", found.variant), ("os.version", found.os_version)] {
            if !value.is_empty() {
                extra.insert(key.to_owned(), value.into());
            }
        }
        let (created, architecture, os) = (found.created, found.architecture, found.os);
        let config = ImageConfig { created, architecture, os, config, extra, ..ImageConfig::default() };
        let image = Image::new(config, &layers).map_err(|error| self.refusal(&error.to_string()))?;
        Ok(Some(EngineImage { id: found.id, image }))
    }

    /// The id of the image that has this name; `None` when there is none.
    ///
    /// # Errors
    /// When the engine does not answer, or answers what is not understood.
    pub fn image_id(&self, name: &ImageName) -> Result<Option<Digest>, DockerError> {
        let Some(image) = self.inspect(&spelt(name))? else { return Ok(None) };
        let id = image.id.parse();
        id.map(Some).map_err(|_| self.refusal(&format!("{} is no id of an image", image.id)))
    }

    /// Hands over an image as `docker save` writes it, as it comes.
    ///
    /// # Errors
    /// When the engine does not send it, or `take` fails.
    pub fn save<E: From<io::Error> + From<DockerError>>(
        &self,
        name: &ImageName,
        take: impl FnOnce(&mut dyn Read) -> Result<(), E>,
    ) -> Result<(), E> {
        let response = self.address.download(&format!("/images/{}/get", spelt(name)), |body| {
            take(body)?;
            io::copy(body, &mut io::sink())?;
            Ok::<_, E>(())
        })?;
        Ok(self.accepted(&response)?)
    }

    /// Those of an image's layers that are asked for, each as a file with its uncompressed tar in `dir`.
    ///
    /// All of the image's layers come over the socket for it.
    ///
    /// # Errors
    /// When the engine does not send the image, or a file can't be written.
    pub fn layers(
        &self,
        image: &str,
        wanted: &[Digest],
        dir: &Path,
    ) -> Result<HashMap<Digest, NamedTempFile>, DockerError> {
        let mut found = HashMap::new();
        let response = self.address.download(&format!("/images/{image}/get"), |body| {
            pick(body, wanted, dir, &mut found)?;
            // What comes after the archive is read too, lest the engine log a broken connection.
            io::copy(body, &mut io::sink()).map(|_| ())
        });
        let response = response.map_err(|error| self.io(error))?;
        self.accepted(&response)?;
        Ok(found)
    }
}

/// An image as a path of the API spells it.
fn spelt(name: &ImageName) -> String {
    if name.digest.is_some() { name.short() } else { tag_of(name) }
}

/// The layers are told by their contents: every engine's archive has other names for them.
fn pick(
    archive: &mut dyn Read,
    wanted: &[Digest],
    dir: &Path,
    found: &mut HashMap<Digest, NamedTempFile>,
) -> io::Result<()> {
    each_entry(
        archive,
        |error| error,
        |entry| {
            // No tar is shorter, and no document is one.
            if !entry.header().entry_type().is_file() || entry.size() < 512 {
                return Ok(());
            }
            let mut blob = NamedTempFile::new_in(dir)?;
            io::copy(entry, &mut blob)?;
            let tar = plain(blob, dir)?;
            let digest = Digest::of_reader(tar.reopen()?)?;
            if wanted.contains(&digest) {
                found.insert(digest, tar);
            }
            Ok(())
        },
    )
}

/// The blob as it is, or what it was before it was compressed.
fn plain(blob: NamedTempFile, dir: &Path) -> io::Result<NamedTempFile> {
    let mut start = [0; 4];
    let got = blob.reopen()?.read(&mut start)?;
    if !(start[..got].starts_with(&[0x1f, 0x8b]) || start[..got].starts_with(&[0x28, 0xb5, 0x2f, 0xfd])) {
        return Ok(blob);
    }
    let mut out = NamedTempFile::new_in(dir)?;
    io::copy(&mut layer_tar(BufReader::with_capacity(1 << 16, blob.reopen()?))?, &mut out)?;
    out.flush()?;
    Ok(out)
}

/// A line of history for each layer. The engine tells the newest first, and of lines without a layer only that nothing
/// came of them; where that does not come out even, lines are left blank.
fn histories(steps: &[Step], layers: usize) -> Vec<History> {
    let with_layer: Vec<&Step> = if steps.len() == layers {
        steps.iter().rev().collect()
    } else {
        steps.iter().rev().filter(|it| it.size > 0).collect()
    };
    let words = |step: &Step| Some(step.created_by.clone()).filter(|it| !it.is_empty());
    (0..layers)
        .map(|at| History {
            created_by: (with_layer.len() == layers).then(|| words(with_layer[at])).flatten(),
            ..History::default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_told_where_it_comes_out_even() {
        let step = |words: &str, size| Step { created_by: words.to_owned(), size };
        let words = |steps: &[Step], layers| -> Vec<Option<String>> {
            histories(steps, layers).into_iter().map(|it| it.created_by).collect()
        };
        let some = |it: &str| Some(it.to_owned());
        assert_eq!(words(&[step("b", 0), step("a", 5)], 2), [some("a"), some("b")]);
        assert_eq!(words(&[step("CMD", 0), step("b", 3), step("a", 5)], 2), [some("a"), some("b")]);
        assert_eq!(words(&[step("CMD", 0), step("a", 5)], 3), [None, None, None]);
    }
}
