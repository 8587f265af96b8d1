//! A cache directory as the reference lifecycle has it, so that either reads what the other wrote.
//!
//! ```text
//! <dir>/committed/io.buildpacks.lifecycle.cache.metadata   JSON
//! <dir>/committed/<diff id>.tar                            a layer, uncompressed
//! <dir>/staging/                                           the next contents, until they are complete
//! <dir>/packlight.json                                     our notes: what need not be read again
//! <dir>/making/                                            where our exporter makes layers
//! ```

mod notes;

use crate::cache::Stamp;
use crate::phases::restore_from::LayerTars;
use cnb::labels::{CACHE_METADATA, CacheMetadata};
pub use notes::RestoredLayer;
use notes::{Notes, Proven};
use oci::{Digest, LayerRecord};
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

const COMMITTED: &str = "committed";
const STAGING: &str = "staging";
const BACKUP: &str = "committed-backup";
const MAKING: &str = "making";

/// A cache directory that is there.
#[derive(Debug)]
pub struct VolumeCache {
    dir: PathBuf,
    notes: Mutex<Notes>,
}

/// A layer that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLayer {
    /// The digest of its tar.
    pub diff_id: Digest,
    /// What it was made of beside its files, where that is known.
    pub literal: Option<Digest>,
}

impl From<&LayerRecord> for KeptLayer {
    fn from(record: &LayerRecord) -> Self {
        Self { diff_id: record.diff_id, literal: Some(record.index.literal) }
    }
}

/// Where the tar of a layer is.
pub enum LayerTar {
    /// A file, uncompressed, that nobody needs any more: it may be moved.
    Spare(PathBuf),
    /// To be read.
    Stream(Box<dyn Read>),
}

/// Finds the tar of a layer that is to be kept, by its diff id.
pub type OpenTar<'a> = &'a dyn Fn(&Digest) -> io::Result<LayerTar>;

