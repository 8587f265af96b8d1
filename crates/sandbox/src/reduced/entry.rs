//! Single files and directories: linked, copied, moved.
//!
//! Paths are used as they are: what is put together is touched by nobody else yet, and when a room is taken apart all
//! that ran in it is dead.

use std::fs::{File, Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps};
use rustix::io::Errno;

use super::stack::{Kind, Tree};
use crate::error::{At, Done, Step};
use crate::ids;

/// By what an entry is known again that nobody has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Print {
    device: u64,
    inode: u64,
    /// None for a link: other rooms link the same file, and this one cannot change it.
    changed: Option<(i64, i64, u64, u32)>,
}

impl Print {
    fn of_copy(metadata: &Metadata) -> Self {
        let changed = (metadata.ctime(), metadata.ctime_nsec(), metadata.size(), metadata.mode());
        Self { changed: Some(changed), ..Self::of_link(metadata) }
    }

    fn of_link(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino(), changed: None }
    }

    /// Whether this is still the same.
    pub(crate) fn fits(&self, metadata: &Metadata) -> bool {
        let now = if self.changed.is_some() { Self::of_copy(metadata) } else { Self::of_link(metadata) };
        *self == now
    }
}

/// Whose an entry is in the room, and with which mode.
struct Look {
    uid: u32,
    gid: u32,
    mode: u32,
}

impl Look {
    /// Set-id bits work nowhere in a room.
    fn of(metadata: &Metadata, tree: &Tree, (uid, gid): (u32, u32)) -> Self {
        let mask = if tree.kind == Kind::ReadOnly { 0o1555 } else { 0o1777 };
        Self {
            uid: if tree.uids.contains(&metadata.uid()) { uid } else { metadata.uid() },
            gid: if tree.gids.contains(&metadata.gid()) { gid } else { metadata.gid() },
            mode: metadata.mode() & mask,
        }
    }
}

/// Whether a file can be in the room itself and not as a copy: the room must not be able to change it, and must see it
/// with the rights that a copy would have.
fn can_be_linked(metadata: &Metadata, tree: &Tree) -> bool {
    let mode = metadata.mode();
    let same_for_group = (mode >> 3) & 7 == mode & 7;
    tree.kind == Kind::Image
        && metadata.is_file()
        && mode & 0o002 == 0
        && !tree.uids.contains(&metadata.uid())
        && (same_for_group || !tree.gids.contains(&metadata.gid()))
}

/// Puts what is at `from`, which is no directory, to `to`; devices are left out, since none opens in a room.
pub(crate) fn place(
    (from, metadata): (&Path, &Metadata),
    to: &Path,
    tree: &Tree,
    tenant: (u32, u32),
) -> Done<Option<Print>> {
    if can_be_linked(metadata, tree) {
        match rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty()) {
            Ok(()) => return Ok(Some(Print::of_link(metadata))),
            // Another file system, or one that counts no further: a copy is as good.
            Err(Errno::XDEV | Errno::MLINK | Errno::PERM) => {}
            Err(error) => return Err(error).at(Step::Copy, from),
        }
    }
    let kind = FileType::from_raw_mode(metadata.mode());
    match kind {
        FileType::RegularFile => copy_contents(from, to)?,
        FileType::Symlink => {
            let target = std::fs::read_link(from).at(Step::Copy, from)?;
            std::os::unix::fs::symlink(target, to).at(Step::Copy, from)?;
        }
        FileType::Fifo | FileType::Socket => {
            rustix::fs::mknodat(CWD, to, kind, Mode::RUSR, 0).at(Step::Copy, from)?;
        }
        _ => return Ok(None),
    }
    dress(to, metadata, &Look::of(metadata, tree, tenant)).at(Step::Copy, to)?;
    let made = std::fs::symlink_metadata(to).at(Step::Copy, to)?;
    Ok(Some(Print::of_copy(&made)))
}

fn copy_contents(from: &Path, to: &Path) -> Done<()> {
    let flags = libc::O_NOFOLLOW;
    let mut source = OpenOptions::new().read(true).custom_flags(flags).open(from).at(Step::Copy, from)?;
    let mut copy =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).at(Step::Copy, from)?;
    // Where the file system can, both share their blocks until one is changed.
    if rustix::fs::ioctl_ficlone(&copy, &source).is_err() {
        std::io::copy(&mut source, &mut copy).at(Step::Copy, from)?;
    }
    Ok(())
}

