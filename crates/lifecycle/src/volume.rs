//! A cache directory as the reference lifecycle has it, so that either reads what the other wrote.
//!
//! ```text
//! <dir>/committed/io.buildpacks.lifecycle.cache.metadata   JSON
//! <dir>/committed/<diff id>.tar                            a layer, uncompressed
//! <dir>/staging/                                           the next contents, until they are complete
//! ```

use crate::phases::restore_from::LayerTars;
use cnb::labels::{CACHE_METADATA, CacheMetadata};
use oci::Digest;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

const COMMITTED: &str = "committed";
const STAGING: &str = "staging";
const BACKUP: &str = "committed-backup";

/// A cache directory that is there.
#[derive(Debug, Clone)]
pub struct VolumeCache {
    dir: PathBuf,
}

/// Opens the tar of a layer that is to be kept, by its diff id.
pub type OpenTar<'a> = &'a dyn Fn(&Digest) -> io::Result<Box<dyn Read>>;

impl VolumeCache {
    /// Opens a directory, which must be there, and clears away what a killed process left.
    ///
    /// # Errors
    /// When it is not there or can't be written.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs_err::metadata(dir)?;
        remove(&dir.join(STAGING))?;
        let (committed, backup) = (dir.join(COMMITTED), dir.join(BACKUP));
        if !committed.exists() && backup.exists() {
            // Killed between the two renames of a commit.
            fs_err::rename(&backup, &committed)?;
        }
        remove(&backup)?;
        fs_err::create_dir_all(committed)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// What there is; one that can't be understood counts as none.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn metadata(&self) -> io::Result<CacheMetadata> {
        match fs_err::read(self.dir.join(COMMITTED).join(CACHE_METADATA)) {
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

    /// Puts these layers in place of all that there is. A layer that is there, whole, is linked and not written again.
    ///
    /// # Errors
    /// When something can't be read or written; the old contents then are still there.
    pub fn replace(
        &self,
        metadata: Option<&CacheMetadata>,
        layers: &[Digest],
        open: OpenTar<'_>,
    ) -> io::Result<()> {
        let staging = self.dir.join(STAGING);
        remove(&staging)?;
        fs_err::create_dir(&staging)?;
        for layer in layers {
            let to = self.tar_path(STAGING, layer);
            if self.is_whole(layer)? {
                fs_err::hard_link(self.tar_path(COMMITTED, layer), &to)?;
            } else {
                let mut file = fs_err::File::create(&to)?;
                io::copy(&mut open(layer)?, &mut file)?;
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
        remove(&backup)
    }

    fn is_whole(&self, diff_id: &Digest) -> io::Result<bool> {
        let Some(file) = self.tar(diff_id)? else { return Ok(false) };
        Ok(Digest::of_reader(file)? == *diff_id)
    }

    fn tar_path(&self, within: &str, diff_id: &Digest) -> PathBuf {
        self.dir.join(within).join(format!("{diff_id}.tar"))
    }
}

impl LayerTars for VolumeCache {
    fn unpack(&self, diff_id: &Digest, at: &Path, into: &Path) -> Result<(), String> {
        let file = self.tar(diff_id).map_err(|it| it.to_string())?;
        let file = file.ok_or_else(|| format!("the cache has no layer {diff_id}"))?;
        oci::unpack_part(BufReader::with_capacity(1 << 16, file), diff_id, at, into)
            .map_err(|error| format!("the cache's layer can't be used: {error}"))
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
    use oci::{LayerRecord, LayerSpec, Owner, Store};

    fn layer(dir: &Path, text: &str) -> (Store, LayerRecord) {
        let store = Store::open(&dir.join("store")).unwrap();
        let spec = LayerSpec::new("").file("/layers/a/b/file", 0o644, Owner::ROOT, text);
        let record = store.add_layer(&spec, None).unwrap().record;
        (store, record)
    }

    fn kept(dir: &Path, text: &str) -> (VolumeCache, LayerRecord) {
        let (store, record) = layer(dir, text);
        let cache = VolumeCache::open(dir).unwrap();
        let open = |_: &Digest| -> io::Result<Box<dyn Read>> {
            oci::layer_tar(BufReader::new(std::fs::File::open(store.blob_path(&record.digest))?))
        };
        cache.replace(Some(&CacheMetadata::default()), &[record.diff_id], &open).unwrap();
        (cache, record)
    }

    #[test]
    fn what_is_kept_has_the_references_names_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, record) = kept(dir.path(), "x");
        let names = fs_err::read_dir(dir.path().join(COMMITTED)).unwrap();
        let mut names: Vec<_> = names.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, [CACHE_METADATA.to_owned(), format!("{}.tar", record.diff_id)]);
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
}
