//! An OCI layout: <https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md>.

use std::path::{Path, PathBuf};

use super::{ImportError, Wanted, document, json};
use crate::{
    Descriptor, Digest, Image, Index, Manifest, Store, archive::blob_name, media_type, store::REF_NAME,
};

/// Reads an image of a layout into the store; it gets no name there.
///
/// # Errors
/// When there is no such image, or its blobs are missing or not what their digests say.
pub fn layout(store: &Store, dir: &Path, wanted: &Wanted<'_>) -> Result<Image, ImportError> {
    read(store, dir, wanted, dir)
}

/// The same, where messages name another place than the folder.
pub(super) fn read(
    store: &Store,
    dir: &Path,
    wanted: &Wanted<'_>,
    place: &Path,
) -> Result<Image, ImportError> {
    let layout = Layout { dir, place };
    if !dir.join("oci-layout").is_file() {
        let reason = "it has no file `oci-layout`".to_owned();
        return Err(ImportError::NoImage { path: place.to_owned(), reason });
    }
    let index: Index = json(place, "index.json", &document(&dir.join("index.json"))?)?;
    let named = layout.named(&index, wanted)?;
    let entry = layout.for_platform(named, wanted)?;
    let manifest_json = layout.blob(&entry.digest)?;
    let manifest: Manifest = json(place, format!("the manifest {}", entry.digest), &manifest_json)?;
    let config_json = layout.blob(&manifest.config.digest)?;
    let image = Image::of_documents(manifest_json, config_json)
        .map_err(|source| ImportError::Image { path: place.to_owned(), source })?;
    for layer in &manifest.layers {
        store.copy_blob(&layout.path(&layer.digest), &layer.digest, layer.size)?;
    }
    store.add_image(&image)?;
    Ok(image)
}

struct Layout<'a> {
    dir: &'a Path,
    place: &'a Path,
}

impl Layout<'_> {
    fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(blob_name(digest))
    }

    fn blob(&self, digest: &Digest) -> Result<Vec<u8>, ImportError> {
        let path = self.path(digest);
        let bytes = document(&path)?;
        match Digest::of(&bytes) {
            found if found == *digest => Ok(bytes),
            found => Err(ImportError::WrongContent { path, expected: *digest, found }),
        }
    }

    /// The entry with the tag; where none is asked for, the only one.
    fn named(&self, index: &Index, wanted: &Wanted<'_>) -> Result<Descriptor, ImportError> {
        let name = |it: &Descriptor| it.annotations.get(REF_NAME).cloned().unwrap_or_default();
        let found = match wanted.tag {
            Some(tag) => {
                let fits = |it: &str| it == tag || it.ends_with(&format!(":{tag}"));
                index.manifests.iter().find(|it| fits(&name(it)))
            }
            None if index.manifests.len() == 1 => index.manifests.first(),
            // Several images with one name are one image for several platforms.
            None if index.manifests.windows(2).all(|it| name(&it[0]) == name(&it[1])) => {
                return self.platform_of(index, wanted).cloned();
            }
            None => None,
        };
        found.cloned().ok_or_else(|| {
            let names: Vec<String> = index.manifests.iter().map(name).collect();
            ImportError::NotThere {
                path: self.place.to_owned(),
                wanted: wanted.tag.map_or_else(|| "that could be meant".to_owned(), |it| format!("`{it}`")),
                available: if names.is_empty() { "none".to_owned() } else { names.join(", ") },
            }
        })
    }

    /// Follows indexes within the index down to a manifest.
    fn for_platform(&self, mut entry: Descriptor, wanted: &Wanted<'_>) -> Result<Descriptor, ImportError> {
        // Two are what tools write; a loop needs no end of its own then.
        for _ in 0..3 {
            if !matches!(entry.media_type.as_str(), media_type::INDEX | media_type::DOCKER_INDEX) {
                return Ok(entry);
            }
            let document = format!("the index {}", entry.digest);
            let index: Index = json(self.place, document, &self.blob(&entry.digest)?)?;
            entry = self.platform_of(&index, wanted)?.clone();
        }
        let reason = "its indexes are nested too deeply".to_owned();
        Err(ImportError::NoImage { path: self.place.to_owned(), reason })
    }

    fn platform_of<'a>(&self, index: &'a Index, wanted: &Wanted<'_>) -> Result<&'a Descriptor, ImportError> {
        index.for_platform(wanted.platform).map_err(|available| ImportError::NotThere {
            path: self.place.to_owned(),
            wanted: format!("for {}", wanted.platform),
            available,
        })
    }
}
