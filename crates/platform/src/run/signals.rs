//! Signals that the caller got, on their way to the app.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// A signal that the caller got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupt {
    /// Its number.
    pub signal: i32,
    /// Whether the app got it too.
    pub told: Told,
}

/// Whether the app has got a signal without us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The terminal sends Ctrl-C to everybody in the foreground.
    Already,
    /// Somebody sent it to us alone.
    NotYet,
}

/// Where a run hears of signals.
#[derive(Debug)]
pub struct Signals {
    hears: Arc<AtomicBool>,
    pub(super) sender: Sender<Happening>,
    pub(super) receiver: Receiver<Happening>,
}

/// What a run waits for.
#[derive(Debug)]
pub(super) enum Happening {
    /// A signal.
    Signal(Interrupt),
    /// The app's end.
    Ended(Result<sandbox::Exit, sandbox::SandboxError>),
}

impl Signals {
    /// A place to hear of signals, and how they get there: false is the answer while there is no app yet.
    pub fn new() -> (impl Fn(Interrupt) -> bool + Send + 'static, Self) {
        let (sender, receiver) = channel();
        let tell = sender.clone();
        // A run that is over hears nothing more.
        let hears = Arc::<AtomicBool>::default();
        let are_heard = Arc::clone(&hears);
        let tell = move |it| {
            let is_heard = are_heard.load(Ordering::Acquire);
            if is_heard {
                drop(tell.send(Happening::Signal(it)));
            }
            is_heard
        };
        (tell, Self { hears, sender, receiver })
    }

    /// The app is about to start: what comes from now on is for it.
    pub(super) fn hear(&self) {
        self.hears.store(true, Ordering::Release);
    }
}
