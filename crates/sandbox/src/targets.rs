//! Finding, and where needed making, the places inside the room where something is mounted; the room's root may be
//! hostile, so every symbolic link in it is followed as if that root were `/` already.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{At, Done, Failure, Step};
use crate::views::{O_PATH, Owner, Scratch};

/// The inside of a room while it is made.
#[derive(Clone, Copy)]
pub(crate) struct Targets<'a> {
    /// What becomes `/`.
    pub(crate) root: &'a OwnedFd,
    /// Gives what is made to the room's root user, where that is another id than ours.
    pub(crate) scratch: Option<&'a Scratch<'a>>,
}

impl Targets<'_> {
    /// The directory at this path of the room, made where it is missing.
    pub(crate) fn directory(self, target: &Path) -> Done<OwnedFd> {
        match self.look_up(target, OFlags::DIRECTORY) {
            Err(Errno::NOENT) => {}
            found => return found.at(Step::MakeTarget, target),
        }
        let (parent, name) = self.parent(target)?;
        match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
            // A link that leads nowhere: what it means to be is not ours to guess.
            Err(Errno::EXIST) => Err(Errno::NOENT),
            made => made,
        }
        .at(Step::MakeTarget, target)
        .map_err(strangers)?;
        let made =
            rustix::fs::openat(&parent, name, O_PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY, Mode::empty())
                .at(Step::MakeTarget, target)?;
        if let Some(scratch) = self.scratch {
            scratch.give(&made, Owner::Root, target)?;
        }
        Ok(made)
    }

    /// The file at this path of the room, made where it is missing; a link that leads nowhere makes way.
    pub(crate) fn file(self, target: &Path) -> Done<OwnedFd> {
        match self.look_up(target, OFlags::empty()) {
            Err(Errno::NOENT) => {}
            found => return found.at(Step::MakeTarget, target),
        }
        let (parent, name) = self.parent(target)?;
        let create = || {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644))
        };
        match create() {
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(&parent, name, AtFlags::empty()).at(Step::MakeTarget, target)?;
                create()
            }
            made => made,
        }
        .at(Step::MakeTarget, target)
        .map_err(strangers)?;
        rustix::fs::openat(&parent, name, O_PATH | OFlags::NOFOLLOW, Mode::empty())
            .at(Step::MakeTarget, target)
    }

    fn parent(self, target: &Path) -> Done<(OwnedFd, &std::ffi::OsStr)> {
        match (target.parent(), target.file_name()) {
            (Some(parent), Some(name)) => Ok((self.directory(parent)?, name)),
            _ => Err(Errno::INVAL).at(Step::MakeTarget, target),
        }
    }

    fn look_up(self, target: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let path = if target.as_os_str().is_empty() { Path::new("/") } else { target };
        rustix::fs::openat2(self.root, path, O_PATH | flags, Mode::empty(), resolve)
    }
}

/// The kernel copies a directory up for its owner, who must have an id in the room.
fn strangers(failure: Failure) -> Failure {
    failure.advise(
        &[libc::EOVERFLOW],
        "the directory that it belongs in has an owner or a group that the sandbox does not know: give the tree to \
         yourself and your primary group",
    )
}
