//! The directory that becomes a room's `/`: put together before, taken apart after.
//!
//! Where another room has a mount, this one has the thing itself. What was at its place is put aside and comes back at the
//! end, so that, as with a mount, nothing of it is lost or seen.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::changes::Kept;
use super::entry::{self, Print};
use super::stack::{Kind, Seen, Stack, Tree};
use crate::dev::DEVICES;
use crate::error::{At, Done, Step};
use crate::targets::Targets;
use crate::views::{open, source};
use crate::{Access, Room, Upper, ids};

/// A room under construction, in use, and under removal.
pub(crate) struct Site {
    /// All that is made for the room.
    dir: PathBuf,
    root: OwnedFd,
    tenant: (u32, u32),
    /// What has been put in, in this order.
    put: Vec<Put>,
    /// What of `/` itself is kept.
    kept: Option<Kept>,
    /// Names for what is put aside.
    used: u32,
}

/// Something that stands at a place where something else was.
///
/// The room may have moved both what stands there and the directory around it, and left a link of the same name that leads
/// out. So both are known by a descriptor.
struct Put {
    around: OwnedFd,
    name: OsString,
    aside: PathBuf,
    what: What,
}

enum What {
    /// It is thrown away with the room.
    Thrown,
    /// It is the caller's own, and goes back.
    Moved { home: PathBuf, itself: OwnedFd },
    /// Its changes are kept.
    Overlay { kept: Kept, itself: OwnedFd },
}

impl Put {
    /// The place itself; what is there now is not to be followed.
    fn place(&self) -> PathBuf {
        through(&self.around).join(&self.name)
    }
}

impl Site {
    /// Makes the directory and the room's empty or filled root in it.
    pub(crate) fn begin(below: &Path, room: &Room, tenant: (u32, u32)) -> Done<Self> {
        let dir = below.join(format!("room-{}", std::process::id()));
        rustix::fs::mkdir(&dir, Mode::RWXU).at(Step::MakeScratch, &dir)?;
        let begun = Self::begin_in(&dir, room, tenant);
        if begun.is_err() {
            // The first failure is the one to tell.
            let _ = entry::remove_all(&dir);
        }
        begun
    }

    fn begin_in(dir: &Path, room: &Room, tenant: (u32, u32)) -> Done<Self> {
        let top = dir.join("root");
        entry::make_directory(&top)?;
        let upper = match &room.upper {
            Upper::Dir { upper, .. } if !room.root.is_empty() => Some(upper),
            _ => None,
        };
        let mut trees = Vec::new();
        for path in &room.root {
            trees.push(image_tree(path, room.user)?);
        }
        let kept = match upper {
            Some(upper) => Some(fill_over(&top, upper, trees, tenant)?),
            None => {
                fill(&Stack(trees), &top, tenant, |_, _, _| ())?;
                // As an empty layer above all trees would have it.
                entry::make_roots(&top)?;
                None
            }
        };
        let root = open(&top, OFlags::DIRECTORY).at(Step::MakeScratch, &top)?;
        Ok(Self { dir: dir.to_owned(), root, tenant, put: Vec::new(), kept, used: 0 })
    }

    /// The room's root.
    pub(crate) fn root(&self) -> &OwnedFd {
        &self.root
    }

