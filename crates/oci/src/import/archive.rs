//! A tar of an image: an OCI layout, or what `docker save` writes
//! (<https://github.com/moby/moby/blob/v28.0.0/image/spec/spec.md>).

use std::{
    collections::BTreeMap,
    io::{self, BufReader, Read},
    path::{Component, Path, PathBuf},
};

use serde::Deserialize;

use super::{ImportError, Wanted, document, json, layout};
use crate::{
    Image, ImageConfig, ImageName, LayerRef, Scratch, Store,
    image::histories,
    unpack::{decompressed, each_entry},
};

/// Reads an image of an archive into the store; it gets no name there. Layers that are not compressed in the archive
/// are compressed in the store.
///
/// # Errors
/// When there is no such image, or it is damaged.
pub fn archive(
    store: &Store,
    tar: impl Read,
    place: &Path,
    wanted: &Wanted<'_>,
) -> Result<Image, ImportError> {
    let files = Files::unpack(store, tar, place)?;
    if files.path("oci-layout").is_file() && files.path("index.json").is_file() {
        return layout::read(store, files.scratch.path(), wanted, place);
    }
    if !files.path("manifest.json").is_file() {
        let reason = "it has neither `oci-layout` nor `manifest.json`".to_owned();
        return Err(ImportError::NoImage { path: place.to_owned(), reason });
    }
    of_docker(store, &files, place, wanted)
}

/// An entry of Docker's `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

fn of_docker(store: &Store, files: &Files, place: &Path, wanted: &Wanted<'_>) -> Result<Image, ImportError> {
    let items: Vec<Item> = json(place, "manifest.json", &document(&files.path("manifest.json"))?)?;
    let item = choose(&items, wanted).map_err(|available| ImportError::NotThere {
        path: place.to_owned(),
        wanted: wanted.tag.map_or_else(|| "that could be meant".to_owned(), |it| format!("`{it}`")),
        available,
    })?;
    let config: ImageConfig =
        json(place, "its configuration", &document(&files.found(&item.config, place)?)?)?;
    if config.rootfs.diff_ids.len() != item.layers.len() {
        let reason = format!("{} layers and {} diff ids", item.layers.len(), config.rootfs.diff_ids.len());
        return Err(ImportError::NoImage { path: place.to_owned(), reason });
    }
    let mut layers = Vec::new();
    let described = config.rootfs.diff_ids.iter().zip(histories(&config));
    for (name, (diff_id, history)) in item.layers.iter().zip(described) {
        let file = fs_err::File::open(files.found(name, place)?)?;
        let (found, blob) = store.add_tar(decompressed(BufReader::with_capacity(1 << 16, file))?)?;
        if found != *diff_id {
            return Err(ImportError::WrongContent { path: place.join(name), expected: *diff_id, found });
        }
        let (digest, size, media_type) = (blob.digest, blob.size, blob.media_type);
        layers.push(LayerRef { diff_id: *diff_id, digest, size, media_type, history });
    }
    Ok(store.put_image(config, &layers)?)
}

/// The image by its name or tag; where none is asked for, the only one. What there is, when it is not there.
fn choose<'a>(items: &'a [Item], wanted: &Wanted<'_>) -> Result<&'a Item, String> {
    let tags = |it: &'a Item| it.repo_tags.iter().flatten().map(String::as_str);
    let found = match wanted.tag {
        Some(tag) => items.iter().find(|it| {
            tags(it).any(|name| {
                let parsed = ImageName::parse(name, "docker.io").ok();
                name == tag || parsed.and_then(|it| it.tag).as_deref() == Some(tag)
            })
        }),
        None => Some(items).filter(|it| it.len() == 1).and_then(|it| it.first()),
    };
    found.ok_or_else(|| {
        let names: Vec<&str> = items.iter().flat_map(tags).collect();
        if names.is_empty() { format!("{} without a name", items.len()) } else { names.join(", ") }
    })
}

/// The files of an archive, in a scratch directory of the store.
struct Files {
    scratch: Scratch,
    /// Docker wrote a layer that was there already as a link.
    links: BTreeMap<PathBuf, PathBuf>,
}

impl Files {
    /// Nothing but plain files is written, each under a path without `..`; an archive may be hostile.
    fn unpack(store: &Store, tar: impl Read, place: &Path) -> Result<Self, ImportError> {
        let wrong = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", place.display()));
        let mut files = Self { scratch: store.scratch()?, links: BTreeMap::new() };
        let tar = decompressed(BufReader::with_capacity(1 << 16, tar)).map_err(wrong)?;
        each_entry(
            tar,
            |error| ImportError::Io(wrong(error)),
            |entry| {
                let path = entry.path().map_err(wrong)?.into_owned();
                let Some(path) = plain(&path) else { return Ok(()) };
                match entry.header().entry_type() {
                    tar::EntryType::Regular | tar::EntryType::Continuous => {
                        let to = files.scratch.path().join(&path);
                        fs_err::create_dir_all(to.parent().unwrap_or(files.scratch.path()))?;
                        store.write_scratch(entry, &to)?;
                    }
                    tar::EntryType::Symlink | tar::EntryType::Link => {
                        let target = entry.link_name().map_err(wrong)?.unwrap_or_default().into_owned();
                        let is_hard = entry.header().entry_type() == tar::EntryType::Link;
                        let from =
                            if is_hard { Path::new("") } else { path.parent().unwrap_or(Path::new("")) };
                        files.links.insert(path.clone(), from.join(target));
                    }
                    _ => {}
                }
                Ok(())
            },
        )?;
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A file that the archive's own documents name.
    fn found(&self, name: &str, place: &Path) -> Result<PathBuf, ImportError> {
        let missing = || ImportError::NoImage {
            path: place.to_owned(),
            reason: format!("`{name}`, which it lists, is not in it"),
        };
        let path = resolved(Path::new(name)).ok_or_else(missing)?;
        let target = self.links.get(&path).and_then(|it| resolved(it));
        let file = self.scratch.path().join(target.unwrap_or(path));
        if file.is_file() { Ok(file) } else { Err(missing()) }
    }
}

/// A relative path of names alone.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            _ => return None,
        }
    }
    (!clean.as_os_str().is_empty()).then_some(clean)
}

/// The same after its `..` have been followed within the archive.
fn resolved(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir => clean.pop().then_some(())?,
            _ => return None,
        }
    }
    Some(clean)
}
