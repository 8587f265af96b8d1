//! Is everything as it should be?

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use super::{
    Store, StoreError,
    prune::{digest_of_name, roots_of},
    session::Session,
};
use crate::Digest;

/// Something that should not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub problem: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl Store {
    /// Reads everything and lists what is wrong; an empty list means that nothing is.
    ///
    /// # Errors
    /// When the store can't be read at all.
    pub fn check(&self) -> Result<Vec<Problem>, StoreError> {
        let mut found = Found::default();
        self.check_blobs(&mut found)?;
        self.check_images(&mut found)?;
        self.check_roots(&mut found)?;
        self.check_layers(&mut found)?;
        // A process that was killed may have let go since the store was opened.
        Session::clear_dead(&self.tmp())?;
        for path in Session::leftovers(&self.tmp())? {
            found.add(&path, "left behind by a process that ended");
        }
        Ok(found.0)
    }

    fn check_blobs(&self, found: &mut Found) -> Result<(), StoreError> {
        for entry in fs_err::read_dir(self.root.join("blobs/sha256"))? {
            let path = entry?.path();
            let Some(expected) = digest_of_name(&path) else {
                found.add(&path, "its name is no digest");
                continue;
            };
            match digest_of_file(&path) {
                Ok(actual) if actual == expected => {}
                Ok(actual) => found.add(&path, &format!("its contents have the digest {actual}")),
                // Pruned meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => found.add(&path, &error.to_string()),
            }
        }
        Ok(())
    }

    fn check_images(&self, found: &mut Found) -> Result<(), StoreError> {
        let index = match self.index() {
            Ok(index) => index,
            Err(error) => {
                found.add(&self.index_path(), &error.to_string());
                return Ok(());
            }
        };
        for entry in index.manifests {
            let path = self.blob_path(&entry.digest);
            match self.read_image(&entry.digest) {
                Err(error) => found.add(&path, &format!("an image that can't be read: {error}")),
                Ok(image) => {
                    for layer in &image.manifest().layers {
                        if !self.has_blob(&layer.digest, layer.size) {
                            let problem = format!("its layer {} is missing or cut short", layer.digest);
                            found.add(&path, &problem);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn check_roots(&self, found: &mut Found) -> Result<(), StoreError> {
        for app in self.app_dirs()? {
            match roots_of(&app) {
                Err(error) => found.add(&app, &error.to_string()),
                Ok(roots) => {
                    for root in roots {
                        if !self.blob_path(&root).exists() && self.blob_of(&root).is_err() {
                            found.add(&app, &format!("it needs {root}, which is missing"));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn check_layers(&self, found: &mut Found) -> Result<(), StoreError> {
        for entry in fs_err::read_dir(self.root.join("diffs"))? {
            let path = entry?.path();
            let Some(diff_id) = digest_of_name(&path) else {
                found.add(&path, "its name is no digest");
                continue;
            };
            if !self.blob_of(&diff_id).is_ok_and(|blob| self.blob_path(&blob).exists()) {
                found.add(&path, "the blob that it names is missing");
            }
        }
        for entry in fs_err::read_dir(self.root.join("layers"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "lock") {
                continue;
            }
            if digest_of_name(&path).is_none_or(|diff_id| self.blob_of(&diff_id).is_err()) {
                found.add(&path, "an unpacked layer of no known blob");
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, path: &Path, problem: &str) {
        self.0.push(Problem { path: path.to_owned(), problem: problem.to_owned() });
    }
}

fn digest_of_file(path: &Path) -> io::Result<Digest> {
    let mut sha = Sha256::new();
    let mut file = fs_err::File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(Digest::from_hasher(sha)),
            got => sha.update(&buffer[..got]),
        }
    }
}
