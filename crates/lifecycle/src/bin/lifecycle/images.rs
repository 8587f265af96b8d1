//! The capability to read and make images: layers are made in a scratch store, the image is saved in its place.

use crate::exit::{Code, Failure, OrFail as _, fail};
use crate::place::{Found, Place};
use lifecycle::{Images, ImagesError, LayerTar, VolumeCache};
use oci::{
    Added, Compression, Digest, Image, ImageConfig, Kept, LayerRecord, LayerRef, LayerSpec, Store, TreeIndex,
};
use std::collections::BTreeMap;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Mutex;

/// What one program makes its layers in; gone when it ends.
pub(crate) struct Workbench {
    pub(crate) store: Store,
    /// For tars that a cache directory wants, in that directory, where the image wants something else.
    tars: Option<Store>,
    /// Layers whose blob the previous image has: as they were made here.
    own: Mutex<BTreeMap<Digest, LayerRecord>>,
    _dir: tempfile::TempDir,
}

impl Workbench {
    pub(crate) fn new() -> Result<Self, Failure> {
        Self::within(&std::env::temp_dir(), Compression::Gzip)
    }

    /// In a directory that is there, with layers in this form.
    pub(crate) fn within(dir: &Path, compression: Compression) -> Result<Self, Failure> {
        let dir = tempfile::Builder::new().prefix("lifecycle.").tempdir_in(dir).or_fail(Code::Failed)?;
        let store = Store::open(&dir.path().join("store")).or_fail(Code::Failed)?;
        let store = store.with_layers_in(compression);
        Ok(Self { store, tars: None, own: Mutex::default(), _dir: dir })
    }

    /// The same, which makes what a cache directory is to have there.
    pub(crate) fn with_tars_in(self, dir: &Path) -> Result<Self, Failure> {
        let tars = Store::open(&dir.join("tars")).or_fail(Code::Failed)?.with_layers_in(Compression::None);
        Ok(Self { tars: Some(tars), ..self })
    }

    fn add(&self, spec: &LayerSpec, known: Option<&LayerRecord>) -> Result<Added, oci::LayerError> {
        match (&self.tars, spec.kept) {
            (None, _) | (_, Kept::No) => self.store.add_layer(spec, known),
            // A layer that was made for the image is known, and its tar is there.
            (Some(tars), Kept::Too) => self.store.add_layer_and_tar(spec, known, tars),
            (Some(tars), Kept::Only) => tars.add_layer(spec, known),
        }
    }

    /// The tar of a layer that was made here. A layer that is a tar already is given away with its file: this is for the
    /// end of a build.
    pub(crate) fn tar(&self, diff_id: &Digest) -> io::Result<LayerTar> {
        let in_tars = self.tars.as_ref().filter(|it| it.blob_of(diff_id).is_ok());
        let store = in_tars.unwrap_or(&self.store);
        let blob = store.blob_of(diff_id).map_err(io::Error::other)?;
        let path = store.blob_path(&blob);
        if blob == *diff_id {
            return Ok(LayerTar::Spare(path));
        }
        let file = fs_err::File::open(path)?;
        Ok(LayerTar::Stream(oci::layer_tar(BufReader::with_capacity(1 << 16, file))?))
    }

    /// The layer as it was made here, whatever blob the image has for it.
    pub(crate) fn own(&self, record: &LayerRecord) -> LayerRecord {
        let own = self.own.lock().ok().and_then(|it| it.get(&record.diff_id).cloned());
        own.unwrap_or_else(|| record.clone())
    }
}

/// The images that one build reads from.
pub(crate) struct PlacedImages<'a> {
    pub(crate) bench: &'a Workbench,
    pub(crate) previous: Option<&'a Found>,
    /// The tars of layers that were restored.
    pub(crate) kept: Option<&'a VolumeCache>,
    /// The place of the image takes layers as tars, so one that is in `kept` need not be made.
    pub(crate) takes_tars: bool,
}

