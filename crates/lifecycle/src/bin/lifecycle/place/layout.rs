//! Images in a directory of OCI layouts, one layout for each name.

use super::{Found, Parts, Place, Saved};
use crate::names;
use oci::{Digest, Image, ImageName};
use std::io::BufReader;
use std::path::{Path, PathBuf};

pub(super) struct Layouts {
    dir: PathBuf,
}

impl Layouts {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    fn path_of(&self, name: &ImageName) -> PathBuf {
        self.dir.join(names::layout_path(name))
    }
}

/// A reference is `<path>@<digest>`.
fn path_and_digest(reference: &str) -> Option<(PathBuf, Digest)> {
    let (path, digest) = reference.split_once('@')?;
    let path = Path::new(path);
    path.is_absolute().then_some(())?;
    Some((path.to_owned(), digest.parse().ok()?))
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Place for Layouts {
    fn find(&self, name: &str) -> Result<Option<Found>, String> {
        let (path, wanted) = match path_and_digest(name) {
            Some((path, digest)) => (path, Some(digest)),
            None if name.starts_with('/') => (PathBuf::from(name), None),
            None => {
                let name = ImageName::parse(name, "docker.io").map_err(said)?;
                (self.path_of(&name), name.digest)
            }
        };
        let image = oci::layout::read(&path, wanted.as_ref()).map_err(said)?;
        Ok(image.map(|image| Found { reference: format!("{}@{}", path.display(), image.digest()), image }))
    }

    fn unpack(&self, found: &Found, diff_id: &Digest, at: &Path, into: &Path) -> Result<(), String> {
        let (path, _) = path_and_digest(&found.reference).ok_or("no reference of a layout")?;
        let layer = found.image.layers().into_iter().find(|it| it.diff_id == *diff_id);
        let layer = layer.ok_or_else(|| format!("{} has no layer {diff_id}", found.reference))?;
        let blob = fs_err::File::open(oci::layout::blob_path(&path, &layer.digest)).map_err(said)?;
        oci::unpack_part(BufReader::with_capacity(1 << 16, blob), diff_id, at, into).map_err(said)
    }

    fn save(&self, image: &Image, parts: &Parts<'_>, names: &[ImageName]) -> Result<Saved, String> {
        let layouts: Vec<PathBuf> =
            parts.images.iter().filter_map(|it| Some(path_and_digest(&it.reference)?.0)).collect();
        let find = |digest: &Digest| {
            let mut all = layouts.iter().map(|it| oci::layout::blob_path(it, digest));
            let made = Some(parts.store.blob_path(digest));
            made.into_iter().chain(all.by_ref()).find(|it| it.exists())
        };
        for name in names {
            let missing = oci::layout::write_from(image, name, &self.path_of(name), &find).map_err(said)?;
            // A sparse layout of the run image leaves out its layers, and then so does the app's.
            let base = parts.images.first().map(|it| it.image.manifest().layers.clone()).unwrap_or_default();
            if let Some(lost) = missing.iter().find(|it| !base.iter().any(|layer| layer.digest == **it)) {
                return Err(format!("the layer {lost} is nowhere; build again with an empty cache"));
            }
        }
        Ok(Saved { digest: image.digest().to_string(), image_id: String::new() })
    }

    fn can_read(&self, name: &ImageName) -> Result<bool, String> {
        Ok(oci::layout::read(&self.path_of(name), name.digest.as_ref()).map_err(said)?.is_some())
    }

    fn can_write(&self, _: &ImageName) -> Result<(), String> {
        Ok(())
    }
}
