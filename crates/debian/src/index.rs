//! The signed index of a release: fetched, verified, and kept as the few fields that resolution needs.
//!
//! A suite's `InRelease` is fetched each time (a few tens of kilobytes) and verified with pinned keys; it names the
//! SHA-256 of `Packages.xz`, which is the key of the cache, so an unchanged suite costs no further download.
//! <https://wiki.debian.org/DebianRepository/Format>

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use fs_err as fs;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::control::Paragraph;
use crate::event::{Event, Kind};
use crate::packages::{PackageIndex, slim};
use crate::release::Release;
use crate::signature::{self, CLOCK_SKEW, SignatureError};
use crate::transfer::{Client, Mirrors, TransferError, Want, hex};

/// Where and when a release's index is read.
#[derive(Debug, Clone)]
pub struct Archive {
    /// The release.
    pub release: &'static Release,
    /// The mirrors to ask.
    pub mirrors: Mirrors,
    /// A folder for downloads, made on demand; may be emptied at any time.
    pub cache: PathBuf,
    /// The time by which signatures and `Valid-Until` are judged.
    pub now: Timestamp,
    /// Accept an index whose `Valid-Until` has passed, with a warning: for a mirror that stands still.
    pub allow_expired: bool,
}

/// Why an index was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The signature of a suite's `InRelease`.
    #[error("the index of {suite} was refused: {source}")]
    Signature {
        /// The suite.
        suite: String,
        /// What is wrong with it.
        source: SignatureError,
    },
    /// `Valid-Until` has passed.
    #[error(
        "the index of {suite} expired on {valid_until}: the mirror stands still, or somebody replays an old index; \
         take another mirror, or allow an expired index explicitly"
    )]
    Expired {
        /// The suite.
        suite: String,
        /// Its `Valid-Until`.
        valid_until: Timestamp,
    },
    /// `Date` lies ahead of this machine's clock.
    #[error("the index of {suite} is dated {date}, which lies in the future: check this machine's clock")]
    FromTheFuture {
        /// The suite.
        suite: String,
        /// Its `Date`.
        date: Timestamp,
    },
    /// A mirror answered with the index of another suite.
    #[error("the mirror's index of {suite} is that of {found}")]
    WrongSuite {
        /// The suite that was asked for.
        suite: String,
        /// The code name that the signed file gives.
        found: String,
    },
    /// A signed file that does not hold what it should.
    #[error("the index of {suite} cannot be read: {reason}")]
    Unreadable {
        /// The suite.
        suite: String,
        /// What is missing or wrong.
        reason: String,
    },
    /// A file of the index could not be had.
    #[error("the index of {suite} cannot be had: {source}")]
    Transfer {
        /// The suite.
        suite: String,
        /// Not found, no network, or wrong content.
        source: TransferError,
    },
    /// The cache cannot be used.
    #[error("the cache of package indexes cannot be used")]
    Io(#[from] std::io::Error),
}

/// No index that Debian signs comes near to it.
const INRELEASE_LIMIT: u64 = 16 << 20;
/// Fetches and verifies the index of every suite of the release.
///
/// # Errors
/// The first suite's failure, in the order of the release's suites.
pub fn refresh(archive: &Archive, report: &dyn Fn(Event)) -> Result<PackageIndex, ArchiveError> {
    let suites: Vec<&'static str> =
        archive.release.archive_suites.iter().chain(archive.release.security_suites).copied().collect();
    let client = Client::new();
    let (events, received) = mpsc::channel();
    let texts = std::thread::scope(|scope| {
        let handles: Vec<_> = suites
            .iter()
            .map(|suite| {
                let (events, client) = (events.clone(), &client);
                let report = move |event| drop(events.send(event));
                scope.spawn(move || refresh_suite(archive, client, suite, &report))
            })
            .collect();
        drop(events);
        for event in received {
            report(event);
        }
        let joined = handles.into_iter().map(|handle| {
            handle
                .join()
                .unwrap_or_else(|_| Err(std::io::Error::other("a thread that reads the index died").into()))
        });
        joined.collect::<Result<Vec<_>, _>>()
    })?;
    PackageIndex::build(archive.release, suites.into_iter().zip(texts).collect())
}

fn refresh_suite(
    archive: &Archive,
    client: &Client,
    suite: &str,
    report: &dyn Fn(Event),
) -> Result<String, ArchiveError> {
    let signed = signed_index(archive, client, suite, report)?;
    let mut text = String::new();
    for component in archive.release.components {
        for architecture in archive.release.architectures {
            let name = format!("{component}/binary-{architecture}/Packages.xz");
            let (sha256, size) = listed(&signed, &name).ok_or_else(|| ArchiveError::Unreadable {
                suite: suite.to_owned(),
                reason: format!("it lists no {name}"),
            })?;
            let listing = Listing { suite, name: &name, sha256: &sha256, size };
            text.push_str(&packages(archive, client, &listing, report)?);
        }
    }
    Ok(text)
}

/// The verified text of a suite's `InRelease`.
fn signed_index(
    archive: &Archive,
    client: &Client,
    suite: &str,
    report: &dyn Fn(Event),
) -> Result<String, ArchiveError> {
    let name = format!("{suite} InRelease");
    report(Event::Started { kind: Kind::Index, name: name.clone(), size: None });
    let urls = archive.mirrors.urls(suite, &format!("dists/{suite}/InRelease"));
    let bytes = client
        .small(&urls, &name, INRELEASE_LIMIT)
        .map_err(|source| ArchiveError::Transfer { suite: suite.to_owned(), source })?;
    report(Event::Received { kind: Kind::Index, name: name.clone(), bytes: bytes.len() as u64 });
    let message = String::from_utf8(bytes).map_err(|_| ArchiveError::Unreadable {
        suite: suite.to_owned(),
        reason: "it is not text".to_owned(),
    })?;
    if message.trim_start().starts_with('<') {
        let reason =
            "a web page came in its place; does this network want a login in a browser first?".to_owned();
        return Err(ArchiveError::Unreadable { suite: suite.to_owned(), reason });
    }
    let text = signature::verify(&message, archive.release.keys, archive.now)
        .map_err(|source| ArchiveError::Signature { suite: suite.to_owned(), source })?;
    judge(archive, suite, Paragraph(&text), report)?;
    report(Event::Finished { kind: Kind::Index, name });
    Ok(text)
}

