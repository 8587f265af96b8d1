//! What a room changed in copies of trees, written down as the kernel's overlay writes it into an upper directory.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::entry::{self, Print};
use super::stack::{Seen, Stack};
use crate::error::{At, Done, Step};
use crate::marks;

/// What is known of a directory whose changes are kept.
pub(crate) struct Kept {
    /// Where the changes go.
    pub(crate) upper: PathBuf,
    /// What the directory was filled with, but for the changes that were there before.
    pub(crate) lower: Stack,
    /// The files that came from there.
    pub(crate) prints: BTreeMap<PathBuf, Print>,
}

impl Kept {
    /// Writes the changes of the directory at `top`, which loses what has changed to the upper directory.
    pub(crate) fn write(&self, top: &Path) -> Done<()> {
        for entry in entries(&self.upper)? {
            entry::remove_all(&entry.path())?;
        }
        self.directory(top, Path::new(""), &self.lower.all())
    }

    /// The changes in a directory that is in these trees.
    fn directory(&self, top: &Path, path: &Path, trees: &[usize]) -> Done<()> {
        let mut below = self.lower.list(path, trees)?;
        let directory = top.join(path);
        for entry in entries(&directory)? {
            let path = path.join(entry.file_name());
            let metadata = entry.metadata().at(Step::KeepChanges, entry.path())?;
            match below.remove(&entry.file_name()) {
                Some(Seen::Directory(trees, was)) if metadata.is_dir() => {
                    if metadata.mode() != was.mode() & !0o6000 {
                        self.make_directories(top, &path)?;
                    }
                    self.directory(top, &path, &trees)?;
                }
                Some(Seen::File(..)) if self.is_as_it_was(&path, &metadata) => {}
                was => {
                    self.make_directories(top, path.parent().unwrap_or(Path::new("")))?;
                    let to = self.upper.join(&path);
                    entry::relocate(&entry.path(), &to)?;
                    if was.is_some() && metadata.is_dir() {
                        marks::make_opaque(&to).at(Step::KeepChanges, &to)?;
                    }
                }
            }
        }
        for name in below.into_keys() {
            self.make_directories(top, path)?;
            let mark = self.upper.join(path).join(name);
            marks::make_gone(&mark).at(Step::KeepChanges, &mark)?;
        }
        Ok(())
    }

    fn is_as_it_was(&self, path: &Path, metadata: &std::fs::Metadata) -> bool {
        !metadata.is_dir() && self.prints.get(path).is_some_and(|print| print.fits(metadata))
    }

    /// Makes a directory of the upper one as it is in the room, and those above it.
    fn make_directories(&self, top: &Path, path: &Path) -> Done<()> {
        let to = self.upper.join(path);
        let Some(above) = path.parent().filter(|_| !to.is_dir()) else { return Ok(()) };
        self.make_directories(top, above)?;
        entry::make_directory(&to)?;
        entry::dress_as(&to, &top.join(path))
    }
}

/// All at once, since what is listed is about to move.
fn entries(directory: &Path) -> Done<Vec<std::fs::DirEntry>> {
    let entries = std::fs::read_dir(directory).and_then(Iterator::collect);
    entries.at(Step::KeepChanges, directory)
}
