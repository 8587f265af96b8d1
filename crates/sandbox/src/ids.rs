//! Whose ids a room's files and processes have on the host.
//!
//! An ordinary user has one id to give: the room's user *is* the caller. Root has all of them and gives none of the
//! host's: the room's ids 0 to 65535 are [`BASE`] and up, a range that systemd's table of ids leaves to nobody
//! (<https://systemd.io/UIDS-GIDS/>), so that no process of a room is ever the host's root, nor any user of
//! `/etc/subuid`. The range is fixed, not read from `/etc/subuid`: files that a room left must still be its own at the
//! next build.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Gid, Uid, WaitOptions, getegid, geteuid, waitpid};
use rustix::thread::{self, UnshareFlags};

use crate::Identity;
use crate::error::{At, Done, Step};
use crate::sys::{self, Fork};

/// The host's id of a room's id 0, when root started the room.
const BASE: u32 = 0x7000_0000;
/// How many ids a room has. A user above it (OpenShift's images) gets the id after the range.
const COUNT: u32 = 0x1_0000;
/// Where the ids of a tree go that are not its owner's: to nobody, but each to a nobody of its own, since the kernel
/// can copy up a file only if its owner has an id.
const OTHERS: u32 = 0x7100_0000;
const OTHERS_COUNT: u32 = 0x0e00_0000;
/// The host's id of a room's id 0 where there is no user namespace: other ids than those above, since there a room's end
/// is told to all that has its id.
const TENANTS: u32 = 0x7002_0000;
/// Ids for rooms that leave nothing behind, so that any will do.
const SPARE: std::ops::Range<u32> = 0x7004_0000..0x7004_0100;
/// How far from a tenant's id that of its sweeper is.
const SWEEPERS: u32 = 0x0080_0000;

/// How a room's ids become the host's.
pub(crate) enum Ids {
    /// One id: the caller's own.
    Callers,
    /// A range of ids that nobody else has.
    Shifted(Shift),
}

/// The namespaces that translate ids for a room of root's.
pub(crate) struct Shift {
    user: Identity,
    /// The room's own user namespace, as yet without a process.
    room: OwnedFd,
    /// For each owner of a tree, a namespace in which that owner is the room's user.
    owners: Vec<((u32, u32), OwnedFd)>,
}

/// Does this process shift ids, as root of a machine (or of a container that has all ids)? Root of a rootless container
/// has no ids to spare and does as an ordinary user does; its uid 0 is not the host's.
pub(crate) fn shifts() -> bool {
    geteuid().is_root()
        && ["/proc/self/uid_map", "/proc/self/gid_map"].iter().all(|map| has_all_ids(Path::new(map)))
}

fn has_all_ids(map: &Path) -> bool {
    let Ok(text) = fs::read_to_string(map) else { return false };
    text.lines().any(|line| {
        let mut numbers = line.split_whitespace().filter_map(|number| number.parse::<u64>().ok());
        matches!((numbers.next(), numbers.next(), numbers.next()), (Some(first), _, Some(count))
            if first == 0 && count > u64::from(OTHERS + OTHERS_COUNT))
    })
}

/// The host's id of a room's id, for rooms that root starts.
pub(crate) fn shifted(id: u32) -> u32 {
    if id < COUNT { BASE + id } else { BASE + COUNT }
}

/// The host's ids of a room's user, for rooms that root starts.
pub(crate) fn shifted_both(user: Identity) -> (u32, u32) {
    (shifted(user.uid), shifted(user.gid))
}

/// The host's ids of the user of a room without namespaces.
pub(crate) fn tenants(user: Identity) -> (u32, u32) {
    let tenant = |id: u32| TENANTS + id.min(COUNT);
    (tenant(user.uid), tenant(user.gid))
}

/// The ids that any room without namespaces may take that leaves nothing behind.
pub(crate) fn spare() -> std::ops::Range<u32> {
    SPARE
}

/// An id that belongs to this tenant's id, and whose processes the tenant cannot touch.
pub(crate) fn sweeper(tenant: u32) -> u32 {
    tenant + SWEEPERS
}

/// Enters a user namespace (and the other namespaces) in which the caller's id is the room's user.
pub(crate) fn enter_as_caller(user: Identity, namespaces: UnshareFlags) -> Done<()> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    sys::unshare(UnshareFlags::NEWUSER | namespaces).at(Step::MakeUserNamespace, "")?;
    // Without this the kernel lets nobody but root map a group: https://man7.org/linux/man-pages/man7/user_namespaces.7.html
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("{} {uid} 1", user.uid))?;
    write("/proc/self/gid_map", &format!("{} {gid} 1", user.gid))
}

fn write(path: &str, text: &str) -> Done<()> {
    fs::write(path, text).at(Step::MapIds, path)
}

/// Is this an id of the host that only rooms have?
pub(crate) fn is_shifted(host: u32) -> bool {
    (BASE..=BASE + COUNT).contains(&host)
}

/// Is this an id that only rooms without namespaces have?
pub(crate) fn is_tenants(host: u32) -> bool {
    (TENANTS..=TENANTS + COUNT).contains(&host)
}

