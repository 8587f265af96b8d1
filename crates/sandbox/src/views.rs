//! The host's trees as a room may see them, and the scratch tmpfs for what needs a place outside the room's root.

use std::cell::Cell;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};

use crate::Access;
use crate::error::{At, Done, Step};
use crate::ids::{Ids, is_shifted, shifted};
use crate::sys::{self, MountAttributes};

/// What every mount of a room has: no set-uid program works, no device opens.
pub(crate) const QUIET: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);
/// Opened only to point at something.
pub(crate) const O_PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
const CLONE: OpenTreeFlags = OpenTreeFlags::OPEN_TREE_CLONE
    .union(OpenTreeFlags::OPEN_TREE_CLOEXEC)
    .union(OpenTreeFlags::AT_EMPTY_PATH);

/// As whose a tree appears when root starts the room; for an ordinary user every look is the tree as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// The ids on disk are the room's ids: the trees of images.
    Image,
    /// The owner of the tree is the room's user: the user's own folders.
    Owned,
    /// Untouched.
    AsIs,
}

/// Who a directory is given to.
#[derive(Clone, Copy)]
pub(crate) enum Owner {
    /// The room's uid 0.
    Root,
    /// The room's user.
    User,
}

/// A tmpfs outside the room's root: for its upper layer, contents of files, shifted trees.
pub(crate) struct Scratch<'a> {
    pub(crate) ids: &'a Ids,
    mount: OwnedFd,
    used: Cell<u32>,
}

impl<'a> Scratch<'a> {
    pub(crate) fn new(ids: &'a Ids) -> Done<Self> {
        let mount = tmpfs(ids, "0755", QUIET).at(Step::MakeScratch, "")?;
        // A mount on `/` itself hides nothing: paths are looked up from below it. It has to be mounted somewhere, since
        // the kernel takes no layer of an overlay from a mount that hangs in the air.
        let host = open(Path::new("/"), OFlags::DIRECTORY).at(Step::MakeScratch, "/")?;
        attach(&mount, &host).at(Step::MakeScratch, "/")?;
        Ok(Self { ids, mount, used: Cell::new(0) })
    }

    /// A new empty directory, with its name.
    pub(crate) fn dir(&self) -> Done<(String, OwnedFd)> {
        let name = self.name();
        rustix::fs::mkdirat(&self.mount, name.as_str(), Mode::from_raw_mode(0o755))
            .at(Step::MakeScratch, "")?;
        let made = self.look_up(&name)?;
        Ok((name, made))
    }

    /// What is there by this name now: the directory, or what was mounted on it since.
    pub(crate) fn look_up(&self, name: &str) -> Done<OwnedFd> {
        rustix::fs::openat(&self.mount, name, O_PATH | OFlags::DIRECTORY, Mode::empty())
            .at(Step::MakeScratch, "")
    }

