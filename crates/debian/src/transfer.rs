//! Files from mirrors: `http(s)://` and `file://`, tried in order, resumed, and believed only by size and SHA-256.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use sha2::{Digest, Sha256};

use crate::event::{Event, Kind};
use crate::proxy::Ways;

/// Base addresses of Debian mirrors, tried in order; `http://`, `https://` and `file://` work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors {
    /// Of the main archive: below it stand `dists/trixie` and `pool/`.
    pub archive: Vec<String>,
    /// Of the security archive: below it stand `dists/trixie-security` and `pool/`.
    pub security: Vec<String>,
}

impl Mirrors {
    /// The addresses at which `path` of a suite may be found.
    pub(crate) fn urls(&self, suite: &str, path: &str) -> Vec<String> {
        let bases = if suite.ends_with("-security") { &self.security } else { &self.archive };
        bases.iter().map(|base| format!("{}/{path}", base.trim_end_matches('/'))).collect()
    }
}

/// Why a file could not be had from any mirror; of several mirrors' failures the most telling one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// There is no mirror to ask.
    #[error("no mirror is set for {name}")]
    NoMirror {
        /// What was looked for.
        name: String,
    },
    /// Every mirror answered that it has no such file.
    #[error("no mirror has it: {} not found", .urls.join(", "))]
    NotFound {
        /// Every address that was tried.
        urls: Vec<String>,
    },
    /// A mirror sent other bytes than the index or the lock names.
    #[error("{url} is not what was signed: expected {expected}, got {found}")]
    WrongContent {
        /// The address.
        url: String,
        /// Size or SHA-256 that was expected.
        expected: String,
        /// Size or SHA-256 that came.
        found: String,
    },
    /// No mirror could be reached, or each broke off; the last reason.
    #[error("cannot download {url}: {reason}")]
    Network {
        /// The last address that was tried.
        url: String,
        /// What went wrong there.
        reason: String,
    },
    /// The file could not be written here.
    #[error("cannot keep the download")]
    Io(#[from] std::io::Error),
}

impl TransferError {
    /// How much it says when another mirror failed in another way: wrong bytes before trouble before absence.
    fn weight(&self) -> u8 {
        match self {
            Self::Io(_) => 4,
            Self::WrongContent { .. } => 3,
            Self::Network { .. } => 2,
            Self::NotFound { .. } => 1,
            Self::NoMirror { .. } => 0,
        }
    }
}

/// What a file must be to be believed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Want<'a> {
    pub(crate) kind: Kind,
    pub(crate) name: &'a str,
    pub(crate) size: u64,
    pub(crate) sha256: &'a str,
}

/// Asks mirrors; cheap to clone and safe to share between threads.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
}

/// How often one mirror is asked again without any progress.
const ATTEMPTS: u32 = 3;
/// A reader of a mirror's answer, and the position at which it begins.
type Opened = (Box<dyn Read + Send>, u64);

