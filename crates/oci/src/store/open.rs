//! Opening a store, and making one.

use std::{io, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use super::{Store, StoreError, session::Session};
use crate::Index;

/// The number of the format that the head of `mod.rs` shows.
const FORMAT: u32 = 1;
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
        Ok(Self { root, session })
    }
}

/// True for a store that is there, false where one can be made.
fn is_current(root: &Path) -> Result<bool, StoreError> {
    match fs_err::read_to_string(root.join("version")) {
        Ok(found) if found.trim() == FORMAT.to_string() => Ok(true),
        Ok(found) => Err(StoreError::OtherVersion {
            root: root.to_owned(),
            found: found.trim().to_owned(),
            known: FORMAT,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let empty = match fs_err::read_dir(root) {
                Ok(mut entries) => entries.next().is_none(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => true,
                Err(error) => return Err(error.into()),
            };
            if empty { Ok(false) } else { Err(StoreError::NotAStore { root: root.to_owned() }) }
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes a store beside its final place and renames it there, so that a half-made one is never seen.
fn create(root: &Path) -> Result<(), StoreError> {
    let parent = root.parent().unwrap_or(root);
    fs_err::create_dir_all(parent)?;
    let new = tempfile::Builder::new().prefix(".packlight-store-").tempdir_in(parent);
    let new = new.map_err(|error| StoreError::at(parent, error))?;
    // Images hold foreign files, set-uid ones among them when root unpacks: nobody else has business here.
    fs_err::set_permissions(new.path(), std::fs::Permissions::from_mode(0o700))?;
    for dir in DIRECTORIES {
        fs_err::create_dir_all(new.path().join(dir))?;
    }
    let index =
        Index::default().to_json().map_err(|source| StoreError::Json { path: root.to_owned(), source })?;
    fs_err::write(new.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    fs_err::write(new.path().join("index.json"), index)?;
    fs_err::write(new.path().join("lock"), "")?;
    fs_err::write(new.path().join("version"), format!("{FORMAT}\n"))?;
    match fs_err::rename(new.path(), root) {
        Ok(()) => {
            let _ = new.keep();
            Ok(())
        }
        // Another process was faster, or something else is there by now.
        Err(_) if is_current(root)? => Ok(()),
        Err(error) => Err(error.into()),
    }
}
