//! What build backends leave in the app's folder when they build a part of it: removed, so that the app's own layer is
//! the same whether or not this build installed anything.

use crate::project::Source;
use crate::resolve::Listed;
use buildpack::{Failure, atomic};
use fs_err as fs;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What lay in the folders of local packages before.
#[derive(Debug)]
pub(crate) struct Traces {
    folders: Vec<PathBuf>,
    before: BTreeSet<PathBuf>,
}

impl Traces {
    /// Looks at the folders that the app installs from.
    pub(crate) fn before(app: &Path, listed: &Listed) -> Result<Self, Failure> {
        let bare = |path: &str| path.split('[').next().unwrap_or_default().to_owned();
        let mut paths: Vec<String> = listed.requirements.paths().map(|(path, _)| bare(path)).collect();
        if !matches!(listed.source, Source::Requirements(_)) {
            paths.push(".".to_owned());
        }
        let folders = paths.iter().flat_map(|it| [app.join(it), app.join(it).join("src")]).collect();
        let mut this = Self { folders, before: BTreeSet::new() };
        this.before = this.leavings()?;
        Ok(this)
    }

    /// Removes what is new.
    pub(crate) fn remove_new(&self) -> Result<(), Failure> {
        for path in self.leavings()?.difference(&self.before) {
            atomic::remove(path)?;
        }
        Ok(())
    }

    /// Folders that setuptools, hatchling and others make; compiled extensions are no leavings but wanted.
    fn leavings(&self) -> Result<BTreeSet<PathBuf>, Failure> {
        let mut all = BTreeSet::new();
        for folder in self.folders.iter().filter(|it| it.is_dir()) {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.ends_with(".egg-info") || matches!(name.as_str(), "build" | "dist" | "__pycache__") {
                    all.insert(entry.path());
                }
            }
        }
        Ok(all)
    }
}
