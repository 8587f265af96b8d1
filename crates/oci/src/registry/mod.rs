//! The registry client: images from registries into the store and back, and what can be done without their layers; files of other servers by the same way (`file.rs`).
//!
//! It is synchronous; what goes on at the same time has threads. `client.rs` is how anything is asked (the right header,
//! tried again), `manifests.rs`, `pull.rs`, `push.rs`, `list.rs` and `referrers.rs` are what is asked. Every byte is believed only by
//! its digest and its size. What a user may set is a value in [`Settings`]; the page for users is
//! `docs/reference/registries.md`. The standard: <https://github.com/opencontainers/distribution-spec/tree/v1.1.1>.

mod auth;
mod challenge;
mod client;
mod credentials;
mod download;
mod endpoint;
mod error;
mod event;
mod file;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod helper;
mod list;
mod manifests;
mod pull;
mod push;
mod referrers;
mod retry;
mod settings;
mod site;
mod transport;
mod upload;

pub use client::Client;
pub use credentials::{CredentialError, Credentials, Helper, Secret};
pub use error::{Error, Problem, Said};
pub use event::{Event, How};
pub use file::{Fetched, FileError, FileRequest, shown};
pub use helper::helper_programs;
pub use push::{Layers, Pushed};
pub use settings::{Authority, Proxies, Retry, Settings, Timeouts};
