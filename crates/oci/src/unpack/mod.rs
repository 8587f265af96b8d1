//! Unpacking a layer's tar, which may be hostile.
//!
//! Every path is resolved by the kernel beneath the directory that is unpacked into (`openat2` with
//! `RESOLVE_IN_ROOT`): links of the tar, absolute ones too, mean what they will mean in the image and never lead out of
//! it. The last component of a path is never followed, so no mode is set through a link (RUSTSEC-2026-0067).
//! Set-user-id and set-group-id bits are dropped: an unpacked layer belongs to a store of the host, where such a
//! file would be a hole. Extended attributes and devices are left out.

mod at;
mod compression;
mod entries;
mod part;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
    rc::Rc,
};

use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, fchmod, linkat,
        mkdirat, mknodat, openat, openat2, symlinkat,
    },
    io::Errno,
};
use tar::{Entry, EntryType};

pub(crate) use compression::decompressed;
pub(crate) use entries::each_entry;
pub use part::{PartError, layer_tar, unpack_part};

use at::{clean, in_root, make_gone, make_opaque, open_directory, remove, set_link_meta, set_meta};

/// Whose the unpacked files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// The caller's.
    Caller,
    /// As in the tar; for root only.
    AsStored,
}

/// What becomes of entries that say "removed in this layer"
/// (<https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md#whiteouts>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whiteouts {
    /// They stay files named `.wh.<name>`.
    Keep,
    /// They become the overlay file system's own: devices 0:0, or where there can be none empty files with an attribute,
    /// and an attribute on opaque directories.
    Overlay,
}

/// How a tar is unpacked.
#[derive(Debug, Clone, Copy)]
pub struct UnpackRules {
    /// Whose the files are.
    pub ids: Ids,
    /// What becomes of whiteouts.
    pub whiteouts: Whiteouts,
}

/// Why a tar could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The tar is damaged.
    #[error("the archive is damaged: {source}")]
    Archive {
        /// What is wrong.
        source: io::Error,
    },
    /// An entry could not be written.
    #[error("entry {}: {source}", entry.display())]
    Entry {
        /// Its path in the archive.
        entry: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory itself can't be used.
    #[error("{}: {source}", into.display())]
    Into {
        /// The directory that was to be unpacked into.
        into: PathBuf,
        /// Why.
        source: io::Error,
    },
}

const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Unpacks a tar (not compressed) into a directory, in which every path stays whatever the tar says.
///
/// # Errors
/// When the tar is damaged, or an entry can't be written.
pub fn unpack_tar(reader: impl Read, into: &Path, rules: UnpackRules) -> Result<(), UnpackError> {
    unpack_beneath(reader, Path::new(""), into, rules)
}

/// The same with what the tar has in its directory `at`, which becomes the directory `into`. What the tar has besides
/// are the parents of `at`; anything else is an error.
///
/// # Errors
/// When the tar is damaged or has something else in it, or an entry can't be written.
pub fn unpack_beneath(
    reader: impl Read,
    at: &Path,
    into: &Path,
    rules: UnpackRules,
) -> Result<(), UnpackError> {
    let at_into = |source| UnpackError::Into { into: into.to_owned(), source };
    let root = rustix::fs::open(into, DIRECTORY, Mode::empty()).map_err(|errno| at_into(errno.into()))?;
    let mut unpacker = Unpacker {
        root: Rc::new(root),
        at: clean(at).map_err(at_into)?,
        rules,
        parent: None,
        dirs: BTreeMap::new(),
    };
    let broken = |source| UnpackError::Archive { source };
    each_entry(reader, broken, |entry| {
        // The parser takes a line end in a record's value for the record's end; better no name than a wrong one.
        for record in entry.pax_extensions().map_err(broken)?.into_iter().flatten() {
            record.map_err(broken)?;
        }
        let path = PathBuf::from(OsString::from_vec(entry.path_bytes().into_owned()));
        unpacker.entry(&path, entry).map_err(|source| UnpackError::Entry { entry: path, source })
    })?;
    unpacker.finish()
}

