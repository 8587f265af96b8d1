//! Whole builds with buildpacks as shell scripts and a real store.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unreachable_pub, reason = "shared by the modules of this test")]

mod after_failure;
mod beneath;
mod hostile;
mod layer_types;
mod phases;
mod rebase;
mod rebuild;
mod restore;
mod room;