enum Failure {
    NotFound,
    /// Worth another try at the same place.
    Passing(String),
    Final(String),
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::through(ureq::Proxy::try_from_env())
    }

    pub(crate) fn through(proxy: Option<ureq::Proxy>) -> Self {
        let ways = Ways::new(config(None));
        Self { agent: ureq::Agent::with_parts(config(proxy), ways, <oci::resolver::Names>::default()) }
    }

    /// Reads a small file from the first mirror that has it; nothing is verified here.
    pub(crate) fn small(&self, urls: &[String], name: &str, limit: u64) -> Result<Vec<u8>, TransferError> {
        let mut worst = None;
        for url in urls {
            match self.small_from(url, limit) {
                Ok(bytes) => return Ok(bytes),
                Err(error) => worst = Some(worse(worst, error)),
            }
        }
        Err(worst.unwrap_or_else(|| TransferError::NoMirror { name: name.to_owned() }))
    }

    fn small_from(&self, url: &str, limit: u64) -> Result<Vec<u8>, TransferError> {
        let mut reason = String::new();
        for attempt in 0..ATTEMPTS {
            pause(attempt);
            let opened = self.open(url, 0).and_then(|(reader, _)| {
                let mut bytes = Vec::new();
                reader
                    .take(limit)
                    .read_to_end(&mut bytes)
                    .map_err(|error| Failure::Passing(error.to_string()))?;
                Ok(bytes)
            });
            match opened {
                Ok(bytes) => return Ok(bytes),
                Err(Failure::NotFound) => return Err(TransferError::NotFound { urls: vec![url.to_owned()] }),
                Err(Failure::Final(why)) => {
                    return Err(TransferError::Network { url: url.to_owned(), reason: why });
                }
                Err(Failure::Passing(why)) => reason = why,
            }
        }
        Err(TransferError::Network { url: url.to_owned(), reason })
    }

    /// Downloads to `to`, which appears complete and verified or not at all.
    pub(crate) fn file(
        &self,
        urls: &[String],
        want: Want<'_>,
        to: &Path,
        report: &dyn Fn(Event),
    ) -> Result<(), TransferError> {
        let folder = to.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        report(Event::Started { kind: want.kind, name: want.name.to_owned(), size: Some(want.size) });
        let mut worst = None;
        for url in urls {
            let part = tempfile::Builder::new().prefix(".part-").tempfile_in(folder)?;
            let mut download = Download { client: self, url, want, report, part, hash: Sha256::new(), at: 0 };
            match download.run() {
                Ok(()) => {
                    download.part.persist(to).map_err(|error| error.error)?;
                    report(Event::Finished { kind: want.kind, name: want.name.to_owned() });
                    return Ok(());
                }
                Err(error @ TransferError::Io(_)) => return Err(error),
                // Not every mirror has every name of a file; when none has any, all are told.
                Err(error @ TransferError::NotFound { .. }) => worst = Some(worse(worst, error)),
                Err(error) => {
                    report(Event::Retry { url: url.clone(), reason: error.to_string() });
                    worst = Some(worse(worst, error));
                }
            }
        }
        Err(worst.unwrap_or_else(|| TransferError::NoMirror { name: want.name.to_owned() }))
    }

    fn open(&self, url: &str, from: u64) -> Result<Opened, Failure> {
        if let Some(path) = url.strip_prefix("file://") {
            return open_file(Path::new(path), from);
        }
        let mut request = self.agent.get(url).header("Accept-Encoding", "identity");
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        let response = request.call().map_err(|error| match error {
            ureq::Error::BadUri(_) | ureq::Error::Tls(_) | ureq::Error::RequireHttpsOnly(_) => {
                Failure::Final(error.to_string())
            }
            _ => Failure::Passing(error.to_string()),
        })?;
        let start = match response.status().as_u16() {
            200 => 0,
            206 if from > 0 => from,
            404 | 410 => return Err(Failure::NotFound),
            status @ (408 | 425 | 429 | 500..=599) => {
                return Err(Failure::Passing(format!("HTTP status {status}")));
            }
            status => return Err(Failure::Final(format!("HTTP status {status}"))),
        };
        Ok((Box::new(response.into_body().into_reader()), start))
    }
}

fn config(proxy: Option<ureq::Proxy>) -> ureq::config::Config {
    let tls = ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::PlatformVerifier).build();
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(proxy)
        .timeout_connect(Some(Duration::from_secs(10)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        .timeout_recv_body(Some(Duration::from_secs(900)))
        .user_agent("packlight")
        .tls_config(tls)
        .build()
}

fn open_file(path: &Path, from: u64) -> Result<Opened, Failure> {
    let mut file = fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::NotFound,
        _ => Failure::Final(error.to_string()),
    })?;
    file.seek(SeekFrom::Start(from)).map_err(|error| Failure::Final(error.to_string()))?;
    Ok((Box::new(file), from))
}

/// The failure to tell of when mirrors failed in two ways; absences are added up.
fn worse(before: Option<TransferError>, error: TransferError) -> TransferError {
    match (before, error) {
        (Some(TransferError::NotFound { mut urls }), TransferError::NotFound { urls: more }) => {
            urls.extend(more);
            TransferError::NotFound { urls }
        }
        (Some(before), error) if before.weight() > error.weight() => before,
        (_, error) => error,
    }
}

