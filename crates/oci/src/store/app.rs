//! What one application keeps between builds.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    Store, StoreError,
    lock::{How, Lock},
};
use crate::{Digest, ImageName, canonical};

/// An application's directory, held by one build at a time until this value is dropped.
#[derive(Debug)]
pub struct AppDir {
    path: PathBuf,
    store: Store,
    _lock: Lock,
}

pub(super) const ROOTS: &str = "roots.json";
pub(super) const NAME: &str = "name";

impl AppDir {
    /// The directory; `layers/` in it exists.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the layers stay unpacked between builds.
    pub fn layers(&self) -> PathBuf {
        self.path.join("layers")
    }

    /// A file of the directory, or `None` when there is none.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn read(&self, file: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match fs_err::read(self.path.join(file)) {
            Ok(contents) => Ok(Some(contents)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a file of the directory, whole or not at all.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, file: &str, contents: &[u8]) -> Result<(), StoreError> {
        self.store.write_file(&self.path.join(file), contents)
    }

    /// Says which blobs, images and layers (digests or diff ids) this application needs, beside those of the image
    /// that has its name: `prune` leaves them alone.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn set_roots(&self, roots: &[Digest]) -> Result<(), StoreError> {
        let path = self.path.join(ROOTS);
        let json =
            canonical::to_vec(&roots).map_err(|source| StoreError::Json { path: path.clone(), source })?;
        self.store.write_file(&path, &json)
    }
}

impl Store {
    /// The directory of the application with this image name (its tag does not matter), waiting while another build
    /// has it. To tell a user before waiting, ask [`Store::try_app`] first.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn app(&self, name: &ImageName) -> Result<AppDir, StoreError> {
        let path = self.app_path(name);
        let lock = Lock::wait(&path.with_extension("lock"), How::Exclusive)?;
        self.held(name, path, lock)
    }

    /// The same, or `None` at once while another build has it.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn try_app(&self, name: &ImageName) -> Result<Option<AppDir>, StoreError> {
        let path = self.app_path(name);
        let lock = Lock::try_exclusive(&path.with_extension("lock"))?;
        lock.map(|lock| self.held(name, path, lock)).transpose()
    }

    fn held(&self, name: &ImageName, path: PathBuf, lock: Lock) -> Result<AppDir, StoreError> {
        fs_err::create_dir_all(path.join("layers"))?;
        let app = AppDir { path, store: self.clone(), _lock: lock };
        let name = name.without_tag();
        if app.read(NAME)?.as_deref() != Some(name.as_bytes()) {
            app.write(NAME, name.as_bytes())?;
        }
        Ok(app)
    }

    /// `apps/<readable>-<8 digits>`: the digits keep `a/b_c` and `a_b/c` apart.
    fn app_path(&self, name: &ImageName) -> PathBuf {
        let short = ImageName { tag: None, digest: None, ..name.clone() }.short();
        let full = Digest::of(name.without_tag()).hex();
        // A dot would be taken for the beginning of an extension, and file names have an end.
        let readable: String =
            short.chars().map(|c| if "/:.[]".contains(c) { '_' } else { c }).take(80).collect();
        self.root.join("apps").join(format!("{readable}-{}", &full[..8]))
    }
}
