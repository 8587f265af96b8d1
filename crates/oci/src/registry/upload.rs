//! One blob into a repository: in one piece when that is possible, in chunks when it is large or the registry wants
//! them, and on from where the registry has it when a connection broke
//! (<https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs>).

use std::{cell::Cell, path::Path};

use ureq::http::Method;
use url::Url;

use super::{
    Error, Event,
    client::{Client, Request, Task, To},
    error::Problem,
    site::adopt,
    transport::{Answer, Body},
};
use crate::Descriptor;

/// After a refusal of something so large, chunks of at most this size are tried.
const SMALL_CHUNK: u64 = 16 << 20;
const LEAST_CHUNK: u64 = 1 << 20;

/// An upload, begun or not.
pub(super) struct Upload<'a> {
    client: &'a Client,
    task: &'a Task,
    blob: &'a Descriptor,
    contents: Contents<'a>,
    tell: &'a (dyn Fn(Event) + Sync),
    /// Where the registry takes the bytes; `None` when no upload is open.
    location: Option<Url>,
    /// What the registry has of it.
    at: u64,
    /// What was told of as moved.
    told: Cell<u64>,
    /// The size of chunks; without one it goes in one piece.
    chunk: Option<u64>,
    /// The least that the registry takes at a time.
    least: u64,
    /// It goes in one piece only: chunks were refused.
    is_single: bool,
}

