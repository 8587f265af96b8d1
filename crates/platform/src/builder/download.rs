//! A buildpack's file from the web, kept in the store's `downloads/buildpacks` under its address.

use crate::event::{Event, Events};
use crate::images::PullPolicy;
use crate::world::{World, WorldError};
use oci::Digest;
use oci::registry::{Fetched, FileError, FileRequest, shown};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// More bytes than any buildpack has; Java's, with all that it brings along, have some hundred million.
const LIMIT: u64 = 2 << 30;

/// What stands behind `#` in an address: the file's digest.
const PIN: &str = "sha256=";

/// A file that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The server does not give it.
    #[error(transparent)]
    File(#[from] FileError),
    /// The registries' settings, which count here too, are wrong.
    #[error(transparent)]
    World(#[from] Box<WorldError>),
    /// It is not here, and nobody may be asked.
    #[error("{0} is not in the store, and nothing is downloaded with --pull-policy never")]
    NotInStore(String),
    /// It is another file than the address says.
    #[error("{place} has the digest {found}, and the address says sha256={expected}")]
    WrongContent {
        /// The address.
        place: String,
        /// By the address.
        expected: String,
        /// By its bytes.
        found: Digest,
    },
    /// It cannot be kept.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What is noted of a file.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    url: String,
    etag: Option<String>,
    sha256: Digest,
}

/// A file of an address, downloaded where what is here is not the newest; its path here and its name for people.
pub(super) fn file(
    world: &World,
    address: &str,
    policy: PullPolicy,
    events: Events<'_>,
) -> Result<(PathBuf, String), DownloadError> {
    let (url, pin) = match address.split_once('#') {
        Some((url, fragment)) => (url, fragment.strip_prefix(PIN)),
        None => (address, None),
    };
    let kept = Kept::of(world, url);
    let place = shown(url);
    let file = match (kept.note(), policy) {
        (None, PullPolicy::Never) => return Err(DownloadError::NotInStore(place)),
        // A file that is known by its digest does not change.
        (Some(note), _) if pin.is_some_and(|it| it == note.sha256.hex()) => note.sha256,
        (Some(note), PullPolicy::Never | PullPolicy::IfNotPresent) => note.sha256,
        (note, _) => match kept.fetch(world, url, note.as_ref(), events) {
            Ok(digest) => digest,
            Err(error) => {
                let note =
                    note.filter(|_| matches!(error, DownloadError::File(FileError::Unreachable { .. })));
                let Some(note) = note else { return Err(error) };
                let reason = crate::error::chain(&error);
                events(Event::Warning { text: format!("{reason}; the store's own copy is taken") });
                note.sha256
            }
        },
    };
    match pin {
        Some(pin) if pin != file.hex() => {
            Err(DownloadError::WrongContent { place, expected: pin.to_owned(), found: file })
        }
        _ => Ok((kept.file, place)),
    }
}

/// Where a file is kept, and what is noted of it.
struct Kept {
    dir: PathBuf,
    file: PathBuf,
    note: PathBuf,
}

impl Kept {
    fn of(world: &World, url: &str) -> Self {
        let dir = world.store.downloads().join("buildpacks");
        let name = Digest::of(url).hex();
        Self { file: dir.join(&name), note: dir.join(format!("{name}.json")), dir }
    }

    /// What is noted, when the file is what was noted.
    fn note(&self) -> Option<Note> {
        [&self.file, &self.note].into_iter().for_each(|it| oci::download_used(it));
        let note: Note = serde_json::from_slice(&oci::bounded::read(&self.note).ok()?).ok()?;
        (digest(&self.file).ok()? == note.sha256).then_some(note)
    }

    fn fetch(
        &self,
        world: &World,
        url: &str,
        known: Option<&Note>,
        events: Events<'_>,
    ) -> Result<Digest, DownloadError> {
        fs_err::create_dir_all(&self.dir)?;
        if url.starts_with("http://") {
            let text =
                format!("{} comes without TLS: anybody on its way here may have changed it", shown(url));
            events(Event::Warning { text });
        }
        let name = url.rsplit('/').next().unwrap_or(url).split('?').next().unwrap_or_default().to_owned();
        let moved = |received, size| {
            events(Event::Downloading { kind: "package", name: name.clone(), received, size });
        };
        let request = FileRequest { url, etag: known.and_then(|it| it.etag.as_deref()), limit: LIMIT };
        let mut part = tempfile::Builder::new().prefix(".part-").tempfile_in(&self.dir)?;
        let client = world.registries().map_err(Box::new)?;
        let etag = match (client.file(request, part.as_file_mut(), &moved)?, known) {
            (Fetched::Unchanged, Some(note)) => return Ok(note.sha256),
            (Fetched::Unchanged, None) => None,
            (Fetched::Written { etag }, _) => etag,
        };
        let sha256 = digest(part.path())?;
        let bytes = part.as_file().metadata()?.len();
        part.persist(&self.file).map_err(|error| error.error)?;
        let note = Note { url: shown(url), etag, sha256 };
        let json = serde_json::to_vec(&note).map_err(std::io::Error::other)?;
        crate::files::write(&self.note, &mut json.as_slice())?;
        events(Event::Downloaded { kind: "package", name, bytes });
        Ok(sha256)
    }
}

fn digest(file: &Path) -> std::io::Result<Digest> {
    Digest::of_reader(fs_err::File::open(file)?)
}
