//! One blob, whole or in pieces: read on where a connection broke, from the next source where one fails, and believed
//! only by its digest.

use std::{
    io::{self, Read},
    ops::Range,
    os::unix::fs::FileExt as _,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use ureq::http::Method;
use url::Url;

use super::{
    Error, Event, How,
    auth::locked,
    client::{Client, Request, Task, problem_of},
    error::Problem,
    site::is_loopback,
    transport::{Answer, Body, Fault, Outgoing, read_fault},
};
use crate::{Descriptor, Digest, Store, StoreError};

/// A blob on its way into the store.
pub(super) struct Blob<'a> {
    descriptor: &'a Descriptor,
    /// To write through while others do; the same file as `file`.
    handle: std::fs::File,
    file: Mutex<Option<NamedTempFile>>,
    pieces: usize,
    missing: AtomicUsize,
    begun: AtomicBool,
    /// A thread fetches all of it, since no source sends parts.
    is_whole: AtomicBool,
}

/// What became of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Got {
    /// The blob is complete and in the store.
    All,
    /// Others are still at the rest.
    Part,
    /// Another thread has failed.
    Stopped,
}

pub(super) struct Download<'a> {
    pub(super) client: &'a Client,
    pub(super) sources: &'a [Task],
    /// The last of them: the registry itself.
    pub(super) own: &'a Task,
    pub(super) store: &'a Store,
    pub(super) blob: &'a Blob<'a>,
    pub(super) stop: &'a AtomicBool,
    pub(super) tell: &'a (dyn Fn(Event) + Sync),
}

