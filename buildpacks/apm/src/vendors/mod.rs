//! What an agent is: one folder and one line of [`VENDORS`] for each vendor, data and no code of detect or build.

pub mod datadog;
pub mod elastic;
pub mod newrelic;
pub mod opentelemetry;
pub mod sentry;

use serde::Deserialize;
use std::collections::BTreeMap;

/// A vendor's agent.
#[derive(Debug, Clone, Copy)]
pub struct Vendor {
    /// As the user writes it in `PACKLIGHT_AGENT`.
    pub id: &'static str,
    /// A variable that names its destination at launch, for a person.
    pub named_by: &'static str,
    /// Debian packages that its machine code needs in the base, where the builder brings such packages.
    pub debian: &'static [&'static str],
    /// Its agent for Python, when it has one here.
    pub python: Option<PythonData>,
}

/// The files of a vendor's Python agent.
#[derive(Debug, Clone, Copy)]
pub struct PythonData {
    /// What it observes: [`PythonAgent`] in TOML.
    pub table: &'static str,
    /// The set of packages that is taken where it fits the app: [`Inventory`] in TOML.
    pub inventory: &'static str,
}

/// All vendors, in the order in which they are named to a person.
pub const VENDORS: &[Vendor] =
    &[opentelemetry::VENDOR, datadog::VENDOR, newrelic::VENDOR, elastic::VENDOR, sentry::VENDOR];

/// Vendors that are known by name and not there yet, so that the answer is "not yet" and not "no such".
pub const NOT_YET: &[&str] = &["dynatrace", "splunk"];

/// What a Python agent consists of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PythonAgent {
    /// Packages that it needs in any case; the version of the first is the agent's.
    pub core: Vec<String>,
    /// The versions of the first one that our code starts, such as `>=3.0`; of the app's own ones too.
    #[serde(default)]
    pub supports: String,
    /// Whether it is many packages that are released together and ask for each other's release, as OpenTelemetry's are.
    #[serde(default)]
    pub trains: bool,
    /// Variables that are set inside the app's process where the user has not.
    #[serde(default)]
    pub defaults: BTreeMap<String, String>,
    /// What it can observe.
    pub library: Vec<Library>,
}

/// One library that can be observed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Library {
    /// Its name, also the one in `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`.
    pub name: String,
    /// Distributions that bring it, any of them; none: it is in Python's own library.
    #[serde(default)]
    pub distributions: Vec<String>,
    /// The package that observes it; for an agent that is one package, what is needed beside it for this library, if anything.
    #[serde(default)]
    pub package: String,
    /// The versions that are observed, such as `>=1.1`, where no package says so.
    #[serde(default)]
    pub supports: String,
    /// The module whose import is waited for; empty where the agent's own code waits.
    #[serde(default)]
    pub import: String,
    /// `module:Class` of the instrumentor; empty where the agent's own code knows.
    #[serde(default)]
    pub class: String,
    /// The function of the imported module before whose first call it is instrumented, where an import is too early.
    #[serde(default)]
    pub before: Option<String>,
    /// A distribution whose own instrumentation covers this one too.
    #[serde(default)]
    pub unless: Option<String>,
    /// Whether our own tests cover every train with today's version of the library, so that the range which an old
    /// instrumentation declares (written before today's version was) is not asked.
    #[serde(default)]
    pub tested: bool,
}

/// A set of packages that was tested together, with the sha256 of each wheel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Inventory {
    /// The packages.
    #[serde(default)]
    pub package: Vec<crate::lock::Pin>,
}
