//! The files of all packages into one tree, a few packages at a time, with the same result in whatever order.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use oci::Owner;
use tar::EntryType;

use crate::compose::{ComposeError, Package};
use crate::control::Paragraph;
use crate::depends::groups;
use crate::leave_out::{leaves_out, leaves_out_dir};
use crate::tree::{Ownership, Parent, Tree};

/// What one package put into the tree.
#[derive(Debug, Default)]
pub(crate) struct Unpacked {
    /// Paths as the package spells them, for dpkg's `.list`; without a leading slash.
    pub(crate) listed: Vec<PathBuf>,
    pub(crate) bytes: u64,
    pub(crate) left_out: u64,
    ownership: Ownership,
    /// Files that belong to this package but were written by one that it replaces.
    redo: Vec<PathBuf>,
}

impl Unpacked {
    /// Whether the linker's cache has something to say of it: a shared library outside of private folders' names.
    pub(crate) fn has_library(&self) -> bool {
        self.listed.iter().any(|path| {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            name.starts_with("lib") && (name.ends_with(".so") || name.contains(".so."))
        })
    }
}

/// Directories that are links in a base (merged `/usr`, `/run`): what packages ship below the first goes below the
/// second. trixie's packages know of the merge, bookworm's do not.
pub(crate) const ALIASES: &[(&str, &str)] = &[
    ("bin", "usr/bin"),
    ("sbin", "usr/sbin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
    ("lib32", "usr/lib32"),
    ("libx32", "usr/libx32"),
    ("var/run", "run"),
    ("var/lock", "run/lock"),
];

/// Where a path that a package ships really goes; `None` for the root and for what climbs.
fn place(bytes: &[u8]) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(bytes)).components() {
        match component {
            std::path::Component::Normal(name) => path.push(name),
            std::path::Component::CurDir | std::path::Component::RootDir => {}
            _ => return None,
        }
    }
    for (alias, real) in ALIASES {
        if let Ok(below) = path.strip_prefix(alias) {
            let real = Path::new(real);
            return Some(if below.as_os_str().is_empty() { real.to_owned() } else { real.join(below) });
        }
    }
    (!path.as_os_str().is_empty()).then_some(path)
}

/// Who put what where, seen by all threads.
struct Shared<'a> {
    tree: &'a Tree,
    packages: &'a [Package],
    /// Owner of every file and link, by its package's place in the order.
    files: Mutex<HashMap<PathBuf, usize>>,
    /// The first package's word on a directory.
    dirs: Mutex<HashMap<PathBuf, DirWord>>,
}

#[derive(Clone, Copy)]
struct DirWord {
    order: usize,
    mode: u32,
    owner: Owner,
    contended: bool,
}

/// Unpacks every package; the answers are in the packages' order.
pub(crate) fn unpack_all(
    tree: &Tree,
    packages: &[Package],
    ownership: &mut Ownership,
) -> Result<Vec<Unpacked>, ComposeError> {
    let shared =
        Shared { tree, packages, files: Mutex::new(HashMap::new()), dirs: Mutex::new(HashMap::new()) };
    let results = in_parallel(&shared);
    let mut unpacked = Vec::with_capacity(packages.len());
    for (order, result) in results.into_iter().enumerate() {
        let mut one =
            result.unwrap_or_else(|| Err(ComposeError::Folder(io::Error::other("a thread died"))))?;
        if !one.redo.is_empty() {
            redo(&shared, order, &one.redo)?;
        }
        ownership.append(&mut one.ownership);
        unpacked.push(one);
    }
    settle_dirs(&shared, ownership)?;
    Ok(unpacked)
}

type Results = Vec<Option<Result<Unpacked, ComposeError>>>;