/// A place that may have the blob.
enum Source<'a> {
    Registry(&'a Task),
    /// An address of the manifest's own, for layers that their makers do not let others give away.
    Address(&'a Task, Url),
}

/// The part that one thread fetches, and how far it is.
struct Part {
    range: Range<u64>,
    at: u64,
    /// Of a part that is the whole.
    hash: Option<Sha256>,
}

enum Read1 {
    Done,
    Stopped,
    /// The source sends all or nothing.
    NoParts,
    Broken(Fault),
}

impl<'a> Blob<'a> {
    pub(super) fn new(store: &Store, descriptor: &'a Descriptor, pieces: usize) -> Result<Self, StoreError> {
        let file = store.temp_file()?;
        let handle = file.as_file().try_clone()?;
        Ok(Self {
            descriptor,
            handle,
            file: Mutex::new(Some(file)),
            pieces,
            missing: AtomicUsize::new(pieces),
            begun: AtomicBool::new(false),
            is_whole: AtomicBool::new(false),
        })
    }
}

impl Download<'_> {
    /// Fetches a part; who fetches the last one gives the blob to the store.
    pub(super) fn piece(&self, range: Range<u64>) -> Result<Got, Error> {
        let descriptor = self.blob.descriptor;
        if !self.blob.begun.swap(true, Ordering::Relaxed) {
            (self.tell)(Event::Started { blob: descriptor.digest, size: descriptor.size });
        }
        let is_all = self.blob.pieces == 1;
        if (is_all || !self.blob.is_whole.load(Ordering::Acquire))
            && self.part(range, is_all)? == Got::Stopped
        {
            return Ok(Got::Stopped);
        }
        if self.blob.missing.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ok(Got::Part);
        }
        if !is_all {
            self.verify().or_else(|error| self.again(error))?;
        }
        if let Some(file) = locked(&self.blob.file).take() {
            self.store.keep_blob(file, &descriptor.digest).map_err(|error| self.own.error(error))?;
        }
        (self.tell)(Event::Finished { blob: descriptor.digest, size: descriptor.size, how: How::Moved });
        Ok(Got::All)
    }

    /// A part from the first source that has it.
    fn part(&self, range: Range<u64>, is_all: bool) -> Result<Got, Error> {
        let sources = self.places();
        let mut part = Part { at: range.start, range, hash: is_all.then(Sha256::new) };
        let mut last = None;
        for source in &sources {
            match self.from(source, &mut part) {
                Ok(got) => return Ok(got),
                Err(error @ Error { problem: Problem::Store(_), .. }) => return Err(error),
                Err(error) => {
                    self.client.failed_at(source.task(), &error.problem);
                    last = Some(error);
                }
            }
            if is_all && part.at == part.range.end {
                // All came and was not right: nothing of it is worth keeping.
                self.restart(&mut part);
            }
        }
        Err(last.unwrap_or_else(|| self.own.error(Problem::BadAnswer("nobody was asked".to_owned()))))
    }

    fn from(&self, source: &Source<'_>, part: &mut Part) -> Result<Got, Error> {
        let retry = &self.client.settings.retry;
        let mut tries = 0;
        loop {
            let before = part.at;
            let fault = match self.read(source, part)? {
                Read1::Done => return self.check(source, part).map(|()| Got::Part),
                Read1::Stopped => return Ok(Got::Stopped),
                Read1::NoParts => return self.whole(source),
                Read1::Broken(fault) => fault,
            };
            tries = if part.at > before { 1 } else { tries + 1 };
            if tries >= retry.tries || matches!(fault, Fault::Tls(_) | Fault::Final(_)) {
                return Err(source.task().error(problem_of(fault, tries)));
            }
            std::thread::sleep(retry.pause(tries));
        }
    }

    /// All of a blob of which parts were wanted, by the first thread that finds that it must be so.
    fn whole(&self, source: &Source<'_>) -> Result<Got, Error> {
        if self.blob.is_whole.swap(true, Ordering::AcqRel) {
            return Ok(Got::Part);
        }
        let mut part = Part { at: 0, range: 0..self.blob.descriptor.size, hash: Some(Sha256::new()) };
        self.from(source, &mut part)
    }

    /// A mirror may have sent parts of something else: the registry's own word counts.
    fn again(&self, error: Error) -> Result<(), Error> {
        if self.sources.len() < 2 {
            return Err(error);
        }
        let size = self.blob.descriptor.size;
        let mut part = Part { at: 0, range: 0..size, hash: Some(Sha256::new()) };
        (self.tell)(Event::Lost { blob: self.blob.descriptor.digest, bytes: size });
        self.from(&Source::Registry(self.own), &mut part)?;
        self.verify()
    }

    /// Reads on until the end of the part or of the connection.
    fn read(&self, source: &Source<'_>, part: &mut Part) -> Result<Read1, Error> {
        let is_all = part.hash.is_some();
        let answer = self.open(source, part)?;
        match answer.status {
            200 | 206 if length_of(&answer).is_some_and(|found| found != self.blob.descriptor.size) => {
                let (what, expected) = (self.what(), self.blob.descriptor.size);
                let found = length_of(&answer).map_or_else(String::new, |found| found.to_string());
                return Err(source.task().error(Problem::WrongSize { what, expected, found }));
            }
            206 if starts_at(&answer, part.at) => {}
            200 if !is_all => return Ok(Read1::NoParts),
            200 => self.restart(part),
            // Where it was redirected to, the permission is over; the registry gives a new one.
            400 | 401 | 403 if answer.is_elsewhere => {
                let reason = format!("the place where the blob lies answered with status {}", answer.status);
                return Ok(Read1::Broken(Fault::Connection(reason)));
            }
            206 | 416 => {
                return Ok(Read1::Broken(Fault::Final(
                    "it sends other bytes than the wanted ones".to_owned(),
                )));
            }
            _ => return Err(source.task().refused(answer)),
        }
        let mut reader = answer.body.into_reader();
        let mut buffer = vec![0; 128 << 10];
        while part.at < part.range.end {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(Read1::Stopped);
            }
            let most = usize::try_from(part.range.end - part.at).unwrap_or(usize::MAX).min(buffer.len());
            let got = match reader.read(&mut buffer[..most]) {
                Ok(0) => {
                    let reason =
                        format!("the connection ended after {} of {} bytes", part.at, part.range.end);
                    return Ok(Read1::Broken(Fault::Connection(reason)));
                }
                Ok(got) => got,
                Err(error) => return Ok(Read1::Broken(read_fault(&error))),
            };
            self.keep(part, &buffer[..got])?;
        }
        // The end of the whole must be the end of what is sent.
        if is_all && reader.read(&mut buffer[..1]).is_ok_and(|more| more > 0) {
            let (what, expected) = (self.what(), part.range.end);
            let problem = Problem::WrongSize { what, expected, found: "more".to_owned() };
            return Err(source.task().error(problem));
        }
        Ok(Read1::Done)
    }

    fn keep(&self, part: &mut Part, bytes: &[u8]) -> Result<(), Error> {
        let written = self.blob.handle.write_all_at(bytes, part.at);
        written.map_err(|error| {
            let error = self.store.write_error(error, self.blob.descriptor.size, "a layer");
            self.own.error(error)
        })?;
        if let Some(hash) = &mut part.hash {
            hash.update(bytes);
        }
        part.at += bytes.len() as u64;
        (self.tell)(Event::Moved { blob: self.blob.descriptor.digest, bytes: bytes.len() as u64 });
        Ok(())
    }

    /// Asks for what of a part is missing.
    fn open(&self, source: &Source<'_>, part: &Part) -> Result<Answer, Error> {
        let mut request = Request::get(String::new());
        if part.at > 0 || part.hash.is_none() {
            request
                .headers
                .push(("Range", format!("bytes={}-{}", part.at, part.range.end.saturating_sub(1))));
        }
        match source {
            Source::Registry(task) => {
                let path = task.path(&format!("blobs/{}", self.blob.descriptor.digest));
                self.client.ask(task, &Request { to: super::client::To::Path(path), ..request })
            }
            Source::Address(task, url) => {
                let send = || {
                    self.client.transport.send(&Outgoing {
                        method: Method::GET,
                        url: url.clone(),
                        headers: &request.headers,
                        authorization: None,
                        body: Body::None,
                        strict: true,
                    })
                };
                let answer = self.client.steadily(self.client.settings.retry.tries, send);
                answer.map_err(|problem| task.error(problem))
            }
        }
    }

    fn restart(&self, part: &mut Part) {
        if part.at > 0 {
            (self.tell)(Event::Lost { blob: self.blob.descriptor.digest, bytes: part.at });
        }
        part.at = 0;
        part.hash = Some(Sha256::new());
    }

    fn check(&self, source: &Source<'_>, part: &mut Part) -> Result<(), Error> {
        match part.hash.take() {
            Some(hash) => {
                part.hash = Some(Sha256::new());
                self.compare(source.task(), Digest::from_hasher(hash))
            }
            None => Ok(()),
        }
    }

    /// Reads what several threads have written.
    fn verify(&self) -> Result<(), Error> {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        let mut at = 0;
        loop {
            match self.blob.handle.read_at(&mut buffer, at) {
                Ok(0) => break,
                Ok(got) => {
                    hash.update(&buffer[..got]);
                    at += got as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.own.error(StoreError::Io(error))),
            }
        }
        self.compare(self.own, Digest::from_hasher(hash))
    }

    fn compare(&self, task: &Task, found: Digest) -> Result<(), Error> {
        let expected = self.blob.descriptor.digest;
        if found == expected {
            return Ok(());
        }
        Err(task.error(Problem::WrongContent { what: self.what(), expected, found }))
    }

    fn what(&self) -> String {
        format!("the layer {}", self.blob.descriptor.digest)
    }

    fn places(&self) -> Vec<Source<'_>> {
        let (own, mirrors) = (self.own, &self.sources[..self.sources.len().saturating_sub(1)]);
        let mirrors = mirrors.iter().filter(|mirror| !self.client.is_down(mirror));
        let addresses = addresses(self.blob.descriptor).into_iter().map(|url| Source::Address(own, url));
        addresses.chain(mirrors.chain([own]).map(Source::Registry)).collect()
    }
}

