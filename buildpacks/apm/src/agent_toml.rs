//! What the build leaves for the launch program: `agent.toml` in each agent's layer, `config.toml` in the layer `config`.
//! docs/formats/agent.md shows both.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The file that makes a layer an agent's: the launch program lists the layers beside its own that have it.
pub const FILE: &str = "agent.toml";
/// What is true of the app whichever agent wakes.
pub const CONFIG_FILE: &str = "config.toml";
/// The layer that holds it and the launch program, beside the agents'.
pub const LAYER: &str = "config";

/// All of `config.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Config {
    /// Process types in which every agent stays asleep.
    #[serde(default)]
    pub skip_processes: Vec<String>,
    /// Resource attributes that the build knows.
    #[serde(default)]
    pub identity: BTreeMap<String, String>,
}

/// All of `agent.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Agent {
    /// Whose agent it is.
    pub vendor: String,
    /// Its version.
    pub version: String,
    /// The languages that it observes here.
    #[serde(default)]
    pub languages: Vec<String>,
    /// What it observes.
    #[serde(default)]
    pub instrumented: Vec<Library>,
    /// What it does not, and why.
    #[serde(default)]
    pub skipped: Vec<Library>,
}

/// A library of the app.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Library {
    /// Its name.
    pub name: String,
    /// Its version in the app; empty for a part of the language's own library.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Why it is skipped.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl Library {
    /// `flask 3.1.2`, or `sqlite3`.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} {}", self.name, self.version).trim_end().to_owned()
    }
}