/// The bytes of a blob.
#[derive(Clone, Copy)]
pub(super) enum Contents<'a> {
    Bytes(&'a [u8]),
    File(&'a Path),
}

#[derive(PartialEq, Eq)]
enum Step {
    Done,
    More,
}

impl<'a> Upload<'a> {
    /// An upload that is not begun, telling of what is moved.
    pub(super) fn new(
        client: &'a Client,
        task: &'a Task,
        blob: &'a Descriptor,
        tell: &'a (dyn Fn(Event) + Sync),
    ) -> Self {
        let chunk = (blob.size > client.settings.chunk).then_some(client.settings.chunk.max(1));
        Self {
            client,
            task,
            blob,
            contents: Contents::Bytes(&[]),
            tell,
            location: None,
            at: 0,
            told: Cell::new(0),
            chunk,
            least: 1,
            is_single: false,
        }
    }

    /// Asks the registry to take the blob from another repository; when it does not, an upload may be open.
    pub(super) fn mount(&mut self, from: &str) -> Result<bool, Error> {
        self.cancel();
        let mut task = self.task.clone();
        // Whoever may not read there is told so now, and uploads.
        task.scopes.push(format!("repository:{}{from}:pull", task.site.prefix));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("mount", &self.blob.digest.to_string());
        query.append_pair("from", &format!("{}{from}", task.site.prefix));
        let path = task.path(&format!("blobs/uploads/?{}", query.finish()));
        let request = Request::upload(Method::POST, To::Path(path), Body::Bytes(&[]));
        match self.client.ask(&task, &request) {
            Ok(answer) if answer.status == 201 => Ok(true),
            Ok(answer) if answer.status == 202 => self.open(&answer).map(|()| false),
            Ok(_) => Ok(false),
            Err(Error { problem: Problem::Unauthorized { .. } | Problem::Denied { .. }, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Uploads all of it.
    pub(super) fn run(&mut self, contents: Contents<'a>) -> Result<(), Error> {
        self.contents = contents;
        let done = self.steps();
        if done.is_err() {
            self.cancel();
        }
        done
    }

    /// Tells the registry, as far as it listens, that nothing more will come.
    pub(super) fn cancel(&mut self) {
        if let Some(location) = self.location.take() {
            let request = Request {
                method: Method::DELETE,
                to: To::Url(location),
                once: true,
                ..Request::get(String::new())
            };
            drop(self.client.ask(self.task, &request));
        }
    }

    fn steps(&mut self) -> Result<(), Error> {
        let retry = &self.client.settings.retry;
        let (mut tries, mut farthest) = (0, 0);
        loop {
            let mut error = match self.step() {
                Ok(Step::Done) => return Ok(()),
                Ok(Step::More) => {
                    self.progressed(&mut tries, &mut farthest);
                    continue;
                }
                Err(error) => error,
            };
            let Some(asked) = error.problem.may_pass() else { return Err(error) };
            tries += 1;
            if tries >= retry.tries || asked > retry.longest_asked {
                error.problem = error.problem.after(tries);
                return Err(error);
            }
            std::thread::sleep(asked.max(retry.pause(tries)));
            if self.look()? == Step::Done {
                return Ok(());
            }
            self.progressed(&mut tries, &mut farthest);
        }
    }

    fn progressed(&self, tries: &mut u32, farthest: &mut u64) {
        if self.at > *farthest {
            (*tries, *farthest) = (0, self.at);
        }
    }

    fn step(&mut self) -> Result<Step, Error> {
        let Some(location) = self.location.clone() else {
            return self.begin().map(|()| Step::More);
        };
        let is_all_there = self.at > 0 && self.at == self.blob.size;
        if is_all_there || (self.at == 0 && self.chunk.is_none()) {
            self.put(location)
        } else {
            self.patch(location)
        }
    }

    pub(super) fn begin(&mut self) -> Result<(), Error> {
        let path = self.task.path("blobs/uploads/");
        let request = Request::upload(Method::POST, To::Path(path), Body::Bytes(&[]));
        let answer = self.client.ask(self.task, &request)?;
        if answer.status != 202 {
            return Err(self.task.refused(answer));
        }
        self.open(&answer)
    }

    /// Notes where and in what sizes the registry takes the bytes.
    fn open(&mut self, answer: &Answer) -> Result<(), Error> {
        let least = answer.header("oci-chunk-min-length").and_then(|it| it.trim().parse().ok());
        self.least = least.unwrap_or(1).max(1);
        self.at = 0;
        self.moved_to(0);
        self.located(answer)
    }

    fn located(&mut self, answer: &Answer) -> Result<(), Error> {
        let location = answer.header("location").and_then(|it| adopt(&answer.url, it));
        match location {
            Some(location) => self.location = Some(location),
            None if self.location.is_some() => {}
            None => {
                let problem = Problem::BadAnswer("it opened an upload and did not say where".to_owned());
                return Err(self.task.error(problem));
            }
        }
        Ok(())
    }

    /// The last request: with all of the bytes, or with none when the registry has them.
    fn put(&mut self, mut location: Url) -> Result<Step, Error> {
        location.query_pairs_mut().append_pair("digest", &self.blob.digest.to_string());
        let is_whole = self.at == 0;
        let tell = |bytes| self.tell_moved(bytes);
        let body = if is_whole { self.body(0, self.blob.size, &tell) } else { Body::Bytes(&[]) };
        let mut request = Request::upload(Method::PUT, To::Url(location), body);
        request.headers.push(("Content-Type", "application/octet-stream".to_owned()));
        request.once = true;
        let answer = self.client.ask(self.task, &request)?;
        match answer.status {
            200..=204 => {
                self.moved_to(self.blob.size);
                Ok(Step::Done)
            }
            // A proxy on the way takes no more at a time.
            413 if is_whole && self.blob.size > LEAST_CHUNK && !self.is_single => {
                self.chunk = Some(SMALL_CHUNK.min(self.blob.size / 2).max(self.least));
                self.restart();
                Ok(Step::More)
            }
            _ => Err(self.task.refused(answer)),
        }
    }

    fn patch(&mut self, location: Url) -> Result<Step, Error> {
        let length = self.chunk.unwrap_or(u64::MAX).max(self.least).min(self.blob.size - self.at);
        let end = self.at + length;
        let tell = |bytes| self.tell_moved(bytes);
        let mut request =
            Request::upload(Method::PATCH, To::Url(location), self.body(self.at, length, &tell));
        request.headers.push(("Content-Type", "application/octet-stream".to_owned()));
        request.headers.push(("Content-Range", format!("{}-{}", self.at, end - 1)));
        request.once = true;
        let answer = self.client.ask(self.task, &request)?;
        match answer.status {
            200..=204 => {
                self.located(&answer)?;
                self.at = held(&answer).filter(|held| *held <= end).unwrap_or(end);
                self.moved_to(self.at);
                Ok(Step::More)
            }
            413 if length > LEAST_CHUNK.max(self.least) => {
                self.chunk = Some((length / 2).max(LEAST_CHUNK).max(self.least));
                self.look()
            }
            // The registry is at another place than was thought, or has forgotten the upload.
            404 | 416 => Err(self.task.error(Problem::Connection {
                reason: format!("the upload was lost (status {})", answer.status),
                tries: 1,
            })),
            400 | 405 | 411 | 415 | 501 if !self.is_single => {
                self.is_single = true;
                self.chunk = None;
                self.restart();
                Ok(Step::More)
            }
            _ => Err(self.task.refused(answer)),
        }
    }

    /// Asks what the registry has after a failure; it may be all.
    fn look(&mut self) -> Result<Step, Error> {
        let Some(location) = self.location.clone() else { return Ok(Step::More) };
        let request = Request { to: To::Url(location), ..Request::get(String::new()) };
        let answer = self.client.ask(self.task, &request)?;
        let held = held(&answer).filter(|held| *held <= self.blob.size);
        match (answer.status, held) {
            // What broke may have been no more than the answer.
            (404, _) if self.client.has(self.task, &self.blob.digest)? => return Ok(Step::Done),
            // One byte and none are told alike, so nothing is built on them.
            (200..=204, Some(held)) if held > 1 && !self.is_single => {
                self.located(&answer)?;
                self.at = held;
                self.moved_to(held);
            }
            _ => self.restart(),
        }
        Ok(Step::More)
    }

    fn restart(&mut self) {
        self.cancel();
        self.at = 0;
        self.moved_to(0);
    }

    fn body<'b>(&self, from: u64, length: u64, tell: &'b dyn Fn(u64)) -> Body<'b>
    where
        'a: 'b,
    {
        match self.contents {
            Contents::Bytes(bytes) => {
                let part = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                Body::Bytes(&bytes[part(from)..part(from + length)])
            }
            Contents::File(path) => Body::Part { path, from, length, moved: tell },
        }
    }

    fn tell_moved(&self, bytes: u64) {
        self.told.set(self.told.get() + bytes);
        (self.tell)(Event::Moved { blob: self.blob.digest, bytes });
    }

    /// Corrects what was told to what the registry has.
    fn moved_to(&self, at: u64) {
        let blob = self.blob.digest;
        let told = self.told.replace(at);
        if let Some(bytes) = at.checked_sub(told).filter(|bytes| *bytes > 0) {
            (self.tell)(Event::Moved { blob, bytes });
        } else if at < told {
            (self.tell)(Event::Lost { blob, bytes: told - at });
        }
    }
}

/// How much the registry says it has: `Range: 0-<last byte>`.
fn held(answer: &Answer) -> Option<u64> {
    held_of(answer.header("range")?)
}

pub(super) fn held_of(range: &str) -> Option<u64> {
    let range = range.trim();
    let (first, last) = range.strip_prefix("bytes=").unwrap_or(range).split_once('-')?;
    if first.trim() != "0" {
        return None;
    }
    last.trim().parse::<u64>().ok()?.checked_add(1)
}
