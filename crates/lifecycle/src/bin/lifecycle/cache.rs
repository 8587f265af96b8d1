//! The platform's cache: a directory or an image.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#caching>

use crate::exit::{Code, Failure, OrFail as _, fail};
use crate::images::{self, Workbench};
use crate::place::{Found, Parts, Place, Places};
use crate::{Site, names};
use cnb::group::GroupToml;
use cnb::labels::CacheMetadata;
use lifecycle::{KeptLayer, LayerTars, ToKeep, VolumeCache};
use oci::{Digest, ImageName, LayerRecord, LayerSpec};
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

    /// The cache directory, when it is one.
    pub(crate) fn volume(&self) -> Option<&VolumeCache> {
        match self {
            Self::Volume(volume) => Some(volume),
            Self::None | Self::Image(_) => None,
        }
    }

    /// What was restored from it and may be as it was then.
    pub(crate) fn untouched(&self, group: &GroupToml) -> lifecycle::Cache {
        let Some(volume) = self.volume() else { return lifecycle::Cache::default() };
        let size_of = |diff_id: &Digest| Some(volume.tar(diff_id).ok()??.metadata().ok()?.len());
        lifecycle::untouched(&volume.restored(), group, &size_of)
    }

    pub(crate) fn exists(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Puts layers in place of all that it has.
    pub(crate) fn replace(&self, kept: &ToKeep, bench: &Workbench) -> Result<(), Failure> {
        match self {
            Self::None => Ok(()),
            Self::Volume(volume) => {
                let layers: Vec<KeptLayer> = kept.layers.iter().map(KeptLayer::from).collect();
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
    fn metadata(&self) -> CacheMetadata {
        self.old.as_ref().map(|it| lifecycle::cache_metadata(&it.image)).unwrap_or_default()
    }

    fn replace(&self, kept: &ToKeep, bench: &Workbench) -> Result<(), Failure> {
        let own = |record: &LayerRecord| bench.own(record).layer_ref();
        let nothing = || Ok(bench.store.add_layer(&LayerSpec::new(""), None)?.record.layer_ref());
        let old = self.old.as_ref().map(|it| &it.image);
        let image = lifecycle::cache_image(kept, old, &own, &nothing)
            .map_err(|error| fail(Code::Export, error.to_string()))?;
        let all: Vec<&Found> = self.old.iter().collect();
        let parts = Parts { store: &bench.store, images: &all, kept: None };
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
