//! Small steps at an open directory, none of which follows a link.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, Dir, Mode, OFlags, XattrFlags, chownat, fchmod, fchown, fsetxattr, futimens, openat,
        unlinkat, utimensat,
    },
    io::Errno,
};

use super::{DIRECTORY, Meta};

/// The path without a leading slash; an entry that says `..` is refused.
pub(super) fn clean(path: &Path) -> io::Result<PathBuf> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::Error::other("its path has '..' in it, which no layer may have"));
            }
        }
    }
    Ok(clean)
}

pub(super) fn in_root(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

pub(super) fn open_directory(at: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    openat(at, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

pub(super) fn set_meta(fd: impl AsFd, meta: &Meta) -> io::Result<()> {
    if let Some((uid, gid)) = meta.owner {
        fchown(&fd, Some(uid), Some(gid))?;
    }
    fchmod(&fd, meta.mode)?;
    Ok(futimens(&fd, &meta.times)?)
}

pub(super) fn set_link_meta(parent: &OwnedFd, name: &OsStr, meta: &Meta) -> io::Result<()> {
    if let Some((uid, gid)) = meta.owner {
        chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(utimensat(parent, name, &meta.times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// The attribute is `user.` for overlays of user namespaces and `trusted.` for those of root. Not every file system
/// has the first, and not every root may set the second; one of them must do.
pub(super) fn make_opaque(dir: &OwnedFd) -> io::Result<()> {
    let set = |name| fsetxattr(dir, name, b"y", XattrFlags::empty());
    let user = set("user.overlay.opaque");
    if rustix::process::geteuid().is_root() && set("trusted.overlay.opaque").is_ok() {
        return Ok(());
    }
    Ok(user?)
}

pub(super) fn names_in(dir: &OwnedFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

/// Removes a file, or a directory with all in it; follows no link.
pub(super) fn remove(at: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match unlinkat(at, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        other => return Ok(other?),
    }
    let dir = open_directory(at, name)?;
    fchmod(&dir, Mode::RWXU)?;
    for inner in names_in(&dir)? {
        remove(&dir, &inner)?;
    }
    Ok(unlinkat(at, name, AtFlags::REMOVEDIR)?)
}
