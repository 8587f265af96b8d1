//! Images and their names.

use std::path::PathBuf;

use super::{Store, StoreError, lock::touch};
use crate::{
    Descriptor, Digest, Image, ImageConfig, ImageError, ImageName, Index, LayerRef, Manifest, Platform,
};

/// The annotation that has an image's name in `index.json`; skopeo finds images by it.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A line of the list of images.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The name.
    pub name: ImageName,
    /// The manifest's digest.
    pub image: Digest,
    /// When it was made, by its configuration: RFC 3339.
    pub created: Option<String>,
    /// The bytes of its layers, compressed.
    pub size: u64,
}

impl Store {
    /// Makes an image of a configuration and of layers that are in the store: [`Image::new`], then
    /// [`Store::add_image`].
    ///
    /// # Errors
    /// When a layer's blob is missing, or the disk is full.
    pub fn put_image(&self, config: ImageConfig, layers: &[LayerRef]) -> Result<Image, StoreError> {
        let image = Image::new(config, layers)?;
        self.add_image(&image)?;
        Ok(image)
    }

    /// Adds an image's documents; its layers must be there. It has no name until it is given one.
    ///
    /// # Errors
    /// When a layer's blob is missing or is not the layer that the configuration names, or the disk is full.
    pub fn add_image(&self, image: &Image) -> Result<(), StoreError> {
        for (layer, diff_id) in image.manifest().layers.iter().zip(image.diff_ids()) {
            if !self.use_blob(&layer.digest, layer.size)? {
                let path = self.blob_path(&layer.digest);
                return Err(StoreError::Missing { digest: layer.digest, path });
            }
            self.claim_diff(diff_id, &layer.digest)?;
        }
        self.add_blob(image.config_json())?;
        self.add_blob(image.manifest_json())?;
        Ok(())
    }

    /// Gives an image a name (its digest, if it has one, is left out); whatever had it loses it.
    ///
    /// # Errors
    /// When the index can't be written.
    pub fn tag(&self, name: &ImageName, image: &Image) -> Result<(), StoreError> {
        let entry = index_entry(image, &key_of(name));
        self.change_index(|index| {
            let same =
                |other: &Descriptor| other.annotations.get(REF_NAME) == entry.annotations.get(REF_NAME);
            if index.manifests.contains(&entry) {
                return false;
            }
            index.manifests.retain(|other| !same(other));
            index.manifests.push(entry.clone());
            index.manifests.sort_by(|a, b| a.annotations.get(REF_NAME).cmp(&b.annotations.get(REF_NAME)));
            true
        })?;
        Ok(())
    }

    /// The image with this name, or, when the name has a digest, with that digest.
    ///
    /// # Errors
    /// When its documents are missing or damaged.
    pub fn image(&self, name: &ImageName) -> Result<Option<Image>, StoreError> {
        let digest = match name.digest {
            Some(digest) => self.blob_path(&digest).exists().then_some(digest),
            None => {
                let key = key_of(name);
                let index = self.index()?;
                let found =
                    index.manifests.iter().find(|entry| entry.annotations.get(REF_NAME) == Some(&key));
                found.map(|entry| entry.digest)
            }
        };
        digest.map(|digest| self.image_by_digest(&digest)).transpose()
    }

    /// The image whose manifest has this digest; all that it consists of counts as used by this process.
    ///
    /// # Errors
    /// When its documents are missing or damaged.
    pub fn image_by_digest(&self, digest: &Digest) -> Result<Image, StoreError> {
        let _shared = self.shared()?;
        let image = self.read_image(digest)?;
        let blobs =
            [*digest, image.id()].into_iter().chain(image.manifest().layers.iter().map(|layer| layer.digest));
        for blob in blobs {
            touch(&self.blob_path(&blob))?;
        }
        Ok(image)
    }

    /// Every name, sorted.
    ///
    /// # Errors
    /// When the index, or an image in it, can't be read.
    pub fn images(&self) -> Result<Vec<Listed>, StoreError> {
        let mut listed = Vec::new();
        for entry in self.index()?.manifests {
            let name =
                entry.annotations.get(REF_NAME).and_then(|name| ImageName::parse(name, "docker.io").ok());
            let Some(name) = name else { continue };
            let image = self.read_image(&entry.digest).map_err(|error| StoreError::BadImage {
                digest: entry.digest,
                problem: format!(
                    "it has the name {} and can't be read ({error}); remove the name",
                    name.short()
                ),
            })?;
            let (created, size) = (image.config().created.clone(), image.size());
            listed.push(Listed { name, image: entry.digest, created, size });
        }
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    /// Takes a name away; its contents stay until they are pruned. False when there was no such name.
    ///
    /// # Errors
    /// When the index can't be written.
    pub fn untag(&self, name: &ImageName) -> Result<bool, StoreError> {
        let key = key_of(name);
        self.change_index(|index| {
            let before = index.manifests.len();
            index.manifests.retain(|entry| entry.annotations.get(REF_NAME) != Some(&key));
            index.manifests.len() < before
        })
    }

    pub(super) fn read_image(&self, digest: &Digest) -> Result<Image, StoreError> {
        let manifest_json = self.read_blob(digest)?;
        let manifest: Manifest = serde_json::from_slice(&manifest_json)
            .map_err(|source| StoreError::Json { path: self.blob_path(digest), source })?;
        let config_json = self.read_blob(&manifest.config.digest)?;
        let bad = |error: ImageError| StoreError::BadImage { digest: *digest, problem: error.to_string() };
        Image::of_documents(manifest_json, config_json).map_err(bad)
    }

    pub(super) fn index(&self) -> Result<Index, StoreError> {
        let path = self.index_path();
        serde_json::from_slice(&fs_err::read(&path)?).map_err(|source| StoreError::Json { path, source })
    }

    pub(super) fn index_path(&self) -> PathBuf {
        self.root.join("index.json")
    }

    /// Changes the index while nobody else does; writes it when `change` says so, and returns that.
    fn change_index(&self, change: impl FnOnce(&mut Index) -> bool) -> Result<bool, StoreError> {
        let _exclusive = self.exclusive()?;
        let mut index = self.index()?;
        if !change(&mut index) {
            return Ok(false);
        }
        let json = self.json(index.to_json())?;
        self.write_file(&self.index_path(), &json)?;
        Ok(true)
    }

    fn json(&self, result: Result<Vec<u8>, serde_json::Error>) -> Result<Vec<u8>, StoreError> {
        result.map_err(|source| StoreError::Json { path: self.root.clone(), source })
    }
}

/// How an index lists an image under a name.
pub(crate) fn index_entry(image: &Image, ref_name: &str) -> Descriptor {
    let mut entry = Descriptor::new(image.media_type(), image.digest(), image.manifest_json().len() as u64);
    entry.platform = Some(Platform {
        architecture: image.config().architecture.clone(),
        os: image.config().os.clone(),
        variant: None,
        extra: Default::default(),
    });
    entry.annotations.insert(REF_NAME.to_owned(), ref_name.to_owned());
    entry
}

/// The name by which an image is found: complete, with the tag and without a digest.
fn key_of(name: &ImageName) -> String {
    format!("{}:{}", name.without_tag(), name.tag.as_deref().unwrap_or("latest"))
}