impl VolumeCache {
    /// Opens a directory, which must be there, and clears away what a killed process left.
    ///
    /// # Errors
    /// When it is not there or can't be written.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs_err::metadata(dir)?;
        remove(&dir.join(STAGING))?;
        remove(&dir.join(MAKING))?;
        let (committed, backup) = (dir.join(COMMITTED), dir.join(BACKUP));
        if !committed.exists() && backup.exists() {
            // Killed between the two renames of a commit.
            fs_err::rename(&backup, &committed)?;
        }
        remove(&backup)?;
        fs_err::create_dir_all(committed)?;
        Ok(Self { dir: dir.to_owned(), notes: Mutex::new(Notes::read(dir)) })
    }

    /// What there is; one that can't be understood counts as none.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn metadata(&self) -> io::Result<CacheMetadata> {
        match oci::bounded::read(&self.dir.join(COMMITTED).join(CACHE_METADATA)) {
            Ok(json) => Ok(serde_json::from_slice(&json).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(CacheMetadata::default()),
            Err(error) => Err(error),
        }
    }

    /// A layer as a file, uncompressed; `None` when there is none. It is not proven.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn tar(&self, diff_id: &Digest) -> io::Result<Option<fs_err::File>> {
        match fs_err::File::open(self.tar_path(COMMITTED, diff_id)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The file of a layer, proven to be the layer; `None` when there is none, or it is damaged.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn whole(&self, diff_id: &Digest) -> io::Result<Option<PathBuf>> {
        Ok(self.is_whole(diff_id)?.then(|| self.tar_path(COMMITTED, diff_id)))
    }

    /// What a layer was made of beside its files, where it was made by us and its file is as it was then.
    #[must_use]
    pub fn literal(&self, diff_id: &Digest) -> Option<Digest> {
        let stamp = Stamp::of(&self.tar_path(COMMITTED, diff_id)).ok()?;
        self.notes().proven.get(diff_id).filter(|it| it.stamp == stamp)?.literal
    }

    /// The directories that were filled from these layers in this build, by the buildpack's id and the layer's name.
    #[must_use]
    pub fn restored(&self) -> BTreeMap<String, RestoredLayer> {
        self.notes().restored.clone()
    }

    /// Notes which directories were filled, for whoever opens this next.
    ///
    /// # Errors
    /// When the notes can't be written.
    pub fn note_restored(&self, restored: BTreeMap<String, RestoredLayer>) -> io::Result<()> {
        let mut notes = self.notes();
        notes.restored = restored;
        notes.clone().write(&self.dir)
    }

    /// A new directory on the same file system, for files that are to be kept; gone when this is opened again.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn making(&self) -> io::Result<PathBuf> {
        let dir = self.dir.join(MAKING);
        remove(&dir)?;
        fs_err::create_dir(&dir)?;
        Ok(dir)
    }

    /// Puts these layers in place of all that there is. A layer that is there, whole, is linked and not written again.
    ///
    /// # Errors
    /// When something can't be read or written; the old contents then are still there.
    pub fn replace(
        &self,
        metadata: Option<&CacheMetadata>,
        layers: &[KeptLayer],
        open: OpenTar<'_>,
    ) -> io::Result<()> {
        let staging = self.dir.join(STAGING);
        remove(&staging)?;
        fs_err::create_dir(&staging)?;
        for layer in layers {
            let to = self.tar_path(STAGING, &layer.diff_id);
            if self.is_whole(&layer.diff_id)? {
                fs_err::hard_link(self.tar_path(COMMITTED, &layer.diff_id), &to)?;
            } else {
                take(open(&layer.diff_id)?, &to)?;
            }
        }
        if let Some(metadata) = metadata {
            let json = serde_json::to_vec(metadata).map_err(io::Error::other)?;
            fs_err::write(staging.join(CACHE_METADATA), json)?;
        }
        let (committed, backup) = (self.dir.join(COMMITTED), self.dir.join(BACKUP));
        remove(&backup)?;
        fs_err::rename(&committed, &backup)?;
        fs_err::rename(&staging, &committed)?;
        remove(&backup)?;
        self.settle(layers)
    }

    /// Notes what was kept. Only now: to link a file, or to remove a link, changes its change time.
    fn settle(&self, layers: &[KeptLayer]) -> io::Result<()> {
        let mut notes = self.notes();
        let old = std::mem::take(&mut *notes);
        for layer in layers {
            let stamp = Stamp::of(&self.tar_path(COMMITTED, &layer.diff_id))?;
            let literal = layer.literal.or_else(|| old.proven.get(&layer.diff_id).and_then(|it| it.literal));
            notes.proven.insert(layer.diff_id, Proven { stamp, literal });
        }
        notes.clone().write(&self.dir)
    }

    fn is_whole(&self, diff_id: &Digest) -> io::Result<bool> {
        let Some(file) = self.tar(diff_id)? else { return Ok(false) };
        let stamp = Stamp::of(&self.tar_path(COMMITTED, diff_id))?;
        if self.notes().proven.get(diff_id).is_some_and(|it| it.stamp == stamp) {
            return Ok(true);
        }
        let whole = Digest::of_reader(file)? == *diff_id;
        if whole {
            self.prove(diff_id, stamp);
        }
        Ok(whole)
    }

    /// The file was read from end to end and is the layer. What it was made of is not known of one that has changed.
    fn prove(&self, diff_id: &Digest, stamp: Stamp) {
        let mut notes = self.notes();
        if notes.proven.get(diff_id).is_none_or(|it| it.stamp != stamp) {
            notes.proven.insert(*diff_id, Proven { stamp, literal: None });
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tar_path(&self, within: &str, diff_id: &Digest) -> PathBuf {
        self.dir.join(within).join(format!("{diff_id}.tar"))
    }
}

/// Moves a file where that can be done, else copies it.
fn take(tar: LayerTar, to: &Path) -> io::Result<()> {
    let mut from: Box<dyn Read> = match tar {
        LayerTar::Stream(tar) => tar,
        LayerTar::Spare(path) => {
            // Made for one process, to be read by whoever builds next.
            fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o644))?;
            return match fs_err::rename(&path, to) {
                // The system copies from file to file by itself.
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    fs_err::copy(path, to).map(|_| ())
                }
                moved => moved,
            };
        }
    };
    io::copy(&mut from, &mut fs_err::File::create(to)?)?;
    Ok(())
}

impl LayerTars for VolumeCache {
    fn unpack(&self, diff_id: &Digest, at: &Path, into: &Path) -> Result<(), String> {
        let file = self.tar(diff_id).map_err(|it| it.to_string())?;
        let file = file.ok_or_else(|| format!("the cache has no layer {diff_id}"))?;
        let stamp = Stamp::of(&self.tar_path(COMMITTED, diff_id)).map_err(|it| it.to_string())?;
        oci::unpack_part(BufReader::with_capacity(1 << 16, file), diff_id, at, into)
            .map_err(|error| format!("the cache's layer can't be used: {error}"))?;
        self.prove(diff_id, stamp);
        Ok(())
    }
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs_err::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::{LayerSpec, Owner, Store};

    fn layer(dir: &Path, text: &str) -> (Store, LayerRecord) {
        let store = Store::open(&dir.join("store")).unwrap();
        let spec = LayerSpec::new("").file("/layers/a/b/file", 0o644, Owner::ROOT, text);
        let record = store.add_layer(&spec, None).unwrap().record;
        (store, record)
    }

    fn kept(dir: &Path, text: &str) -> (VolumeCache, LayerRecord) {
        let (store, record) = layer(dir, text);
        let cache = VolumeCache::open(dir).unwrap();
        let open = |_: &Digest| {
            let blob = std::fs::File::open(store.blob_path(&record.digest))?;
            Ok(LayerTar::Stream(oci::layer_tar(BufReader::new(blob))?))
        };
        cache.replace(Some(&CacheMetadata::default()), &[KeptLayer::from(&record)], &open).unwrap();
        (cache, record)
    }

