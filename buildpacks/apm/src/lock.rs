//! The agent's part of `packlight.lock`: `[agent.<vendor>]`, pins with their sha256 and what they were resolved from.

use crate::agent_toml::Library;
use buildpack::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A package, pinned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pin {
    /// Its normalised name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The sha256 of each file that may be installed, 64 hexadecimal digits.
    pub sha256: Vec<String>,
}

/// `[agent.<vendor>]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pins {
    /// A digest of what they were resolved from: with another one they are only preferences.
    pub inputs: String,
    /// The agent's version.
    pub version: String,
    /// What the app has that is observed.
    #[serde(default)]
    pub instrumented: Vec<Library>,
    /// What the app has that is not, and why.
    #[serde(default)]
    pub skipped: Vec<Library>,
    /// What is installed beside the app's packages.
    #[serde(default)]
    pub packages: Vec<Pin>,
}

impl Pins {
    /// A digest of all of it.
    #[must_use]
    pub fn digest(&self) -> String {
        Digest::new().part("pins", toml::to_string(self).unwrap_or_default().as_bytes()).hex()
    }
}

/// The whole fragment, as it is written: the agents by vendor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Fragment {
    /// `[agent.<vendor>]`.
    pub agent: BTreeMap<String, Pins>,
}
