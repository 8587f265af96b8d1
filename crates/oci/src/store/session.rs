//! A process's own corner of `tmp/`, which the next one clears away when this one was killed.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use tempfile::{Builder, NamedTempFile, TempDir};

use super::{Store, StoreError, lock::Lock, tree};

/// `tmp/<name>/`, and `tmp/<name>.lock` held for as long as the process lives.
#[derive(Debug)]
pub(super) struct Session {
    dir: PathBuf,
    lock_path: PathBuf,
    _lock: Lock,
}

/// A directory for what is being made, removed with all in it when dropped, and by the next process when this one is
/// killed.
#[derive(Debug)]
pub struct Scratch {
    dir: TempDir,
    _session: Arc<Session>,
}

impl Scratch {
    /// The directory, on the same file system as the rest of the store.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Gives the directory, complete, its final name; when that is there already, the one that is there stays.
    ///
    /// # Errors
    /// When it can't be renamed.
    pub fn publish(self, to: &Path) -> Result<(), StoreError> {
        match fs_err::rename(self.dir.path(), to) {
            // Renamed over an empty directory or a new name: nothing is left to remove.
            Ok(()) => {
                let _ = self.dir.keep();
                Ok(())
            }
            Err(error) if is_taken(&error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
}

impl Session {
    pub(super) fn start(tmp: &Path) -> Result<Self, StoreError> {
        let dir = tmp.join(unique_name());
        let lock_path = dir.with_extension("lock");
        let lock = Lock::wait(&lock_path, super::lock::How::Exclusive)?;
        lock.touch()?;
        fs_err::create_dir(&dir)?;
        Ok(Self { dir, lock_path, _lock: lock })
    }

    /// Removes what killed processes have left.
    pub(super) fn clear_dead(tmp: &Path) -> Result<(), StoreError> {
        for path in locks_in(tmp)? {
            let Some(_lock) = Lock::try_exclusive(&path)? else { continue };
            tree::remove(&path.with_extension(""))?;
            tree::remove(&path)?;
        }
        Ok(())
    }

    /// When the oldest living session began.
    pub(super) fn oldest_living(tmp: &Path) -> Result<Option<SystemTime>, StoreError> {
        let mut oldest: Option<SystemTime> = None;
        for path in locks_in(tmp)? {
            let Ok(began) = fs_err::metadata(&path).and_then(|found| found.modified()) else { continue };
            if Lock::is_held(&path)? {
                oldest = Some(oldest.map_or(began, |oldest| oldest.min(began)));
            }
        }
        Ok(oldest)
    }

    /// What is in `tmp/` and belongs to no living session.
    pub(super) fn leftovers(tmp: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let mut leftovers = Vec::new();
        for entry in fs_err::read_dir(tmp)? {
            let path = entry?.path();
            let lock = path.with_extension("lock");
            if !Lock::is_held(&lock)? {
                leftovers.push(path);
            }
        }
        leftovers.sort();
        Ok(leftovers)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // What can't be removed now is removed by whoever opens the store next.
        let _ = tree::remove(&self.dir);
        let _ = tree::remove(&self.lock_path);
    }
}

fn locks_in(tmp: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut locks = Vec::new();
    for entry in fs_err::read_dir(tmp)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "lock") {
            locks.push(path);
        }
    }
    Ok(locks)
}

fn unique_name() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{}-{}-{now:x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Store {
    /// A new empty directory in `tmp/`.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn scratch(&self) -> Result<Scratch, StoreError> {
        let dir = Builder::new().prefix("d").tempdir_in(&self.session.dir);
        let dir = dir.map_err(|error| StoreError::at(&self.session.dir, error))?;
        Ok(Scratch { dir, _session: Arc::clone(&self.session) })
    }

    /// A new empty file in `tmp/`.
    pub(crate) fn temp_file(&self) -> Result<NamedTempFile, StoreError> {
        let file = Builder::new().prefix("f").tempfile_in(&self.session.dir);
        file.map_err(|error| StoreError::at(&self.session.dir, error))
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }
}
