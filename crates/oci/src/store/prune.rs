//! Removing what nothing refers to.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{
    Store, StoreError,
    app::{NAME, ROOTS},
    downloads::BOUNDS,
    images::REF_NAME,
    lock::Lock,
    session::Session,
    tree,
};
use crate::{Digest, ImageName, Index};

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Bytes freed.
    pub bytes: u64,
    /// Blobs removed.
    pub blobs: u64,
    /// Unpacked layers removed.
    pub layers: u64,
    /// Directories of applications removed, because no image has their name any more.
    pub apps: u64,
    /// Downloads removed, because nobody has used them for a month or there are too many.
    pub downloads: u64,
}

/// Everything that must stay.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) blobs: BTreeSet<Digest>,
    /// Diff ids, each with the blob that some image has for it.
    pub(super) layers: BTreeMap<Digest, Option<Digest>>,
}

impl Store {
    /// Removes what no name and no application's roots refer to, and no living process has used since the oldest of
    /// them began; the directories of applications whose name no image has; and downloads that nobody has used for 30
    /// days, or that are more than 2 GiB, the oldest first.
    ///
    /// # Errors
    /// When something can't be read or removed.
    pub fn prune(&self) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned::default();
        // Trees are moved here under the lock and removed after it, when `bin` is dropped.
        let bin = self.scratch()?;
        let exclusive = self.exclusive()?;
        Session::clear_dead(&self.tmp())?;
        let since = Session::oldest_living(&self.tmp())?.unwrap_or_else(SystemTime::now);
        self.prune_apps(bin.path(), since, &mut pruned)?;
        let live = self.live()?;
        // In this order, so that a kill leaves nothing that refers to what is gone.
        self.prune_layers(bin.path(), &live, since, &mut pruned)?;
        self.prune_blobs(&live, since, &mut pruned)?;
        self.prune_downloads(BOUNDS, since, &mut pruned)?;
        drop(exclusive);
        tree::remove(bin.path())?;
        Ok(pruned)
    }

    /// What names and roots refer to. What is missing or damaged is not followed.
    pub(super) fn live(&self) -> Result<Live, StoreError> {
        let mut live = Live::default();
        for entry in self.index()?.manifests {
            self.mark(&entry.digest, &mut live);
        }
        for app in self.app_dirs()? {
            for root in roots_of(&app)? {
                self.mark(&root, &mut live);
                live.layers.entry(root).or_default();
                if let Ok(blob) = self.blob_of(&root) {
                    live.blobs.insert(blob);
                }
            }
        }
        Ok(live)
    }

    /// Marks a blob, and what it refers to when it is a manifest or an index.
    fn mark(&self, digest: &Digest, live: &mut Live) {
        if !live.blobs.insert(*digest) || !self.may_be_document(digest) {
            return;
        }
        if let Ok(image) = self.read_image(digest) {
            live.blobs.insert(image.id());
            for (layer, diff_id) in image.manifest().layers.iter().zip(image.diff_ids()) {
                live.blobs.insert(layer.digest);
                live.layers.insert(*diff_id, Some(layer.digest));
            }
        } else if let Ok(Ok(index)) =
            self.read_blob(digest).map(|json| serde_json::from_slice::<Index>(&json))
        {
            for entry in index.manifests {
                self.mark(&entry.digest, live);
            }
        }
    }

    /// A layer that is a root is not read in search of other digests.
    fn may_be_document(&self, digest: &Digest) -> bool {
        let mut first = [0];
        let read = fs_err::File::open(self.blob_path(digest))
            .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut first));
        read.is_ok() && first == *b"{"
    }

    pub(super) fn app_dirs(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut dirs = Vec::new();
        for entry in fs_err::read_dir(self.root.join("apps"))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            }
        }
        dirs.sort();
        Ok(dirs)
    }

    fn prune_apps(&self, bin: &Path, since: SystemTime, pruned: &mut Pruned) -> Result<(), StoreError> {
        let names: BTreeSet<String> = self
            .index()?
            .manifests
            .iter()
            .filter_map(|entry| ImageName::parse(entry.annotations.get(REF_NAME)?, "docker.io").ok())
            .map(|name| name.without_tag())
            .collect();
        for app in self.app_dirs()? {
            let name = fs_err::read_to_string(app.join(NAME)).unwrap_or_default();
            if names.contains(&name) || used_since(&app.join("layers"), since) {
                continue;
            }
            let lock_path = app.with_extension("lock");
            let Some(_lock) = Lock::try_exclusive(&lock_path)? else { continue };
            pruned.bytes += tree::size(&app);
            pruned.apps += 1;
            move_away(&app, bin)?;
            tree::remove(&lock_path)?;
        }
        Ok(())
    }

    fn prune_layers(
        &self,
        bin: &Path,
        live: &Live,
        since: SystemTime,
        pruned: &mut Pruned,
    ) -> Result<(), StoreError> {
        for entry in fs_err::read_dir(self.root.join("layers"))? {
            let path = entry?.path();
            let Some(diff_id) = digest_of_name(&path) else { continue };
            let lock_path = path.with_extension("lock");
            if live.layers.contains_key(&diff_id) || used_since(&lock_path, since) {
                continue;
            }
            let Some(_lock) = Lock::try_exclusive(&lock_path)? else { continue };
            pruned.bytes += tree::size(&path);
            pruned.layers += 1;
            move_away(&path, bin)?;
            tree::remove(&lock_path)?;
        }
        Ok(())
    }

    fn prune_blobs(&self, live: &Live, since: SystemTime, pruned: &mut Pruned) -> Result<(), StoreError> {
        let mut dead = Vec::new();
        for entry in fs_err::read_dir(self.root.join("blobs/sha256"))? {
            let path = entry?.path();
            let is_live = digest_of_name(&path).is_none_or(|digest| live.blobs.contains(&digest));
            if !is_live && !used_since(&path, since) {
                dead.push(path);
            }
        }
        let gone: BTreeSet<Digest> = dead.iter().filter_map(|path| digest_of_name(path)).collect();
        for entry in fs_err::read_dir(self.root.join("diffs"))? {
            let path = entry?.path();
            let Some(diff_id) = digest_of_name(&path) else { continue };
            let blob = self.blob_of(&diff_id).ok();
            if blob.is_some_and(|blob| !gone.contains(&blob) && self.blob_path(&blob).exists()) {
                continue;
            }
            match live.layers.get(&diff_id) {
                // Another image has the same layer, compressed differently.
                Some(Some(other)) => self.note_diff(&diff_id, other)?,
                _ => tree::remove(&path)?,
            }
        }
        for path in dead {
            pruned.bytes += fs_err::metadata(&path)?.len();
            pruned.blobs += 1;
            tree::remove(&path)?;
        }
        Ok(())
    }
}

/// The roots that an application has registered.
pub(super) fn roots_of(app: &Path) -> Result<Vec<Digest>, StoreError> {
    let path = app.join(ROOTS);
    match fs_err::read(&path) {
        Ok(json) => serde_json::from_slice(&json).map_err(|source| StoreError::Json { path, source }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// The digest whose digits are a file's whole name.
pub(super) fn digest_of_name(path: &Path) -> Option<Digest> {
    Digest::from_hex(path.file_name()?.to_str()?).ok()
}

fn used_since(path: &Path, since: SystemTime) -> bool {
    fs_err::metadata(path).and_then(|found| found.modified()).is_ok_and(|used| used >= since)
}

fn move_away(path: &Path, bin: &Path) -> Result<(), StoreError> {
    let name = path.file_name().unwrap_or_default();
    Ok(fs_err::rename(path, bin.join(name))?)
}