impl Shift {
    /// Makes the room's user namespace, and one for each owner of a tree that shall appear as the room's user's.
    pub(crate) fn prepare(user: Identity, trees: &[&Path]) -> Done<Self> {
        let room = namespace(&room_map(user.uid), &room_map(user.gid))?;
        let mut shift = Self { user, room, owners: Vec::new() };
        for tree in trees {
            let status = fs::metadata(tree).at(Step::OpenSource, tree)?;
            let owner =
                (std::os::unix::fs::MetadataExt::uid(&status), std::os::unix::fs::MetadataExt::gid(&status));
            if owner != shift.owner() && shift.for_owner(owner).is_none() {
                let (uid_map, gid_map) =
                    (owner_map(owner.0, shift.owner().0), owner_map(owner.1, shift.owner().1));
                shift.owners.push((owner, namespace(&uid_map, &gid_map)?));
            }
        }
        Ok(shift)
    }

    /// The host's ids of the room's user.
    pub(crate) fn owner(&self) -> (u32, u32) {
        (shifted(self.user.uid), shifted(self.user.gid))
    }

    /// The namespace that shows ids on disk as the same ids in the room.
    pub(crate) fn room(&self) -> &OwnedFd {
        &self.room
    }

    /// The namespace that shows this owner's files as the room's user's.
    pub(crate) fn for_owner(&self, owner: (u32, u32)) -> Option<&OwnedFd> {
        self.owners.iter().find(|(known, _)| *known == owner).map(|(_, namespace)| namespace)
    }
}

fn room_map(id: u32) -> String {
    let map = format!("0 {BASE} {COUNT}\n");
    if id < COUNT { map } else { format!("{map}{id} {} 1\n", shifted(id)) }
}

fn owner_map(owner: u32, user: u32) -> String {
    if owner >= OTHERS_COUNT {
        return format!("0 {OTHERS} {OTHERS_COUNT}\n{owner} {user} 1\n");
    }
    let below = if owner == 0 { String::new() } else { format!("0 {OTHERS} {owner}\n") };
    let next = owner + 1;
    format!("{below}{owner} {user} 1\n{next} {} {}\n", OTHERS + next, OTHERS_COUNT - next)
}

/// A user namespace with these maps. It needs a process to be born with, which ends when we have our hand on it.
fn namespace(uid_map: &str, gid_map: &str) -> Done<OwnedFd> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).at(Step::Fork, "")?;
    match sys::fork_into_user_namespace().at(Step::MakeUserNamespace, "")? {
        Fork::Child => {
            drop(writer);
            let _ = rustix::io::read(&reader, &mut [0]);
            sys::exit_now(0)
        }
        Fork::Parent(child) => {
            let proc = format!("/proc/{}", child.as_raw_nonzero());
            let made = write(&format!("{proc}/uid_map"), uid_map)
                .and_then(|()| write(&format!("{proc}/gid_map"), gid_map))
                .and_then(|()| {
                    let path = format!("{proc}/ns/user");
                    rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                        .at(Step::MakeUserNamespace, path)
                });
            drop(writer);
            let _ = waitpid(Some(child), WaitOptions::empty());
            made
        }
    }
}

/// Enters the room's user namespace, as yet as nobody in it.
pub(crate) fn enter(shift: &Shift) -> Done<()> {
    let kind = Some(thread::LinkNameSpaceType::User);
    thread::move_into_link_name_space(shift.room.as_fd(), kind).at(Step::TakeIdentity, "")
}

/// Becomes the room's user, in its namespace.
pub(crate) fn become_user(shift: &Shift) -> Done<()> {
    let (uid, gid) = (Uid::from_raw(shift.user.uid), Gid::from_raw(shift.user.gid));
    thread::set_thread_groups(&[]).at(Step::TakeIdentity, "")?;
    thread::set_thread_res_gid(gid, gid, gid).at(Step::TakeIdentity, "")?;
    thread::set_thread_res_uid(uid, uid, uid).at(Step::TakeIdentity, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_map_ever_gives_the_hosts_root() {
        for map in [
            room_map(0),
            room_map(1000),
            room_map(1_000_680_000),
            owner_map(0, shifted(1000)),
            owner_map(7, shifted(0)),
        ] {
            for line in map.lines() {
                let outside: u32 = line.split(' ').nth(1).unwrap().parse().unwrap();
                assert!(outside >= BASE, "{line}");
            }
        }
    }

    #[test]
    fn no_id_is_of_two_kinds() {
        let (first, last) = (Identity { uid: 0, gid: 0 }, Identity { uid: u32::MAX, gid: u32::MAX });
        let kinds = [
            BASE..shifted(u32::MAX) + 1,
            tenants(first).0..tenants(last).0 + 1,
            spare(),
            sweeper(tenants(first).0)..sweeper(spare().end),
            OTHERS..OTHERS + OTHERS_COUNT,
        ];
        for pair in kinds.windows(2) {
            assert!(pair[0].end <= pair[1].start, "{pair:x?}");
        }
    }

    #[test]
    fn the_owner_of_a_tree_becomes_the_user_and_the_others_stay_apart() {
        assert_eq!(owner_map(0, 9), format!("0 9 1\n1 {} {}\n", OTHERS + 1, OTHERS_COUNT - 1));
        assert_eq!(
            owner_map(1000, 9),
            format!("0 {OTHERS} 1000\n1000 9 1\n1001 {} {}\n", OTHERS + 1001, OTHERS_COUNT - 1001)
        );
        assert!(owner_map(u32::MAX - 2, 9).ends_with("4294967293 9 1\n"));
    }
}
