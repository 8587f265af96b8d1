//! Layers: added, and unpacked.

use std::{
    io::{self, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    thread,
};

use super::{
    Store, StoreError,
    blobs::Hashing,
    lock::{How, Lock},
};
use crate::{
    Added, Compression, Descriptor, Digest, Ids, LayerError, LayerRecord, LayerSpec, UnpackError,
    UnpackRules, Whiteouts,
    layer::{ExportError, Plan, export, pack},
    media_type,
    unpack::decompressed,
    unpack_tar,
};

/// More would not be fed by one reader, and each holds two pieces of the layer in memory.
const MAX_THREADS: usize = 8;

impl Store {
    /// The same store, whose new layers are compressed in this way.
    #[must_use]
    pub fn with_layers_in(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Adds a layer; where a walk finds everything as `known` records it, and the blob is there, nothing is read.
    ///
    /// # Errors
    /// When something can't be read or changes meanwhile, or the disk is full.
    pub fn add_layer(&self, spec: &LayerSpec, known: Option<&LayerRecord>) -> Result<Added, LayerError> {
        self.add(spec, known, None)
    }

    /// The same; and when the layer had to be read, its tar is a blob of the other store, from the same pass.
    ///
    /// # Errors
    /// When something can't be read or changes meanwhile, or the disk is full.
    pub fn add_layer_and_tar(
        &self,
        spec: &LayerSpec,
        known: Option<&LayerRecord>,
        tars: &Self,
    ) -> Result<Added, LayerError> {
        self.add(spec, known, Some(tars))
    }

    fn add(
        &self,
        spec: &LayerSpec,
        known: Option<&LayerRecord>,
        tars: Option<&Self>,
    ) -> Result<Added, LayerError> {
        let plan = Plan::of(spec)?;
        if let Some(known) = known.filter(|known| known.index == plan.index)
            && self.use_blob(&known.digest, known.size)?
        {
            self.note_diff(&known.diff_id, &known.digest)?;
            let record = LayerRecord { created_by: spec.created_by().to_owned(), ..known.clone() };
            return Ok(Added { record, reused: true, notices: plan.notices });
        }
        let mut file = self.temp_file()?;
        let tar = tars.map(Self::temp_file).transpose()?;
        let also = tar.as_ref().map(|it| it.as_file().try_clone()).transpose().map_err(StoreError::from)?;
        let into: (&mut (dyn io::Write + Send), _) = (file.as_file_mut(), also);
        let packed = export(&plan, into, (self.compression, threads())).map_err(|error| match error {
            ExportError::Read(error) => error,
            ExportError::Write(error) => self.write_error(error, plan.size, "a layer").into(),
        })?;
        if let (Some(tars), Some(tar)) = (tars, tar) {
            tars.keep_blob(tar, &packed.diff_id)?;
            tars.note_diff(&packed.diff_id, &packed.diff_id)?;
        }
        if !self.use_blob(&packed.digest, packed.size)? {
            self.keep_blob(file, &packed.digest)?;
        }
        self.note_diff(&packed.diff_id, &packed.digest)?;
        let record = LayerRecord {
            diff_id: packed.diff_id,
            digest: packed.digest,
            size: packed.size,
            uncompressed_size: packed.uncompressed_size,
            created_by: spec.created_by().to_owned(),
            index: plan.index,
        };
        Ok(Added { record, reused: false, notices: plan.notices })
    }

    /// Adds a tar of somebody else's, byte for byte, compressed like a layer of ours: its diff id and the blob.
    ///
    /// # Errors
    /// When it can't be read, or the disk is full.
    pub fn add_tar(&self, mut tar: impl Read) -> Result<(Digest, Descriptor), StoreError> {
        let mut file = self.temp_file()?;
        let packed = pack::<io::Error>(file.as_file_mut(), threads(), |input| {
            while input.fill_from(u64::MAX, |room| tar.read(room))? > 0 {}
            Ok(())
        });
        let packed = packed.map_err(|error| self.write_error(error, 0, "a layer"))?;
        if !self.use_blob(&packed.digest, packed.size)? {
            self.keep_blob(file, &packed.digest)?;
        }
        self.note_diff(&packed.diff_id, &packed.digest)?;
        Ok((packed.diff_id, Descriptor::new(media_type::LAYER_GZIP, packed.digest, packed.size)))
    }

    /// The layer with this diff id as a directory, unpacked when that has not happened yet; its whiteouts are the
    /// overlay file system's. Root gives the files the layer's own owners, another user is their owner.
    ///
    /// # Errors
    /// When the layer is not known or damaged, or the disk is full.
    pub fn unpacked(&self, diff_id: &Digest) -> Result<PathBuf, StoreError> {
        let dir = self.unpacked_path(diff_id);
        // The lock's time tells when the layer was last used.
        let lock = Lock::wait(&dir.with_extension("lock"), How::Exclusive)?;
        {
            let _shared = self.shared()?;
            lock.touch()?;
            if dir.is_dir() {
                return Ok(dir);
            }
        }
        let blob = self.blob_of(diff_id)?;
        let scratch = self.scratch()?;
        // An overlay's root has the mode of its uppermost directory.
        fs_err::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o755))?;
        self.unpack_blob(diff_id, &blob, &scratch)?;
        let _shared = self.shared()?;
        scratch.publish(&dir)?;
        Ok(dir)
    }

    /// The blob that has this diff id.
    ///
    /// # Errors
    /// When the store knows none.
    pub fn blob_of(&self, diff_id: &Digest) -> Result<Digest, StoreError> {
        let path = self.diff_path(diff_id);
        match fs_err::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| StoreError::UnknownLayer { diff_id: *diff_id }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::UnknownLayer { diff_id: *diff_id })
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn unpacked_path(&self, diff_id: &Digest) -> PathBuf {
        self.root.join("layers").join(diff_id.hex())
    }

    fn diff_path(&self, diff_id: &Digest) -> PathBuf {
        self.root.join("diffs").join(diff_id.hex())
    }

    /// Notes the blob of a layer as an image's configuration tells it. Where another blob is known, somebody is wrong
    /// or has compressed the layer anew: then it is looked at.
    pub(super) fn claim_diff(&self, diff_id: &Digest, blob: &Digest) -> Result<(), StoreError> {
        let other = self.blob_of(diff_id).ok().filter(|other| other != blob);
        if other.is_some_and(|other| self.blob_path(&other).exists()) {
            let mut tar = Hashing::new(self.tar_of(blob)?);
            let path = self.blob_path(blob);
            io::copy(&mut tar, &mut io::sink()).map_err(|error| StoreError::at(&path, error))?;
            let found = tar.digest();
            if found != *diff_id {
                return Err(StoreError::Corrupt { path, expected: *diff_id, found });
            }
        }
        self.note_diff(diff_id, blob)
    }

    /// A layer's tar, uncompressed.
    fn tar_of(&self, blob: &Digest) -> Result<Box<dyn Read>, StoreError> {
        let path = self.blob_path(blob);
        let file = match fs_err::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Missing { digest: *blob, path });
            }
            Err(error) => return Err(error.into()),
        };
        decompressed(BufReader::with_capacity(1 << 16, file)).map_err(|error| StoreError::at(&path, error))
    }

    pub(super) fn note_diff(&self, diff_id: &Digest, blob: &Digest) -> Result<(), StoreError> {
        if self.blob_of(diff_id).is_ok_and(|known| known == *blob) {
            return Ok(());
        }
        self.write_file(&self.diff_path(diff_id), format!("{blob}\n").as_bytes())
    }

    fn unpack_blob(&self, diff_id: &Digest, blob: &Digest, into: &super::Scratch) -> Result<(), StoreError> {
        let path = self.blob_path(blob);
        let at_path = |error| StoreError::at(&path, error);
        let mut tar = Hashing::new(self.tar_of(blob)?);
        let rules = UnpackRules { ids: ids(), whiteouts: Whiteouts::Overlay };
        unpack_tar(&mut tar, into.path(), rules).map_err(|error| self.unpack_error(diff_id, blob, error))?;
        // The end of the archive comes before the end of the file, and all of the file counts.
        io::copy(&mut tar, &mut io::sink()).map_err(at_path)?;
        let found = tar.digest();
        if found == *diff_id { Ok(()) } else { Err(StoreError::Corrupt { path, expected: *diff_id, found }) }
    }

    fn unpack_error(&self, diff_id: &Digest, blob: &Digest, error: UnpackError) -> StoreError {
        let is_full = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull;
        match error {
            UnpackError::Entry { source, .. } if is_full(&source) => {
                // Packages shrink to a third when they are compressed.
                let size = fs_err::metadata(self.blob_path(blob)).map_or(0, |found| found.len());
                self.write_error(source, 3 * size, "unpacking a layer (about)")
            }
            source => StoreError::Unpack { diff_id: *diff_id, source },
        }
    }
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS)
}

/// Root gives files away, unless it is root of a user namespace in which the others have no number.
fn ids() -> Ids {
    let map = fs_err::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let mapped =
        map.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok()).sum::<u64>();
    if rustix::process::geteuid().is_root() && mapped >= 65_536 { Ids::AsStored } else { Ids::Caller }
}
