//! OpenTelemetry: the agent that every image carries unless told otherwise.

use super::{PythonData, Vendor};

/// The vendor's row.
pub const VENDOR: Vendor = Vendor {
    id: "opentelemetry",
    named_by: "OTEL_EXPORTER_OTLP_ENDPOINT",
    debian: &[],
    python: Some(PythonData {
        table: include_str!("python.toml"),
        inventory: include_str!("inventory.toml"),
    }),
};

/// The oldest minor of API and SDK (1.20) that the agent's own code is tested with.
pub const OLDEST_MINOR: u32 = 20;

/// Instrumentation packages are released with the SDK: SDK 1.20 with 0.41b0, 1.45 with 0.66b0.
///
/// <https://github.com/open-telemetry/opentelemetry-python-contrib/blob/main/RELEASING.md>
pub const TRAIN_OFFSET: u32 = 21;