/// Is this signed index the one that was asked for, and of today?
fn judge(
    archive: &Archive,
    suite: &str,
    index: Paragraph<'_>,
    report: &dyn Fn(Event),
) -> Result<(), ArchiveError> {
    let unreadable = |reason: String| ArchiveError::Unreadable { suite: suite.to_owned(), reason };
    let found = index.get("Codename").ok_or_else(|| unreadable("it has no code name".to_owned()))?;
    // The security archive names its suite `trixie-security` or, in older days, `trixie`; the signer differs anyway.
    if found != suite {
        return Err(ArchiveError::WrongSuite { suite: suite.to_owned(), found: found.to_owned() });
    }
    let date =
        index.get("Date").and_then(parse_date).ok_or_else(|| unreadable("it has no date".to_owned()))?;
    if date.as_second() > archive.now.as_second() + CLOCK_SKEW {
        return Err(ArchiveError::FromTheFuture { suite: suite.to_owned(), date });
    }
    let Some(valid_until) = index.get("Valid-Until") else { return Ok(()) };
    let valid_until = parse_date(valid_until)
        .ok_or_else(|| unreadable(format!("Valid-Until is no date: {valid_until}")))?;
    if valid_until >= archive.now {
        return Ok(());
    }
    if archive.allow_expired {
        report(Event::Warning(format!("the index of {suite} expired on {valid_until}; accepted as asked")));
        return Ok(());
    }
    Err(ArchiveError::Expired { suite: suite.to_owned(), valid_until })
}

/// `Sat, 21 Nov 2026 09:15:44 UTC`
pub(crate) fn parse_date(date: &str) -> Option<Timestamp> {
    let date = date.trim().replace("UTC", "+0000");
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(&date).ok()
}

/// SHA-256 and size of a file, from the signed list.
pub(crate) fn listed(index: &str, name: &str) -> Option<(String, u64)> {
    let files = Paragraph(index).get("SHA256")?;
    files.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (sha256, size, file) = (words.next()?, words.next()?, words.next()?);
        let sound = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        (file == name && sound).then(|| Some((sha256.to_lowercase(), size.parse().ok()?)))?
    })
}

struct Listing<'a> {
    suite: &'a str,
    name: &'a str,
    sha256: &'a str,
    size: u64,
}

/// The kept fields of a `Packages` file, from the cache if it has this very file.
fn packages(
    archive: &Archive,
    client: &Client,
    listing: &Listing<'_>,
    report: &dyn Fn(Event),
) -> Result<String, ArchiveError> {
    let Listing { suite, name, sha256, size } = *listing;
    let label = format!("{suite} Packages");
    let kept = archive.cache.join(format!("{sha256}.packages"));
    if let Some(text) = read_kept(&kept) {
        report(Event::Cached { kind: Kind::Index, name: label });
        return Ok(text);
    }
    let directory = Path::new(name).parent().map(|it| it.display().to_string()).unwrap_or_default();
    // By hash first: it cannot change between two requests. The plain name is for mirrors made with simple tools.
    let by_hash = archive.mirrors.urls(suite, &format!("dists/{suite}/{directory}/by-hash/SHA256/{sha256}"));
    let plain = archive.mirrors.urls(suite, &format!("dists/{suite}/{name}"));
    let urls: Vec<String> =
        by_hash.into_iter().zip(plain).flat_map(|(first, second)| [first, second]).collect();
    // A folder of its own: another process may be fetching the same file into the same cache.
    fs::create_dir_all(&archive.cache)?;
    let folder = tempfile::Builder::new().prefix(".index-").tempdir_in(&archive.cache)?;
    let compressed = folder.path().join("Packages.xz");
    let want = Want { kind: Kind::Index, name: &label, size, sha256 };
    client
        .file(&urls, want, &compressed, report)
        .map_err(|source| ArchiveError::Transfer { suite: suite.to_owned(), source })?;
    let unreadable = |error: std::io::Error| ArchiveError::Unreadable {
        suite: suite.to_owned(),
        reason: format!("{name}: {error}"),
    };
    let text = slim(fs::File::open(&compressed)?).map_err(unreadable)?;
    write_kept(&kept, &text)?;
    Ok(text)
}

/// The kept form ends with its own digest, so that a file cut short by a crash is not believed.
fn read_kept(path: &Path) -> Option<String> {
    oci::download_used(path);
    let mut text = fs::read_to_string(path).ok()?;
    let at = text.len().checked_sub(64)?;
    if !text.is_char_boundary(at) || hex(&Sha256::digest(text.get(..at)?.as_bytes())) != text.get(at..)? {
        return None;
    }
    text.truncate(at);
    Some(text)
}

fn write_kept(path: &Path, text: &str) -> Result<(), std::io::Error> {
    use std::io::Write as _;
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut part = tempfile::Builder::new().prefix(".part-").tempfile_in(folder)?;
    part.write_all(text.as_bytes())?;
    part.write_all(hex(&Sha256::digest(text.as_bytes())).as_bytes())?;
    part.persist(path).map_err(|error| error.error)?;
    Ok(())
}
