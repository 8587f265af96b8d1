//! Files that appear complete under their final name or not at all.

use fs_err as fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Writes `contents` to `path`: a temporary name in the same directory, then a rename.
///
/// # Errors
/// When the directory cannot be written; the error names the path.
pub fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    let temporary = beside(path);
    let mut file = fs::File::create(&temporary)?;
    file.write_all(contents)?;
    drop(file);
    fs::rename(&temporary, path)
}

/// Writes `contents` to `path` unless it holds them already, so that an unchanged file keeps its inode and times.
///
/// # Errors
/// When the file cannot be read or written; the error names the path.
pub fn write_if_changed(path: &Path, contents: &[u8]) -> io::Result<()> {
    match fs::read(path) {
        Ok(old) if old == contents => Ok(()),
        Ok(_) => write(path, contents),
        Err(error) if error.kind() == io::ErrorKind::NotFound => write(path, contents),
        Err(error) => Err(error),
    }
}

/// Removes a file or a directory with all in it; that it is not there is no error.
///
/// # Errors
/// When it cannot be removed; the error names the path.
pub fn remove(path: &Path) -> io::Result<()> {
    let result = match fs::symlink_metadata(path) {
        Ok(it) if it.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn an_unchanged_file_keeps_its_inode_and_a_changed_one_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        write_if_changed(&path, b"one").unwrap();
        let before = fs::metadata(&path).unwrap().ino();
        write_if_changed(&path, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().ino(), before);
        write_if_changed(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a temporary file was left behind");
    }

    #[test]
    fn what_is_not_there_is_removed_without_complaint() {
        let dir = tempfile::tempdir().unwrap();
        remove(&dir.path().join("nothing")).unwrap();
    }
}