    fn targets(&self) -> Targets<'_> {
        Targets { root: &self.root, scratch: None }
    }

    /// Makes a place free: what is there is put aside.
    fn free(&mut self, place: &OwnedFd) -> Done<PathBuf> {
        let at = path_of(place).at(Step::MakeTarget, "")?;
        let (Some(above), Some(name)) =
            (at.parent().filter(|above| above.starts_with(self.dir.join("root"))), at.file_name())
        else {
            return Err(Errno::INVAL).at(Step::MakeTarget, "/");
        };
        let around = open(above, OFlags::DIRECTORY).at(Step::MakeTarget, above)?;
        self.used += 1;
        let aside = self.dir.join(self.used.to_string());
        std::fs::rename(&at, &aside).at(Step::MakeTarget, &at)?;
        self.put.push(Put { around, name: name.to_owned(), aside, what: What::Thrown });
        Ok(at)
    }

    /// What was put there last is not to be thrown away.
    fn last_is(&mut self, what: What) {
        if let Some(last) = self.put.last_mut() {
            last.what = what;
        }
    }

    /// An empty directory, writable by everybody.
    pub(crate) fn empty(&mut self, target: &Path) -> Done<()> {
        let place = self.targets().directory(target)?;
        let at = self.free(&place)?;
        open_to_all(&at)
    }

    /// A file with these contents.
    pub(crate) fn file(&mut self, target: &Path, contents: &[u8], mode: u32) -> Done<()> {
        let place = self.targets().file(target)?;
        let at = self.free(&place)?;
        entry::write(&at, contents, mode, self.tenant)
    }

    /// A copy that cannot be written, or the thing itself.
    pub(crate) fn bind(&mut self, path: &Path, target: &Path, access: Access) -> Done<()> {
        let found = source(path)?;
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&found).at(Step::OpenSource, path)?.st_mode);
        let place =
            if kind.is_dir() { self.targets().directory(target)? } else { self.targets().file(target)? };
        // Links on the way to it are followed, as a mount would follow them.
        let real = path_of(&found).at(Step::OpenSource, path)?;
        let at = self.free(&place)?;
        if access == Access::ReadWrite {
            entry::relocate(&real, &at)?;
            let itself = open(&at, OFlags::NOFOLLOW).at(Step::MoveIn, path)?;
            self.last_is(What::Moved { home: real, itself });
            return Ok(());
        }
        let tree = Tree::of_owner(&real, Kind::ReadOnly)?;
        if kind.is_dir() {
            return fill(&Stack(vec![tree]), make(&at)?, self.tenant, |_, _, _| ());
        }
        let metadata = std::fs::metadata(&real).at(Step::OpenSource, path)?;
        entry::place((&real, &metadata), &at, &tree, self.tenant).map(drop)
    }

    /// Copies of trees, of which the changes are kept.
    pub(crate) fn overlay(&mut self, target: &Path, lower: &[PathBuf], upper: &Path) -> Done<()> {
        let place = self.targets().directory(target)?;
        let at = self.free(&place)?;
        let trees = lower.iter().map(|path| Tree::of_owner(path, Kind::Copied)).collect::<Done<Vec<_>>>()?;
        entry::give(upper, self.tenant)?;
        let kept = fill_over(make(&at)?, upper, trees, self.tenant)?;
        let itself = open(&at, OFlags::NOFOLLOW).at(Step::Copy, &at)?;
        self.last_is(What::Overlay { kept, itself });
        Ok(())
    }

    /// The harmless devices, and a place for shared memory.
    pub(crate) fn make_dev(&mut self) -> Done<()> {
        let place = self.targets().directory(Path::new("/dev"))?;
        let dev = self.free(&place)?;
        make(&dev)?;
        for name in DEVICES {
            let (here, there) = (Path::new("/dev").join(name), dev.join(name));
            let number = rustix::fs::stat(&here).at(Step::MountDev, &here)?.st_rdev;
            let rights = Mode::from_raw_mode(0o666);
            rustix::fs::mknodat(CWD, &there, FileType::CharacterDevice, rights, number)
                .and_then(|()| rustix::fs::chmod(&there, rights))
                .at(Step::MountDev, &here)
                .map_err(|failure| {
                    failure.advise(
                        &[libc::EPERM],
                        "it takes CAP_MKNOD: start the container with --cap-add MKNOD",
                    )
                })?;
        }
        let null = dev.join("null");
        std::fs::File::open(&null).at(Step::MountDev, &null).map_err(|failure| {
            failure.advise(
                &[libc::EACCES],
                "the file system there opens no devices (nodev): take another with --store",
            )
        })?;
        open_to_all(&dev.join("shm"))
    }

    /// Gives back what is the caller's, keeps what is to be kept, removes the rest. Nothing may run in the room any more.
    /// What could not be given back stays where it is, and is named.
    pub(crate) fn take_down(mut self) -> Done<()> {
        let mut done = Ok(());
        while let Some(put) = self.put.pop() {
            done = done.and(take_away(&put));
        }
        if let Some(kept) = self.kept.take() {
            done = done.and_then(|()| kept.write(&self.dir.join("root")));
        }
        done.and_then(|()| entry::remove_all(&self.dir))
    }
}

