//! Finding what is in a layer, by stat alone.

use std::{
    ffi::OsStr,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, statat};
use sha2::{Digest as _, Sha256};

use super::{
    LayerError, LayerSpec, Modes, Notice, Owner, OwnerRule, TreeIndex, TreeRules, gzip,
    plan::{Node, Root, Seen, Source, key_of},
    spec::{Item, What},
    tar::Kind,
};
use crate::Digest;

/// A file of more bytes is worth a notice.
const LARGE: u64 = 1 << 30;

/// What has been found so far.
#[derive(Default)]
pub(super) struct Walk<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) roots: Vec<Root>,
    pub(super) notices: Vec<Notice>,
    /// The newest change time of a file, in seconds and nanoseconds.
    pub(super) newest: (i64, i64),
    entries: u64,
    stats: Sha256,
    literal: Sha256,
}

impl<'a> Walk<'a> {
    /// Finds everything that the layer is made of, and its fingerprint.
    pub(super) fn over(spec: &'a LayerSpec) -> Result<(Self, TreeIndex), LayerError> {
        let mut walk = Self::default();
        walk.literal.update(gzip::ENCODING.to_le_bytes());
        for item in &spec.items {
            walk.item(item)?;
        }
        let index = TreeIndex {
            entries: walk.entries,
            walk: Digest::from_hasher(std::mem::take(&mut walk.stats)),
            literal: Digest::from_hasher(std::mem::take(&mut walk.literal)),
        };
        Ok((walk, index))
    }

