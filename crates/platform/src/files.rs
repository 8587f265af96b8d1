//! Files that are handed to the user, each whole or not at all.

use lifecycle::beneath::{Beneath, BeneathError};
use rustix::fs::FileType;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A file that could not be handed over.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// What should be handed over cannot be read, or is no plain file.
    #[error(transparent)]
    Left(#[from] BeneathError),
    /// There is something that is neither a file nor a folder.
    #[error("{} is neither a file nor a folder, and is not handed over", .0.display())]
    Kind(PathBuf),
    /// It cannot be written.
    #[error("{} could not be written", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes a file of the user's, in place of what has its name.
pub(crate) fn write(file: &Path, content: &mut impl Read) -> io::Result<()> {
    let dir = file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = tempfile::Builder::new()
        .prefix(".packlight.")
        .permissions(std::fs::Permissions::from_mode(0o644))
        .tempfile_in(dir)?;
    io::copy(content, &mut temporary)?;
    temporary.persist(file).map_err(|error| error.error)?;
    Ok(())
}

/// A new file of the user's, which gets its name when it is complete. Dropped before, it leaves nothing.
#[derive(Debug)]
pub struct New {
    temporary: tempfile::NamedTempFile,
    path: PathBuf,
    bytes: u64,
}

impl New {
    /// A file that will have this name, and its mode is 0600.
    ///
    /// # Errors
    /// When its folder cannot be written.
    pub fn beside(path: &Path) -> io::Result<Self> {
        let dir = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary = tempfile::Builder::new().prefix(".packlight.").tempfile_in(dir)?;
        Ok(Self { temporary, path: path.to_owned(), bytes: 0 })
    }

    /// Gives it its name, in place of what has it. The number of bytes.
    ///
    /// # Errors
    /// When the name cannot be given.
    pub fn complete(self) -> io::Result<u64> {
        self.temporary.persist(&self.path).map_err(|error| error.error)?;
        Ok(self.bytes)
    }
}

impl io::Write for New {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.temporary.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush()
    }
}

/// Copies a folder of somebody else's into one of the user's, file by file; what is there besides stays. Links are not
/// handed over: they would lead anywhere on the user's machine.
///
/// The paths of the files, in the folder `to`.
pub(crate) fn spread(root: &Beneath, to: &Path) -> Result<Vec<PathBuf>, FilesError> {
    // Before anything is written.
    let mut files = Vec::new();
    list(root, Path::new(""), &mut files)?;
    files.sort();
    for file in &files {
        let path = to.join(file);
        let written = |source| FilesError::Write { path: path.clone(), source };
        let mut content = open(root, file)?;
        if let Some(dir) = path.parent() {
            fs_err::create_dir_all(dir).map_err(written)?;
        }
        write(&path, &mut content).map_err(written)?;
    }
    Ok(files)
}

fn list(dir: &Beneath, at: &Path, files: &mut Vec<PathBuf>) -> Result<(), FilesError> {
    for entry in dir.entries()? {
        let path = at.join(&entry.name);
        match entry.kind {
            FileType::RegularFile => files.push(path),
            FileType::Directory => {
                if let Some(below) = dir.dir(&entry.name)? {
                    list(&below, &path, files)?;
                }
            }
            _ => return Err(FilesError::Kind(dir.name().join(&entry.name))),
        }
    }
    Ok(())
}

fn open(root: &Beneath, file: &Path) -> Result<std::fs::File, FilesError> {
    let gone = || FilesError::Kind(root.name().join(file));
    let (dir, name) = (file.parent().unwrap_or(Path::new("")), file.file_name().ok_or_else(gone)?);
    let mut inner: Option<Beneath> = None;
    for part in dir {
        inner = Some(inner.as_ref().unwrap_or(root).dir(part)?.ok_or_else(gone)?);
    }
    inner.as_ref().unwrap_or(root).file(name)?.ok_or_else(gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lifecycle::Dir;

    fn places() -> (tempfile::TempDir, Beneath, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(dir.path().join("from/a/b")).unwrap();
        fs_err::write(dir.path().join("from/a/b/file"), "new").unwrap();
        let from = Beneath::open(&Dir::new(dir.path().join("from"), "/layers/sbom")).unwrap();
        let to = dir.path().join("to");
        (dir, from, to)
    }

    #[test]
    fn a_folder_is_spread_into_another_whose_own_files_stay() {
        let (_dir, from, to) = places();
        fs_err::create_dir_all(to.join("a/b")).unwrap();
        fs_err::write(to.join("a/b/file"), "old").unwrap();
        fs_err::write(to.join("a/mine"), "mine").unwrap();
        assert_eq!(spread(&from, &to).unwrap(), [PathBuf::from("a/b/file")]);
        assert_eq!(fs_err::read_to_string(to.join("a/b/file")).unwrap(), "new");
        assert_eq!(fs_err::read_to_string(to.join("a/mine")).unwrap(), "mine");
    }

    #[test]
    fn a_link_is_refused_before_anything_is_written() {
        let (dir, from, to) = places();
        std::os::unix::fs::symlink("/etc", dir.path().join("from/z")).unwrap();
        let said = spread(&from, &to).unwrap_err().to_string();
        assert_eq!(said, "/layers/sbom/z is neither a file nor a folder, and is not handed over");
        assert!(!to.exists());
    }
}