    /// A new file of the room's user.
    pub(crate) fn file(&self, contents: &[u8], mode: u32) -> Done<OwnedFd> {
        let (name, flags) = (self.name(), OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC);
        let file =
            rustix::fs::openat(&self.mount, name.as_str(), flags, Mode::RUSR).at(Step::WriteFile, "")?;
        let mut file = std::fs::File::from(file);
        file.write_all(contents).at(Step::WriteFile, "")?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & 0o777)).at(Step::WriteFile, "")?;
        let file = OwnedFd::from(file);
        self.give(&file, Owner::User, Path::new(""))?;
        Ok(file)
    }

    fn name(&self) -> String {
        self.used.set(self.used.get() + 1);
        self.used.get().to_string()
    }

    /// Gives a file that root made to the room, so that it does not appear as nobody's; one that was given before stays
    /// whose it is.
    pub(crate) fn give(&self, file: &OwnedFd, owner: Owner, path: &Path) -> Done<()> {
        let Ids::Shifted(shift) = self.ids else { return Ok(()) };
        if is_shifted(rustix::fs::fstat(file).at(Step::ShiftOwner, path)?.st_uid) {
            return Ok(());
        }
        let (uid, gid) = match owner {
            Owner::Root => (shifted(0), shifted(0)),
            Owner::User => shift.owner(),
        };
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        rustix::fs::chownat(file, "", uid, gid, AtFlags::EMPTY_PATH).at(Step::ShiftOwner, path)
    }

    /// Trees of the host as layers of an overlay.
    pub(crate) fn layers(&self, paths: &[PathBuf], look: Look) -> Done<Vec<OwnedFd>> {
        paths.iter().map(|path| self.layer(path, look)).collect()
    }

    fn layer(&self, path: &Path, look: Look) -> Done<OwnedFd> {
        let source = source(path)?;
        let Some(namespace) = self.namespace(&source, look).at(Step::OpenSource, path)? else {
            return Ok(source);
        };
        let clone = rustix::mount::open_tree(&source, "", CLONE).at(Step::Bind, path)?;
        shift(&clone, namespace).at(Step::ShiftOwner, path).map_err(|failure| {
            failure.advise(
                &[libc::EINVAL, libc::EPERM, libc::ENOSYS],
                "this file system cannot be id-mapped, which a sandbox started by root needs (Linux 5.19; ext4, xfs, \
                 btrfs, tmpfs since 6.3; not the overlay of a container): start packlight as an ordinary user",
            )
        })?;
        let (_, place) = self.dir()?;
        attach(&clone, &place).at(Step::Bind, path)?;
        Ok(clone)
    }

    /// A copy of the mount of `source` with this look, not yet mounted anywhere.
    pub(crate) fn view(&self, source: &OwnedFd, access: Access, look: Look) -> std::io::Result<OwnedFd> {
        let clone = clone_tree(source, access)?;
        if let Some(namespace) = self.namespace(source, look)? {
            // A file system that cannot shift owners still shows what everybody may read.
            let _ = shift(&clone, namespace);
        }
        Ok(clone)
    }

    /// The user namespace that gives a tree this look, where it takes one.
    fn namespace(&self, tree: &OwnedFd, look: Look) -> std::io::Result<Option<&OwnedFd>> {
        let Ids::Shifted(shift) = self.ids else { return Ok(None) };
        let status = rustix::fs::fstat(tree)?;
        Ok(match look {
            // What a room left has the room's ids already.
            Look::Image => Some(shift.room()).filter(|_| !is_shifted(status.st_uid)),
            Look::Owned => shift.for_owner((status.st_uid, status.st_gid)),
            Look::AsIs => None,
        })
    }
}

fn shift(clone: &OwnedFd, namespace: &OwnedFd) -> std::io::Result<()> {
    let attributes = MountAttributes {
        set: MountAttrFlags::MOUNT_ATTR_IDMAP.bits().into(),
        user_namespace: namespace.as_raw_fd().cast_unsigned().into(),
        ..MountAttributes::default()
    };
    sys::mount_setattr(clone.as_fd(), 0, &attributes)
}

/// A copy of the mount of `source`, not yet mounted anywhere. It takes the mounts below along: in a user namespace the
/// kernel lets nobody look under them.
pub(crate) fn clone_tree(source: &OwnedFd, access: Access) -> std::io::Result<OwnedFd> {
    let clone = rustix::mount::open_tree(source, "", CLONE | OpenTreeFlags::AT_RECURSIVE)?;
    let mut set = QUIET;
    if access == Access::ReadOnly {
        set |= MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    let attributes = MountAttributes { set: set.bits().into(), ..MountAttributes::default() };
    sys::mount_setattr(clone.as_fd(), libc::AT_RECURSIVE, &attributes)?;
    Ok(clone)
}

/// A copy of the mount of one file, as it is: devices stay devices.
pub(crate) fn clone_of(file: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    rustix::mount::open_tree(file, "", CLONE)
}

/// Opens a path of the host, only to point at it.
pub(crate) fn source(path: &Path) -> Done<OwnedFd> {
    open(path, OFlags::empty()).at(Step::OpenSource, path)
}

pub(crate) fn open(path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(CWD, path, O_PATH | flags, Mode::empty())
}

/// A new instance of a file system, not yet mounted anywhere.
pub(crate) fn new_fs(
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> rustix::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        rustix::mount::fsconfig_set_string(&context, *key, *value)?;
    }
    rustix::mount::fsconfig_create(&context)?;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// A tmpfs that belongs to the room's root user.
pub(crate) fn tmpfs(ids: &Ids, mode: &str, attributes: MountAttrFlags) -> rustix::io::Result<OwnedFd> {
    match ids {
        Ids::Callers => new_fs("tmpfs", &[("mode", mode)], attributes),
        Ids::Shifted(_) => {
            let root = shifted(0).to_string();
            new_fs("tmpfs", &[("mode", mode), ("uid", &root), ("gid", &root)], attributes)
        }
    }
}

/// Mounts what was made before at a place.
pub(crate) fn attach(mount: &OwnedFd, place: &OwnedFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, "", place, "", flags)
}
