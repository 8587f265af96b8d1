//! What an operation tells whoever watches it: values, never printed here.
//!
//! Each is one line of `--format json`; docs/reference/events.md documents them.

use serde::Serialize;

/// Takes events. Called from several threads.
pub type Events<'a> = &'a (dyn Fn(Event) + Sync);

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A phase begins.
    PhaseStarted {
        /// Which.
        phase: Phase,
    },
    /// A phase is over.
    PhaseFinished {
        /// Which.
        phase: Phase,
        /// How long it took.
        seconds: f64,
    },
    /// Something that the user should know; nothing is wrong.
    Notice {
        /// A sentence.
        text: String,
    },
    /// Something that the user should look at.
    Warning {
        /// A sentence.
        text: String,
    },
    /// A line that a buildpack printed.
    Output {
        /// `id@version`.
        buildpack: String,
        /// Whether it went to standard error.
        error: bool,
        /// The line, without its end.
        text: String,
    },
    /// Bytes came or went over the network.
    Downloading {
        /// `index`, `package` or `layer`; or `upload`.
        kind: &'static str,
        /// The file, as a person would call it.
        name: String,
        /// Bytes so far, of this file.
        received: u64,
        /// Bytes in all, when known.
        size: Option<u64>,
    },
    /// A file is complete and verified.
    Downloaded {
        /// `index`, `package` or `layer`; or `upload`.
        kind: &'static str,
        /// The file.
        name: String,
        /// Bytes that went over the network.
        bytes: u64,
    },
    /// Everything that the build depends on is as it was at the last one, whose image stands.
    Unchanged,
    /// A buildpack took part in detection.
    Detected {
        /// `id@version`.
        buildpack: String,
    },
    /// An engine is sent the layers that it lacks.
    Sending {
        /// How many.
        layers: usize,
        /// Layers in the image.
        of: usize,
        /// Bytes that will be sent.
        bytes: u64,
    },
    /// An image was put on another run image, or was not.
    ImageRebased {
        /// Which, and what happened.
        rebased: crate::rebase::Rebased,
    },
    /// An image has other agents now, or has not.
    ImageAmended {
        /// Which, and what happened.
        amended: crate::agent::Amended,
    },
    /// A layer of the image stands.
    LayerExported {
        /// What it is, such as `packlight/python:venv`.
        name: String,
        /// Compressed bytes.
        size: u64,
        /// Whether it is the previous build's, unread.
        reused: bool,
    },
}

/// The parts of an operation, in the specification's words where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The store, the builder and the source are looked at.
    Prepare,
    /// The previous image is read.
    Analyze,
    /// Buildpacks say whether they take part.
    Detect,
    /// The base is composed, where it is not there yet.
    Base,
    /// Cached layers are made ready.
    Restore,
    /// Buildpacks build.
    Build,
    /// The image is written to the store.
    Export,
    /// The image is started, and its span is waited for.
    Verify,
    /// The image is handed to an engine, a layout or an archive.
    Output,
}

impl Phase {
    /// The word that people see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Analyze => "analyze",
            Self::Detect => "detect",
            Self::Base => "base",
            Self::Restore => "restore",
            Self::Build => "build",
            Self::Export => "export",
            Self::Verify => "verify",
            Self::Output => "output",
        }
    }
}

/// Runs `work` as `phase`, with an event before and after.
pub fn in_phase<T>(events: Events<'_>, phase: Phase, work: impl FnOnce() -> T) -> T {
    events(Event::PhaseStarted { phase });
    let begin = std::time::Instant::now();
    let result = work();
    events(Event::PhaseFinished { phase, seconds: begin.elapsed().as_secs_f64() });
    result
}
