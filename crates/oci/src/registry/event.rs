//! What is told while blobs are moved.

use std::sync::mpsc;

use crate::Digest;

/// Something that happened to a blob; sums of bytes are the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It is being moved.
    Started {
        /// Which.
        blob: Digest,
        /// Its length.
        size: u64,
    },
    /// Some of it has been moved.
    Moved {
        /// Which.
        blob: Digest,
        /// So many bytes more.
        bytes: u64,
    },
    /// Some of what was moved must be moved again.
    Lost {
        /// Which.
        blob: Digest,
        /// So many bytes less.
        bytes: u64,
    },
    /// It is where it shall be.
    Finished {
        /// Which.
        blob: Digest,
        /// Its length.
        size: u64,
        /// How it got there.
        how: How,
    },
}

/// How a blob got where it shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// By moving its bytes.
    Moved,
    /// It was there.
    Present,
    /// The registry had it in another repository.
    Mounted,
}

/// Runs work on other threads, and tells what it tells on this one: a caller's closure need not be shareable.
pub(super) fn told<T: Send>(
    progress: &dyn Fn(Event),
    work: impl FnOnce(&(dyn Fn(Event) + Sync)) -> T + Send,
) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || {
            // The receiver outlives the work.
            let tell = |event| {
                let _ = sender.send(event);
            };
            work(&tell)
        });
        for event in receiver {
            progress(event);
        }
        match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