/// Makes the directory that is seen as `metadata` says.
pub(crate) fn make_directory(to: &Path) -> Done<()> {
    std::fs::create_dir(to).at(Step::Copy, to)
}

/// Gives a directory to the room's user; one that was given before stays whose it is.
pub(crate) fn give(directory: &Path, tenant: (u32, u32)) -> Done<()> {
    let found = std::fs::metadata(directory).at(Step::OpenSource, directory)?;
    if ids::is_tenants(found.uid()) {
        return Ok(());
    }
    std::os::unix::fs::lchown(directory, Some(tenant.0), Some(tenant.1)).at(Step::ShiftOwner, directory)
}

/// Gives a directory to root, to be read by everybody.
pub(crate) fn make_roots(directory: &Path) -> Done<()> {
    std::os::unix::fs::lchown(directory, Some(0), Some(0)).at(Step::Copy, directory)?;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).at(Step::Copy, directory)
}

/// Gives a directory, when all is in it, what belongs to it.
pub(crate) fn finish_directory(to: &Path, metadata: &Metadata, tree: &Tree, tenant: (u32, u32)) -> Done<()> {
    dress(to, metadata, &Look::of(metadata, tree, tenant)).at(Step::Copy, to)
}

/// Gives a directory the owner, mode and time of another.
pub(crate) fn dress_as(to: &Path, model: &Path) -> Done<()> {
    let metadata = std::fs::symlink_metadata(model).at(Step::KeepChanges, model)?;
    let look = Look { uid: metadata.uid(), gid: metadata.gid(), mode: metadata.mode() & 0o1777 };
    dress(to, &metadata, &look).at(Step::KeepChanges, to)
}

fn dress(to: &Path, metadata: &Metadata, look: &Look) -> std::io::Result<()> {
    std::os::unix::fs::lchown(to, Some(look.uid), Some(look.gid))?;
    if !metadata.is_symlink() {
        std::fs::set_permissions(to, std::fs::Permissions::from_mode(look.mode))?;
    }
    let time = Timespec { tv_sec: metadata.mtime(), tv_nsec: metadata.mtime_nsec() as _ };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(rustix::fs::utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Moves what is at `from` to `to`, where nothing is, or an empty directory for a directory.
///
/// Between the layers of an overlay, as between file systems, the kernel moves nothing: then all is copied, and gone from
/// the old place when it is whole at the new one.
pub(crate) fn relocate(from: &Path, to: &Path) -> Done<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
            let metadata = std::fs::symlink_metadata(from).at(Step::MoveIn, from)?;
            if metadata.is_dir() && to.is_dir() {
                std::fs::remove_dir(to).at(Step::MoveIn, to)?;
            }
            copy_all(from, &metadata, to)?;
            remove_all(from)
        }
        moved => moved.at(Step::MoveIn, from),
    }
}

/// A copy with the same owners and modes.
fn copy_all(from: &Path, metadata: &Metadata, to: &Path) -> Done<()> {
    let tree = Tree { path: from.to_owned(), uids: Vec::new(), gids: Vec::new(), kind: Kind::Copied };
    let nobody = (u32::MAX, u32::MAX); // whom nothing is given to: nobody's ids are replaced
    if !metadata.is_dir() {
        return place((from, metadata), to, &tree, nobody).map(drop);
    }
    make_directory(to)?;
    for entry in std::fs::read_dir(from).at(Step::MoveIn, from)? {
        let entry = entry.at(Step::MoveIn, from)?;
        let metadata = entry.metadata().at(Step::MoveIn, entry.path())?;
        copy_all(&entry.path(), &metadata, &to.join(entry.file_name()))?;
    }
    finish_directory(to, metadata, &tree, nobody)
}

/// Removes a tree, whatever its modes.
pub(crate) fn remove_all(path: &Path) -> Done<()> {
    use crate::SandboxError::Setup;
    crate::remove_tree(path).or_else(|error| match error {
        Setup { source, .. } => Err(source).at(Step::RemoveTree, path),
        _ => Ok(()),
    })
}

/// A new file with these contents.
pub(crate) fn write(to: &Path, contents: &[u8], mode: u32, owner: (u32, u32)) -> Done<()> {
    use std::io::Write;
    let open = || -> std::io::Result<File> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
        file.write_all(contents)?;
        Ok(file)
    };
    open().at(Step::WriteFile, to)?;
    std::os::unix::fs::lchown(to, Some(owner.0), Some(owner.1)).at(Step::WriteFile, to)?;
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(mode & 0o777)).at(Step::WriteFile, to)
}
