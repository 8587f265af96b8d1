//! What the fuzz targets share: tars made of a few odd entries, and a folder beside which nothing may change.
//! It parses nothing itself, and no program is linked with it.
//! Open a target in `fuzz_targets/` next: each says what it feeds to which parser, and what must hold then.

mod environment;
mod room;
mod tars;
mod telemetry;

pub use self::telemetry::questions;
pub use environment::is_environment;
pub use room::{Room, no_larger_than};
pub use tars::{Entry, ar_of, entries, parts, tar_of, with_checksums};
