//! The room's file system while it is under construction: its root, and what is mounted in it.
//!
//! Everything is reached through descriptors, never through a path that is looked up twice.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, OFlags};
use rustix::mount::{MountFlags, UnmountFlags};

use crate::error::{At, Done, Step};
use crate::ids::Ids;
use crate::targets::Targets;
use crate::views::{Look, Owner, QUIET, Scratch, attach, open, source, tmpfs};
use crate::{Access, Mount, Room, Upper};

/// A room's file system under construction.
pub(crate) struct Site<'a> {
    pub(crate) scratch: Scratch<'a>,
    /// The mount that becomes `/`.
    pub(crate) root: OwnedFd,
}

impl<'a> Site<'a> {
    /// Makes the scratch tmpfs and the room's empty or overlaid root.
    pub(crate) fn begin(ids: &'a Ids, room: &Room) -> Done<Self> {
        let scratch = Scratch::new(ids)?;
        let (name, place) = scratch.dir()?;
        if room.root.is_empty() {
            let root = tmpfs(ids, "0755", QUIET).at(Step::MountTmpfs, "/")?;
            attach(&root, &place).at(Step::MountTmpfs, "/")?;
        } else {
            let (upper, work) = match &room.upper {
                Upper::Tmpfs => (scratch.dir()?.1, scratch.dir()?.1),
                Upper::Dir { upper, work } => (source(upper)?, source(work)?),
            };
            scratch.give(&upper, Owner::Root, Path::new("/"))?;
            let lower = scratch.layers(&room.root, Look::Image)?;
            overlay(&place, &lower, (&upper, &work), "").map_err(|failure| failure.on(Path::new("/")))?;
        }
        // The descriptor of the place is what lies under the mount; looking it up again gives the mount.
        let root = scratch.look_up(&name)?;
        Ok(Self { scratch, root })
    }

    /// The places in it.
    pub(crate) fn targets(&self) -> Targets<'_> {
        Targets { root: &self.root, scratch: Some(&self.scratch) }
    }

    /// Puts one thing into the room.
    pub(crate) fn add(&self, mount: &Mount) -> Done<()> {
        match mount {
            Mount::Bind { source, target, access } => {
                let look = if *access == Access::ReadOnly { Look::Owned } else { Look::AsIs };
                self.bind(source, target, *access, look)
            }
            Mount::Overlay { target, lower, upper, work } => {
                let (upper, work) = (source(upper)?, source(work)?);
                self.scratch.give(&upper, Owner::User, target)?;
                let lower = self.scratch.layers(lower, Look::Owned)?;
                let place = self.targets().directory(target)?;
                overlay(&place, &lower, (&upper, &work), THROW_AWAY).map_err(|failure| failure.on(target))
            }
            Mount::Tmpfs { target } => {
                let place = self.targets().directory(target)?;
                let mount = tmpfs(self.scratch.ids, "1777", QUIET).at(Step::MountTmpfs, target)?;
                attach(&mount, &place).at(Step::MountTmpfs, target)
            }
            Mount::File { target, contents, mode } => {
                let file = self.scratch.file(contents, *mode).map_err(|failure| failure.on(target))?;
                let place = self.targets().file(target)?;
                let view =
                    self.scratch.view(&file, Access::ReadOnly, Look::AsIs).at(Step::WriteFile, target)?;
                attach(&view, &place).at(Step::WriteFile, target)
            }
        }
    }

    /// Shows a file or directory of the host in the room.
    pub(crate) fn bind(&self, path: &Path, target: &Path, access: Access, look: Look) -> Done<()> {
        let source = source(path)?;
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&source).at(Step::OpenSource, path)?.st_mode);
        let view = self.scratch.view(&source, access, look).at(Step::Bind, path)?;
        let place =
            if kind.is_dir() { self.targets().directory(target)? } else { self.targets().file(target)? };
        attach(&view, &place).at(Step::Bind, target)
    }

    /// Makes the room's root this process's root and lets go of the host's.
    pub(crate) fn enter(self) -> Done<()> {
        rustix::process::fchdir(&self.root).at(Step::ChangeRoot, "")?;
        // Both at the same place: the old root then lies on the new one, and on that the scratch. Both must go.
        rustix::process::pivot_root(".", ".").at(Step::ChangeRoot, "")?;
        rustix::mount::unmount(".", UnmountFlags::DETACH).at(Step::ChangeRoot, "the scratch")?;
        rustix::mount::unmount(".", UnmountFlags::DETACH).at(Step::ChangeRoot, "the host's root")?;
        rustix::process::chdir("/").at(Step::ChangeRoot, "")
    }
}

/// What is written need not survive a power cut. Without this the end of each room would wait until everything that
/// anybody has written to that file system is on the disk.
///
/// <https://docs.kernel.org/filesystems/overlayfs.html#volatile-mount>
const THROW_AWAY: &str = ",volatile";

/// Mounts an overlay.
///
/// By mount(2) and not by the new interface, because there `lowerdir+` came with Linux 6.7 only and a `lowerdir` has at most
/// 255 bytes. mount(2) takes a page of options; with descriptors' numbers for names, seen from /proc/self/fd, that is
/// room for the 500 layers that the kernel allows, and no path needs its commas and colons escaped.
fn overlay(place: &OwnedFd, lower: &[OwnedFd], (upper, work): (&OwnedFd, &OwnedFd), more: &str) -> Done<()> {
    let name = |fd: &OwnedFd| fd.as_raw_fd().to_string();
    let (lower, upper, work) = (lower.iter().map(name).collect::<Vec<_>>(), name(upper), name(work));
    // `userxattr`: what an ordinary user's overlay needs, and root's too, so that both read the same marks.
    let options = format!("lowerdir={},upperdir={upper},workdir={work},userxattr{more}\0", lower.join(":"));
    let options = std::ffi::CStr::from_bytes_with_nul(options.as_bytes()).ok();
    let here = open(Path::new("."), OFlags::DIRECTORY).at(Step::MountOverlay, ".")?;
    rustix::process::chdir("/proc/self/fd").at(Step::MountOverlay, "/proc/self/fd")?;
    let mounted = rustix::mount::mount(
        "overlay",
        name(place),
        "overlay",
        MountFlags::NOSUID | MountFlags::NODEV,
        options,
    );
    rustix::process::fchdir(&here).at(Step::MountOverlay, ".")?;
    mounted.at(Step::MountOverlay, "").map_err(|failure| {
        failure.advise(
            &[libc::EINVAL, libc::EPERM, libc::ENODEV, libc::EOPNOTSUPP],
            "overlay mounts need Linux 5.11, started by root 5.19, and upper directories on a file system like ext4, xfs, \
             btrfs or tmpfs, not on NFS and not on a container's own overlay",
        )
    })
}