fn in_parallel(shared: &Shared<'_>) -> Results {
    // The largest first, so that no thread is left with one at the end.
    let mut queue: Vec<usize> = (0..shared.packages.len()).collect();
    queue.sort_by_key(|at| std::cmp::Reverse(shared.packages.get(*at).map(|package| package.locked.size)));
    let next = AtomicUsize::new(0);
    let results: Mutex<Results> = Mutex::new(shared.packages.iter().map(|_| None).collect());
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(4);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(order) = queue.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = unpack(shared, *order, None);
                    if let Some(slot) = results.lock().unwrap_or_else(PoisonError::into_inner).get_mut(*order)
                    {
                        *slot = Some(result);
                    }
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Writes files again that a replaced package wrote in the meantime.
fn redo(shared: &Shared<'_>, order: usize, paths: &[PathBuf]) -> Result<(), ComposeError> {
    unpack(shared, order, Some(paths)).map(drop)
}

fn unpack(shared: &Shared<'_>, order: usize, only: Option<&[PathBuf]>) -> Result<Unpacked, ComposeError> {
    let Some(package) = shared.packages.get(order) else { return Ok(Unpacked::default()) };
    let broken = |source| ComposeError::Unpack {
        package: package.locked.name.clone(),
        path: PathBuf::from("data.tar"),
        source,
    };
    let mut archive = tar::Archive::new(package.deb.data()?);
    let mut one = One { shared, package, order, parent: Parent::default(), done: Unpacked::default() };
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let Some(path) = place(&entry.path_bytes()) else { continue };
        if only.is_some_and(|only| !only.contains(&path)) {
            continue;
        }
        one.entry(&path, &mut entry)?;
    }
    // Whatever follows the last entry has to be sound too: the end of the stream carries its checksum.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(broken)?;
    Ok(one.done)
}

/// One package on its way into the tree.
struct One<'a> {
    shared: &'a Shared<'a>,
    package: &'a Package,
    order: usize,
    parent: Parent,
    done: Unpacked,
}

type Entry<'a, 'b> = tar::Entry<'a, Box<dyn Read + 'b>>;

impl One<'_> {
    fn entry(&mut self, path: &Path, entry: &mut Entry<'_, '_>) -> Result<(), ComposeError> {
        let text = path.to_string_lossy();
        let kind = entry.header().entry_type();
        let left_out = leaves_out(&text) || (kind == EntryType::Directory && leaves_out_dir(&text));
        if left_out {
            self.done.left_out += entry.size();
            return Ok(());
        }
        let raw = entry.path_bytes().into_owned();
        let spelt = raw.strip_prefix(b"./").unwrap_or(&raw);
        self.done.listed.push(PathBuf::from(OsStr::from_bytes(spelt.strip_suffix(b"/").unwrap_or(spelt))));
        let failed = |source| self.failed(path, source);
        let mode = entry.header().mode().map_err(failed)? & 0o7777;
        let owner = owner(entry.header()).map_err(failed)?;
        match kind {
            EntryType::Directory => return self.dir(path, mode, owner),
            EntryType::Symlink if is_alias(&raw) => return Ok(()),
            _ => {}
        }
        if !self.claim(path)? {
            return Ok(());
        }
        let (tree, parent) = (self.shared.tree, &mut self.parent);
        let written = match kind {
            EntryType::Regular | EntryType::Continuous => tree.file(path, mode, entry, parent),
            EntryType::Symlink => tree.symlink(path, &target(entry), parent).map(|()| 0),
            EntryType::Link => match place(target(entry).as_bytes()) {
                Some(target) => tree.hard_link(path, &target, parent).map(|()| 0),
                None => Err(io::Error::other("a link to nowhere")),
            },
            other => return Err(self.strange(path, other)),
        };
        self.done.bytes += written.map_err(|source| self.failed(path, source))?;
        let set_id = matches!(kind, EntryType::Regular) && mode & 0o6000 != 0;
        if owner != Owner::ROOT || set_id {
            self.done.ownership.insert(path.to_owned(), (owner, mode));
        }
        Ok(())
    }

    fn dir(&mut self, path: &Path, mode: u32, owner: Owner) -> Result<(), ComposeError> {
        self.shared.tree.dir(path, mode, &mut self.parent).map_err(|source| self.failed(path, source))?;
        let mut dirs = self.shared.dirs.lock().unwrap_or_else(PoisonError::into_inner);
        let word = DirWord { order: self.order, mode, owner, contended: false };
        dirs.entry(path.to_owned())
            .and_modify(|before| {
                let contended = before.contended || before.mode != mode;
                *before = DirWord { contended, ..if self.order < before.order { word } else { *before } };
            })
            .or_insert(word);
        Ok(())
    }

    /// Takes a path for this package. False: it stays another's, which replaces this one.
    fn claim(&mut self, path: &Path) -> Result<bool, ComposeError> {
        let mut files = self.shared.files.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(before) = files.get(path).copied() else {
            files.insert(path.to_owned(), self.order);
            return Ok(true);
        };
        if before == self.order {
            return Ok(true);
        }
        let Some(other) = self.shared.packages.get(before) else { return Ok(true) };
        if replaces(other, self.package) {
            return Ok(false);
        }
        if replaces(self.package, other) {
            files.insert(path.to_owned(), self.order);
            // The other may still be writing it: once more when all threads are done.
            self.done.redo.push(path.to_owned());
            return Ok(false);
        }
        let (first, second) = if before < self.order { (other, self.package) } else { (self.package, other) };
        Err(ComposeError::SameFile {
            path: path.to_owned(),
            first: first.locked.name.clone(),
            second: second.locked.name.clone(),
        })
    }

    fn failed(&self, path: &Path, source: io::Error) -> ComposeError {
        ComposeError::Unpack { package: self.package.locked.name.clone(), path: path.to_owned(), source }
    }

    fn strange(&self, path: &Path, kind: EntryType) -> ComposeError {
        let what = match kind {
            EntryType::Char | EntryType::Block => "a device",
            EntryType::Fifo => "a pipe",
            _ => "something unknown",
        };
        ComposeError::Strange {
            package: self.package.locked.name.clone(),
            path: path.to_owned(),
            what: what.to_owned(),
        }
    }
}

