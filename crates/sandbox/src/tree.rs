//! Directories before and after a room: made writable for its user, filled with marks that hide, removed whatever was
//! left in them.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use crate::error::{At, SandboxError, Step};
use crate::{Identity, Isolation, ids, marks};

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// How deep the removal goes before it lifts what is below to the top: a descriptor is open for each level.
const DEEPEST: usize = 64;

/// Makes a directory that the room's user can write: created where missing (mode 0755, whatever the umask), else given to
/// that user (when root calls) and opened to its owner. What is in it stays as it is, unless it was given to the same
/// user for rooms of the other isolation: then all of it is given again.
pub fn own_dir(path: &Path, user: Identity, isolation: &Isolation) -> Result<(), SandboxError> {
    make_dirs(path).at(Step::OwnDirectory, path)?;
    let directory =
        rustix::fs::open(path, DIRECTORY | OFlags::RDONLY, Mode::empty()).or_else(|error| match error {
            // An owner that may not read: the change of mode below goes by the path, which is the owner's own.
            Errno::ACCESS => rustix::fs::open(path, DIRECTORY | OFlags::PATH, Mode::empty()),
            error => Err(error),
        });
    let directory = directory.at(Step::OwnDirectory, path)?;
    let status = rustix::fs::fstat(&directory).at(Step::OwnDirectory, path)?;
    let (owner, other) = match isolation {
        Isolation::Full => (ids::shifted_both(user), ids::tenants(user)),
        Isolation::Reduced { .. } => (ids::tenants(user), ids::shifted_both(user)),
    };
    let found = (status.st_uid, status.st_gid);
    if ids::shifts() && found != owner {
        if found == other {
            give_all(path, other.0, owner).at(Step::OwnDirectory, path)?;
        }
        let (uid, gid) = (Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1)));
        rustix::fs::chownat(&directory, "", uid, gid, AtFlags::EMPTY_PATH).at(Step::OwnDirectory, path)?;
    }
    if status.st_mode & 0o700 != 0o700 {
        let mode = Mode::from_raw_mode(status.st_mode & 0o7777 | 0o700);
        set_mode(&directory, mode).at(Step::OwnDirectory, path)?;
    }
    Ok(())
}

/// Gives away all in a directory that was given to somebody before; nothing runs that could change it meanwhile. What is
/// not theirs may be a link to a file of the store.
fn give_all(path: &Path, theirs: u32, owner: (u32, u32)) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            give_all(&entry.path(), theirs, owner)?;
        }
        if metadata.uid() == theirs {
            std::os::unix::fs::lchown(entry.path(), Some(owner.0), Some(owner.1))?;
        }
    }
    Ok(())
}

/// Fills the directory `into` so that an overlay with it on top hides `paths` (relative) of the trees below.
///
/// Directories on the way to the marks merge with those below, and give them their own mode (0755). Name only what is
/// there: a mark in a directory that no tree below has is seen as the device that it is.
pub fn whiteouts(into: &Path, paths: &[PathBuf]) -> Result<(), SandboxError> {
    make_dirs(into).at(Step::Whiteout, into)?;
    let mut paths: Vec<&PathBuf> = paths.iter().collect();
    paths.sort(); // a directory before what is in it
    let mut hidden: Option<&Path> = None;
    for path in paths {
        if hidden.is_some_and(|above| path.starts_with(above)) {
            continue;
        }
        let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || path.as_os_str().is_empty() {
            return Err(Errno::INVAL).at(Step::Whiteout, path).map_err(Into::into);
        }
        let mark = into.join(path);
        if let Some(parent) = mark.parent() {
            make_dirs(parent).at(Step::Whiteout, path)?;
        }
        marks::make_gone(&mark).at(Step::Whiteout, path)?;
        hidden = Some(path);
    }
    Ok(())
}

/// Makes a directory with those above it, all that are new with mode 0755: they may be seen in a room, and what is seen
/// there must not depend on the caller's umask.
fn make_dirs(path: &Path) -> std::io::Result<()> {
    match fs::create_dir(path) {
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o755)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => match path.parent() {
            Some(parent) => make_dirs(parent).and_then(|()| make_dirs(path)),
            None => Err(error),
        },
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes a tree that a room left, whatever its owners and modes, following no link; one that is not there is fine.
pub fn remove_tree(path: &Path) -> Result<(), SandboxError> {
    let removed = match rustix::fs::unlink(path) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => remove_directory(path),
        Err(error) => Err(error),
    };
    removed.at(Step::RemoveTree, path).map_err(Into::into)
}

fn remove_directory(path: &Path) -> rustix::io::Result<()> {
    let top = open_directory(&CWD, path)?;
    let mut lifted = 0;
    loop {
        let before = lifted;
        empty(&top, &top, 0, &mut lifted)?;
        if lifted == before {
            return rustix::fs::rmdir(path);
        }
    }
}

/// Removes what is in `directory`; directories that lie too deep are moved up into `top`, for the next round.
fn empty(directory: &OwnedFd, top: &OwnedFd, depth: usize, lifted: &mut u64) -> rustix::io::Result<()> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error),
        }
        let below = open_directory(directory, name)?;
        if depth < DEEPEST {
            empty(&below, top, depth + 1, lifted)?;
            rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR)?;
        } else {
            *lifted += 1;
            rustix::fs::renameat(directory, name, top, format!(".lifted-{}-{lifted}", std::process::id()))?;
        }
    }
    Ok(())
}

/// Opens a directory that is about to be emptied, with the mode that this takes.
fn open_directory(parent: &impl AsFd, name: impl rustix::path::Arg + Copy) -> rustix::io::Result<OwnedFd> {
    let found = rustix::fs::openat(parent, name, DIRECTORY | OFlags::PATH, Mode::empty())?;
    if rustix::fs::fstat(&found)?.st_mode & 0o700 != 0o700 {
        set_mode(&found, Mode::RWXU)?;
    }
    rustix::fs::openat(&found, ".", DIRECTORY | OFlags::RDONLY, Mode::empty())
}

/// Changes the mode of what is open, even if only to point at it; the kernel's own call for that came with Linux 6.6.
fn set_mode(directory: &OwnedFd, mode: Mode) -> rustix::io::Result<()> {
    use std::os::fd::AsRawFd;
    rustix::fs::chmod(format!("/proc/self/fd/{}", directory.as_raw_fd()), mode)
}
