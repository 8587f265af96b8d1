//! The walk through a source folder: what is left out, what is kept, which links lead out.

use super::{NEVER, SourceError};
use cnb::project::Project;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Which paths are left out. Gitignore syntax, the last match wins, as the project descriptor asks.
pub(super) enum Rules {
    LeaveOut(Gitignore),
    KeepOnly(Gitignore),
}

impl Rules {
    pub(super) fn new(dir: &Path, project: &Project, defaults: &[&str]) -> Result<Self, SourceError> {
        let patterns = |lists: &[&[String]]| {
            let mut builder = GitignoreBuilder::new(dir);
            for pattern in lists.iter().copied().flatten() {
                builder.add_line(None, pattern).map_err(|error| SourceError::Pattern {
                    pattern: pattern.clone(),
                    reason: error.to_string(),
                })?;
            }
            builder
                .build()
                .map_err(|error| SourceError::Pattern { pattern: String::new(), reason: error.to_string() })
        };
        if project.include.is_empty() {
            let defaults: Vec<String> = defaults.iter().map(|it| (*it).to_owned()).collect();
            Ok(Self::LeaveOut(patterns(&[&defaults, &project.exclude])?))
        } else {
            Ok(Self::KeepOnly(patterns(&[&project.include])?))
        }
    }

    fn leaves_out(&self, path: &Path, is_dir: bool) -> bool {
        if path == Path::new(NEVER) {
            return true;
        }
        match self {
            Self::LeaveOut(rules) => rules.matched(path, is_dir).is_ignore(),
            // A folder is entered: something in it may be asked for.
            Self::KeepOnly(rules) => !is_dir && !rules.matched_path_or_any_parents(path, is_dir).is_ignore(),
        }
    }

    /// Whether a folder that nothing was kept of is left out as well.
    fn leaves_out_empty(&self, path: &Path) -> bool {
        match self {
            Self::LeaveOut(_) => false,
            Self::KeepOnly(rules) => !rules.matched_path_or_any_parents(path, true).is_ignore(),
        }
    }
}

/// Said now, with the file's name, and not after minutes of building. Root may be refused too: by a network's file system.
fn readable(file: &Path) -> std::io::Result<()> {
    match rustix::fs::access(file, rustix::fs::Access::READ_OK) {
        Err(error) if error == rustix::io::Errno::ACCESS => {
            Err(std::io::Error::new(error.kind(), format!("{}: permission denied", file.display())))
        }
        // Whatever else may be wrong is said by whoever reads it.
        _ => Ok(()),
    }
}

pub(super) struct Walk<'a> {
    pub(super) rules: &'a Rules,
    pub(super) store: &'a Path,
    pub(super) left_out: BTreeSet<PathBuf>,
    pub(super) kept: usize,
    pub(super) links: Vec<String>,
}

impl Walk<'_> {
    pub(super) fn folder(&mut self, dir: &Path, inside: &Path) -> Result<(), SourceError> {
        for entry in fs_err::read_dir(dir)? {
            let entry = entry?;
            let relative = inside.join(entry.file_name());
            let kind = entry.file_type()?;
            if self.rules.leaves_out(&relative, kind.is_dir()) || entry.path() == self.store {
                self.left_out.insert(relative);
            } else if kind.is_dir() {
                self.inner(&entry.path(), relative)?;
            } else {
                self.kept += 1;
                if kind.is_symlink() {
                    self.link(&entry.path(), &relative, inside)?;
                } else if kind.is_file() {
                    readable(&entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// A folder in the folder; one of which nothing is kept is left out itself, unless it is asked for.
    fn inner(&mut self, dir: &Path, relative: PathBuf) -> Result<(), SourceError> {
        let (kept, outside) = (self.kept, std::mem::take(&mut self.left_out));
        self.folder(dir, &relative)?;
        let inside = std::mem::replace(&mut self.left_out, outside);
        if self.kept == kept && self.rules.leaves_out_empty(&relative) {
            self.left_out.insert(relative);
        } else {
            self.left_out.extend(inside);
        }
        Ok(())
    }

    /// A link that leads out of the folder is kept as it is, and will lead nowhere.
    fn link(&mut self, path: &Path, relative: &Path, inside: &Path) -> Result<(), SourceError> {
        let target = fs_err::read_link(path)?;
        let mut depth = inside.components().count();
        let leads_out = target.is_absolute()
            || target.components().any(|part| match part {
                std::path::Component::ParentDir if depth == 0 => true,
                std::path::Component::ParentDir => {
                    depth -= 1;
                    false
                }
                std::path::Component::Normal(_) => {
                    depth += 1;
                    false
                }
                _ => false,
            });
        if leads_out {
            self.links.push(format!(
                "the link {} leads out of the app's folder to {}; in the image it will lead there, where the file may be missing",
                relative.display(),
                target.display()
            ));
        }
        Ok(())
    }
}
