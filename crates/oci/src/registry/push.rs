//! An image into repositories: blobs first, several at the same time, and none that is there; manifests last.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use super::{
    Error, Event, How,
    auth::locked,
    client::{Client, Request, Task},
    download::is_foreign,
    error::{Problem, Said},
    event::told,
    upload::{Contents, Upload},
};
use crate::{Descriptor, Digest, Image, ImageName, Store};

/// Where an image's layers are to be had, besides the repository where they shall go.
#[derive(Debug, Clone, Copy, Default)]
pub struct Layers<'a> {
    /// This machine's store, which may lack some.
    pub store: Option<&'a Store>,
    /// Repositories that may have those which the store lacks. A registry takes layers from its own repositories
    /// without their bytes; those of another registry, or of one that does not do so, are fetched into the store.
    pub repositories: &'a [ImageName],
}

/// An image that is where it was pushed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// The manifest's digest, the same everywhere.
    pub digest: Digest,
    /// Bytes of blobs that were sent.
    pub sent: u64,
    /// Blobs that were there already.
    pub present: usize,
    /// Blobs that the registry had in another repository.
    pub mounted: usize,
}

/// An image on its way into a repository.
struct Push<'a> {
    client: &'a Client,
    task: &'a Task,
    image: &'a Image,
    layers: Layers<'a>,
    tell: &'a (dyn Fn(Event) + Sync),
}

impl Client {
    /// Pushes an image under each of the names. A name with a digest and no tag is pushed under its digest alone.
    ///
    /// # Errors
    /// When a layer is nowhere, or a registry refuses something. Names before the failing one are done.
    pub fn push(
        &self,
        image: &Image,
        layers: Layers<'_>,
        names: &[ImageName],
        progress: &dyn Fn(Event),
    ) -> Result<Pushed, Error> {
        let mut pushed = Pushed { digest: image.digest(), sent: 0, present: 0, mounted: 0 };
        let mut filled: Vec<String> = Vec::new();
        for name in names {
            let at = name.tag.clone().unwrap_or_else(|| image.digest().to_string());
            let task = self.task(name, "pull,push", format!("push {at}"));
            if let Some(other) = name.digest.filter(|other| *other != image.digest()) {
                let problem = format!("the name asks for {other}, and the image is {}", image.digest());
                return Err(task.error(Problem::Setting(problem)));
            }
            let fill = |pushed: &mut Pushed| {
                let done =
                    told(progress, |tell| Push { client: self, task: &task, image, layers, tell }.blobs());
                done.map(|done| done.iter().for_each(|(how, size)| pushed.count(*how, *size)))
            };
            let put = || self.put_manifest(name, image.media_type(), image.manifest_json());
            if !filled.contains(&name.without_tag()) {
                fill(&mut pushed)?;
            }
            match put() {
                // What was seen in this repository has been removed since: now nothing is believed.
                Err(error) if lacks_blobs(&error.problem) && self.forget(&task, image) => {
                    fill(&mut pushed)?;
                    put()?;
                }
                other => _ = other?,
            }
            self.note(&task, image.manifest());
            filled.push(name.without_tag());
        }
        Ok(pushed)
    }

    /// Pushes a small blob, such as an attestation, and returns what describes it.
    ///
    /// # Errors
    /// When the registry refuses it.
    pub fn put_blob(&self, name: &ImageName, media_type: &str, contents: &[u8]) -> Result<Descriptor, Error> {
        let descriptor = Descriptor::new(media_type, Digest::of(contents), contents.len() as u64);
        let task = self.task(name, "pull,push", format!("write the blob {}", descriptor.digest));
        if !self.has(&task, &descriptor.digest)? {
            Upload::new(self, &task, &descriptor, &|_| {}).run(Contents::Bytes(contents))?;
        }
        Ok(descriptor)
    }

    /// Whether a name's repository has a blob.
    ///
    /// # Errors
    /// When the registry can't be asked.
    pub fn has_blob(&self, name: &ImageName, blob: &Digest) -> Result<bool, Error> {
        self.has(&self.task(name, "pull", format!("look for the blob {blob}")), blob)
    }

