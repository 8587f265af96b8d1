//! Newer packages for bases that are in use: resolved anew, written into the locks, composed.

use super::{BaseError, Wanted, obtain, resolve};
use crate::event::Events;
use crate::housekeeping;
use crate::lock::{DebianLock, Lock, LockError};
use crate::world::World;
use serde::Serialize;
use std::collections::BTreeMap;

/// The lock's name in an app's directory of the store.
pub(crate) const LOCK_FILE: &str = "packlight.lock";

/// What became of the base of one app.
#[derive(Debug, Clone, Serialize)]
pub struct Updated {
    /// The app's image.
    pub image: String,
    /// Code name of the release.
    pub release: String,
    /// What changed in it, sorted by name.
    pub changes: Vec<Change>,
}

/// One package that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The package.
    pub name: String,
    /// The version that it had; `None`: it is new.
    pub from: Option<String>,
    /// The version that it has; `None`: it is gone.
    pub to: Option<String>,
}

/// Why locks could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// A base could not be had.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// A lock could not be read or written.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store could not do its part.
    #[error(transparent)]
    Store(#[from] oci::StoreError),
}

/// Brings the base of every app in the store up to date: its lock names the newest packages, and the base is composed.
/// The images stand on the new base when they are next built.
///
/// # Errors
/// With the first app whose base cannot be had; those before it are done.
pub fn update(world: &World, events: Events<'_>) -> Result<Vec<Updated>, UpdateError> {
    let mut done = Vec::new();
    for image in housekeeping::images(&world.store)? {
        let app = world.store.app(&image.name)?;
        let Some(mut lock) = Lock::load(&app.path().join(LOCK_FILE))? else { continue };
        let Some(old) = lock.debian.take() else { continue };
        let wanted = Wanted {
            release: old.release.clone(),
            run: old.wanted_run.clone(),
            build: old.wanted_build.clone(),
        };
        let new = resolve(world, wanted.release().map_err(BaseError::from)?, &wanted, None, events)?;
        obtain(world, &wanted, Some(&new), events)?;
        let changes = changes(&old, &new);
        lock.debian = Some(new);
        app.write(LOCK_FILE, lock.print()?.as_bytes())?;
        done.push(Updated { image: image.name.short(), release: old.release, changes });
    }
    Ok(done)
}

/// What changed in the run base.
fn changes(old: &DebianLock, new: &DebianLock) -> Vec<Change> {
    let versions = |lock: &DebianLock| -> BTreeMap<String, String> {
        lock.run.iter().map(|it| (it.name.clone(), it.version.clone())).collect()
    };
    let (old, new) = (versions(old), versions(new));
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| Change { name: name.clone(), from: old.get(name).cloned(), to: new.get(name).cloned() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use debian::LockedPackage;

    fn lock(packages: &[(&str, &str)]) -> DebianLock {
        let package = |(name, version): &(&str, &str)| LockedPackage {
            name: (*name).into(),
            version: (*version).into(),
            architecture: "amd64".into(),
            suite: "trixie".into(),
            filename: "pool/x".into(),
            size: 1,
            sha256: "0".repeat(64),
        };
        DebianLock {
            release: "trixie".into(),
            wanted_run: vec![],
            wanted_build: vec![],
            run: packages.iter().map(package).collect(),
            build: vec![],
        }
    }

    #[test]
    fn what_came_went_and_changed_is_told() {
        let changes = changes(
            &lock(&[("gone", "1"), ("openssl", "3.0"), ("same", "1")]),
            &lock(&[("new", "1"), ("openssl", "3.1"), ("same", "1")]),
        );
        let told: Vec<_> =
            changes.iter().map(|it| (it.name.as_str(), it.from.as_deref(), it.to.as_deref())).collect();
        assert_eq!(
            told,
            [("gone", Some("1"), None), ("new", None, Some("1")), ("openssl", Some("3.0"), Some("3.1"))]
        );
    }
}
