//! Sentry: its SDK for Python.

use super::{PythonData, Vendor};

/// The vendor's row.
pub const VENDOR: Vendor = Vendor {
    id: "sentry",
    named_by: "SENTRY_DSN",
    debian: &[],
    python: Some(PythonData {
        table: include_str!("python.toml"),
        inventory: include_str!("inventory.toml"),
    }),
};