    /// Asks whether images may be pushed to a name's repository: an upload is begun and given up.
    ///
    /// # Errors
    /// When they may not, or the registry can't be asked.
    pub fn may_push(&self, name: &ImageName) -> Result<(), Error> {
        let task = self.task(name, "pull,push", "push images".to_owned());
        let nothing = Descriptor::new("", Digest::of(""), 0);
        let mut upload = Upload::new(self, &task, &nothing, &|_| {});
        upload.begin()?;
        upload.cancel();
        Ok(())
    }

    pub(super) fn has(&self, task: &Task, blob: &Digest) -> Result<bool, Error> {
        let answer = self.ask(task, &Request::head(task.path(&format!("blobs/{blob}"))))?;
        match answer.status {
            200 => Ok(true),
            // Some do not answer HEAD; pushing it once more does no harm.
            404 | 405 => Ok(false),
            // It lies somewhere else, where only GET is answered.
            _ if answer.is_elsewhere => Ok(true),
            _ => Err(task.refused(answer)),
        }
    }

    /// Forgets which blobs a repository was seen to have; false when nothing was known.
    fn forget(&self, task: &Task, image: &Image) -> bool {
        let mut seen = locked(&self.seen);
        let mut known = false;
        for blob in blobs_of(image) {
            if let Some(repositories) = seen.get_mut(&(task.site.registry.clone(), blob.digest)) {
                known |= repositories.remove(&task.repository);
            }
        }
        known
    }
}

/// How many threads of one client push at this time. Many images that are pushed side by side need no more than one
/// each: a registry that is asked twice as much at once answers half as fast.
#[derive(Debug, Default)]
pub(super) struct Pushing(AtomicUsize);

/// One of them, while it lasts.
struct Busy<'a>(&'a Pushing);

impl Pushing {
    /// One more, when there are fewer than so many.
    fn enter(&self, most: usize) -> Option<Busy<'_>> {
        let more = |now| (now < most).then_some(now + 1);
        let entered = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        entered.ok().map(|_| Busy(self))
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pushed {
    fn count(&mut self, how: How, size: u64) {
        match how {
            How::Moved => self.sent += size,
            How::Present => self.present += 1,
            How::Mounted => self.mounted += 1,
        }
    }
}

impl Push<'_> {
    /// All of them, and how each got there.
    fn blobs(&self) -> Result<Vec<(How, u64)>, Error> {
        // Of an image that was just rebased nearly all are there: no thread is begun to find that out.
        let (blobs, there): (Vec<_>, Vec<_>) =
            blobs_of(self.image).into_iter().partition(|it| self.neighbours(it).is_some());
        for blob in &there {
            (self.tell)(Event::Finished { blob: blob.digest, size: blob.size, how: How::Present });
        }
        let there: Vec<_> = there.iter().map(|it| (How::Present, it.size)).collect();
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        let done = Mutex::new(there);
        let work = || {
            while !stop.load(Ordering::Relaxed) {
                let Some(blob) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                match self.blob(blob) {
                    Ok(how) => {
                        (self.tell)(Event::Finished { blob: blob.digest, size: blob.size, how });
                        locked(&done).push((how, blob.size));
                    }
                    Err(error) => {
                        stop.store(true, Ordering::Relaxed);
                        locked(&failed).get_or_insert(error);
                    }
                }
            }
        };
        let _own = self.client.pushing.enter(usize::MAX);
        std::thread::scope(|scope| {
            for _ in 1..blobs.len() {
                let Some(more) = self.client.pushing.enter(self.client.settings.parallel) else { break };
                scope.spawn(move || {
                    let _more = more;
                    work();
                });
            }
            work();
        });
        let failed = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        failed.map_or(Ok(done), Err)
    }

