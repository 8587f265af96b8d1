//! Trees stacked as an overlay would stack them: what is seen at a path, and from which tree.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{At, Done, Step};
use crate::marks::{Mark, mark};

/// One tree, and whose its files are in the room.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) path: PathBuf,
    /// User ids of this machine that are the room's user's there.
    pub(crate) uids: Vec<u32>,
    /// Group ids likewise.
    pub(crate) gids: Vec<u32>,
    pub(crate) kind: Kind,
}

/// What may be done with a tree's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Files that the room cannot change need no copy.
    Image,
    /// Somebody's own files, of which the room gets a copy.
    Copied,
    /// The same, and the copy cannot be written.
    ReadOnly,
}

/// Trees, topmost first.
#[derive(Debug, Clone)]
pub(crate) struct Stack(pub(crate) Vec<Tree>);

/// What is seen at a path.
#[derive(Debug)]
pub(crate) enum Seen {
    /// A directory, that is in these trees (their numbers, topmost first).
    Directory(Vec<usize>, Metadata),
    /// Anything else, of this tree.
    File(usize, Metadata),
}

impl Tree {
    /// A tree whose owner is the room's user, as the user's own folders are.
    pub(crate) fn of_owner(path: &Path, kind: Kind) -> Done<Self> {
        let found = std::fs::metadata(path).at(Step::OpenSource, path)?;
        Ok(Self { path: path.to_owned(), uids: vec![found.uid()], gids: vec![found.gid()], kind })
    }
}

impl Stack {
    /// All trees, by their numbers.
    pub(crate) fn all(&self) -> Vec<usize> {
        (0..self.0.len()).collect()
    }

    /// What is in the directory at this path, which is in these trees.
    pub(crate) fn list(&self, path: &Path, trees: &[usize]) -> Done<BTreeMap<OsString, Seen>> {
        let mut seen: BTreeMap<OsString, Seen> = BTreeMap::new();
        // Names of which nothing that lies deeper is seen.
        let mut closed = std::collections::BTreeSet::new();
        for &number in trees {
            let directory = self.0[number].path.join(path);
            for entry in std::fs::read_dir(&directory).at(Step::Copy, &directory)? {
                let entry = entry.at(Step::Copy, &directory)?;
                let name = entry.file_name();
                if closed.contains(&name) {
                    continue;
                }
                let metadata = entry.metadata().at(Step::Copy, entry.path())?;
                let mark = mark(&entry.path(), &metadata);
                if !metadata.is_dir() || mark == Some(Mark::Opaque) {
                    closed.insert(name.clone());
                }
                match seen.get_mut(&name) {
                    Some(Seen::Directory(trees, _)) if metadata.is_dir() => trees.push(number),
                    Some(_) => {}
                    None if mark == Some(Mark::Gone) => {}
                    None if metadata.is_dir() => {
                        seen.insert(name, Seen::Directory(vec![number], metadata));
                    }
                    None => {
                        seen.insert(name, Seen::File(number, metadata));
                    }
                }
            }
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marks::{make_gone, make_opaque};

    #[test]
    fn the_topmost_wins_and_what_is_marked_hides_what_lies_below() {
        let top = std::env::temp_dir().join(format!("stack-{}", std::process::id()));
        let tree = |name: &str, files: &[&str]| {
            for file in files {
                let path = top.join(name).join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, name).unwrap();
            }
            Tree { path: top.join(name), uids: vec![], gids: vec![], kind: Kind::Copied }
        };
        let stack = Stack(vec![
            tree("a", &["both", "dir/a", "opaque/a", "wall"]),
            tree("b", &["both", "dir/b", "opaque/b", "wall/b", "again/b"]),
            tree("c", &["gone", "dir/c", "deep", "again/c"]),
        ]);
        make_gone(&top.join("a/gone")).unwrap();
        make_gone(&top.join("b/deep")).unwrap();
        make_gone(&top.join("a/nothing")).unwrap();
        make_opaque(&top.join("a/opaque")).unwrap();
        let list = |path: &str, trees: &[usize]| -> Vec<String> {
            let seen = stack.list(Path::new(path), trees).unwrap();
            let text = |(name, seen): (OsString, Seen)| match seen {
                Seen::Directory(trees, _) => format!("{}/ {trees:?}", name.display()),
                Seen::File(tree, _) => format!("{} {tree}", name.display()),
            };
            seen.into_iter().map(text).collect()
        };
        assert_eq!(
            list("", &stack.all()),
            ["again/ [1, 2]", "both 0", "dir/ [0, 1, 2]", "opaque/ [0]", "wall 0"]
        );
        assert_eq!(list("dir", &[0, 2]), ["a 0", "c 2"]);
        std::fs::remove_dir_all(top).unwrap();
    }
}
