//! Files that somebody else may have prepared: every path is walked component by component from an open directory,
//! no link is followed, and only regular files of a sane size are read.
//!
//! A buildpack may leave `launch.toml` as a link to a file of the host, a FIFO that never ends, or a directory where a
//! file belongs; each is an error that names it. What the lifecycle writes goes through the same walk, so a link that
//! was left in the way leads nowhere either.

use crate::cache::Stamp;
use crate::dirs::{Dir, HostOwner};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes.
pub const LIMIT: u64 = oci::bounded::BOUND;

/// How deep directories are entered one out of the other.
const DEEPEST: u32 = 64;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// A file beneath a directory can't be used. Paths are the build's own, not this machine's.
#[derive(Debug, thiserror::Error)]
pub enum BeneathError {
    /// The system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A link where a file or directory belongs.
    #[error("{} is a symbolic link; write a {expected} there instead", path.display())]
    Link {
        /// Which.
        path: PathBuf,
        /// What belongs there.
        expected: &'static str,
    },
    /// Something else where a file or directory belongs.
    #[error("{} is no {expected}", path.display())]
    Kind {
        /// Which.
        path: PathBuf,
        /// What belongs there.
        expected: &'static str,
    },
    /// Too much to read.
    #[error("{} has more than {} MiB, which no such file needs", path.display(), LIMIT >> 20)]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
}

/// An open directory.
#[derive(Debug)]
pub struct Beneath {
    fd: OwnedFd,
    name: PathBuf,
}

/// Where what is nested too deep is moved to.
struct Surface<'a> {
    dir: &'a Beneath,
    queue: Vec<OsString>,
    moved: u32,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// What it is, without following it.
    pub kind: FileType,
}