    /// One of them, in as few requests as it takes: what was seen here is not asked for, and what was seen elsewhere is
    /// asked for by asking for the mount.
    fn blob(&self, blob: &Descriptor) -> Result<How, Error> {
        let task = self.task.asked(format!("push the blob {}", blob.digest));
        let Some(neighbours) = self.neighbours(blob) else { return Ok(How::Present) };
        let path = self.layers.store.map(|store| store.blob_path(&blob.digest));
        let mut upload = Upload::new(self.client, &task, blob, self.tell);
        if blob.digest == self.image.id() {
            // Nearly always a new one.
            (self.tell)(Event::Started { blob: blob.digest, size: blob.size });
            upload.run(Contents::Bytes(self.image.config_json()))?;
            return Ok(How::Moved);
        }
        for repository in neighbours {
            if upload.mount(&repository)? {
                return Ok(How::Mounted);
            }
        }
        if self.client.has(&task, &blob.digest)? {
            upload.cancel();
            return Ok(How::Present);
        }
        match (&path, self.is_local(&task, blob)) {
            (Some(path), Ok(true)) => {
                (self.tell)(Event::Started { blob: blob.digest, size: blob.size });
                upload.run(Contents::File(path))?;
                Ok(How::Moved)
            }
            (_, found) => {
                upload.cancel();
                found?;
                Err(task.error(Problem::NoLayer { layer: blob.digest, places: self.places() }))
            }
        }
    }

    /// The repositories of this registry to mount a blob from, the likelier first; `None` where it was seen in the
    /// repository itself.
    fn neighbours(&self, blob: &Descriptor) -> Option<Vec<String>> {
        let (own, registry) = (&self.task.repository, &self.task.site.registry);
        let mut all = Vec::new();
        if let Some(seen) = locked(&self.client.seen).get(&(registry.clone(), blob.digest)) {
            if seen.contains(own) {
                return None;
            }
            // A base is in thousands: when two do not give it, none will.
            all.extend(seen.iter().take(2).cloned());
        }
        for named in self.layers.repositories {
            if named.registry == *registry && named.repository != *own && !all.contains(&named.repository) {
                all.push(named.repository.clone());
            }
        }
        Some(all)
    }

    /// Whether the store has a blob, or has it now, by way of a repository that can't be mounted from.
    fn is_local(&self, task: &Task, blob: &Descriptor) -> Result<bool, Error> {
        let Some(store) = self.layers.store else { return Ok(false) };
        if store.use_blob(&blob.digest, blob.size).map_err(|error| task.error(error))? {
            return Ok(true);
        }
        for name in self.layers.repositories {
            let sources = self.client.sources(name, &format!("fetch the layer {}", blob.digest));
            match self.client.fetch_all(&sources, store, &[blob], self.tell) {
                Ok(()) => return Ok(true),
                Err(Error { problem: Problem::NotFound { .. }, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn places(&self) -> String {
        let store = self.layers.store.map(|store| format!("the store {}", store.root().display()));
        let repositories = self.layers.repositories.iter().map(ImageName::without_tag);
        let all: Vec<String> = store.into_iter().chain(repositories).collect();
        if all.is_empty() { "any other place, for none was named".to_owned() } else { all.join(", ") }
    }
}

fn lacks_blobs(problem: &Problem) -> bool {
    let said: Option<&Said> = match problem {
        Problem::NotFound { said } | Problem::Refused { said, .. } => Some(said),
        _ => None,
    };
    said.is_some_and(|said| matches!(said.code.as_str(), "MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN"))
}

/// The blobs of an image, each once, the longest first. Layers that their makers do not let others give away stay where
/// they are.
fn blobs_of(image: &Image) -> Vec<&Descriptor> {
    let manifest = image.manifest();
    let mut blobs: Vec<&Descriptor> = Vec::new();
    for blob in manifest.layers.iter().chain([&manifest.config]) {
        if !is_foreign(blob) && !blobs.iter().any(|other| other.digest == blob.digest) {
            blobs.push(blob);
        }
    }
    blobs.sort_by_key(|blob| std::cmp::Reverse(blob.size));
    blobs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_has_a_thread_of_its_own_in_any_case_and_more_while_few_are_pushing() {
        let pushing = Pushing::default();
        let first = pushing.enter(usize::MAX);
        let second = pushing.enter(2);
        assert!(first.is_some() && second.is_some() && pushing.enter(2).is_none());
        let other_push = pushing.enter(usize::MAX);
        drop(second);
        assert!(other_push.is_some() && pushing.enter(2).is_none());
        drop((first, other_push));
        assert!(pushing.enter(1).is_some());
    }
}
