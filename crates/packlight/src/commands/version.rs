//! `packlight version`.

use super::Here;
use crate::exit_code::ExitCode;
use crate::failure::Failure;

pub(super) fn run(here: &Here<'_>) -> Result<ExitCode, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    here.screen.result(
        "version",
        &serde_json::json!({"version": version}),
        |_| format!("packlight {version}\n"),
        version,
    );
    Ok(ExitCode::OK)
}
