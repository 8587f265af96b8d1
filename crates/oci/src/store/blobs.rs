//! Blobs: read, written, looked for.

use std::{
    io::{self, Write as _},
    path::Path,
};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::{
    Store, StoreError,
    lock::{How, Lock, touch},
};
use crate::Digest;

impl Store {
    /// True when the blob is there in full.
    pub fn has_blob(&self, digest: &Digest, size: u64) -> bool {
        // A cut in power can leave a file shorter than it was written: nothing here is synced, all can be made again.
        fs_err::metadata(self.blob_path(digest)).is_ok_and(|found| found.len() == size)
    }

    /// A blob's contents, for documents.
    ///
    /// # Errors
    /// When it is missing or does not have its digest.
    pub fn read_blob(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.blob_path(digest);
        let contents = match crate::bounded::read(&path) {
            Ok(contents) => contents,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Missing { digest: *digest, path });
            }
            Err(error) => return Err(error.into()),
        };
        match Digest::of(&contents) {
            found if found == *digest => Ok(contents),
            found => Err(StoreError::Corrupt { path, expected: *digest, found }),
        }
    }

    /// Adds a blob that is in memory.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn add_blob(&self, contents: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(contents);
        if self.use_blob(&digest, contents.len() as u64)? {
            return Ok(digest);
        }
        let mut file = self.temp_file()?;
        let written = file.write_all(contents);
        written.map_err(|error| self.write_error(error, contents.len() as u64, "a blob"))?;
        self.keep_blob(file, &digest)?;
        Ok(digest)
    }

    /// Adds a blob that is a file elsewhere.
    ///
    /// # Errors
    /// When it can't be read, is not what its digest says, or the disk is full.
    pub(crate) fn copy_blob(&self, from: &Path, digest: &Digest, size: u64) -> Result<(), StoreError> {
        if self.use_blob(digest, size)? {
            return Ok(());
        }
        let mut file = self.temp_file()?;
        let mut content = Hashing::new(fs_err::File::open(from)?);
        let copied = io::copy(&mut content, &mut file);
        copied.map_err(|error| self.write_error(error, size, "a blob"))?;
        match content.digest() {
            found if found == *digest => self.keep_blob(file, digest),
            found => Err(StoreError::Corrupt { path: from.to_owned(), expected: *digest, found }),
        }
    }

    /// Writes a file of a scratch directory.
    pub(crate) fn write_scratch(&self, content: &mut impl io::Read, to: &Path) -> Result<(), StoreError> {
        let copied = io::copy(content, &mut fs_err::File::create(to)?);
        copied.map(drop).map_err(|error| self.write_error(error, 0, "the files of an archive"))
    }

    /// Notes that a blob is in use; false when it is not there in full.
    pub(crate) fn use_blob(&self, digest: &Digest, size: u64) -> Result<bool, StoreError> {
        let _shared = self.shared()?;
        Ok(self.has_blob(digest, size) && touch(&self.blob_path(digest))?)
    }

    /// Gives a complete file its final name. Two processes with the same blob are no problem: the later replaces the
    /// same bytes.
    pub(crate) fn keep_blob(&self, file: NamedTempFile, digest: &Digest) -> Result<(), StoreError> {
        let _shared = self.shared()?;
        let path = self.blob_path(digest);
        file.persist(&path).map_err(|error| StoreError::at(&path, error.error))?;
        Ok(())
    }

    /// Writes a small file of the store, whole or not at all.
    pub(super) fn write_file(&self, path: &Path, contents: &[u8]) -> Result<(), StoreError> {
        let mut file = self.temp_file()?;
        let written = file.write_all(contents);
        written.map_err(|error| self.write_error(error, contents.len() as u64, "a file"))?;
        file.persist(path).map_err(|error| StoreError::at(path, error.error))?;
        Ok(())
    }

    /// Held by who adds: meanwhile nothing is pruned.
    pub(super) fn shared(&self) -> Result<Lock, StoreError> {
        Lock::wait(&self.root.join("lock"), How::Shared)
    }

    /// Held by who changes names or removes.
    pub(super) fn exclusive(&self) -> Result<Lock, StoreError> {
        Lock::wait(&self.root.join("lock"), How::Exclusive)
    }

    pub(crate) fn write_error(&self, error: io::Error, needs: u64, what: &str) -> StoreError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StoreError::NoSpace { path: self.root.clone(), needs, what: what.to_owned() }
            }
            _ => StoreError::at(&self.root, error),
        }
    }
}

/// What is read, with its digest.
pub(super) struct Hashing<R> {
    inner: R,
    sha: Sha256,
}

impl<R> Hashing<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, sha: Sha256::new() }
    }

    pub(super) fn digest(self) -> Digest {
        Digest::from_hasher(self.sha)
    }
}

impl<R: io::Read> io::Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.sha.update(&buffer[..got]);
        Ok(got)
    }
}

impl StoreError {
    /// An error of the system's with the path that it is about.
    #[expect(clippy::needless_pass_by_value, reason = "errors are handed on")]
    pub(crate) fn at(path: &Path, error: io::Error) -> Self {
        Self::Io(io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }
}
