//! The platform's cache: a directory or an image.

use crate::exit::{Code, Failure, OrFail as _};
use crate::images::Workbench;
use crate::{Site, fail};
use cnb::labels::CacheMetadata;
use lifecycle::{LayerTars, ToKeep, VolumeCache};
use oci::{Digest, LayerRecord};
use std::path::Path;

/// Layers of one build for the next.
pub(crate) enum Cache {
    /// The platform has none.
    None,
    Volume(VolumeCache),
}

impl Cache {
    pub(crate) fn open(site: &Site) -> Result<Self, Failure> {
        if let Some(image) = site.inputs.some("cache-image") {
            let text = format!("the cache image {image} can't be used: registries are not there yet");
            return Err(fail(Code::Failed, text));
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
                let open = |record: &LayerRecord| bench.tar(record);
                volume.replace(Some(&kept.metadata), &kept.layers, &open).or_fail(Code::Export)
            }
        }
    }
}

impl LayerTars for Cache {
    fn unpack(&self, diff_id: &Digest, at: &Path, into: &Path) -> Result<(), String> {
        match self {
            Self::None => Err("there is no cache".to_owned()),
            Self::Volume(volume) => volume.unpack(diff_id, at, into),
        }
    }
}

/// Whether a cache image could be read and written.
pub(crate) fn check_access(_: &Site) -> Result<(), Failure> {
    Ok(())
}
