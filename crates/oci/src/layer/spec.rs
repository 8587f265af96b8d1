//! What one layer contains: a list of entries, nothing of which is read before the layer is added to a store.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// The user and group that an entry belongs to in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Owner {
    /// User and group 0.
    pub const ROOT: Self = Self { uid: 0, gid: 0 };

    /// An owner.
    pub const fn new(uid: u32, gid: u32) -> Self {
        Self { uid, gid }
    }
}

/// Who owns the entries of a tree.
#[derive(Debug, Clone)]
pub enum OwnerRule {
    /// Everything has this owner.
    All(Owner),
    /// Entries named here, by their path in the tree (`""` is its root), have this owner and mode; the others have
    /// the default and their mode by [`Modes`].
    Table(BTreeMap<PathBuf, (Owner, u32)>, Owner),
}

/// What becomes of the modes of a tree's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modes {
    /// As on the disk, with set-id and sticky bits.
    Keep,
    /// Directories 0755, files 0755 when anybody may execute them and 0644 otherwise: independent of the umask.
    Normalise,
}

/// How a directory of the host becomes a part of a layer.
#[derive(Debug, Clone)]
pub struct TreeRules {
    /// Who owns its entries.
    pub owner: OwnerRule,
    /// What becomes of their modes.
    pub modes: Modes,
    /// Paths in the tree, relative to it, that are left out with all beneath them.
    pub skip: BTreeSet<PathBuf>,
}

impl TreeRules {
    /// Everything, owned by `owner`, with these modes.
    pub fn new(owner: Owner, modes: Modes) -> Self {
        Self { owner: OwnerRule::All(owner), modes, skip: BTreeSet::new() }
    }
}

/// The contents of one layer, in any order; it is written sorted.
///
/// Where two entries have the same path, the later replaces the earlier. A parent that is no entry itself is written
/// as a directory 0755 of root.
#[derive(Debug, Clone)]
pub struct LayerSpec {
    /// Whether the next build is to have it.
    pub kept: Kept,
    pub(crate) created_by: String,
    pub(crate) items: Vec<Item>,
}

/// What a layer is for. It changes nothing of what it is, and may say in which form it is made best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kept {
    /// For an image.
    #[default]
    No,
    /// For an image and for a cache.
    Too,
    /// For a cache alone.
    Only,
}

#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) at: PathBuf,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    Dir { mode: u32, owner: Owner },
    File { mode: u32, owner: Owner, contents: Vec<u8> },
    Program { mode: u32, owner: Owner, host: PathBuf },
    Symlink { target: PathBuf, owner: Owner },
    Tree { host: PathBuf, rules: TreeRules },
}

impl LayerSpec {
    /// A layer without contents; the words go into the image's history.
    pub fn new(history_created_by: impl Into<String>) -> Self {
        Self { kept: Kept::No, created_by: history_created_by.into(), items: Vec::new() }
    }

    /// The same, for a cache too or alone.
    #[must_use]
    pub fn kept(self, kept: Kept) -> Self {
        Self { kept, ..self }
    }

    /// A directory at this path of the image.
    #[must_use]
    pub fn dir(self, at: impl AsRef<Path>, mode: u32, owner: Owner) -> Self {
        self.with(at.as_ref(), What::Dir { mode, owner })
    }

    /// A file with these contents.
    #[must_use]
    pub fn file(self, at: impl AsRef<Path>, mode: u32, owner: Owner, contents: impl Into<Vec<u8>>) -> Self {
        self.with(at.as_ref(), What::File { mode, owner, contents: contents.into() })
    }

    /// A file with the contents of a file of the host, read when the layer is added.
    #[must_use]
    pub fn program(self, at: impl AsRef<Path>, mode: u32, owner: Owner, host: impl Into<PathBuf>) -> Self {
        self.with(at.as_ref(), What::Program { mode, owner, host: host.into() })
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(self, at: impl AsRef<Path>, target: impl Into<PathBuf>, owner: Owner) -> Self {
        self.with(at.as_ref(), What::Symlink { target: target.into(), owner })
    }

    /// A directory of the host with all in it.
    #[must_use]
    pub fn tree(self, host: impl Into<PathBuf>, at: impl AsRef<Path>, rules: TreeRules) -> Self {
        self.with(at.as_ref(), What::Tree { host: host.into(), rules })
    }

    /// The words for the image's history.
    pub fn created_by(&self) -> &str {
        &self.created_by
    }

    fn with(mut self, at: &Path, what: What) -> Self {
        self.items.push(Item { at: at.to_owned(), what });
        self
    }
}
