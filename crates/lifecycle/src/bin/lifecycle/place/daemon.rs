//! Images in a Docker engine, and the launch cache, which has the layers of the last image: to get one out of the engine
//! means to get all of them.

use super::{Found, Parts, Place, Saved};
use crate::Site;
use crate::exit::{Code, Failure, OrFail as _, fail};
use lifecycle::{KeptLayer, LayerTar, LayerTars as _, VolumeCache};
use oci::docker::Engine;
use oci::{Digest, Image, ImageName, chain_ids};
use std::collections::{HashMap, HashSet};
use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{OnceLock, mpsc};
use tempfile::NamedTempFile;

const SOCKET: &str = "/var/run/docker.sock";

pub(super) struct Daemon {
    engine: Engine,
    launch_cache: Option<PathBuf>,
    /// Opened when it is first needed: by then this program's user is the build's.
    opened: OnceLock<Option<VolumeCache>>,
}

impl Daemon {
    /// Connects while this program may open the socket, and sees to it that it may go on doing so.
    pub(super) fn open(site: &Site) -> Result<Self, Failure> {
        let said = std::env::var("DOCKER_HOST").ok().filter(|it| !it.is_empty());
        let host = said.unwrap_or_else(|| format!("unix://{SOCKET}"));
        let engine = match host.strip_prefix("unix://") {
            Some(path) => Engine::connect_through(&host, dialer(path.into())).or_fail(Code::Failed)?,
            None => Engine::connect(Some(&host))
                .or_fail(Code::Failed)?
                .ok_or_else(|| fail(Code::Failed, format!("no Docker engine answers at {host}")))?,
        };
        let launch_cache = site.inputs.some_path("launch-cache");
        Ok(Self { engine, launch_cache, opened: OnceLock::new() })
    }

    fn launch_cache(&self) -> Option<&VolumeCache> {
        let open = || VolumeCache::open(self.launch_cache.as_deref()?).ok();
        self.opened.get_or_init(open).as_ref()
    }

    /// The chain ids that the engine has for certain: those of images that it was asked for just now.
    fn known(&self, image: &Image, parts: &Parts<'_>) -> HashSet<Digest> {
        // Containerd's store goes by blobs, which an engine does not tell of.
        if self.engine.version().containerd_store {
            return HashSet::new();
        }
        let wanted = chain_ids(image.diff_ids());
        let of_image = |it: &&Found| chain_ids(it.image.diff_ids());
        let there: HashSet<Digest> = parts.images.iter().flat_map(of_image).collect();
        wanted.into_iter().filter(|it| there.contains(it)).collect()
    }

    /// Layers that are nowhere on this disk, out of the engine's own images.
    fn fetch(
        &self,
        missing: Vec<Digest>,
        parts: &Parts<'_>,
    ) -> Result<HashMap<Digest, NamedTempFile>, String> {
        let mut fetched = HashMap::new();
        let mut missing = missing;
        for found in parts.images {
            let (here, elsewhere): (Vec<Digest>, Vec<Digest>) =
                missing.into_iter().partition(|it| found.image.diff_ids().contains(it));
            missing = elsewhere;
            if !here.is_empty() {
                let dir = std::env::temp_dir();
                fetched.extend(self.engine.layers(&found.reference, &here, &dir).map_err(said)?);
            }
        }
        Ok(fetched)
    }

    fn keep_launch_layers(
        &self,
        image: &Image,
        parts: &Parts<'_>,
        find: &dyn Fn(&Digest) -> Option<PathBuf>,
    ) -> Result<(), String> {
        let Some(cache) = self.launch_cache() else { return Ok(()) };
        let base = parts.images.first().map_or(0, |it| it.image.diff_ids().len());
        let own = image.diff_ids().iter().skip(base).copied();
        let own = own.filter(|it| find(it).is_some()).map(|diff_id| KeptLayer { diff_id, literal: None });
        let own: Vec<KeptLayer> = own.collect();
        let open = |diff_id: &Digest| {
            let path = find(diff_id).ok_or(io::ErrorKind::NotFound)?;
            let file = BufReader::with_capacity(1 << 16, fs_err::File::open(path)?);
            Ok(LayerTar::Stream(oci::layer_tar(file)?))
        };
        cache.replace(None, &own, &open).map_err(said)
    }
}

/// Opens connections in a thread that keeps the privileges which this program starts with; nothing else is done there.
fn dialer(path: PathBuf) -> impl Fn() -> io::Result<UnixStream> + Send + Sync + 'static {
    type Answer = mpsc::Sender<io::Result<UnixStream>>;
    let (ask, asked) = mpsc::channel::<Answer>();
    std::thread::spawn(move || {
        for answer in asked {
            // Whoever asked is gone, or gets it.
            let _ = answer.send(UnixStream::connect(&path));
        }
    });
    move || {
        let (answer, answered) = mpsc::channel();
        let gone = || io::Error::other("the thread that opens connections is gone");
        ask.send(answer).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Place for Daemon {
    fn find(&self, name: &str) -> Result<Option<Found>, String> {
        let found = self.engine.image(name).map_err(said)?;
        Ok(found.map(|it| Found { reference: it.id, image: it.image }))
    }

    fn unpack(&self, found: &Found, diff_id: &Digest, at: &Path, into: &Path) -> Result<(), String> {
        if let Some(cache) = self.launch_cache()
            && cache.tar(diff_id).map_err(said)?.is_some()
        {
            return cache.unpack(diff_id, at, into);
        }
        let dir = std::env::temp_dir();
        let tars = self.engine.layers(&found.reference, &[*diff_id], &dir).map_err(said)?;
        let tar = tars.get(diff_id).ok_or_else(|| format!("{} has no layer {diff_id}", found.reference))?;
        oci::unpack_part(BufReader::new(tar.reopen().map_err(said)?), diff_id, at, into).map_err(said)
    }

    fn save(&self, image: &Image, parts: &Parts<'_>, names: &[ImageName]) -> Result<Saved, String> {
        let have = self.known(image, parts);
        let caches: Vec<&VolumeCache> = self.launch_cache().into_iter().chain(parts.kept).collect();
        let on_disk = |diff_id: &Digest| {
            let made = parts.store.blob_of(diff_id).ok().map(|it| parts.store.blob_path(&it));
            let cached = || caches.iter().find_map(|it| it.whole(diff_id).ok().flatten());
            made.filter(|it| it.exists()).or_else(cached)
        };
        let chains = chain_ids(image.diff_ids());
        let layers = image.diff_ids().iter().zip(&chains);
        let missing = layers.filter(|(it, chain)| !have.contains(chain) && on_disk(it).is_none());
        let fetched = self.fetch(missing.map(|(it, _)| *it).collect(), parts)?;
        let find = |diff_id: &Digest| {
            on_disk(diff_id).or_else(|| fetched.get(diff_id).map(|it| it.path().to_owned()))
        };
        let image_id = self.engine.load_files(image, names, &have, &find).map_err(said)?;
        self.keep_launch_layers(image, parts, &find)?;
        Ok(Saved { digest: String::new(), image_id })
    }

    fn takes_tars(&self) -> bool {
        true
    }

    fn can_read(&self, name: &ImageName) -> Result<bool, String> {
        Ok(self.engine.image(&name.short()).map_err(said)?.is_some())
    }

    fn can_write(&self, _: &ImageName) -> Result<(), String> {
        Ok(())
    }
}
