//! Datadog: ddtrace.

use super::{PythonData, Vendor};

/// The vendor's row.
pub const VENDOR: Vendor = Vendor {
    id: "datadog",
    named_by: "DD_AGENT_HOST",
    debian: &["libstdc++6"],
    python: Some(PythonData {
        table: include_str!("python.toml"),
        inventory: include_str!("inventory.toml"),
    }),
};