impl PlacedImages<'_> {
    /// A layer that was restored and is as it was then, by its record: its files are not read. `None`: it is not known, or
    /// has changed.
    fn untouched(
        &self,
        spec: &LayerSpec,
        known: Option<&LayerRecord>,
    ) -> Result<Option<LayerRecord>, ImagesError> {
        let (Some(known), Some(kept)) = (known, self.kept) else { return Ok(None) };
        // What was made here is in the bench's store, which looks for itself.
        let made_here = self.bench.store.blob_of(&known.diff_id).is_ok();
        if made_here || TreeIndex::of(spec).map_err(boxed)? != known.index {
            return Ok(None);
        }
        let mut record = LayerRecord { created_by: spec.created_by().to_owned(), ..known.clone() };
        if let Some(old) = self.compressed(&record.diff_id)? {
            (record.digest, record.size) = (old.digest, old.size);
            return Ok(Some(record));
        }
        let Some(tar) = kept.whole(&record.diff_id).map_err(boxed)? else { return Ok(None) };
        if !self.takes_tars && spec.kept != Kept::Only {
            let tar = fs_err::File::open(tar).map_err(boxed)?;
            let (diff_id, blob) = self.bench.store.add_tar(tar).map_err(boxed)?;
            if diff_id != record.diff_id {
                return Ok(None);
            }
            (record.digest, record.size) = (blob.digest, blob.size);
        }
        Ok(Some(record))
    }

    /// The layer as the previous image has it, when a registry would take it like that from us too.
    fn compressed(&self, diff_id: &Digest) -> Result<Option<LayerRef>, ImagesError> {
        let gzip = [oci::media_type::LAYER_GZIP, oci::media_type::DOCKER_LAYER_GZIP];
        Ok(self.previous_layer(diff_id)?.filter(|it| gzip.contains(&it.media_type.as_str())))
    }
}

fn boxed(error: impl std::error::Error + Send + Sync + 'static) -> ImagesError {
    ImagesError(Box::new(error))
}

impl Images for PlacedImages<'_> {
    fn previous(&self) -> Result<Option<(String, Image)>, ImagesError> {
        Ok(self.previous.map(|it| (it.reference.clone(), it.image.clone())))
    }

    fn previous_layer(&self, diff_id: &Digest) -> Result<Option<LayerRef>, ImagesError> {
        let mut layers = self.previous.into_iter().flat_map(|it| it.image.layers());
        Ok(layers.find(|it| it.diff_id == *diff_id))
    }

    /// A layer that the previous image has is that image's blob: nothing has to be sent for it.
    fn add_layer(&self, spec: &LayerSpec, known: Option<&LayerRecord>) -> Result<Added, ImagesError> {
        let known = known.map(|it| self.bench.own(it));
        if let Some(record) = self.untouched(spec, known.as_ref())? {
            return Ok(Added { record, reused: true, notices: Vec::new() });
        }
        let mut added = self.bench.add(spec, known.as_ref()).map_err(boxed)?;
        if let Some(old) = self.compressed(&added.record.diff_id)? {
            if let Ok(mut own) = self.bench.own.lock() {
                own.insert(added.record.diff_id, added.record.clone());
            }
            added.record.digest = old.digest;
            added.record.size = old.size;
            added.reused = true;
        }
        Ok(added)
    }

    fn put(&self, config: &ImageConfig, layers: &[LayerRef]) -> Result<Image, ImagesError> {
        Image::new(config.clone(), layers).map_err(boxed)
    }
}

/// Reads an image that must be there.
pub(crate) fn need(place: &dyn Place, what: &str, name: &str, code: Code) -> Result<Found, Failure> {
    let found = place.find(name).map_err(|it| fail(code, format!("{what} {name}: {it}")))?;
    found.ok_or_else(|| fail(code, format!("{what} {name} is not there")))
}

/// An image that could not be written in the end is not begun.
pub(crate) fn writable(place: &dyn Place, name: &oci::ImageName, code: Code) -> Result<(), Failure> {
    place.can_write(name).map_err(|it| fail(code, it))
}