struct Unpacker {
    root: Rc<OwnedFd>,
    /// The directory of the tar that becomes the root.
    at: PathBuf,
    rules: UnpackRules,
    /// The directory of the last entry, since the next is often in it too.
    parent: Option<(PathBuf, Rc<OwnedFd>)>,
    /// Directories get their modes and times last, lest they forbid or undo what comes into them.
    dirs: BTreeMap<PathBuf, Meta>,
}

#[derive(Debug, Clone)]
struct Meta {
    mode: Mode,
    owner: Option<(Uid, Gid)>,
    times: Timestamps,
}

impl Unpacker {
    fn entry(&mut self, path: &Path, entry: &mut Entry<'_, impl Read>) -> io::Result<()> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader | EntryType::Char | EntryType::Block) {
            return Ok(());
        }
        let Some(path) = self.beneath(path)? else { return Ok(()) };
        let meta = self.meta(entry)?;
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            self.dirs.insert(PathBuf::new(), meta);
            return Ok(());
        };
        let parent = self.open_parent(dir)?;
        if self.rules.whiteouts != Whiteouts::Keep
            && let Some(hidden) = name.as_bytes().strip_prefix(b".wh.")
        {
            return whiteout(&parent, OsStr::from_bytes(hidden));
        }
        match kind {
            EntryType::Directory => self.directory(&parent, name, &path, &meta),
            EntryType::Symlink => {
                let target = link_target(entry)?;
                self.create(&parent, name, |at, name| symlinkat(&target, at, name))?;
                set_link_meta(&parent, name, &meta)
            }
            EntryType::Link => {
                let target = self.beneath(Path::new(&link_target(entry)?))?.unwrap_or_default();
                self.hard_link(&parent, name, &target)
            }
            EntryType::Fifo => {
                let mode = Mode::RUSR | Mode::WUSR;
                self.create(&parent, name, |at, name| mknodat(at, name, FileType::Fifo, mode, 0))?;
                set_link_meta(&parent, name, &meta)
            }
            _ => self.file(&parent, name, entry, &meta),
        }
    }

    /// A path of the tar as one beneath the root; `None` for the root's parents.
    fn beneath(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let path = clean(path)?;
        match path.strip_prefix(&self.at) {
            Ok(rest) => Ok(Some(rest.to_owned())),
            Err(_) if self.at.starts_with(&path) => Ok(None),
            Err(_) => Err(io::Error::other(format!("it is not in {}", self.at.display()))),
        }
    }

    fn meta(&self, entry: &Entry<'_, impl Read>) -> io::Result<Meta> {
        let header = entry.header();
        let id =
            |id: u64| u32::try_from(id).map_err(|_| io::Error::other(format!("the id {id} is too large")));
        let owner = match self.rules.ids {
            Ids::Caller => None,
            Ids::AsStored => Some((Uid::from_raw(id(header.uid()?)?), Gid::from_raw(id(header.gid()?)?))),
        };
        let time = Timespec { tv_sec: i64::try_from(header.mtime()?).unwrap_or(0), tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        // A part of a layer goes back to where it was made: in a volume of Kubernetes' with an fsGroup, directories hand their
        // group on. A program that runs as another user is nobody's to unpack.
        let is_part = !self.at.as_os_str().is_empty();
        let kept = if is_part && header.entry_type().is_dir() { 0o3777 } else { 0o1777 };
        Ok(Meta { mode: Mode::from_raw_mode(header.mode()? & kept), owner, times })
    }

    /// The directory with this path, by whatever links it has in the image, made when it is not there.
    fn open_parent(&mut self, dir: &Path) -> io::Result<Rc<OwnedFd>> {
        if dir.as_os_str().is_empty() {
            return Ok(Rc::clone(&self.root));
        }
        if let Some((path, fd)) = &self.parent
            && path == dir
        {
            return Ok(Rc::clone(fd));
        }
        let fd = match openat2(&*self.root, dir, DIRECTORY, Mode::empty(), IN_ROOT) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => {
                let (Some(above), Some(name)) = (dir.parent(), dir.file_name()) else {
                    return Err(Errno::NOENT.into());
                };
                let above = self.open_parent(above)?;
                mkdirat(&above, name, Mode::from_raw_mode(0o755))?;
                open_directory(&above, name)?
            }
            Err(errno) => return Err(errno.into()),
        };
        let fd = Rc::new(fd);
        self.parent = Some((dir.to_owned(), Rc::clone(&fd)));
        Ok(fd)
    }

    fn directory(&mut self, parent: &OwnedFd, name: &OsStr, path: &Path, meta: &Meta) -> io::Result<()> {
        // Writable until the end, whatever it shall be.
        let mode = Mode::from_raw_mode(0o700);
        if mkdirat(parent, name, mode) == Err(Errno::EXIST) {
            match open_directory(parent, name) {
                Ok(fd) => fchmod(fd, mode)?,
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    self.create(parent, name, |at, name| mkdirat(at, name, mode))?;
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        self.dirs.insert(path.to_owned(), meta.clone());
        Ok(())
    }

    fn file(
        &mut self,
        parent: &OwnedFd,
        name: &OsStr,
        entry: &mut Entry<'_, impl Read>,
        meta: &Meta,
    ) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let fd = self.create(parent, name, |at, name| openat(at, name, flags, mode))?;
        let mut file = std::fs::File::from(fd);
        io::copy(entry, &mut file)?;
        set_meta(file.as_fd(), meta)
    }

    fn hard_link(&mut self, parent: &OwnedFd, name: &OsStr, target: &Path) -> io::Result<()> {
        let (Some(dir), Some(target_name)) = (target.parent(), target.file_name()) else {
            return Err(Errno::INVAL.into());
        };
        // The link, if the target is one, is linked to and not followed.
        let from = openat2(&*self.root, in_root(dir), DIRECTORY, Mode::empty(), IN_ROOT)?;
        self.create(parent, name, |at, name| linkat(&from, target_name, at, name, AtFlags::empty()))
    }

    /// Makes something under a name; what has the name gives way, as in every container engine.
    fn create<T>(
        &mut self,
        parent: &OwnedFd,
        name: &OsStr,
        make: impl Fn(&OwnedFd, &OsStr) -> Result<T, Errno>,
    ) -> io::Result<T> {
        match make(parent, name) {
            Err(Errno::EXIST) => {
                self.parent = None;
                remove(parent, name)?;
                Ok(make(parent, name)?)
            }
            other => Ok(other?),
        }
    }

    /// Gives the directories what their entries said, the innermost first.
    fn finish(self) -> Result<(), UnpackError> {
        for (path, meta) in self.dirs.iter().rev() {
            let flags = DIRECTORY | OFlags::NOFOLLOW;
            let done = match openat2(&*self.root, in_root(path), flags, Mode::empty(), IN_ROOT) {
                Ok(fd) => set_meta(fd.as_fd(), meta),
                // A later entry put something else there.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
                Err(errno) => Err(errno.into()),
            };
            done.map_err(|source| UnpackError::Entry { entry: path.clone(), source })?;
        }
        Ok(())
    }
}

/// An entry `.wh.<hidden>` as the overlay file system has it.
fn whiteout(parent: &OwnedFd, hidden: &OsStr) -> io::Result<()> {
    if hidden == ".wh..opq" {
        return make_opaque(parent);
    }
    if hidden.as_bytes().starts_with(b".wh.") {
        // AUFS's own notes.
        return Ok(());
    }
    if matches!(hidden.as_bytes(), b"" | b"." | b"..") {
        return Err(io::Error::other("a whiteout of no name"));
    }
    // The kernel lets anybody make a device 0:0 since Linux 5.8. What is there already is of this layer and hides what is
    // below as it is.
    match mknodat(parent, hidden, FileType::CharacterDevice, Mode::empty(), 0) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        // On an overlay, such as a container's own root, nobody may.
        Err(Errno::PERM) => make_gone(parent, hidden),
        Err(errno) => Err(errno.into()),
    }
}

fn link_target(entry: &Entry<'_, impl Read>) -> io::Result<OsString> {
    let target = entry.link_name_bytes().filter(|target| !target.is_empty());
    Ok(OsString::from_vec(target.ok_or_else(|| io::Error::other("a link without a target"))?.into_owned()))
}
