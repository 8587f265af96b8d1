//! New Relic: its own agent for Python.

use super::{PythonData, Vendor};

/// The vendor's row.
pub const VENDOR: Vendor = Vendor {
    id: "newrelic",
    named_by: "NEW_RELIC_LICENSE_KEY",
    debian: &[],
    python: Some(PythonData {
        table: include_str!("python.toml"),
        inventory: include_str!("inventory.toml"),
    }),
};
