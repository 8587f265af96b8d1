//! A layer: what is in it (`spec.rs`), found on the disk (`walk.rs`), put in order (`plan.rs`), written as a tar (`tar.rs`) and compressed
//! (`gzip.rs`), all in one pass (`export.rs`).

mod export;
mod gzip;
mod plan;
mod record;
mod spec;
mod tar;
mod walk;

pub use export::Compression;
pub(crate) use export::{ExportError, export};
pub use gzip::ENCODING;
pub(crate) use gzip::pack;
pub(crate) use plan::Plan;
pub use record::{Added, LayerError, LayerRecord, Notice, TreeIndex};
pub use spec::{Kept, LayerSpec, Modes, Owner, OwnerRule, TreeRules};
pub(crate) use tar::{BLOCK, Header, Kind, padding};

/// When everything in our images was made: the second after the oldest time that a zip archive can hold, as the
/// reference lifecycle has it.
pub const CREATED: &str = "1980-01-01T00:00:01Z";
/// The same in seconds since 1970.
pub(crate) const CREATED_SECONDS: u64 = 315_532_801;