    #[test]
    fn what_is_kept_has_the_references_names_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, record) = kept(dir.path(), "x");
        let names = fs_err::read_dir(dir.path().join(COMMITTED)).unwrap();
        let mut names: Vec<_> = names.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let metadata = "io.buildpacks.lifecycle.cache.metadata".to_owned();
        assert_eq!(names, [metadata, format!("{}.tar", record.diff_id)]);
        fs_err::create_dir(dir.path().join("into")).unwrap();
        cache.unpack(&record.diff_id, Path::new("/layers/a/b"), &dir.path().join("into")).unwrap();
        assert_eq!(fs_err::read_to_string(dir.path().join("into/file")).unwrap(), "x");
    }

    #[test]
    fn a_damaged_layer_is_refused_and_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, record) = kept(dir.path(), "x");
        let file = cache.tar_path(COMMITTED, &record.diff_id);
        fs_err::write(&file, "torn").unwrap();
        fs_err::create_dir(dir.path().join("into")).unwrap();
        let said = cache.unpack(&record.diff_id, Path::new("/layers/a/b"), &dir.path().join("into"));
        assert!(said.unwrap_err().contains("can't be used"));
        kept(dir.path(), "x");
        assert!(fs_err::metadata(file).unwrap().len() > 1000);
    }

    #[test]
    fn a_commit_that_was_killed_half_way_is_undone() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, record) = kept(dir.path(), "x");
        fs_err::rename(dir.path().join(COMMITTED), dir.path().join(BACKUP)).unwrap();
        fs_err::create_dir(dir.path().join(STAGING)).unwrap();
        VolumeCache::open(dir.path()).unwrap();
        assert!(cache.tar(&record.diff_id).unwrap().is_some());
        assert!(!dir.path().join(STAGING).exists());
    }

    /// A change of contents that leaves size and modification time as they were.
    fn damage(file: &Path) {
        // Change times tick every few milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let before = fs_err::metadata(file).unwrap().modified().unwrap();
        let mut bytes = fs_err::read(file).unwrap();
        bytes[700] ^= 1;
        fs_err::write(file, bytes).unwrap();
        std::fs::File::options().write(true).open(file).unwrap().set_modified(before).unwrap();
    }

    #[test]
    fn what_was_kept_is_not_read_again_until_its_file_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        let (_, record) = kept(dir.path(), "x");
        let cache = VolumeCache::open(dir.path()).unwrap();
        assert_eq!(cache.literal(&record.diff_id), Some(record.index.literal));
        let file = cache.tar_path(COMMITTED, &record.diff_id);
        // Without a reader there is nothing to read, and none is needed.
        let none = |_: &Digest| Err(io::Error::other("not to be read"));
        let layer = KeptLayer { diff_id: record.diff_id, literal: None };
        cache.replace(None, std::slice::from_ref(&layer), &none).unwrap();
        assert_eq!(cache.literal(&record.diff_id), Some(record.index.literal));
        assert!(cache.whole(&record.diff_id).unwrap().is_some());

        damage(&file);
        let cache = VolumeCache::open(dir.path()).unwrap();
        assert_eq!(cache.literal(&record.diff_id), None);
        assert_eq!(cache.whole(&record.diff_id).unwrap(), None);
        assert!(cache.replace(None, &[layer], &none).unwrap_err().to_string().contains("not to be read"));
    }

    #[test]
    fn a_file_that_nobody_needs_is_moved() {
        let dir = tempfile::tempdir().unwrap();
        let cache = VolumeCache::open(dir.path()).unwrap();
        let spare = cache.making().unwrap().join("layer");
        fs_err::write(&spare, "tar").unwrap();
        let layer = KeptLayer { diff_id: Digest::of("tar"), literal: None };
        let diff_id = layer.diff_id;
        cache.replace(None, &[layer], &|_| Ok(LayerTar::Spare(spare.clone()))).unwrap();
        assert!(!spare.exists());
        assert!(cache.whole(&diff_id).unwrap().is_some());
        VolumeCache::open(dir.path()).unwrap();
        assert!(!dir.path().join(MAKING).exists());
    }

    #[test]
    fn what_was_restored_is_noted_until_the_next_layers_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, record) = kept(dir.path(), "x");
        let restored = RestoredLayer { diff_id: record.diff_id, index: record.index.clone() };
        let restored = BTreeMap::from([("a:b".to_owned(), restored)]);
        cache.note_restored(restored.clone()).unwrap();
        assert_eq!(VolumeCache::open(dir.path()).unwrap().restored(), restored);
        kept(dir.path(), "x");
        assert_eq!(VolumeCache::open(dir.path()).unwrap().restored(), BTreeMap::new());
    }
}
