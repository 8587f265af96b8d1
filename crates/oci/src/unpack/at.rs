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

/// Makes the second kind of whiteout that an overlay knows: an empty file with an attribute.
pub(super) fn make_gone(dir: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(dir, name, flags, Mode::RUSR | Mode::WUSR) {
        // What is there already is of this layer and hides what is below as it is.
        Err(Errno::EXIST) => Ok(()),
        file => Ok(fsetxattr(file?, "user.overlay.whiteout", b"y", XattrFlags::empty())?),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{lgetxattr, open};

    #[test]
    fn a_whiteout_without_a_device_is_an_empty_file_with_a_mark_and_touches_nothing_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("there"), "text").unwrap();
        let open = open(dir.path(), DIRECTORY, Mode::empty()).unwrap();
        for name in ["gone", "gone", "there"] {
            make_gone(&open, OsStr::new(name)).unwrap();
        }
        let mark = |name: &str| lgetxattr(dir.path().join(name), "user.overlay.whiteout", &mut [0_u8; 1][..]);
        assert_eq!(mark("gone"), Ok(1));
        assert_eq!(std::fs::read(dir.path().join("gone")).unwrap(), b"");
        assert_eq!(mark("there"), Err(Errno::NODATA));
        assert_eq!(std::fs::read(dir.path().join("there")).unwrap(), b"text");
    }
}
