//! The phases of a build, one file each, in the order in which they run.

pub mod analyze;
pub mod detect;
pub mod restore;
pub mod restore_from;
pub mod untouched;
// one screen apart, so that the order can be read
pub mod build;
pub mod export;
pub mod keep;
// in place of export, when there is nothing to export
pub mod after_failure;
// operations of their own, on an image that stands already
pub mod amend;
pub mod rebase;
