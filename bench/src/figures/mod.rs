//! The list of figures. Each is one file: what is prepared, what is timed, what is printed.

mod agent;
mod export;
mod first_build;
mod launcher;
mod rebuild;
mod sandbox;
mod vs_pack;

use crate::Result;
use crate::ground::Ground;
pub(crate) use vs_pack::GROUP;

/// One figure.
pub(crate) struct Figure {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What is measured.
    pub(crate) what: &'static str,
    /// What it should be.
    pub(crate) aim: &'static str,
    /// Measures and prints.
    pub(crate) measure: fn(&Ground) -> Result<()>,
}

/// Every figure, in the order of the table in docs/reference/figures.md.
pub(crate) const FIGURES: &[Figure] = &[
    first_build::FIGURE,
    rebuild::UNCHANGED,
    rebuild::CHANGED,
    first_build::IMAGE,
    sandbox::FIGURE,
    launcher::FIGURE,
    agent::DORMANT,
    agent::ACTIVE,
    first_build::MEMORY,
    export::FIGURE,
    vs_pack::SMALL,
    vs_pack::LARGE,
    vs_pack::CHANGED,
    vs_pack::ADDED,
    vs_pack::REBASE,
    vs_pack::TRANSFER,
    vs_pack::EXPORTER,
];