fn owner(header: &tar::Header) -> io::Result<Owner> {
    let id = |id: u64| u32::try_from(id).map_err(|_| io::Error::other("an owner beyond 32 bits"));
    Ok(Owner::new(id(header.uid()?)?, id(header.gid()?)?))
}

fn target(entry: &Entry<'_, '_>) -> std::ffi::OsString {
    OsStr::from_bytes(&entry.link_name_bytes().unwrap_or_default()).to_owned()
}

/// `./bin -> usr/bin`, as trixie's base-files ships it: made by us already, and never a second time above a base.
fn is_alias(spelt: &[u8]) -> bool {
    let spelt = spelt.strip_prefix(b"./").unwrap_or(spelt);
    ALIASES.iter().any(|(alias, _)| alias.as_bytes() == spelt)
}

fn replaces(package: &Package, other: &Package) -> bool {
    let field = Paragraph(&package.control).get("Replaces").unwrap_or_default();
    groups(field).flatten().any(|it| it.name == other.locked.name && it.accepts(&other.locked.version))
}

/// Directories that two packages ship with different modes get the first package's; owners are noted.
fn settle_dirs(shared: &Shared<'_>, ownership: &mut Ownership) -> Result<(), ComposeError> {
    let dirs = shared.dirs.lock().unwrap_or_else(PoisonError::into_inner);
    for (path, word) in dirs.iter() {
        if word.contended {
            shared
                .tree
                .dir_mode(path, word.mode)
                .map_err(|source| ComposeError::Effect { path: path.clone(), source })?;
        }
        if word.owner != Owner::ROOT || word.mode & 0o6000 != 0 {
            ownership.insert(path.clone(), (word.owner, word.mode));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_where_a_merged_base_has_them() {
        let at = |path: &str| place(path.as_bytes()).map(|path| path.display().to_string());
        assert_eq!(at("./bin/dash").as_deref(), Some("usr/bin/dash"));
        assert_eq!(
            at("./lib/x86_64-linux-gnu/libc.so.6").as_deref(),
            Some("usr/lib/x86_64-linux-gnu/libc.so.6")
        );
        assert_eq!(at("./library").as_deref(), Some("library"));
        assert_eq!(at("./var/run/").as_deref(), Some("run"));
        assert_eq!(at("./var/lock/x").as_deref(), Some("run/lock/x"));
        assert_eq!(at("/etc/passwd").as_deref(), Some("etc/passwd"));
        assert_eq!(at("./../etc/passwd"), None);
        assert_eq!(at("./"), None);
    }
}
