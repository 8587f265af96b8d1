//! One directory of one layer of an image, as files: of an image in a registry nothing else is fetched.

use super::{ImageError, Progress};
use crate::event::Events;
use crate::world::World;
use oci::{Descriptor, Digest, Image, ImageName};
use std::io::BufReader;
use std::path::{Component, Path, PathBuf};

/// Why there are no files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PartError {
    /// The layer cannot be had.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// It is not what the image says of it.
    #[error("{0}")]
    Unusable(String),
}

/// An image, and its name where its layers are still in a registry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) image: &'a Image,
    pub(crate) registry: Option<&'a ImageName>,
}

/// Unpacks what a layer has in its directory `at` into the directory `into`, which is made.
///
/// # Errors
/// When the image has no such layer, or something else is in it.
pub(crate) fn unpack(
    world: &World,
    place: Place<'_>,
    (diff_id, at): (&str, &Path),
    into: &Path,
    events: Events<'_>,
) -> Result<(), PartError> {
    let unusable = |reason: String| PartError::Unusable(reason);
    let layer = diff_id.parse::<Digest>().ok();
    let layer = layer.and_then(|diff_id| place.image.layers().into_iter().find(|it| it.diff_id == diff_id));
    let layer = layer.ok_or_else(|| unusable(format!("it has no layer {diff_id}, which its label names")))?;
    if let Some(name) = place.registry {
        let client = world.registries().map_err(|error| ImageError::from(Box::new(error)))?;
        let blob = Descriptor::new(&layer.media_type, layer.digest, layer.size);
        let progress = Progress::new("layer");
        let told = |event| progress.tell(event, events);
        client.fetch(name, &world.store, &[blob], &told).map_err(ImageError::from)?;
    }
    let unpacked = fs_err::create_dir(into)
        .and_then(|()| fs_err::File::open(world.store.blob_path(&layer.digest)))
        .map_err(oci::PartError::from)
        .and_then(|blob| oci::unpack_part(BufReader::with_capacity(1 << 16, blob), &layer.diff_id, at, into));
    unpacked.map_err(|error| unusable(crate::error::chain(&error)))
}

/// Where the image has its layers.
///
/// # Errors
/// When it says so with something that is no absolute path.
pub(crate) fn layers_dir(image: &Image) -> Result<PathBuf, PartError> {
    let dir = variable(image, "CNB_LAYERS_DIR").unwrap_or("/layers");
    let mut parts = Path::new(dir).components();
    let plain =
        parts.next() == Some(Component::RootDir) && parts.all(|it| matches!(it, Component::Normal(_)));
    match plain {
        true => Ok(dir.into()),
        false => Err(PartError::Unusable(format!("its CNB_LAYERS_DIR is {dir}, which is no absolute path"))),
    }
}

/// A variable of the image's.
pub(crate) fn variable<'a>(image: &'a Image, name: &str) -> Option<&'a str> {
    let env = &image.config().config.env;
    env.iter().find_map(|it| it.strip_prefix(name)?.strip_prefix('='))
}