fn pause(attempt: u32) {
    if attempt > 0 {
        std::thread::sleep(Duration::from_millis(150) * 3u32.saturating_pow(attempt - 1));
    }
}

/// One file from one mirror, with as many requests as it takes.
struct Download<'a> {
    client: &'a Client,
    url: &'a str,
    want: Want<'a>,
    report: &'a dyn Fn(Event),
    part: tempfile::NamedTempFile,
    hash: Sha256,
    at: u64,
}

impl Download<'_> {
    fn run(&mut self) -> Result<(), TransferError> {
        let mut attempt = 0;
        loop {
            pause(attempt);
            let before = self.at;
            let why = match self.more()? {
                None => return self.verify(),
                Some(Failure::NotFound) => {
                    return Err(TransferError::NotFound { urls: vec![self.url.to_owned()] });
                }
                Some(Failure::Final(reason)) => return Err(self.network(reason)),
                Some(Failure::Passing(reason)) => reason,
            };
            attempt = if self.at > before { 1 } else { attempt + 1 };
            if attempt >= ATTEMPTS {
                return Err(self.network(why));
            }
            (self.report)(Event::Retry { url: self.url.to_owned(), reason: why });
        }
    }

    /// Reads on from where the last request broke off. `None`: the file is all here.
    fn more(&mut self) -> Result<Option<Failure>, TransferError> {
        let (mut reader, start) = match self.client.open(self.url, self.at) {
            Ok(opened) => opened,
            Err(failure) => return Ok(Some(failure)),
        };
        if start != self.at {
            self.restart()?;
        }
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let count = match reader.read(&mut buffer) {
                Ok(0) if self.at == self.want.size => return Ok(None),
                Ok(0) => {
                    let reason = format!("broke off after {} of {} bytes", self.at, self.want.size);
                    return Ok(Some(Failure::Passing(reason)));
                }
                Ok(count) => count,
                Err(error) if self.url.starts_with("file://") => {
                    return Ok(Some(Failure::Final(error.to_string())));
                }
                Err(error) => return Ok(Some(Failure::Passing(error.to_string()))),
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            self.part.write_all(bytes)?;
            self.hash.update(bytes);
            self.at += count as u64;
            let name = self.want.name.to_owned();
            (self.report)(Event::Received { kind: self.want.kind, name, bytes: count as u64 });
            if self.at > self.want.size {
                return Err(self.wrong(format!("{} bytes", self.want.size), "more".to_owned()));
            }
        }
    }

    /// The mirror does not resume: begin again.
    fn restart(&mut self) -> Result<(), TransferError> {
        self.part.as_file_mut().set_len(0)?;
        self.part.as_file_mut().rewind()?;
        self.hash = Sha256::new();
        self.at = 0;
        Ok(())
    }

    fn verify(&mut self) -> Result<(), TransferError> {
        let found = hex(&std::mem::take(&mut self.hash).finalize());
        if found == self.want.sha256 {
            Ok(())
        } else {
            Err(self.wrong(format!("sha256 {}", self.want.sha256), found))
        }
    }

    fn wrong(&self, expected: String, found: String) -> TransferError {
        TransferError::WrongContent { url: self.url.to_owned(), expected, found }
    }

    fn network(&self, reason: String) -> TransferError {
        TransferError::Network { url: self.url.to_owned(), reason }
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS.get(usize::from(value)).map_or('0', |digit| char::from(*digit));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Whether a file that is already here has the size and SHA-256 that are wanted.
pub(crate) fn is_intact(path: &PathBuf, size: u64, sha256: &str) -> bool {
    let Ok(mut file) = fs::File::open(path) else { return false };
    if file.metadata().map(|metadata| metadata.len()).ok() != Some(size) {
        return false;
    }
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return hex(&hash.finalize()) == sha256,
            Ok(count) => hash.update(buffer.get(..count).unwrap_or_default()),
            Err(_) => return false,
        }
    }
}