    fn item(&mut self, item: &'a Item) -> Result<(), LayerError> {
        let key = key_of(&item.at)?;
        let is_tree = matches!(item.what, What::Tree { .. });
        if key.is_empty() && !is_tree {
            return Err(LayerError::BadPath { at: item.at.clone() });
        }
        hash_field(&mut self.literal, &key);
        match &item.what {
            What::Dir { mode, owner } => {
                self.hash_literal("dir", *mode, *owner);
                self.push(Node {
                    key,
                    kind: Kind::Dir,
                    mode: *mode,
                    owner: *owner,
                    size: 0,
                    source: Source::None,
                });
            }
            What::File { mode, owner, contents } => {
                self.hash_literal("file", *mode, *owner);
                hash_field(&mut self.literal, contents);
                let (size, source) = (contents.len() as u64, Source::Bytes(contents));
                self.push(Node { key, kind: Kind::File, mode: *mode, owner: *owner, size, source });
            }
            What::Symlink { target, owner } => {
                let target = target.as_os_str().as_bytes();
                self.hash_literal("symlink", 0o777, *owner);
                hash_field(&mut self.literal, target);
                let source = Source::Bytes(target);
                self.push(Node { key, kind: Kind::Symlink, mode: 0o777, owner: *owner, size: 0, source });
            }
            What::Program { mode, owner, host } => {
                self.hash_literal("program", *mode, *owner);
                self.program(key, (*mode, *owner), host)?;
            }
            What::Tree { host, rules } => {
                self.hash_rules(rules);
                self.tree(key, host, rules)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, node: Node<'a>) {
        self.nodes.push(node);
    }

    fn hash_literal(&mut self, what: &str, mode: u32, owner: Owner) {
        hash_field(&mut self.literal, what.as_bytes());
        for number in [mode, owner.uid, owner.gid] {
            self.literal.update(number.to_le_bytes());
        }
    }

    fn hash_rules(&mut self, rules: &TreeRules) {
        let modes = match rules.modes {
            Modes::Keep => "tree, modes kept",
            Modes::Normalise => "tree, modes normalised",
        };
        match &rules.owner {
            OwnerRule::All(owner) => self.hash_literal(modes, 0, *owner),
            OwnerRule::Table(table, default) => {
                self.hash_literal(modes, 1, *default);
                for (path, (owner, mode)) in table {
                    hash_field(&mut self.literal, path.as_os_str().as_bytes());
                    self.hash_literal("", *mode, *owner);
                }
            }
        }
        for path in &rules.skip {
            hash_field(&mut self.literal, path.as_os_str().as_bytes());
        }
    }

    fn program(&mut self, key: Vec<u8>, (mode, owner): (u32, Owner), host: &Path) -> Result<(), LayerError> {
        let fail = |errno: rustix::io::Errno| read_error(host, errno);
        let fd = rustix::fs::open(host, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(fail)?;
        let stat = rustix::fs::fstat(&fd).map_err(fail)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(read_error(host, rustix::io::Errno::INVAL));
        }
        self.seen(b"", &stat);
        let (size, seen) = (stat.st_size as u64, Seen::of(&stat));
        let root = self.root(fd, host);
        let source = Source::Host { root, path: PathBuf::new(), seen };
        self.push(Node { key, kind: Kind::File, mode, owner, size, source });
        Ok(())
    }

    fn tree(&mut self, key: Vec<u8>, host: &Path, rules: &TreeRules) -> Result<(), LayerError> {
        let fail = |errno| read_error(host, errno);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(host, flags, Mode::empty()).map_err(fail)?;
        let stat = rustix::fs::fstat(&fd).map_err(fail)?;
        let inner = fd.try_clone().map_err(|source| LayerError::Read { path: host.to_owned(), source })?;
        let tree = Tree { root: self.root(fd, host), host, key, rules };
        if !tree.key.is_empty() {
            self.entry(&tree, Path::new(""), &stat);
        }
        self.beneath(&tree, Path::new(""), &inner)
    }

    fn root(&mut self, fd: OwnedFd, path: &Path) -> usize {
        self.roots.push(Root { fd, path: path.to_owned() });
        self.roots.len() - 1
    }

    /// Everything in an open directory, which has this path in the tree.
    fn beneath(&mut self, tree: &Tree<'_>, dir: &Path, fd: &OwnedFd) -> Result<(), LayerError> {
        let fail = |errno| read_error(&tree.host.join(dir), errno);
        let mut names = Vec::new();
        for entry in Dir::read_from(fd).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        names.sort_unstable();
        for name in names {
            let path = dir.join(&name);
            if !tree.rules.skip.contains(&path) {
                self.one(tree, &path, (fd.as_fd(), &name))?;
            }
        }
        Ok(())
    }

    fn one(&mut self, tree: &Tree<'_>, path: &Path, at: (BorrowedFd<'_>, &OsStr)) -> Result<(), LayerError> {
        let fail = |errno| read_error(&tree.host.join(path), errno);
        let stat = statat(at.0, at.1, AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        match kind {
            // A hard link too is a file of its own, as with the reference lifecycle: which files are one is this
            // machine's doing (a package cache, a copy with `cp -l`), and the same contents shall be the same layer. The
            // reference's restorer takes no hard link either.
            FileType::RegularFile | FileType::Symlink => self.entry(tree, path, &stat),
            FileType::Directory => {
                self.entry(tree, path, &stat);
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let fd = openat(at.0, at.1, flags, Mode::empty()).map_err(fail)?;
                self.beneath(tree, path, &fd)?;
            }
            _ => self.notices.push(Notice::Skipped { path: tree.host.join(path), kind: special(kind) }),
        }
        Ok(())
    }

    /// Records what was found, and what it becomes.
    fn entry(&mut self, tree: &Tree<'_>, path: &Path, stat: &Stat) {
        let bytes = path.as_os_str().as_bytes();
        self.seen(bytes, stat);
        let (kind, size) = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => (Kind::Dir, 0),
            FileType::Symlink => (Kind::Symlink, 0),
            _ => (Kind::File, stat.st_size as u64),
        };
        if size > LARGE {
            self.notices.push(Notice::Large { path: tree.host.join(path), size });
        }
        let (owner, mode) = tree.rules.owner_and_mode(path, kind, stat.st_mode & 0o7777);
        let mut key = tree.key.clone();
        if !key.is_empty() && !bytes.is_empty() {
            key.push(0);
        }
        key.extend(bytes.iter().map(|byte| if *byte == b'/' { 0 } else { *byte }));
        let source = match kind {
            Kind::Dir => Source::None,
            _ => Source::Host { root: tree.root, path: path.to_owned(), seen: Seen::of(stat) },
        };
        self.push(Node { key, kind, mode, owner, size, source });
    }

    fn seen(&mut self, path: &[u8], stat: &Stat) {
        self.entries += 1;
        hash_field(&mut self.stats, path);
        self.stats.update(stat.st_mode.to_le_bytes());
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            // What is in it is seen by itself; its own times change with entries that are left out.
            return;
        }
        let changed = (stat.st_ctime, stat.st_ctime_nsec as i64);
        self.newest = self.newest.max(changed);
        self.stats.update(stat.st_ino.to_le_bytes());
        self.stats.update(stat.st_size.to_le_bytes());
        self.stats.update(changed.0.to_le_bytes());
        self.stats.update(changed.1.to_le_bytes());
    }
}

struct Tree<'t> {
    root: usize,
    host: &'t Path,
    key: Vec<u8>,
    rules: &'t TreeRules,
}

impl TreeRules {
    fn owner_and_mode(&self, path: &Path, kind: Kind, mode: u32) -> (Owner, u32) {
        let by_rule = match (kind, self.modes) {
            (Kind::Symlink, _) => 0o777,
            (_, Modes::Keep) => mode,
            (Kind::Dir, Modes::Normalise) => 0o755,
            (Kind::File, Modes::Normalise) if mode & 0o111 != 0 => 0o755,
            (Kind::File, Modes::Normalise) => 0o644,
        };
        match &self.owner {
            OwnerRule::All(owner) => (*owner, by_rule),
            OwnerRule::Table(table, default) => match table.get(path) {
                Some((owner, _)) if kind == Kind::Symlink => (*owner, 0o777),
                Some((owner, mode)) => (*owner, *mode),
                None => (*default, by_rule),
            },
        }
    }
}

fn special(kind: FileType) -> &'static str {
    match kind {
        FileType::Socket => "socket",
        FileType::Fifo => "FIFO",
        _ => "device",
    }
}

fn read_error(path: &Path, errno: rustix::io::Errno) -> LayerError {
    LayerError::Read { path: path.to_owned(), source: errno.into() }
}

fn hash_field(hasher: &mut Sha256, bytes: &[u8]) {
    hasher.update((bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}
