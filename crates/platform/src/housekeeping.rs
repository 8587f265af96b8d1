//! Looking after the store: list, remove, prune, check.

use crate::base::{self, LOCAL_REGISTRY};
use oci::{ImageName, Listed, Problem, Pruned, Store, StoreError};

/// The images that people made; bases that were never pushed are not among them.
///
/// # Errors
/// When the store cannot be read.
pub fn images(store: &Store) -> Result<Vec<Listed>, StoreError> {
    Ok(store.images()?.into_iter().filter(|it| it.name.registry != LOCAL_REGISTRY).collect())
}

/// Takes a name away from its image; the image's parts go with the next [`prune`]. False when there was no such name.
///
/// # Errors
/// When the store cannot be written.
pub fn remove(store: &Store, name: &ImageName) -> Result<bool, StoreError> {
    store.untag(name)
}

/// Removes what no image and no build needs: bases on which no image stands, then parts of images, unpacked layers.
///
/// # Errors
/// When something cannot be removed.
pub fn prune(store: &Store) -> Result<Pruned, base::BaseError> {
    base::forget_unused(store)?;
    Ok(store.prune()?)
}

/// Looks whether everything in the store is what its name says and everything that is named is there.
///
/// # Errors
/// When the store cannot be read at all; what is wrong in it is the answer.
pub fn check(store: &Store) -> Result<Vec<Problem>, StoreError> {
    store.check()
}

/// Whether the file system of the store has no room left to speak of.
#[must_use]
pub fn is_full(store: &Store) -> bool {
    const LEAST: u64 = 1 << 20;
    rustix::fs::statvfs(store.root()).is_ok_and(|it| it.f_bavail.saturating_mul(it.f_frsize) < LEAST)
}
