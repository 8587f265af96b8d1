//! Locked packages from the mirrors into the cache, a few at a time.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::event::{Event, Kind};
use crate::lock::LockedPackage;
use crate::transfer::{Client, Mirrors, TransferError, Want, is_intact};

/// So many downloads at once: enough to hide latency, few enough for a mirror's manners.
const PARALLEL: usize = 4;

/// Why a locked package could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Every mirror answers, and none has that version any more.
    #[error(
        "no mirror has {name} {version} any more ({}); take newer versions (`--update`), or add a mirror that keeps old ones",
        .urls.join(", ")
    )]
    Vanished {
        /// The package.
        name: String,
        /// The locked version.
        version: String,
        /// Every address that was tried.
        urls: Vec<String>,
    },
    /// What a mirror sent is not what the lock names.
    #[error("{name} {version} was refused: {source}; nothing was kept of it")]
    WrongContent {
        /// The package.
        name: String,
        /// The locked version.
        version: String,
        /// Address and both digests.
        source: TransferError,
    },
    /// No mirror could be reached, or each broke off.
    #[error("cannot download {name} {version}: {source}")]
    Network {
        /// The package.
        name: String,
        /// The locked version.
        version: String,
        /// Address and reason.
        source: TransferError,
    },
    /// The cache cannot be written.
    #[error("cannot keep {name} in {}: {source}", .cache.display())]
    Io {
        /// The package.
        name: String,
        /// The cache folder.
        cache: PathBuf,
        /// What went wrong.
        source: TransferError,
    },
}

/// Brings every package into `cache` and returns their files in the same order; what is there and intact is not
/// downloaded again.
///
/// # Errors
/// The first failure; downloads that are already complete stay in the cache.
pub fn fetch(
    mirrors: &Mirrors,
    cache: &Path,
    packages: &[LockedPackage],
    report: &dyn Fn(Event),
) -> Result<Vec<PathBuf>, FetchError> {
    let paths: Vec<PathBuf> = packages.iter().map(|package| cache.join(package.cache_name())).collect();
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let first_error = Mutex::new(None);
    let client = Client::new();
    // Events cross to this thread, so that a caller's closure need not be shareable.
    let (events, received) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL.min(packages.len()) {
            let events = events.clone();
            let (next, failed, first_error, client, paths) = (&next, &failed, &first_error, &client, &paths);
            scope.spawn(move || {
                let report = |event| drop(events.send(event));
                while !failed.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(package), Some(path)) = (packages.get(at), paths.get(at)) else { return };
                    if let Err(error) = one(client, mirrors, package, path, &report) {
                        failed.store(true, Ordering::Relaxed);
                        keep_first(first_error, error);
                    }
                }
            });
        }
        drop(events);
        for event in received {
            report(event);
        }
    });
    match first_error.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(paths),
    }
}

fn keep_first(first: &Mutex<Option<FetchError>>, error: FetchError) {
    first.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(error);
}

fn one(
    client: &Client,
    mirrors: &Mirrors,
    package: &LockedPackage,
    path: &PathBuf,
    report: &dyn Fn(Event),
) -> Result<(), FetchError> {
    oci::download_used(path);
    if is_intact(path, package.size, &package.sha256) {
        report(Event::Cached { kind: Kind::Deb, name: package.name.clone() });
        return Ok(());
    }
    let want = Want { kind: Kind::Deb, name: &package.name, size: package.size, sha256: &package.sha256 };
    let urls = mirrors.urls(&package.suite, &package.filename);
    client.file(&urls, want, path, report).map_err(|source| {
        let (name, version) = (package.name.clone(), package.version.clone());
        match source {
            TransferError::NotFound { urls } => FetchError::Vanished { name, version, urls },
            TransferError::WrongContent { .. } => FetchError::WrongContent { name, version, source },
            TransferError::Io(_) => {
                let cache = path.parent().unwrap_or(Path::new(".")).to_owned();
                FetchError::Io { name, cache, source }
            }
            _ => FetchError::Network { name, version, source },
        }
    })
}
