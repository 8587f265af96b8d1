//! The user that a room without namespaces has for itself alone.
//!
//! With no list of processes of its own, a room's processes are known by their user id. So no two rooms have the same
//! one at the same time: one that keeps files waits for its turn, one that keeps nothing takes any id that is free.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid, WaitOptions};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::ended_well;
use crate::error::{At, Done, Step};
use crate::sys::{self, Fork};
use crate::{Access, Mount, Room, Upper, ids};

/// Where the locks may be, one file for each id: of directories that are one and the same for all who see the same
/// processes, the first that can be written.
const LOCKS: [&str; 2] = ["/run/packlight-rooms", "/tmp/.packlight-rooms"];
/// How often a lock is asked for that somebody else has.
const STEP: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// A user id that is this room's until it is dropped.
pub(crate) struct Tenant {
    uid: u32,
    gid: u32,
    _lock: OwnedFd,
}

impl Tenant {
    /// Takes an id, waiting where it must be a certain one; none when the caller has gone meanwhile.
    pub(crate) fn take(room: &Room, control: BorrowedFd<'_>) -> Done<Option<Self>> {
        let locks = locks()?;
        if !keeps_files(room) {
            for id in ids::spare() {
                if let Some(lock) = lock(&locks, id)? {
                    return Ok(Some(Self { uid: id, gid: id, _lock: lock }));
                }
            }
            return Err(Errno::AGAIN).at(Step::TakeUser, "all of them are in use");
        }
        let (uid, gid) = ids::tenants(room.user);
        loop {
            if let Some(lock) = lock(&locks, uid)? {
                return Ok(Some(Self { uid, gid, _lock: lock }));
            }
            let mut caller = [PollFd::from_borrowed_fd(control, PollFlags::empty())]; // hanging up is always told
            let _ = rustix::event::poll(&mut caller, Some(&STEP));
            if !caller[0].revents().is_empty() {
                return Ok(None);
            }
        }
    }

    /// The ids of user and group.
    pub(crate) fn ids(&self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    /// Gives this process the room's user, for good.
    pub(crate) fn become_it(&self) -> Done<()> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        rustix::thread::set_thread_groups(&[]).at(Step::TakeIdentity, "")?;
        rustix::thread::set_thread_res_gid(gid, gid, gid).at(Step::TakeIdentity, "")?;
        rustix::thread::set_thread_res_uid(uid, uid, uid).at(Step::TakeIdentity, "")
    }

    /// Ends every process that has the id and waits until they, and all other children of this process, are gone.
    pub(crate) fn end_all(&self) -> Done<()> {
        let swept = match sys::fork().at(Step::EndProcesses, "")? {
            Fork::Child => sys::exit_now(i32::from(self.sweep().is_err())),
            Fork::Parent(helper) => ended_well(helper),
        };
        if !swept {
            return Err(Errno::PERM).at(Step::EndProcesses, self.uid.to_string());
        }
        loop {
            match rustix::process::wait(WaitOptions::empty()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return Ok(()), // there is no child
            }
        }
    }

    /// Sends the one signal, as somebody whom the room's processes cannot send any: their id is this process' effective
    /// one, which decides what it may do, and neither of those that decide who may do it something.
    fn sweep(&self) -> std::io::Result<()> {
        let (own, theirs) = (Uid::from_raw(ids::sweeper(self.uid)), Uid::from_raw(self.uid));
        rustix::thread::set_thread_res_uid(own, theirs, own)?;
        let none = CapabilitySet::empty();
        let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
        rustix::thread::set_capabilities(None, none)?;
        sys::kill_all_that_may_be()
    }
}

/// Whether a room leaves files that the next one of the same user shall be able to change.
fn keeps_files(room: &Room) -> bool {
    let writable = |mount: &Mount| {
        matches!(mount, Mount::Overlay { .. } | Mount::Bind { access: Access::ReadWrite, .. })
    };
    room.mounts.iter().any(writable) || matches!(room.upper, Upper::Dir { .. })
}

/// The directory of the locks, which is root's alone.
fn locks() -> Done<OwnedFd> {
    let mut last = Errno::NOENT;
    for path in LOCKS {
        match open_locks(path) {
            Ok(directory) => return Ok(directory),
            Err(error) => last = error,
        }
    }
    Err(last).at(Step::TakeUser, LOCKS.join(" or "))
}

fn open_locks(path: &str) -> rustix::io::Result<OwnedFd> {
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags, Mode::empty())?;
    let status = rustix::fs::fstat(&directory)?;
    // Whoever could put files there could make every room wait.
    if status.st_uid != 0 || status.st_mode & 0o022 != 0 {
        return Err(Errno::PERM);
    }
    Ok(directory)
}

/// The lock of an id, unless somebody has it.
fn lock(locks: &OwnedFd, id: u32) -> Done<Option<OwnedFd>> {
    let name = id.to_string();
    let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(locks, &name, flags, Mode::RUSR).at(Step::TakeUser, Path::new(&name))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error).at(Step::TakeUser, Path::new(&name)),
    }
}
