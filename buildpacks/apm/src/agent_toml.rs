//! `agent.toml` in the layer `config`: what the launch program must know, written by the build.
//!
//! ```toml
//! [agent]
//! vendor = "opentelemetry"
//! version = "1.45.1"
//! skip-processes = ["release", "migrate"]
//! instrumented = [{ name = "flask", version = "3.1.2" }]
//! skipped = [{ name = "sqlalchemy", version = "2.1.0", reason = "supports >=1.0.0,<2.1.0" }]
//!
//! [identity]
//! "service.name" = "my-python-app"
//! ```

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The file's name.
pub const FILE: &str = "agent.toml";
/// The layer that holds it, beside the agent's.
pub const LAYER: &str = "config";

/// All of `agent.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AgentToml {
    /// What was put in.
    pub agent: Agent,
    /// Resource attributes that the build knows.
    #[serde(default)]
    pub identity: BTreeMap<String, String>,
}

/// What was put in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Agent {
    /// Whose agent it is.
    pub vendor: String,
    /// Its version.
    pub version: String,
    /// Process types in which it stays asleep.
    #[serde(default)]
    pub skip_processes: Vec<String>,
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
