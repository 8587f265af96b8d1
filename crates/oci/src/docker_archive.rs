//! The format of `docker load`: a tar with `manifest.json`, a configuration, and the layers
//! (<https://github.com/moby/moby/blob/b985e23/daemon/internal/image/tarexport/load.go>).
//!
//! An engine that keeps its images in its own layer store looks a layer up by its chain id before it opens the
//! layer's file, so the file of a layer that it has may be left out. The layers stay gzip: the engine tells by their
//! first bytes.

use std::{
    collections::HashSet,
    io::Write,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    Descriptor, Digest, Image, ImageName, Store, StoreError,
    archive::{Archive, blob_name, write_whole},
    canonical, chain_ids,
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// Writes an image for `docker load`, without the layers whose chain ids are in `have`.
///
/// # Errors
/// When a blob is missing or the output does not take it.
pub fn write(
    store: &Store,
    image: &Image,
    names: &[ImageName],
    out: impl Write,
    have: &HashSet<Digest>,
) -> Result<(), StoreError> {
    let config = &image.manifest().config;
    let item = Item {
        config: blob_name(&config.digest),
        repo_tags: names.iter().map(tag_of).collect(),
        layers: image.manifest().layers.iter().map(|layer| blob_name(&layer.digest)).collect(),
    };
    let json = canonical::to_vec(&[item]);
    let json = json.map_err(|source| StoreError::Json { path: store.blob_path(&config.digest), source })?;
    let mut archive = Archive::new(out);
    archive.file("manifest.json", &json)?;
    archive.dir("blobs/")?;
    archive.dir("blobs/sha256/")?;
    archive.blob(store, &config.digest, config.size)?;
    for layer in missing_layers(image, have) {
        archive.blob(store, &layer.digest, layer.size)?;
    }
    archive.finish()?;
    Ok(())
}

/// The file of a layer with this diff id.
pub(crate) type FindLayer<'a> = &'a dyn Fn(&Digest) -> Option<PathBuf>;

/// The same with layers that are files, by diff id and compressed or not.
pub(crate) fn write_files(
    image: &Image,
    names: &[ImageName],
    out: impl Write,
    (have, find): (&HashSet<Digest>, FindLayer<'_>),
) -> Result<(), StoreError> {
    let layers = image.diff_ids();
    let item = Item {
        config: blob_name(&image.id()),
        repo_tags: names.iter().map(tag_of).collect(),
        layers: layers.iter().map(blob_name).collect(),
    };
    let json = canonical::to_vec(&[item]);
    let json = json.map_err(|source| StoreError::Json { path: PathBuf::from("manifest.json"), source })?;
    let mut archive = Archive::new(out);
    archive.file("manifest.json", &json)?;
    archive.dir("blobs/")?;
    archive.dir("blobs/sha256/")?;
    archive.file(&blob_name(&image.id()), image.config_json())?;
    let mut written = HashSet::new();
    for (layer, chain) in layers.iter().zip(chain_ids(layers)) {
        if have.contains(&chain) || !written.insert(layer) {
            continue;
        }
        let path = find(layer).ok_or(StoreError::UnknownLayer { diff_id: *layer })?;
        archive.copy(&blob_name(layer), &path)?;
    }
    archive.finish()?;
    Ok(())
}

/// The same with all layers into a file, which appears complete or not at all.
///
/// # Errors
/// When a blob is missing or the file can't be written.
pub fn write_file(store: &Store, image: &Image, names: &[ImageName], file: &Path) -> Result<(), StoreError> {
    write_whole(file, |out| write(store, image, names, out, &HashSet::new()))
}

/// The layers that must be sent to an engine that has these chains, each blob once.
pub(crate) fn missing_layers<'a>(image: &'a Image, have: &HashSet<Digest>) -> Vec<&'a Descriptor> {
    let mut missing: Vec<&Descriptor> = Vec::new();
    for (layer, chain) in image.manifest().layers.iter().zip(chain_ids(image.diff_ids())) {
        if !have.contains(&chain) && !missing.iter().any(|other| other.digest == layer.digest) {
            missing.push(layer);
        }
    }
    missing
}

/// An engine tags by name and tag; a digest is the registry's.
pub(crate) fn tag_of(name: &ImageName) -> String {
    let tag = name.tag.clone().or_else(|| Some("latest".to_owned()));
    ImageName { tag, digest: None, ..name.clone() }.short()
}
