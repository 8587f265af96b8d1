//! A cache that is shared with other machines, and with `pack`: an image in a registry, or a folder, in the reference
//! lifecycle's formats. It comes in place of what the store keeps of the app.

use super::BuildRequest;
use super::site::Site;
use crate::event::{Event, Events};
use crate::images::{self, Progress, StoreImages};
use crate::relay::Relay;
use crate::world::{World, WorldError};
use cnb::labels::CacheMetadata;
use lifecycle::beneath::Beneath;
use lifecycle::{
    Detected, Dir, Exported, HostOwner, Kept, KeptLayer, LayerTar, LayerTars, Previous, ToKeep, VolumeCache,
};
use oci::registry::{Error, Layers, Problem};
use oci::{Descriptor, Digest, Image, ImageName, LayerRecord, LayerSpec, Owner, Store};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

/// Where the layers are kept that the next build takes over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BuildCache {
    /// In the store, unpacked.
    #[default]
    Store,
    /// In an image of a registry.
    Image(ImageName),
    /// In a folder.
    Folder(PathBuf),
}

/// A cache that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The registries' settings are wrong.
    #[error(transparent)]
    World(#[from] Box<WorldError>),
    /// Its registry does not give or take it.
    #[error("the cache image cannot be used")]
    Registry(#[from] Error),
    /// The folder cannot be used.
    #[error("the cache in {} cannot be used", dir.display())]
    Folder {
        /// Which.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What it kept cannot be made ready.
    #[error(transparent)]
    Restore(#[from] lifecycle::RestoreError),
    /// What the next build needs cannot be gathered.
    #[error(transparent)]
    Keep(#[from] lifecycle::KeepError),
    /// The cache image cannot be made.
    #[error("the cache image cannot be made: {0}")]
    Make(lifecycle::CacheImageError),
}

/// A cache that can be used.
pub(super) struct Shared<'a> {
    world: &'a World,
    place: Place<'a>,
}

enum Place<'a> {
    Image(&'a ImageName, Option<Box<Image>>),
    Folder(&'a Path, VolumeCache),
}

impl<'a> Shared<'a> {
    /// Opens the cache that the request names, before anything is built; none: the store's own.
    pub(super) fn open(world: &'a World, request: &'a BuildRequest) -> Result<Option<Self>, CacheError> {
        let place = match &request.cache {
            BuildCache::Store => return Ok(None),
            BuildCache::Image(name) => {
                let client = world.registries().map_err(Box::new)?;
                client.may_push(name)?;
                let old = match client.image(name, &images::platform()) {
                    Err(Error { problem: Problem::NotFound { .. }, .. }) => None,
                    found => Some(Box::new(found?)),
                };
                Place::Image(name, old)
            }
            BuildCache::Folder(dir) => {
                let opened = fs_err::create_dir_all(dir).and_then(|()| VolumeCache::open(dir));
                Place::Folder(dir, opened.map_err(|source| CacheError::Folder { dir: dir.clone(), source })?)
            }
        };
        Ok(Some(Self { world, place }))
    }

    fn metadata(&self) -> Result<CacheMetadata, CacheError> {
        match &self.place {
            Place::Image(_, old) => Ok(old.as_deref().map(lifecycle::cache_metadata).unwrap_or_default()),
            Place::Folder(dir, volume) => {
                volume.metadata().map_err(|source| CacheError::Folder { dir: (*dir).to_owned(), source })
            }
        }
    }

    /// Makes the layers directory, which is empty, what this cache lets a buildpack find.
    pub(super) fn restore(
        &self,
        site: &Site<'_>,
        (request, detected): (&BuildRequest, &Detected),
        previous: &Previous,
        events: Events<'_>,
    ) -> Result<(), CacheError> {
        let metadata = if request.clear_cache { CacheMetadata::default() } else { self.metadata()? };
        let mut record = lifecycle::cache_record(&metadata, site.exec_env());
        if request.locking.forgets() {
            record.forget(super::handover::LOCK_LAYER);
        }
        let asked = lifecycle::RestoreRequest {
            dirs: &site.dirs,
            group: &detected.group,
            cache: &record,
            previous,
            exec_env: site.exec_env(),
        };
        let tars = Given { shared: self, owner: site.dirs.owner };
        let features = cnb::api::platform_features(cnb::api::OWN_PLATFORM_API).unwrap_or_default();
        let kept = Kept { metadata: &metadata, tars: &tars, features };
        lifecycle::restore_from(&asked, &kept, &Relay(events))?;
        Ok(())
    }

    /// Puts what the build left in place of all that the cache has. The image is there: a cache that could not be written
    /// costs time, and no more.
    pub(super) fn save(
        &self,
        site: &Site<'_>,
        (detected, exported): (&Detected, &Exported),
        (images, owner): (&StoreImages<'_>, Owner),
        events: Events<'_>,
    ) {
        let request = lifecycle::KeepRequest {
            dirs: &site.dirs,
            group: &detected.group,
            owner,
            record: &exported.cache,
            restored: &lifecycle::Cache::default(),
            features: cnb::api::platform_features(cnb::api::OWN_PLATFORM_API).unwrap_or_default(),
        };
        let kept = lifecycle::keep(&request, images, &Relay(events)).map_err(CacheError::from);
        if let Err(error) = kept.and_then(|kept| self.replace(&kept, events)) {
            let text = format!("the cache could not be written: {}", crate::error::chain(&error));
            events(Event::Warning { text });
        }
    }

    fn replace(&self, kept: &ToKeep, events: Events<'_>) -> Result<(), CacheError> {
        let store = &self.world.store;
        match &self.place {
            Place::Image(name, old) => {
                let nothing = || Ok(store.add_layer(&LayerSpec::new(""), None)?.record.layer_ref());
                let image = lifecycle::cache_image(kept, old.as_deref(), &LayerRecord::layer_ref, &nothing)
                    .map_err(CacheError::Make)?;
                let repositories = std::slice::from_ref(*name);
                let layers = Layers { store: Some(store), repositories };
                let progress = Progress::new("upload");
                let client = self.world.registries().map_err(Box::new)?;
                client.push(&image, layers, repositories, &|event| progress.tell(event, events))?;
                Ok(())
            }
            Place::Folder(dir, volume) => {
                let layers: Vec<KeptLayer> = kept.layers.iter().map(KeptLayer::from).collect();
                let open = |diff_id: &Digest| tar(store, diff_id).map(LayerTar::Stream);
                volume
                    .replace(Some(&kept.metadata), &layers, &open)
                    .map_err(|source| CacheError::Folder { dir: (*dir).to_owned(), source })
            }
        }
    }
}

/// A layer of the store, uncompressed.
fn tar(store: &Store, diff_id: &Digest) -> io::Result<Box<dyn io::Read>> {
    let blob = store.blob_of(diff_id).map_err(io::Error::other)?;
    oci::layer_tar(BufReader::with_capacity(1 << 16, fs_err::File::open(store.blob_path(&blob))?))
}

impl LayerTars for Shared<'_> {
    fn unpack(&self, diff_id: &Digest, at: &Path, into: &Path) -> Result<(), String> {
        let said = |error: &(dyn std::error::Error + 'static)| crate::error::chain(error);
        match &self.place {
            Place::Folder(_, volume) => volume.unpack(diff_id, at, into),
            Place::Image(name, old) => {
                let layers = old.iter().flat_map(|it| it.layers());
                let layer = layers.into_iter().find(|it| it.diff_id == *diff_id);
                let layer = layer.ok_or_else(|| format!("the cache image has no layer {diff_id}"))?;
                let blob = Descriptor::new(&layer.media_type, layer.digest, layer.size);
                let (client, store) = (self.world.registries().map_err(|it| said(&it))?, &self.world.store);
                client.fetch(name, store, &[blob], &|_| {}).map_err(|it| said(&it))?;
                let file = fs_err::File::open(store.blob_path(&layer.digest)).map_err(|it| said(&it))?;
                oci::unpack_part(BufReader::with_capacity(1 << 16, file), diff_id, at, into)
                    .map_err(|it| said(&it))
            }
        }
    }
}

/// Layers whose files are the user's that builds, in a room of root's another than this process's.
struct Given<'a> {
    shared: &'a Shared<'a>,
    owner: Option<HostOwner>,
}

impl LayerTars for Given<'_> {
    fn unpack(&self, diff_id: &Digest, at: &Path, into: &Path) -> Result<(), String> {
        self.shared.unpack(diff_id, at, into)?;
        let Some(owner) = self.owner else { return Ok(()) };
        let dir = Beneath::open(&Dir::new(into, at)).map_err(|it| it.to_string())?;
        dir.give_all(owner).map_err(|it| it.to_string())
    }
}