impl Source<'_> {
    fn task(&self) -> &Task {
        match self {
            Self::Registry(task) | Self::Address(task, _) => task,
        }
    }
}

/// Where a layer lies that its makers do not let others give away. Only for such a layer an address is followed that a
/// manifest names, and only with TLS or to this machine: a manifest may be a stranger's.
fn addresses(layer: &Descriptor) -> Vec<Url> {
    if !is_foreign(layer) {
        return Vec::new();
    }
    let urls = layer.extra.get("urls").and_then(|urls| urls.as_array()).into_iter().flatten();
    let urls = urls.filter_map(|url| Url::parse(url.as_str()?).ok());
    let is_fine = |url: &Url| url.scheme() == "https" || is_loopback(url.host_str().unwrap_or_default());
    urls.filter(is_fine).collect()
}

/// Whether a layer's makers do not let others give it away.
pub(super) fn is_foreign(layer: &Descriptor) -> bool {
    let kind = &layer.media_type;
    (kind.contains("nondistributable") || kind.contains(".foreign.")) && layer.extra.contains_key("urls")
}

/// Whether a part of a blob begins where it was asked to.
fn starts_at(answer: &Answer, at: u64) -> bool {
    let range = answer.header("content-range").and_then(|it| it.trim().strip_prefix("bytes "));
    range.and_then(|it| it.split('-').next()?.trim().parse().ok()) == Some(at)
}

/// The length of a whole blob, as an answer with it or with a part of it tells.
fn length_of(answer: &Answer) -> Option<u64> {
    match answer.status {
        206 => answer.header("content-range")?.rsplit('/').next()?.trim().parse().ok(),
        _ => answer.header("content-length")?.trim().parse().ok(),
    }
}
