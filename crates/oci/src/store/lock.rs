//! Locks on files, which end with the process that holds them.

use std::{io, os::unix::fs::MetadataExt, path::Path};

use fs_err::{File, OpenOptions};
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::StoreError;

/// A lock that is held until this value is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

/// How a lock is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// With others who share it.
    Shared,
    /// Alone.
    Exclusive,
}

impl Lock {
    /// Waits for the lock on this file, which is made when it is not there.
    pub(super) fn wait(path: &Path, how: How) -> Result<Self, StoreError> {
        let operation = match how {
            How::Shared => FlockOperation::LockShared,
            How::Exclusive => FlockOperation::LockExclusive,
        };
        loop {
            if let Some(lock) = Self::take(path, operation)? {
                return Ok(lock);
            }
        }
    }

    /// The lock alone, or `None` while another holds it.
    pub(super) fn try_exclusive(path: &Path) -> Result<Option<Self>, StoreError> {
        Self::take(path, FlockOperation::NonBlockingLockExclusive)
    }

    /// True while another holds the lock; a file that is not there is not made.
    pub(super) fn is_held(path: &Path) -> Result<bool, StoreError> {
        let file = match OpenOptions::new().write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(false),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(errno) => Err(StoreError::at(path, errno.into())),
        }
    }

    /// Notes that what the lock stands for is in use now.
    pub(super) fn touch(&self) -> Result<(), StoreError> {
        Ok(rustix::fs::futimens(&self.file, &NOW).map_err(io::Error::from)?)
    }

    fn take(path: &Path, operation: FlockOperation) -> Result<Option<Self>, StoreError> {
        loop {
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
            match flock(&file, operation) {
                Ok(()) => {}
                Err(Errno::INTR) => continue,
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(errno) => return Err(io::Error::from(errno).into()),
            }
            // The file may have been removed between the two steps; then it is no longer what others lock.
            let same = match fs_err::metadata(path) {
                Ok(now) => now.ino() == file.metadata()?.ino(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                Err(error) => return Err(error.into()),
            };
            if same {
                return Ok(Some(Self { file }));
            }
        }
    }
}

const NOW: rustix::fs::Timestamps = rustix::fs::Timestamps {
    last_access: rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW as _ },
    last_modification: rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW as _ },
};

/// Notes that a file is in use now; false when there is none.
pub(super) fn touch(path: &Path) -> Result<bool, StoreError> {
    match rustix::fs::utimensat(rustix::fs::CWD, path, &NOW, rustix::fs::AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(StoreError::at(path, errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn one_at_a_time_holds_a_lock_whose_file_comes_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let inside = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let _lock = Lock::wait(&path, How::Exclusive).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        fs_err::remove_file(&path).unwrap();
                    }
                });
            }
        });
    }
}
