//! An image from a registry into the store: only what the store lacks, several blobs and pieces at the same time.

use std::{
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use super::{
    Error, Event, How,
    auth::locked,
    client::{Client, Task},
    download::{Blob, Download, Got},
    event::told,
    manifests::reference,
};
use crate::{Descriptor, Image, ImageName, Platform, Store};

impl Client {
    /// Fetches an image, of an index the one for `platform`. It has no name in the store until it is given one.
    ///
    /// # Errors
    /// When it is not there, is not what its digests say, or the store does not take it.
    pub fn pull(
        &self,
        name: &ImageName,
        store: &Store,
        platform: &Platform,
        progress: &dyn Fn(Event),
    ) -> Result<Image, Error> {
        let image = self.image_with(name, platform, |config| store.read_blob(&config.digest).ok())?;
        self.fetch(name, store, &image.manifest().layers, progress)?;
        let task = self.task(name, "pull", format!("pull {}", reference(name)));
        store.add_image(&image).map_err(|error| task.error(error))?;
        Ok(image)
    }

    /// Fetches blobs of any size into the store, as far as it lacks them.
    ///
    /// # Errors
    /// When one is not there, is not what its digest says, or the store does not take it.
    pub fn fetch(
        &self,
        name: &ImageName,
        store: &Store,
        blobs: &[Descriptor],
        progress: &dyn Fn(Event),
    ) -> Result<(), Error> {
        let sources = self.sources(name, &format!("fetch the layers of {}", reference(name)));
        let task = self.task(name, "pull", format!("fetch the layers of {}", reference(name)));
        let mut wanted: Vec<&Descriptor> = Vec::new();
        for blob in blobs {
            if wanted.iter().any(|other| other.digest == blob.digest) {
                continue;
            }
            if store.use_blob(&blob.digest, blob.size).map_err(|error| task.error(error))? {
                progress(Event::Finished { blob: blob.digest, size: blob.size, how: How::Present });
            } else {
                wanted.push(blob);
            }
        }
        // The longest first: what is begun last should not take longest.
        wanted.sort_by_key(|blob| std::cmp::Reverse(blob.size));
        told(progress, |tell| self.fetch_all(&sources, store, &wanted, tell))
    }

    pub(super) fn fetch_all(
        &self,
        sources: &[Task],
        store: &Store,
        wanted: &[&Descriptor],
        tell: &(dyn Fn(Event) + Sync),
    ) -> Result<(), Error> {
        let Some(own) = sources.last() else { return Ok(()) };
        let mut blobs = Vec::with_capacity(wanted.len());
        let mut pieces: Vec<(usize, Range<u64>)> = Vec::new();
        for (at, descriptor) in wanted.iter().enumerate() {
            let ranges = pieces_of(descriptor.size, self.settings.piece);
            let blob = Blob::new(store, descriptor, ranges.len()).map_err(|error| own.error(error))?;
            blobs.push(blob);
            pieces.extend(ranges.into_iter().map(|range| (at, range)));
        }
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        let work = || {
            while !stop.load(Ordering::Relaxed) {
                let Some((at, range)) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                let Some(blob) = blobs.get(*at) else { return };
                let download = Download { client: self, sources, own, store, blob, stop: &stop, tell };
                match download.piece(range.clone()) {
                    Ok(Got::All | Got::Part | Got::Stopped) => {}
                    Err(error) => {
                        stop.store(true, Ordering::Relaxed);
                        locked(&failed).get_or_insert(error);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.settings.parallel.clamp(1, pieces.len().max(1)) {
                scope.spawn(work);
            }
        });
        failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

/// The parts in which a blob is fetched.
fn pieces_of(size: u64, piece: u64) -> Vec<Range<u64>> {
    let piece = piece.max(1 << 16);
    let starts = (0..size.div_ceil(piece).max(1)).map(|at| at * piece);
    starts.map(|start| start..(start + piece).min(size)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_a_blob_once() {
        let bounds = |size| pieces_of(size, 1 << 20).iter().map(|it| (it.start, it.end)).collect::<Vec<_>>();
        assert_eq!(bounds(0), [(0, 0)]);
        assert_eq!(bounds(1 << 20), [(0, 1 << 20)]);
        let pieces = pieces_of((3 << 20) + 1, 1 << 20);
        assert_eq!(pieces.len(), 4);
        assert_eq!(pieces[0].start, 0);
        assert_eq!(pieces[3], 3 << 20..(3 << 20) + 1);
        assert!(pieces.windows(2).all(|two| two[0].end == two[1].start));
    }
}
