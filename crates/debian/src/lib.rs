//! The Debian archive: its signed index verified, package sets resolved and locked, packages fetched and unpacked
//! into the tree of a base. It runs no maintainer script and no program at all (what must run inside a base is
//! returned as [`Finish`] commands), and it knows nothing of images, sandboxes or buildpacks. Open `release.rs`
//! next: it holds the releases, what a base is made of and what is left out, then `compose.rs` for the way of a
//! package into a base.

mod apt_sources;
mod compose;
mod control;
mod deb;
mod depends;
mod dpkg;
mod effects;
mod event;
mod fetch;
mod finish;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod index;
mod leave_out;
mod lock;
mod near;
mod packages;
mod proxy;
mod release;
mod resolve;
mod settle;
mod signature;
mod transfer;
mod tree;
mod unpack;
mod version;

pub use apt_sources::{AptSource, SourceKind, apt_sources};
pub use compose::{ComposeError, Composed, Lower, PackageSize, compose};
pub use deb::DebError;
pub use event::{Event, Kind};
pub use fetch::{FetchError, fetch};
pub use finish::Finish;
pub use index::{Archive, ArchiveError, refresh};
pub use lock::LockedPackage;
pub use packages::PackageIndex;
pub use release::{ArchiveKey, Cut, RELEASES, Release, release};
pub use resolve::{ResolveError, resolve, resolve_uncut};
pub use settle::{Moved, Settled, Wishes, settle};
pub use signature::SignatureError;
pub use transfer::{Mirrors, TransferError};
pub use version::compare as compare_versions;
