//! The base of an app image: a run image of Debian packages, and what the build has besides, composed on first use.
//!
//! Two trees: the run image's, which apps run on, and above it the packages that only the build needs.

mod composition;
mod push;
pub(crate) mod update;
mod wanted;

pub(crate) use push::names as names_of_bases;
pub use push::{PushError, push};
pub use update::{Change, UpdateError, Updated, update};
pub use wanted::{PLAN_ENTRY, Wanted, WantedError};

use crate::event::{Event, Events};
use crate::isolation::GroundError;
use crate::lock::DebianLock;
use crate::world::World;
use cnb::analyzed::TargetData;
use cnb::buildpack_toml::Distro;
use debian::{Archive, LockedPackage, Release, Wishes};
use oci::{Digest, Image, ImageName, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Part of each base's key: a base that an older way of composing made is not taken for one of today's.
const COMPOSITION: u32 = 1;

/// The registry in the names of bases that were never pushed: no registry can be called so.
pub const LOCAL_REGISTRY: &str = "packlight.invalid";

/// A base that is ready.
#[derive(Debug)]
pub struct Base {
    /// Its packages.
    pub lock: DebianLock,
    /// What apps stand on.
    pub run_image: Image,
    /// The run image, unpacked.
    pub run_tree: PathBuf,
    /// What the build has besides, to be stacked above it.
    pub build_tree: PathBuf,
    /// What apps run on.
    pub target: TargetData,
    /// The name under which it was pushed.
    pub name: Option<ImageName>,
}

/// Why there is no base.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// What the buildpacks ask for makes no sense.
    #[error(transparent)]
    Wanted(#[from] WantedError),
    /// The archive's index cannot be had or trusted.
    #[error("the index of the Debian archive cannot be used")]
    Archive(#[from] debian::ArchiveError),
    /// There is no such set of packages.
    #[error(transparent)]
    Resolve(#[from] debian::ResolveError),
    /// A package cannot be had.
    #[error(transparent)]
    Fetch(#[from] debian::FetchError),
    /// The packages cannot be put together.
    #[error(transparent)]
    Compose(#[from] debian::ComposeError),
    /// One of the base's own programs failed.
    #[error("{what} failed in the new base with {status}: {output}")]
    Finish {
        /// What was to be done.
        what: &'static str,
        /// How it ended.
        status: lifecycle::ExitStatus,
        /// What it printed.
        output: String,
    },
    /// This machine does not allow the sandbox.
    #[error(transparent)]
    Forbidden(#[from] sandbox::Forbidden),
    /// The sandbox could not be made.
    #[error(transparent)]
    Sandbox(#[from] sandbox::SandboxError),
    /// The store could not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The base could not become a layer.
    #[error(transparent)]
    Layer(#[from] oci::LayerError),
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl From<GroundError> for BaseError {
    fn from(error: GroundError) -> Self {
        match error {
            GroundError::Forbidden(error) => Self::Forbidden(error),
            GroundError::Store(error) => Self::Store(error),
        }
    }
}

/// What is written down of a base that is ready: `bases/<key>/base.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    run_image: Digest,
    run_layer: Digest,
    lock: DebianLock,
}

/// The base with these packages: taken from the store, or composed. `pins` are orders when they are for the same
/// wishes, preferences when they are for others.
///
/// # Errors
/// When the packages cannot be had, trusted or put together.
pub fn obtain(
    world: &World,
    wanted: &Wanted,
    pins: Option<&DebianLock>,
    events: Events<'_>,
) -> Result<Base, BaseError> {
    let release = wanted.release()?;
    let lock = match pins.filter(|it| wanted.is_met_by(it)) {
        Some(lock) => lock.clone(),
        None => resolve(world, release, wanted, pins, events)?,
    };
    let key = key(&lock);
    let dir = world.store.root().join("bases").join(key.hex());
    if dir.join("base.json").exists() {
        match open(world, lock.clone(), &dir) {
            Err(BaseError::Store(
                error @ (StoreError::Missing { .. }
                | StoreError::Corrupt { .. }
                | StoreError::UnknownLayer { .. }),
            )) => {
                events(Event::Warning {
                    text: format!("the base is damaged ({error}); it is composed anew"),
                });
                sandbox::remove_tree(&dir)?;
            }
            opened => return opened,
        }
    }
    composition::compose(world, &lock, &dir, events)?;
    open(world, lock, &dir)
}

/// Settles on packages of the archive: the newest, but for those that `pins` names, which keep their version as long
/// as the archive has it and the others get on with it.
///
/// # Errors
/// When the index cannot be had or trusted, or there is no such set of packages.
pub fn resolve(
    world: &World,
    release: &'static Release,
    wanted: &Wanted,
    pins: Option<&DebianLock>,
    events: Events<'_>,
) -> Result<DebianLock, BaseError> {
    let archive = Archive {
        release,
        mirrors: world.settings.mirrors(Path::new("/etc/apt")),
        cache: world.store.downloads().join("debian"),
        now: jiff::Timestamp::now(),
        allow_expired: world.settings.debian.allow_expired,
    };
    let index = debian::refresh(&archive, &downloads(events))?;
    let pins = pins.filter(|it| it.release == release.name);
    let locked: Vec<LockedPackage> =
        pins.map(|it| [it.run.clone(), it.build.clone()].concat()).unwrap_or_default();
    let run: Vec<&str> = names(release.run_core, &wanted.run);
    let build: Vec<&str> = names(&[], &wanted.build);
    let settled = debian::settle(&index, Wishes { run: &run, build: &build }, &locked)?;
    for it in &settled.moved {
        let text =
            format!("{} {} could not stay as locked ({}): {} is taken", it.name, it.from, it.why, it.to);
        events(Event::Notice { text });
    }
    Ok(DebianLock {
        release: release.name.to_owned(),
        wanted_run: wanted.run.clone(),
        wanted_build: wanted.build.clone(),
        run: settled.run,
        build: settled.build,
    })
}

fn names<'a>(core: &[&'static str], more: &'a [String]) -> Vec<&'a str> {
    core.iter().copied().chain(more.iter().map(String::as_str)).collect()
}

/// What makes one base another: its packages, and how they are put together and packed.
fn key(lock: &DebianLock) -> Digest {
    let mut text = format!("{COMPOSITION} {}\n{}\n", oci::LAYER_ENCODING, lock.release);
    for (part, packages) in [("run", &lock.run), ("build", &lock.build)] {
        for package in packages {
            text.push_str(&format!("{part} {} {}\n", package.name, package.sha256));
        }
    }
    Digest::of(text)
}

fn open(world: &World, lock: DebianLock, dir: &Path) -> Result<Base, BaseError> {
    let record = read_record(dir)?;
    let run_image = world.store.image_by_digest(&record.run_image)?;
    let run_tree = world.store.unpacked(&record.run_layer)?;
    let target = target(&lock);
    let name = push::name(dir);
    Ok(Base { lock, run_image, run_tree, build_tree: dir.join("build"), target, name })
}

/// What apps on this base run on, in Go's words.
fn target(lock: &DebianLock) -> TargetData {
    let version = match lock.release.as_str() {
        "bookworm" => "12",
        "trixie" => "13",
        _ => "",
    };
    TargetData {
        id: format!("packlight.{}", lock.release),
        os: "linux".to_owned(),
        arch: "amd64".to_owned(),
        arch_variant: String::new(),
        distro: Some(Distro { name: "debian".to_owned(), version: version.to_owned() }),
    }
}

/// Downloads, as the platform's events.
fn downloads<'a>(events: Events<'a>) -> impl Fn(debian::Event) + Sync + 'a {
    let received: std::sync::Mutex<BTreeMap<String, (u64, Option<u64>)>> = std::sync::Mutex::default();
    move |event| {
        let Ok(mut files) = received.lock() else { return };
        match event {
            debian::Event::Started { name, size, .. } => {
                files.insert(name, (0, size));
            }
            debian::Event::Received { kind, name, bytes } => {
                let entry = files.entry(name.clone()).or_default();
                entry.0 += bytes;
                events(Event::Downloading { kind: word(kind), name, received: entry.0, size: entry.1 });
            }
            debian::Event::Finished { kind, name } => {
                let (bytes, _) = files.remove(&name).unwrap_or_default();
                events(Event::Downloaded { kind: word(kind), name, bytes });
            }
            debian::Event::Retry { url, reason } => {
                events(Event::Notice { text: format!("{url}: {reason}; trying again") });
            }
            debian::Event::Warning(text) => events(Event::Warning { text }),
            debian::Event::Cached { .. } => {}
        }
    }
}

fn word(kind: debian::Kind) -> &'static str {
    match kind {
        debian::Kind::Index => "index",
        debian::Kind::Deb => "package",
    }
}

/// Forgets every base on which no image of the store stands.
///
/// # Errors
/// When the store cannot be read, or a base not be removed.
pub fn forget_unused(store: &oci::Store) -> Result<(), BaseError> {
    let mut used = std::collections::BTreeSet::new();
    let (bases, apps): (Vec<_>, Vec<_>) =
        store.images()?.into_iter().partition(|it| it.name.registry == LOCAL_REGISTRY);
    for app in apps {
        used.extend(store.image_by_digest(&app.image)?.diff_ids().iter().copied());
    }
    let mut unused = std::collections::BTreeSet::new();
    for base in bases {
        let stands = store.image_by_digest(&base.image)?.diff_ids().iter().all(|it| used.contains(it));
        if !stands {
            store.untag(&base.name)?;
            unused.insert(base.image);
        }
    }
    for dir in listed(store)? {
        if unused.contains(&read_record(&dir)?.run_image) {
            sandbox::remove_tree(&dir)?;
        }
    }
    Ok(())
}

/// The bases that are ready: a directory each.
fn listed(store: &oci::Store) -> Result<Vec<PathBuf>, BaseError> {
    let dir = store.root().join("bases");
    let mut found = Vec::new();
    if dir.exists() {
        for entry in fs_err::read_dir(&dir)? {
            found.push(entry?.path());
        }
    }
    found.sort();
    Ok(found)
}

fn read_record(dir: &Path) -> Result<Record, BaseError> {
    let text = fs_err::read(dir.join("base.json"))?;
    Ok(serde_json::from_slice(&text).map_err(std::io::Error::other)?)
}

/// One base of the store, for people.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Code name of the release.
    pub release: String,
    /// The run image's digest.
    pub run_image: String,
    /// The name under which it was pushed; none: images on it can be rebased in this store only.
    pub name: Option<String>,
    /// Compressed bytes of the run image.
    pub size: u64,
    /// Names and versions of the run image's packages.
    pub packages: Vec<(String, String)>,
    /// Images that stand on it.
    pub images: Vec<String>,
}

/// The bases of the store.
///
/// # Errors
/// When the store cannot be read.
pub fn list(store: &oci::Store) -> Result<Vec<Summary>, BaseError> {
    let images = store.images()?;
    listed(store)?
        .into_iter()
        .map(|dir| {
            let record = read_record(&dir)?;
            let run_image = store.image_by_digest(&record.run_image)?;
            let mut on_it = Vec::new();
            for image in images.iter().filter(|it| it.name.registry != LOCAL_REGISTRY) {
                if store.image_by_digest(&image.image)?.diff_ids().starts_with(run_image.diff_ids()) {
                    on_it.push(image.name.short());
                }
            }
            Ok(Summary {
                release: record.lock.release.clone(),
                run_image: run_image.digest().to_string(),
                name: push::name(&dir).map(|it| it.short()),
                size: run_image.size(),
                packages: record.lock.run.iter().map(|it| (it.name.clone(), it.version.clone())).collect(),
                images: on_it,
            })
        })
        .collect()
}
