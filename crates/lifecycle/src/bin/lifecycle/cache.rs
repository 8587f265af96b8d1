//! The platform's cache: a directory or an image.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#caching>

use crate::exit::{Code, Failure, OrFail as _, fail};
use crate::images::{self, Workbench};
use crate::place::{Found, Parts, Place, Places};
use crate::{Site, names};
use cnb::labels::{CACHE_METADATA, CacheMetadata};
use lifecycle::{LayerTars, ToKeep, VolumeCache};
use oci::{Digest, Image, ImageConfig, ImageName, LayerRecord, LayerRef, LayerSpec};
use std::path::Path;

/// Layers of one build for the next.
pub(crate) enum Cache<'a> {
    /// The platform has none.
    None,
    Volume(VolumeCache),
    Image(Box<CacheImage<'a>>),
}

/// An image whose layers are the cache's.
pub(crate) struct CacheImage<'a> {
    registries: &'a dyn Place,
    name: ImageName,
    old: Option<Found>,
}

impl<'a> Cache<'a> {
    pub(crate) fn open(site: &Site, places: &'a Places) -> Result<Self, Failure> {
        if let Some(image) = site.inputs.some("cache-image") {
            let (registries, name) = (places.registries()?, names::parse(image)?);
            let old = registries.find(image).map_err(|it| fail(Code::Failed, format!("{image}: {it}")))?;
            return Ok(Self::Image(Box::new(CacheImage { registries, name, old })));
        }
        match site.inputs.some_path("cache-dir") {
            Some(dir) => Ok(Self::Volume(VolumeCache::open(&dir).or_fail(Code::Failed)?)),
            None => {
                site.log.warning("no cached data is used: the platform gave no cache");
                Ok(Self::None)
            }
        }
    }

    pub(crate) fn metadata(&self) -> Result<CacheMetadata, Failure> {
        match self {
            Self::None => Ok(CacheMetadata::default()),
            Self::Volume(volume) => volume.metadata().or_fail(Code::Restore),
            Self::Image(image) => Ok(image.metadata()),
        }
    }

    pub(crate) fn exists(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Puts layers in place of all that it has.
    pub(crate) fn replace(&self, kept: &ToKeep, bench: &Workbench) -> Result<(), Failure> {
        match self {
            Self::None => Ok(()),
            Self::Volume(volume) => {
                let layers: Vec<Digest> = kept.layers.iter().map(|it| it.diff_id).collect();
                let open = |diff_id: &Digest| bench.tar(diff_id);
                volume.replace(Some(&kept.metadata), &layers, &open).or_fail(Code::Export)
            }
            Self::Image(image) => image.replace(kept, bench),
        }
    }
}

impl LayerTars for Cache<'_> {
    fn unpack(&self, diff_id: &Digest, at: &Path, into: &Path) -> Result<(), String> {
        match self {
            Self::None => Err("there is no cache".to_owned()),
            Self::Volume(volume) => volume.unpack(diff_id, at, into),
            Self::Image(image) => match &image.old {
                None => Err("the cache image is not there".to_owned()),
                Some(old) => image.registries.unpack(old, diff_id, at, into),
            },
        }
    }
}

impl CacheImage<'_> {
    /// One that can't be understood counts as none.
    fn metadata(&self) -> CacheMetadata {
        let labels = self.old.as_ref().map(|it| &it.image.config().config.labels);
        let label = labels.and_then(|it| it.get(CACHE_METADATA));
        label.and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default()
    }

    fn replace(&self, kept: &ToKeep, bench: &Workbench) -> Result<(), Failure> {
        let old: Vec<LayerRef> = self.old.iter().flat_map(|it| it.image.layers()).collect();
        let of_record = |record: &LayerRecord| {
            let there = old.iter().find(|it| it.diff_id == record.diff_id).cloned();
            there.unwrap_or_else(|| bench.own(record).layer_ref())
        };
        let mut layers: Vec<LayerRef> = kept.layers.iter().map(of_record).collect();
        if layers.is_empty() {
            // Some registries take no image without layers.
            let nothing = bench.store.add_layer(&LayerSpec::new(""), None).or_fail(Code::Export)?;
            layers.push(nothing.record.layer_ref());
        }
        let metadata = serde_json::to_string(&kept.metadata).or_fail(Code::Export)?;
        let mut config = ImageConfig::default();
        config.config.labels.insert(CACHE_METADATA.to_owned(), metadata);
        let image = Image::new(config, &layers).or_fail(Code::Export)?;
        let all: Vec<&Found> = self.old.iter().collect();
        let parts = Parts { store: &bench.store, images: &all };
        let saved = self.registries.save(&image, &parts, std::slice::from_ref(&self.name));
        saved.map(|_| ()).map_err(|it| fail(Code::Export, it))
    }
}

/// Whether a cache image could be read and written, before anything is built.
pub(crate) fn check_access(site: &Site, places: &Places) -> Result<(), Failure> {
    let Some(image) = site.inputs.some("cache-image") else { return Ok(()) };
    let name = names::parse(image)?;
    images::writable(places.registries()?, &name, Code::Analyze)
}
