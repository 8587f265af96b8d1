//! What the phases report while they work.

use crate::runner::{Phase, Stream};
use crate::semantics::Verdict;

/// Who listens. Called from several threads.
pub trait Events: Sync {
    /// Takes one event.
    fn event(&self, event: &Event<'_>);
}

/// Something that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A program was started.
    Started {
        /// `id@version`.
        who: &'a str,
        /// What for.
        phase: Phase,
    },
    /// A program printed something; not necessarily whole lines.
    Output {
        /// `id@version`.
        who: &'a str,
        /// What it was run for.
        phase: Phase,
        /// Where.
        stream: Stream,
        /// What.
        bytes: &'a [u8],
    },
    /// A program has ended.
    Finished {
        /// `id@version`.
        who: &'a str,
        /// What it was run for.
        phase: Phase,
    },
    /// One `bin/detect` was judged.
    Judged {
        /// `id@version`.
        who: &'a str,
        /// The judgement.
        verdict: &'a Verdict,
    },
    /// A group of buildpacks was left for the next one.
    GroupFailed {
        /// The members, `id@version`.
        members: &'a [String],
        /// Why.
        reason: &'a str,
    },
    /// A layer is there again as the last build left it.
    LayerRestored {
        /// The buildpack's id.
        buildpack: &'a str,
        /// The layer's name.
        layer: &'a str,
        /// Whether its files are there, or only what was written about it.
        with_files: bool,
    },
    /// A layer of the last build was thrown away.
    LayerDiscarded {
        /// The buildpack's id.
        buildpack: &'a str,
        /// The layer's name.
        layer: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// A layer is part of the image.
    LayerExported(&'a crate::phases::export::ExportedLayer),
    /// Something that a user should hear of, and that is no error.
    Warning(&'a str),
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Events for Silent {
    fn event(&self, _: &Event<'_>) {}
}
