//! A base gets a name: its run image goes to a registry, and what is built on it from then on says where it came from.

use super::{BaseError, listed, read_record};
use crate::event::Events;
use crate::images::Progress;
use crate::world::{World, WorldError};
use oci::registry::{Layers, Pushed};
use oci::{Digest, ImageName};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The file with the name, in the base's directory.
const NAME_FILE: &str = "name";

/// Why a base was not pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// There is none.
    #[error("the store has no base yet; a build composes the one that its app needs")]
    NoBase,
    /// There are several.
    #[error("the store has {0} bases; name an image that stands on the one to push, with --of")]
    Several(usize),
    /// The image is not there.
    #[error("the store has no image {0}")]
    NoImage(String),
    /// The image stands on something else.
    #[error("{0} stands on no base of this store")]
    OnNone(String),
    /// The settings are wrong.
    #[error(transparent)]
    World(#[from] Box<WorldError>),
    /// The registry does not take it.
    #[error(transparent)]
    Registry(#[from] oci::registry::Error),
    /// The bases cannot be read.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] oci::StoreError),
    /// The name cannot be noted.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Pushes the base on which an image stands, or the only one, and notes the name.
///
/// # Errors
/// When it is not clear which, or the registry does not take it.
pub fn push(
    world: &World,
    name: &ImageName,
    of: Option<&ImageName>,
    events: Events<'_>,
) -> Result<Pushed, PushError> {
    let (dir, run_image) = choose(world, of)?;
    let image = world.store.image_by_digest(&run_image)?;
    let client = world.registries().map_err(Box::new)?;
    let progress = Progress::new("upload");
    let layers = Layers { store: Some(&world.store), repositories: &[] };
    let tell = |event| progress.tell(event, events);
    let pushed = client.push(&image, layers, std::slice::from_ref(name), &tell)?;
    world.store.tag(name, &image)?;
    let mut file = tempfile::NamedTempFile::new_in(&dir)?;
    file.write_all(format!("{name}\n").as_bytes())?;
    file.persist(dir.join(NAME_FILE)).map_err(|error| error.error)?;
    Ok(pushed)
}

fn choose(world: &World, of: Option<&ImageName>) -> Result<(PathBuf, Digest), PushError> {
    let mut bases = Vec::new();
    for dir in listed(&world.store)? {
        let run_image = read_record(&dir)?.run_image;
        bases.push((dir, run_image));
    }
    let Some(name) = of else {
        let count = bases.len();
        return match (bases.pop(), count) {
            (Some(only), 1) => Ok(only),
            (None, _) => Err(PushError::NoBase),
            _ => Err(PushError::Several(count)),
        };
    };
    let app = world.store.image(name)?.ok_or_else(|| PushError::NoImage(name.short()))?;
    for (dir, run_image) in bases {
        if app.diff_ids().starts_with(world.store.image_by_digest(&run_image)?.diff_ids()) {
            return Ok((dir, run_image));
        }
    }
    Err(PushError::OnNone(name.short()))
}

/// The name of the base in a directory.
pub(super) fn name(dir: &Path) -> Option<ImageName> {
    let text = fs_err::read_to_string(dir.join(NAME_FILE)).ok()?;
    ImageName::parse(text.trim(), crate::settings::DEFAULT_REGISTRY).ok()
}

/// The names of all bases: what an image says of its base depends on them.
pub(crate) fn names(store: &oci::Store) -> Result<Vec<Option<String>>, BaseError> {
    Ok(listed(store)?.iter().map(|dir| name(dir).map(|it| it.to_string())).collect())
}
