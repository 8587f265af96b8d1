//! The application directory after a build: the source with what the buildpacks changed in it.
//!
//! The changes lie in an overlay's upper directory, with notes in it of what is gone.

use crate::source::Source;
use lifecycle::{AppSource, AppTree};
use oci::Modes;
use sandbox::Mark;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The application as it goes into the image.
///
/// # Errors
/// When the changes cannot be read.
pub(crate) fn after_build(source: &Source, upper: &Path, modes: Modes) -> std::io::Result<AppSource> {
    let mut changes = Changes { hidden: source.left_out.clone(), notes: BTreeSet::new() };
    changes.read(upper, Path::new(""))?;
    Ok(AppSource {
        trees: vec![
            AppTree { host: source.dir.clone(), skip: changes.hidden },
            AppTree { host: upper.to_owned(), skip: changes.notes },
        ],
        // As `pack` gives it, whatever the folder's own: so the layer is the same under both.
        root: (modes == Modes::Keep).then_some(0o777),
        modes,
    })
}

struct Changes {
    /// What of the source is gone or replaced.
    hidden: BTreeSet<PathBuf>,
    /// What of the upper directory is a note and no file.
    notes: BTreeSet<PathBuf>,
}

impl Changes {
    fn read(&mut self, dir: &Path, relative: &Path) -> std::io::Result<()> {
        for entry in fs_err::read_dir(dir)? {
            let entry = entry?;
            let path = relative.join(entry.file_name());
            let metadata = entry.metadata()?;
            let mark = sandbox::mark(&entry.path(), &metadata);
            if mark == Some(Mark::Gone) {
                self.notes.insert(path.clone());
            }
            if mark.is_some() || !metadata.is_dir() {
                self.hidden.insert(path.clone());
            }
            if metadata.is_dir() {
                self.read(&entry.path(), &path)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cnb::project::Project;

    #[test]
    fn what_a_buildpack_removed_or_replaced_is_hidden_and_the_notes_are_no_files() {
        let dir = tempfile::tempdir().unwrap();
        let (lower, upper) = (dir.path().join("lower"), dir.path().join("upper"));
        fs_err::create_dir_all(lower.join("old")).unwrap();
        fs_err::create_dir_all(upper.join("old")).unwrap();
        fs_err::create_dir_all(upper.join("kept")).unwrap();
        fs_err::write(upper.join("replaced"), "new").unwrap();
        fs_err::write(upper.join("kept/added"), "new").unwrap();
        rustix::fs::setxattr(upper.join("old"), "user.overlay.opaque", b"y", rustix::fs::XattrFlags::empty())
            .unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            upper.join("gone"),
            rustix::fs::FileType::CharacterDevice,
            rustix::fs::Mode::empty(),
            0,
        )
        .unwrap();
        let source = Source {
            dir: lower,
            left_out: [PathBuf::from(".git")].into(),
            project: Project::default(),
            project_dir: PathBuf::new(),
            lock: None,
            notices: Vec::new(),
        };
        let app = after_build(&source, &upper, Modes::Normalise).unwrap();
        assert_eq!(app.root, None);
        assert_eq!(after_build(&source, &upper, Modes::Keep).unwrap().root, Some(0o777));
        let skipped = |tree: usize| -> Vec<String> {
            app.trees[tree].skip.iter().map(|it| it.display().to_string()).collect()
        };
        assert_eq!(skipped(0), [".git", "gone", "kept/added", "old", "replaced"]);
        assert_eq!(skipped(1), ["gone"]);
    }
}