fn take_away(put: &Put) -> Done<()> {
    match &put.what {
        What::Thrown => {}
        What::Moved { home, itself } => entry::relocate(&path_of(itself).at(Step::MoveIn, home)?, home)?,
        What::Overlay { kept, itself } => kept.write(&path_of(itself).at(Step::KeepChanges, "")?)?,
    }
    entry::remove_all(&put.place())?;
    match std::fs::rename(&put.aside, put.place()) {
        // The room removed the directory around it.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        back => back.at(Step::MakeTarget, &put.aside),
    }
}

/// A directory at this path, which has been made free.
fn make(at: &Path) -> Done<&Path> {
    entry::make_directory(at)?;
    Ok(at)
}

fn open_to_all(at: &Path) -> Done<()> {
    use std::os::unix::fs::PermissionsExt;
    make(at)?;
    std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o1777)).at(Step::MountTmpfs, at)
}

/// Where something is that is open.
fn path_of(open: &OwnedFd) -> std::io::Result<PathBuf> {
    std::fs::read_link(through(open))
}

/// A path that leads to what is open, wherever it is.
fn through(open: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", open.as_raw_fd()).into()
}

/// A tree whose ids are the room's own, unless a room left it.
fn image_tree(path: &Path, user: crate::Identity) -> Done<Tree> {
    let top = std::fs::metadata(path).at(Step::OpenSource, path)?;
    let (shifted, tenant) = (ids::shifted_both(user), ids::tenants(user));
    let (mut uids, mut gids) = (vec![shifted.0, tenant.0], vec![shifted.1, tenant.1]);
    if !ids::is_shifted(top.uid()) {
        uids.push(user.uid);
        gids.push(user.gid);
    }
    Ok(Tree { path: path.to_owned(), uids, gids, kind: Kind::Image })
}

/// Fills a directory with what is seen in trees under the changes that `upper` has already.
fn fill_over(top: &Path, upper: &Path, lower: Vec<Tree>, tenant: (u32, u32)) -> Done<Kept> {
    let changed = Tree { path: upper.to_owned(), uids: vec![], gids: vec![], kind: Kind::Copied };
    let stack = Stack(std::iter::once(changed).chain(lower).collect());
    let mut prints = BTreeMap::new();
    fill(&stack, top, tenant, |tree, path, print| {
        if tree > 0 {
            prints.insert(path, print);
        }
    })?;
    Ok(Kept { upper: upper.to_owned(), lower: Stack(stack.0.into_iter().skip(1).collect()), prints })
}

/// Fills a directory with what is seen in trees, and tells of each file from which it came.
fn fill(
    stack: &Stack,
    top: &Path,
    tenant: (u32, u32),
    mut tell: impl FnMut(usize, PathBuf, Print),
) -> Done<()> {
    let Some(first) = stack.0.first() else { return Ok(()) };
    let metadata = std::fs::metadata(&first.path).at(Step::OpenSource, &first.path)?;
    let mut left = vec![(PathBuf::new(), stack.all(), metadata)];
    let mut made = Vec::new();
    while let Some((path, trees, metadata)) = left.pop() {
        for (name, seen) in stack.list(&path, &trees)? {
            let path = path.join(name);
            match seen {
                Seen::Directory(trees, metadata) => {
                    entry::make_directory(&top.join(&path))?;
                    left.push((path, trees, metadata));
                }
                Seen::File(number, metadata) => {
                    let tree = &stack.0[number];
                    let from = tree.path.join(&path);
                    if let Some(print) = entry::place((&from, &metadata), &top.join(&path), tree, tenant)? {
                        tell(number, path, print);
                    }
                }
            }
        }
        made.push((path, trees, metadata));
    }
    // The innermost first: what comes into a directory changes its time.
    for (path, trees, metadata) in made.iter().rev() {
        if let Some(tree) = trees.first().and_then(|number| stack.0.get(*number)) {
            entry::finish_directory(&top.join(path), metadata, tree, tenant)?;
        }
    }
    Ok(())
}
