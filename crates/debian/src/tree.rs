//! Files, directories and links below one folder, and never outside it, whatever links lie there.
//!
//! Every parent is opened with `openat2(RESOLVE_IN_ROOT)`, so an absolute or climbing link resolves inside the tree as
//! it will in the base; the last component is created anew or opened without following. Modes are set explicitly: the
//! result does not depend on the umask. <https://man7.org/linux/man-pages/man2/openat2.2.html>

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci::Owner;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// A folder that is written below.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
}

/// What an image must say of entries that are not simply root's: owner, and mode with set-id bits.
pub(crate) type Ownership = BTreeMap<PathBuf, (Owner, u32)>;

/// The set-id bits are kept out of the tree on disk: it lies where other users may reach it, in its builder's name.
const ON_DISK: u32 = 0o1777;

/// The directory that an entry goes into, kept open between entries.
#[derive(Debug, Default)]
pub(crate) struct Parent(Option<(PathBuf, OwnedFd)>);

impl Tree {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        Ok(Self { root })
    }

    fn open_in_root(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let mut tries = 0;
        loop {
            // EAGAIN: a rename elsewhere while `..` was resolved.
            match rustix::fs::openat2(&self.root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Err(Errno::AGAIN) if tries < 16 => tries += 1,
                other => return other,
            }
        }
    }

    /// Opens the directory above `path`, made with its parents where it is missing, and calls `then` with it and the name.
    fn within<T>(
        &self,
        path: &Path,
        parent: &mut Parent,
        then: impl FnOnce(&OwnedFd, &OsStr) -> io::Result<T>,
    ) -> io::Result<T> {
        let name = path.file_name().ok_or_else(|| io::Error::other("a name that ends in `..`"))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        if parent.0.as_ref().is_none_or(|(open, _)| open != folder) {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let opened = match self.open_in_root(folder, flags) {
                Err(Errno::NOENT) if !folder.as_os_str().is_empty() => {
                    self.dir(folder, 0o755, &mut Parent::default())?;
                    self.open_in_root(folder, flags)?
                }
                other => other?,
            };
            parent.0 = Some((folder.to_owned(), opened));
        }
        match &parent.0 {
            Some((_, folder)) => then(folder, name),
            None => Err(io::Error::other("no folder")),
        }
    }

    /// Makes a directory with this mode; one that is there stays as it is. True if it is new.
    pub(crate) fn dir(&self, path: &Path, mode: u32, parent: &mut Parent) -> io::Result<bool> {
        self.within(path, parent, |folder, name| {
            match rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o700)) {
                Ok(()) => {}
                Err(Errno::EXIST) => return self.must_be_dir(path).map(|()| false),
                Err(error) => return Err(error.into()),
            }
            set_dir_mode(folder, name, mode)?;
            Ok(true)
        })
    }

    fn must_be_dir(&self, path: &Path) -> io::Result<()> {
        Ok(self.open_in_root(path, OFlags::PATH | OFlags::DIRECTORY).map(drop)?)
    }

    /// Sets the mode of a directory that is there.
    pub(crate) fn dir_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.within(path, &mut Parent::default(), |folder, name| set_dir_mode(folder, name, mode))
    }

    /// Writes a file in place of whatever had its name.
    pub(crate) fn file(
        &self,
        path: &Path,
        mode: u32,
        contents: &mut dyn Read,
        parent: &mut Parent,
    ) -> io::Result<u64> {
        self.within(path, parent, |folder, name| {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let create = || rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o600));
            let file = replacing(folder, name, create)?;
            let mut file = std::fs::File::from(file);
            let size = io::copy(contents, &mut file)?;
            file.flush()?;
            rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & ON_DISK))?;
            Ok(size)
        })
    }

    /// Makes a symbolic link in place of whatever had its name.
    pub(crate) fn symlink(&self, path: &Path, target: &OsStr, parent: &mut Parent) -> io::Result<()> {
        self.within(path, parent, |folder, name| {
            replacing(folder, name, || rustix::fs::symlinkat(target, folder, name))
        })
    }

    /// Makes another name for a file of the tree.
    pub(crate) fn hard_link(&self, path: &Path, target: &Path, parent: &mut Parent) -> io::Result<()> {
        self.within(target, &mut Parent::default(), |from, old| {
            self.within(path, parent, |folder, name| {
                replacing(folder, name, || rustix::fs::linkat(from, old, folder, name, AtFlags::empty()))
            })
        })
    }

    /// What is there under this name, no link followed at its end.
    pub(crate) fn kind(&self, path: &Path) -> Option<FileType> {
        let opened = self.open_in_root(path, OFlags::PATH | OFlags::NOFOLLOW).ok()?;
        rustix::fs::fstat(opened).ok().map(|stat| FileType::from_raw_mode(stat.st_mode))
    }

    /// Reads a whole text of the tree.
    pub(crate) fn read(&self, path: &Path) -> io::Result<String> {
        let file = self.open_in_root(path, OFlags::RDONLY)?;
        io::read_to_string(std::fs::File::from(file))
    }

    /// The names in a directory of the tree, sorted; none if it is not there.
    pub(crate) fn names(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let folder = match self.open_in_root(path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(folder)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(
                    name,
                )));
            }
        }
        names.sort();
        Ok(names)
    }
}

/// The one safe way to change a mode: through a descriptor that was opened without following a link.
fn set_dir_mode(folder: &impl AsFd, name: &OsStr, mode: u32) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    Ok(rustix::fs::fchmod(opened, Mode::from_raw_mode(mode & ON_DISK))?)
}

fn replacing<T>(folder: &impl AsFd, name: &OsStr, create: impl Fn() -> Result<T, Errno>) -> io::Result<T> {
    match create() {
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(folder, name, AtFlags::empty())?;
            Ok(create()?)
        }
        other => Ok(other?),
    }
}
