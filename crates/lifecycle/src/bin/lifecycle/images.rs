//! The capability to read and make images: layers are made in a scratch store, the image is saved in its place.

use crate::exit::{Code, Failure, OrFail as _, fail};
use crate::place::{Found, Place};
use lifecycle::{Images, ImagesError};
use oci::{Added, Digest, Image, ImageConfig, LayerRecord, LayerRef, LayerSpec, Store};
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::sync::Mutex;

/// What one program makes its layers in; gone when it ends.
pub(crate) struct Workbench {
    pub(crate) store: Store,
    /// Layers whose blob the previous image has: as they were made here.
    own: Mutex<BTreeMap<Digest, LayerRecord>>,
    _dir: tempfile::TempDir,
}

impl Workbench {
    pub(crate) fn new() -> Result<Self, Failure> {
        let dir = tempfile::Builder::new().prefix("lifecycle.").tempdir().or_fail(Code::Failed)?;
        let store = Store::open(&dir.path().join("store")).or_fail(Code::Failed)?;
        Ok(Self { store, own: Mutex::default(), _dir: dir })
    }

    /// The uncompressed tar of a layer that was made here.
    pub(crate) fn tar(&self, diff_id: &Digest) -> io::Result<Box<dyn Read>> {
        let blob = self.store.blob_of(diff_id).map_err(io::Error::other)?;
        let file = fs_err::File::open(self.store.blob_path(&blob))?;
        oci::layer_tar(BufReader::with_capacity(1 << 16, file))
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
        let mut added = self.bench.store.add_layer(spec, known.as_ref()).map_err(boxed)?;
        if let Some(old) = self.previous_layer(&added.record.diff_id)?
            && (old.media_type == oci::media_type::LAYER_GZIP
                || old.media_type == oci::media_type::DOCKER_LAYER_GZIP)
        {
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
