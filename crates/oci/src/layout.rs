//! Images as OCI layouts: <https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md>.

use std::{
    collections::HashSet,
    io::{self, Write},
    path::Path,
};

use crate::{
    Descriptor, Digest, Image, ImageName, Index, Store, StoreError,
    archive::{Archive, blob_name, write_whole},
    docker_archive::missing_layers,
    store::{REF_NAME, index_entry},
};

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// Where containerd, and so Docker and nerdctl, look for the complete name.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Writes an image as an OCI layout directory, under the tag of its name; to a layout that is there it is added, and
/// replaces the image with the same tag.
///
/// # Errors
/// When a blob is missing, the directory can't be written, or has other things in it.
pub fn write(store: &Store, image: &Image, name: &ImageName, dir: &Path) -> Result<(), StoreError> {
    let mut index = match fs_err::read(dir.join("oci-layout")) {
        Ok(_) => {
            let path = dir.join("index.json");
            serde_json::from_slice(&fs_err::read(&path)?)
                .map_err(|source| StoreError::Json { path, source })?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs_err::create_dir_all(dir)?;
            if fs_err::read_dir(dir)?.next().is_some() {
                return Err(StoreError::NotALayout { dir: dir.to_owned() });
            }
            Index::default()
        }
        Err(error) => return Err(error.into()),
    };
    fs_err::create_dir_all(dir.join("blobs/sha256"))?;
    for (digest, size) in blobs(image) {
        copy_blob(store, &digest, size, &dir.join(blob_name(&digest)))?;
    }
    let entry = entry(image, name);
    index.manifests.retain(|other| other.annotations.get(REF_NAME) != entry.annotations.get(REF_NAME));
    index.manifests.push(entry);
    let json = to_json(&index, dir)?;
    write_whole(&dir.join("index.json"), |out| Ok(out.write_all(&json)?))?;
    // Last, as it says that all the rest is there.
    write_whole(&dir.join("oci-layout"), |out| Ok(out.write_all(LAYOUT)?))
}

/// Writes an image as a tar of an OCI layout (skopeo's `oci-archive:`), the same bytes for the same image and name.
///
/// # Errors
/// When a blob is missing or the file can't be written.
pub fn write_archive(store: &Store, image: &Image, name: &ImageName, file: &Path) -> Result<(), StoreError> {
    let index = Index { manifests: vec![entry(image, name)], ..Index::default() };
    let json = to_json(&index, file)?;
    write_whole(file, |out| {
        let mut archive = Archive::new(out);
        archive.file("oci-layout", LAYOUT)?;
        archive.file("index.json", &json)?;
        archive.dir("blobs/")?;
        archive.dir("blobs/sha256/")?;
        for (digest, size) in blobs(image) {
            archive.blob(store, &digest, size)?;
        }
        archive.finish()?;
        Ok(())
    })
}

/// The same for an engine with containerd's image store: under several names, without the layers whose chain ids are
/// in `have`. Such an engine takes blobs by their digests, so it keeps the image's own digest.
pub(crate) fn write_for_engine(
    store: &Store,
    image: &Image,
    names: &[ImageName],
    out: impl Write,
    have: &HashSet<Digest>,
) -> Result<(), StoreError> {
    let manifests = names.iter().map(|name| entry(image, name)).collect();
    let json = to_json(&Index { manifests, ..Index::default() }, store.root())?;
    let config = &image.manifest().config;
    let mut archive = Archive::new(out);
    archive.file("oci-layout", LAYOUT)?;
    archive.file("index.json", &json)?;
    archive.dir("blobs/")?;
    archive.dir("blobs/sha256/")?;
    archive.blob(store, &image.digest(), image.manifest_json().len() as u64)?;
    archive.blob(store, &config.digest, config.size)?;
    for layer in missing_layers(image, have) {
        archive.blob(store, &layer.digest, layer.size)?;
    }
    archive.finish()?;
    Ok(())
}

fn entry(image: &Image, name: &ImageName) -> Descriptor {
    let tag = name.tag.as_deref().unwrap_or("latest");
    let mut entry = index_entry(image, tag);
    entry.annotations.insert(CONTAINERD_NAME.to_owned(), format!("{}:{tag}", name.without_tag()));
    entry
}

/// Every blob of an image once, with its length.
fn blobs(image: &Image) -> Vec<(Digest, u64)> {
    let manifest = (image.digest(), image.manifest_json().len() as u64);
    let config = (image.manifest().config.digest, image.manifest().config.size);
    let mut blobs = vec![manifest, config];
    for layer in &image.manifest().layers {
        if !blobs.contains(&(layer.digest, layer.size)) {
            blobs.push((layer.digest, layer.size));
        }
    }
    blobs
}

fn copy_blob(store: &Store, digest: &Digest, size: u64, to: &Path) -> Result<(), StoreError> {
    if fs_err::metadata(to).is_ok_and(|found| found.len() == size) {
        return Ok(());
    }
    let from = store.blob_path(digest);
    if !store.has_blob(digest, size) {
        return Err(StoreError::Missing { digest: *digest, path: from });
    }
    write_whole(to, |out| {
        io::copy(&mut fs_err::File::open(&from)?, out)?;
        Ok(())
    })
}

fn to_json(index: &Index, path: &Path) -> Result<Vec<u8>, StoreError> {
    index.to_json().map_err(|source| StoreError::Json { path: path.to_owned(), source })
}