impl Beneath {
    /// Opens a directory that this program itself was given; messages show its path inside.
    ///
    /// # Errors
    /// When it is not there or no directory.
    pub fn open(dir: &Dir) -> Result<Self, BeneathError> {
        let name = dir.inside.clone();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(&dir.host, flags, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, name }),
            Err(error) => Err(BeneathError::Io { path: dir.host.clone(), source: error.into() }),
        }
    }

    /// Its path, for messages.
    #[must_use]
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// The open directory itself.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// A directory in it; `None` when there is nothing of that name.
    ///
    /// # Errors
    /// When it is a link or no directory, or can't be opened.
    pub fn dir(&self, name: impl AsRef<OsStr>) -> Result<Option<Self>, BeneathError> {
        let name = name.as_ref();
        match rustix::fs::openat(&self.fd, name, DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, name: self.name.join(name) })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(self.wrong(name, "directory")),
            Err(error) => Err(self.io(name, error)),
        }
    }

    /// A directory in it, made when it is not there.
    ///
    /// # Errors
    /// When something else has its name, or it can't be made.
    pub fn make_dir(&self, name: impl AsRef<OsStr>, owner: Option<HostOwner>) -> Result<Self, BeneathError> {
        let name = name.as_ref();
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => self.give(name, owner)?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(self.io(name, error)),
        }
        let dir = self.dir(name)?.ok_or_else(|| self.io(name, Errno::NOENT))?;
        dir.make_writable(name)?;
        Ok(dir)
    }

    /// A buildpack may have taken its own directory's permissions away.
    fn make_writable(&self, name: &OsStr) -> Result<(), BeneathError> {
        let fail = |error| self.io(name, error);
        let mode = rustix::fs::fstat(&self.fd).map_err(fail)?.st_mode & 0o7777;
        if mode & 0o700 == 0o700 {
            return Ok(());
        }
        rustix::fs::fchmod(&self.fd, Mode::from_raw_mode(mode | 0o700)).map_err(fail)
    }

    /// What is called `name`; `None` when nothing is.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn kind(&self, name: impl AsRef<OsStr>) -> Result<Option<FileType>, BeneathError> {
        let name = name.as_ref();
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.io(name, error)),
        }
    }

    /// The contents of a file; `None` when nothing has that name.
    ///
    /// # Errors
    /// When it is a link, no regular file, larger than [`LIMIT`], or can't be read.
    pub fn read(&self, name: impl AsRef<OsStr>) -> Result<Option<Vec<u8>>, BeneathError> {
        let name = name.as_ref();
        let Some(file) = self.file(name)? else { return Ok(None) };
        let mut contents = Vec::new();
        file.take(LIMIT + 1)
            .read_to_end(&mut contents)
            .map_err(|source| BeneathError::Io { path: self.name.join(name), source })?;
        if contents.len() as u64 > LIMIT {
            return Err(BeneathError::TooLarge { path: self.name.join(name) });
        }
        Ok(Some(contents))
    }

    /// What tells one state of a file from another; `None` when nothing has that name, or something that is no
    /// file.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn stamp(&self, name: impl AsRef<OsStr>) -> Result<Option<Stamp>, BeneathError> {
        let name = name.as_ref();
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => Ok(Some(Stamp {
                ino: stat.st_ino,
                size: stat.st_size as u64,
                changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
            })),
            Ok(_) | Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.io(name, error)),
        }
    }

    /// Copies a file into another directory, in place of what has that name there.
    ///
    /// # Errors
    /// When it is a link or no regular file, or can't be read or written.
    pub fn copy(&self, name: &str, to: &Self, new_name: &str) -> Result<(), BeneathError> {
        let Some(mut file) = self.file(OsStr::new(name))? else { return Ok(()) };
        to.remove(new_name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&to.fd, new_name, flags, Mode::from_raw_mode(0o644))
            .map_err(|error| to.io(OsStr::new(new_name), error))?;
        io::copy(&mut file, &mut std::fs::File::from(fd))
            .map_err(|source| BeneathError::Io { path: self.name.join(name), source })?;
        Ok(())
    }

    /// A file, open for reading; `None` when nothing has that name.
    ///
    /// # Errors
    /// When it is a link or no regular file, or can't be opened.
    pub fn file(&self, name: &OsStr) -> Result<Option<std::fs::File>, BeneathError> {
        let fd = match rustix::fs::openat(&self.fd, name, FILE, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            // a link; or a socket, which can't be opened
            Err(Errno::LOOP | Errno::NXIO) => return Err(self.wrong(name, "file")),
            Err(error) => return Err(self.io(name, error)),
        };
        let stat = rustix::fs::fstat(&fd).map_err(|error| self.io(name, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.wrong(name, "file"));
        }
        Ok(Some(fd.into()))
    }

    /// Writes a file, whole or not at all, in place of whatever has that name.
    ///
    /// # Errors
    /// When it can't be written, or a directory has that name.
    pub fn write(
        &self,
        name: impl AsRef<OsStr>,
        contents: &[u8],
        owner: Option<HostOwner>,
    ) -> Result<(), BeneathError> {
        let name = name.as_ref();
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}", std::process::id()));
        let _ = rustix::fs::unlinkat(&self.fd, &temporary, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, &temporary, flags, Mode::from_raw_mode(0o644))
            .map_err(|error| self.io(name, error))?;
        let written = std::fs::File::from(fd).write_all(contents);
        let done = written
            .map_err(|source| BeneathError::Io { path: self.name.join(name), source })
            .and_then(|()| self.give(&temporary, owner))
            .and_then(|()| {
                rustix::fs::renameat(&self.fd, &temporary, &self.fd, name)
                    .map_err(|error| self.io(name, error))
            });
        if done.is_err() {
            let _ = rustix::fs::unlinkat(&self.fd, &temporary, AtFlags::empty());
        }
        done
    }

    /// Gives what is called `name` another name, in place of what had that.
    ///
    /// # Errors
    /// When that does not work.
    pub fn rename(&self, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> Result<(), BeneathError> {
        let (from, to) = (from.as_ref(), to.as_ref());
        self.remove(to)?;
        rustix::fs::renameat(&self.fd, from, &self.fd, to).map_err(|error| self.io(from, error))
    }

    /// Removes what is called `name`, with everything in it; nothing there is fine.
    ///
    /// # Errors
    /// When something can't be removed.
    pub fn remove(&self, name: impl AsRef<OsStr>) -> Result<(), BeneathError> {
        let mut surface = Surface { dir: self, queue: vec![name.as_ref().to_owned()], moved: 0 };
        while let Some(name) = surface.queue.pop() {
            self.remove_one(&name, &mut surface, 0)?;
        }
        Ok(())
    }

    /// Directories can be nested deeper than descriptors and the stack reach: from some depth on they are moved up and
    /// wait for their turn.
    fn remove_one(&self, name: &OsStr, surface: &mut Surface<'_>, depth: u32) -> Result<(), BeneathError> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // what Linux and what POSIX say of a directory
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(self.io(name, error)),
        }
        if let Some(dir) = self.dir_to_empty(name)? {
            if depth == DEEPEST {
                let moved = OsString::from(format!(".removed-{}-{}", std::process::id(), surface.moved));
                rustix::fs::renameat(&self.fd, name, &surface.dir.fd, &moved)
                    .map_err(|error| self.io(name, error))?;
                surface.moved += 1;
                surface.queue.push(moved);
                return Ok(());
            }
            for entry in dir.entries()? {
                dir.remove_one(&entry.name, surface, depth + 1)?;
            }
        }
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.io(name, error)),
        }
    }

    /// Package managers leave directories that not even their owner may write to (Go's module cache).
    fn dir_to_empty(&self, name: &OsStr) -> Result<Option<Self>, BeneathError> {
        let mode = Mode::from_raw_mode(0o700);
        if self.kind(name)? == Some(FileType::Directory) {
            // a directory just now, and nothing of the build runs any more: the mode of no link's target changes
            let _ = rustix::fs::chmodat(&self.fd, name, mode, AtFlags::empty());
        }
        self.dir(name)
    }

    /// What is in it, by name.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn entries(&self) -> Result<Vec<Entry>, BeneathError> {
        let here = OsStr::new(".");
        // a description of its own, so that reading does not move the offset of another reader
        let fd = rustix::fs::openat(&self.fd, here, DIRECTORY, Mode::empty())
            .map_err(|error| self.io(here, error))?;
        let mut buffer = vec![MaybeUninit::<u8>::uninit(); 32 << 10];
        let mut reader = RawDir::new(fd, &mut buffer);
        let mut entries = Vec::new();
        while let Some(entry) = reader.next() {
            let entry = entry.map_err(|error| self.io(here, error))?;
            let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
            if matches!(name.as_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => match self.kind(&name)? {
                    Some(kind) => kind,
                    None => continue,
                },
                kind => kind,
            };
            entries.push(Entry { name, kind });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn give(&self, name: &OsStr, owner: Option<HostOwner>) -> Result<(), BeneathError> {
        let Some(owner) = owner else { return Ok(()) };
        let uid = rustix::fs::Uid::from_raw(owner.uid);
        let gid = rustix::fs::Gid::from_raw(owner.gid);
        rustix::fs::chownat(&self.fd, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| self.io(name, error))
    }

    /// Gives away everything in it, links themselves and not what they lead to.
    ///
    /// # Errors
    /// When something can't be given away.
    pub fn give_all(&self, owner: HostOwner) -> Result<(), BeneathError> {
        for Entry { name, kind } in self.entries()? {
            if kind == FileType::Directory
                && let Some(dir) = self.dir(&name)?
            {
                dir.give_all(owner)?;
            }
            self.give(&name, Some(owner))?;
        }
        Ok(())
    }

    fn wrong(&self, name: &OsStr, expected: &'static str) -> BeneathError {
        let path = self.name.join(name);
        match self.kind(name) {
            Ok(Some(FileType::Symlink)) => BeneathError::Link { path, expected },
            _ => BeneathError::Kind { path, expected },
        }
    }

    fn io(&self, name: &OsStr, error: Errno) -> BeneathError {
        let path = if name == "." { self.name.clone() } else { self.name.join(name) };
        BeneathError::Io { path, source: error.into() }
    }
}
