//! Images as OCI layouts: <https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md>.

use std::{
    collections::HashSet,
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    Descriptor, Digest, Image, ImageName, Index, Store, StoreError,
    archive::{Archive, blob_name, write_whole},
    bounded,
    docker_archive::missing_layers,
    image::go_architecture,
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
    let whole: HashSet<Digest> =
        blobs(image).into_iter().filter(|(it, size)| store.has_blob(it, *size)).map(|(it, _)| it).collect();
    let find = |digest: &Digest| whole.contains(digest).then(|| store.blob_path(digest));
    match write_from(image, name, dir, &find)?.first() {
        None => Ok(()),
        Some(digest) => Err(StoreError::Missing { digest: *digest, path: store.blob_path(digest) }),
    }
}

/// The same with layers from wherever `find` says; returns those that it does not know, without which the layout is a
/// sparse one.
///
/// # Errors
/// When a file can't be read or written, or the directory has other things in it.
pub fn write_from(
    image: &Image,
    name: &ImageName,
    dir: &Path,
    find: &dyn Fn(&Digest) -> Option<PathBuf>,
) -> Result<Vec<Digest>, StoreError> {
    let mut index = match read_index(dir)? {
        Some(index) => index,
        None => {
            fs_err::create_dir_all(dir)?;
            for entry in fs_err::read_dir(dir)? {
                // What a writer that was interrupted leaves: the file that makes it a layout comes last.
                let name = entry?.file_name();
                if name != "blobs"
                    && name != "index.json"
                    && !name.as_encoded_bytes().starts_with(b".packlight-")
                {
                    return Err(StoreError::NotALayout { dir: dir.to_owned() });
                }
            }
            Index::default()
        }
    };
    fs_err::create_dir_all(dir.join("blobs/sha256"))?;
    let mut missing = Vec::new();
    for (digest, size) in blobs(image).into_iter().skip(2) {
        let to = blob_path(dir, &digest);
        if fs_err::metadata(&to).is_ok_and(|found| found.len() == size) {
            continue;
        }
        match find(&digest) {
            Some(from) => write_whole(&to, |out| {
                io::copy(&mut fs_err::File::open(&from)?, out)?;
                Ok(())
            })?,
            None => missing.push(digest),
        }
    }
    for (digest, document) in [(image.id(), image.config_json()), (image.digest(), image.manifest_json())] {
        write_whole(&blob_path(dir, &digest), |out| Ok(out.write_all(document)?))?;
    }
    let entry = entry(image, name);
    index.manifests.retain(|other| other.annotations.get(REF_NAME) != entry.annotations.get(REF_NAME));
    index.manifests.push(entry);
    let json = to_json(&index, dir)?;
    write_whole(&dir.join("index.json"), |out| Ok(out.write_all(&json)?))?;
    // Last, as it says that all the rest is there.
    write_whole(&dir.join("oci-layout"), |out| Ok(out.write_all(LAYOUT)?))?;
    Ok(missing)
}

/// The image in an OCI layout directory: the one with this digest, or the only one, or the one for this machine; `None`
/// when there is no layout or none of that digest. Its layers need not be there.
///
/// # Errors
/// When a document is missing or damaged.
pub fn read(dir: &Path, wanted: Option<&Digest>) -> Result<Option<Image>, StoreError> {
    let Some(index) = read_index(dir)? else { return Ok(None) };
    let is_ours = |it: &Descriptor| {
        let here =
            |platform: &crate::Platform| platform.os == "linux" && platform.architecture == go_architecture();
        it.platform.as_ref().is_none_or(here)
    };
    let found = match (wanted, index.manifests.as_slice()) {
        (Some(digest), all) => all.iter().find(|it| it.digest == *digest),
        (None, [only]) => Some(only),
        (None, all) => all.iter().find(|it| is_ours(it)),
    };
    let Some(found) = found else { return Ok(None) };
    let document = |digest: &Digest| -> Result<Vec<u8>, StoreError> {
        let path = blob_path(dir, digest);
        let bytes = bounded::read(&path)?;
        match Digest::of(&bytes) {
            actual if actual == *digest => Ok(bytes),
            actual => Err(StoreError::Corrupt { path, expected: *digest, found: actual }),
        }
    };
    let manifest_json = document(&found.digest)?;
    let manifest: crate::Manifest = serde_json::from_slice(&manifest_json)
        .map_err(|source| StoreError::Json { path: blob_path(dir, &found.digest), source })?;
    let config_json = document(&manifest.config.digest)?;
    Ok(Some(Image::of_documents(manifest_json, config_json)?))
}

/// Where a blob is, or would be, in a layout directory.
pub fn blob_path(dir: &Path, digest: &Digest) -> PathBuf {
    dir.join(blob_name(digest))
}

fn read_index(dir: &Path) -> Result<Option<Index>, StoreError> {
    match bounded::read(&dir.join("oci-layout")) {
        Ok(_) => {
            let path = dir.join("index.json");
            serde_json::from_slice(&bounded::read(&path)?)
                .map(Some)
                .map_err(|source| StoreError::Json { path, source })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes an image as a tar of an OCI layout (skopeo's `oci-archive:`) under these names, the same bytes for the same image and
/// names.
///
/// # Errors
/// When a blob is missing or the file can't be written.
pub fn write_archive(
    store: &Store,
    image: &Image,
    names: &[ImageName],
    file: &Path,
) -> Result<(), StoreError> {
    let manifests = names.iter().map(|name| entry(image, name)).collect();
    let index = Index { manifests, ..Index::default() };
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

fn to_json(index: &Index, path: &Path) -> Result<Vec<u8>, StoreError> {
    index.to_json().map_err(|source| StoreError::Json { path: path.to_owned(), source })
}
