//! Removing a tree of files that belong to us but may forbid it.

use std::{io, os::unix::fs::PermissionsExt, path::Path};

/// Removes a file or a directory with all in it; directories that may not be written are made writable first.
/// What is not there is fine.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let kind = match fs_err::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !kind.is_dir() {
        return ignore_missing(fs_err::remove_file(path));
    }
    if ignore_missing(fs_err::remove_dir_all(path)).is_ok() {
        return Ok(());
    }
    make_writable(path)?;
    ignore_missing(fs_err::remove_dir_all(path))
}

/// The bytes that a tree takes up.
pub(super) fn size(path: &Path) -> u64 {
    let Ok(found) = fs_err::symlink_metadata(path) else { return 0 };
    let own = std::os::unix::fs::MetadataExt::blocks(&found) * 512;
    if !found.is_dir() {
        return own;
    }
    let entries = fs_err::read_dir(path).into_iter().flatten().flatten();
    own + entries.map(|entry| size(&entry.path())).sum::<u64>()
}

fn make_writable(dir: &Path) -> io::Result<()> {
    fs_err::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
    for entry in fs_err::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
