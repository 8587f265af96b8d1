//! Elastic: its APM agent for Python.

use super::{PythonData, Vendor};

/// The vendor's row.
pub const VENDOR: Vendor = Vendor {
    id: "elastic",
    named_by: "ELASTIC_APM_SERVER_URL",
    debian: &[],
    python: Some(PythonData {
        table: include_str!("python.toml"),
        inventory: include_str!("inventory.toml"),
    }),
};
