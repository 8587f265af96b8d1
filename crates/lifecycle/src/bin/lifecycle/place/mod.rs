//! Where images are read and written: layouts on the disk, a Docker engine, or registries.

mod daemon;
mod layout;
mod registry;

use crate::Site;
use crate::exit::{Code, Failure, fail};
use lifecycle::VolumeCache;
use oci::{Digest, Image, ImageName, Store};
use registry::Registries;
use std::path::Path;

/// An image that is there.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// What is written down for it: a digest reference, an image id, or the path of a layout with a digest.
    pub(crate) reference: String,
    pub(crate) image: Image,
}

/// Where the layers of a new image are.
pub(crate) struct Parts<'a> {
    /// Those that this program made.
    pub(crate) store: &'a Store,
    /// Images of the same place that have the others: the run image first.
    pub(crate) images: &'a [&'a Found],
    /// The platform's cache directory, which has tars.
    pub(crate) kept: Option<&'a VolumeCache>,
}

/// An image that was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Saved {
    /// The manifest's digest; empty in an engine.
    pub(crate) digest: String,
    /// The image id; empty elsewhere.
    pub(crate) image_id: String,
}

/// A place of images.
pub(crate) trait Place: Sync {
    /// The image of this name or reference; `None` when there is none.
    fn find(&self, name: &str) -> Result<Option<Found>, String>;

    /// Unpacks what a layer of an image has in its directory `at` into the directory `into`.
    fn unpack(&self, found: &Found, diff_id: &Digest, at: &Path, into: &Path) -> Result<(), String>;

    /// Writes an image under all these names.
    fn save(&self, image: &Image, parts: &Parts<'_>, names: &[ImageName]) -> Result<Saved, String>;

    /// Whether layers are wanted as tars, and not compressed.
    fn takes_tars(&self) -> bool {
        false
    }

    /// Whether there is an image of this name; an error where nobody may know.
    fn can_read(&self, name: &ImageName) -> Result<bool, String>;

    /// Whether images with these names can be written.
    fn can_write(&self, name: &ImageName) -> Result<(), String>;
}

/// All places that the platform said, made ready while this program still is who started it.
pub(crate) struct Places {
    images: Option<Box<dyn Place>>,
    registries: Option<Registries>,
}

impl Places {
    pub(crate) fn open(site: &Site) -> Result<Self, Failure> {
        let images = elsewhere(site)?;
        let wanted = images.is_none() || site.inputs.some("cache-image").is_some();
        let registries = if wanted { Some(Registries::open(site)?) } else { None };
        Ok(Self { images, registries })
    }

    /// Where app images and run images are.
    pub(crate) fn images(&self) -> Result<&dyn Place, Failure> {
        match &self.images {
            Some(place) => Ok(&**place),
            None => self.registries(),
        }
    }

    /// Where a cache image is, in any case.
    pub(crate) fn registries(&self) -> Result<&dyn Place, Failure> {
        let registries = self.registries.as_ref();
        registries.map(|it| it as &dyn Place).ok_or_else(|| fail(Code::Failed, "no registry is at hand"))
    }
}

/// The place that is no registry, when the platform said one.
fn elsewhere(site: &Site) -> Result<Option<Box<dyn Place>>, Failure> {
    if site.inputs.switch("layout") && site.features.layout {
        guard_experimental(site, "images as OCI layouts")?;
        let dir = site.inputs.some_path("layout-dir");
        let dir =
            dir.ok_or_else(|| fail(Code::Arguments, "-layout wants -layout-dir, where the layouts are"))?;
        return Ok(Some(Box::new(layout::Layouts::new(dir))));
    }
    if site.inputs.switch("daemon") {
        return Ok(Some(Box::new(daemon::Daemon::open(site)?)));
    }
    Ok(None)
}

/// <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#experimental-features>; `silent` is the text's word, `quiet` the
/// reference's.
fn guard_experimental(site: &Site, feature: &str) -> Result<(), Failure> {
    match std::env::var("CNB_EXPERIMENTAL_MODE").unwrap_or_default().as_str() {
        "silent" | "quiet" => Ok(()),
        "" | "error" => {
            let text = format!("{feature} are experimental; set CNB_EXPERIMENTAL_MODE=warn to use them");
            Err(fail(Code::Failed, text))
        }
        _ => {
            site.log.warning(&format!("{feature} are experimental"));
            Ok(())
        }
    }
}
