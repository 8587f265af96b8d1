//! What a walk has found, put in order: every entry once, each after its parent.

use std::{
    ffi::OsStr,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Component, Path, PathBuf},
};

use rustix::fs::Stat;

use super::{
    LayerError, LayerSpec, Modes, Notice, Owner, TreeIndex, TreeRules, export::wait_until_settled, tar::Kind,
    walk::Walk,
};

/// Everything that will be in a layer, sorted, with every parent.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
    /// Host directories and programs that nodes are read from.
    pub(crate) roots: Vec<Root>,
    pub(crate) index: TreeIndex,
    pub(crate) notices: Vec<Notice>,
    /// The newest change time of a file, in seconds and nanoseconds.
    pub(crate) newest: (i64, i64),
    /// The bytes of all files.
    pub(crate) size: u64,
}

#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) fd: OwnedFd,
    pub(crate) path: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Node<'a> {
    /// The path in the image without a leading slash, with zero bytes for slashes: the order of these bytes is that
    /// of a walk, a directory right before what is in it.
    pub(super) key: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) owner: Owner,
    pub(crate) size: u64,
    pub(crate) source: Source<'a>,
}

/// Where a file's contents or a link's target come from.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    None,
    Bytes(&'a [u8]),
    /// A path beneath one of the roots, with what stat said of it.
    Host {
        root: usize,
        path: PathBuf,
        seen: Seen,
    },
}

/// What tells one state of a file from another while it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    ino: u64,
    size: i64,
    mtime: (i64, i64),
}

impl Seen {
    pub(crate) fn of(stat: &Stat) -> Self {
        Self { ino: stat.st_ino, size: stat.st_size, mtime: (stat.st_mtime, stat.st_mtime_nsec as i64) }
    }
}

impl Node<'_> {
    /// The name in the tar.
    pub(crate) fn name(&self) -> Vec<u8> {
        let slash = |byte: &u8| if *byte == 0 { b'/' } else { *byte };
        let mut name: Vec<u8> = self.key.iter().map(slash).collect();
        if self.kind == Kind::Dir {
            name.push(b'/');
        }
        name
    }
}

impl TreeIndex {
    /// The fingerprint of one directory, to be compared with one taken later: equal means that nothing in it changed.
    ///
    /// # Errors
    /// When it can't be walked.
    pub fn of_tree(host: &Path) -> Result<Self, LayerError> {
        let rules = TreeRules::new(Owner::ROOT, Modes::Keep);
        Self::of(&LayerSpec::new("").tree(host, "/", rules))
    }

    /// The fingerprint of all that a layer would be made of.
    ///
    /// # Errors
    /// When something of it can't be walked.
    pub fn of(spec: &LayerSpec) -> Result<Self, LayerError> {
        Ok(Plan::of(spec)?.index)
    }

    /// The same of files that were written just now: any change after this has another change time.
    ///
    /// # Errors
    /// When something of it can't be walked.
    pub fn of_settled(spec: &LayerSpec) -> Result<Self, LayerError> {
        let plan = Plan::of(spec)?;
        wait_until_settled(plan.newest);
        Ok(plan.index)
    }
}

impl<'a> Plan<'a> {
    /// Walks everything that the layer is made of.
    pub(crate) fn of(spec: &'a LayerSpec) -> Result<Self, LayerError> {
        let (walk, index) = Walk::over(spec)?;
        let nodes = with_parents(last_of_each(walk.nodes))?;
        let size = nodes.iter().map(|node| node.size).sum();
        Ok(Self { nodes, roots: walk.roots, index, notices: walk.notices, newest: walk.newest, size })
    }
}

/// A path's key.
pub(super) fn key_of(at: &Path) -> Result<Vec<u8>, LayerError> {
    let mut key = Vec::new();
    for component in at.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => {
                if !key.is_empty() {
                    key.push(0);
                }
                key.extend_from_slice(name.as_bytes());
            }
            Component::ParentDir | Component::Prefix(_) => {
                return Err(LayerError::BadPath { at: at.to_owned() });
            }
        }
    }
    Ok(key)
}

/// Sorted, and of several nodes with one path only the last.
fn last_of_each(mut nodes: Vec<Node<'_>>) -> Vec<Node<'_>> {
    nodes.sort_by(|a, b| a.key.cmp(&b.key));
    nodes.reverse();
    nodes.dedup_by(|later, earlier| later.key == earlier.key);
    nodes.reverse();
    nodes
}

/// Puts a directory before every node whose parent is not there.
fn with_parents(nodes: Vec<Node<'_>>) -> Result<Vec<Node<'_>>, LayerError> {
    let mut out: Vec<Node<'_>> = Vec::with_capacity(nodes.len());
    // The directories that the last node is beneath, outermost first.
    let mut open: Vec<Vec<u8>> = Vec::new();
    for node in nodes {
        while open.last().is_some_and(|dir| !is_beneath(&node.key, dir)) {
            open.pop();
        }
        if out.last().is_some_and(|last| last.kind != Kind::Dir && is_beneath(&node.key, &last.key)) {
            return Err(LayerError::BadPath { at: PathBuf::from(OsStr::from_bytes(&node.name())) });
        }
        let known = open.last().map_or(0, |dir| dir.len() + 1);
        for end in (known..node.key.len()).filter(|at| node.key[*at] == 0) {
            let key = node.key[..end].to_vec();
            open.push(key.clone());
            out.push(Node {
                key,
                kind: Kind::Dir,
                mode: 0o755,
                owner: Owner::ROOT,
                size: 0,
                source: Source::None,
            });
        }
        if node.kind == Kind::Dir {
            open.push(node.key.clone());
        }
        out.push(node);
    }
    Ok(out)
}

fn is_beneath(key: &[u8], dir: &[u8]) -> bool {
    key.len() > dir.len() && key.starts_with(dir) && key[dir.len()] == 0
}
