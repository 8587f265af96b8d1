//! Opening a store, and making one.

use std::{ffi::OsStr, io, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use super::{Store, StoreError, session::Session};
use crate::{Compression, Index};

/// The number of the format that the head of `mod.rs` shows.
const FORMAT: u32 = 1;
const VERSION: &str = "version";
const FILES: [&str; 3] = ["oci-layout", "index.json", "lock"];
const DIRECTORIES: [&str; 7] = ["blobs/sha256", "diffs", "layers", "apps", "downloads", "payload", "tmp"];

impl Store {
    /// Opens the store in this directory, and creates it when there is none. What killed processes left in `tmp/` is
    /// removed.
    ///
    /// # Errors
    /// When the directory holds something else or a store of another format, or can't be written.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let root = std::path::absolute(root).map_err(|error| StoreError::at(root, error))?;
        if !is_current(&root)? {
            create(&root)?;
        }
        let tmp = root.join("tmp");
        Session::clear_dead(&tmp)?;
        let session = Arc::new(Session::start(&tmp)?);
        Ok(Self { root, session, compression: Compression::default() })
    }
}

/// True for a store that is there, false when there is none (or not yet).
fn is_current(root: &Path) -> Result<bool, StoreError> {
    match fs_err::read_to_string(root.join(VERSION)) {
        Ok(found) if found.trim() == FORMAT.to_string() => Ok(true),
        Ok(found) => Err(StoreError::OtherVersion {
            root: root.to_owned(),
            found: found.trim().to_owned(),
            known: FORMAT,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Makes a store, under a lock on the directory itself; `version` comes last, so what was left half-made is finished by
/// the next one.
fn create(root: &Path) -> Result<(), StoreError> {
    fs_err::create_dir_all(root)?;
    let directory = fs_err::File::open(root)?;
    while let Err(errno) = rustix::fs::flock(&directory, rustix::fs::FlockOperation::LockExclusive) {
        if errno != rustix::io::Errno::INTR {
            return Err(StoreError::at(root, errno.into()));
        }
    }
    if is_current(root)? {
        return Ok(()); // another process was faster
    }
    for entry in fs_err::read_dir(root)? {
        if !is_of_a_store(&entry?.file_name()) {
            return Err(StoreError::NotAStore { root: root.to_owned() });
        }
    }
    // Images hold foreign files, set-uid ones among them when root unpacks: nobody else has business here.
    fs_err::set_permissions(root, std::fs::Permissions::from_mode(0o700))?;
    for dir in DIRECTORIES {
        fs_err::create_dir_all(root.join(dir))?;
    }
    let index =
        Index::default().to_json().map_err(|source| StoreError::Json { path: root.to_owned(), source })?;
    fs_err::write(root.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    fs_err::write(root.join("index.json"), index)?;
    fs_err::write(root.join("lock"), "")?;
    let new = root.join("tmp").join(VERSION);
    fs_err::write(&new, format!("{FORMAT}\n"))?;
    Ok(fs_err::rename(new, root.join(VERSION))?)
}

/// Whether a store that was left half-made holds such a name.
fn is_of_a_store(name: &OsStr) -> bool {
    let top = |dir: &&str| dir.split('/').next().is_some_and(|it| name == it);
    DIRECTORIES.iter().any(top) || FILES.iter().any(|it| name == *it)
}
