//! `packlight exit-codes`.

use super::Here;
use crate::exit_code::{ExitCode, TABLE};
use crate::failure::Failure;
use clap::Args;

/// Print what the exit codes mean
#[derive(Debug, Args)]
#[command(
    after_help = "`packlight run` ends with the app's own exit code, or 128 and the number of the signal that ended it."
)]
pub(crate) struct Arguments {}

pub(super) fn run(here: &Here<'_>, _: &Arguments) -> Result<ExitCode, Failure> {
    let codes: Vec<_> =
        TABLE.iter().map(|(code, text)| serde_json::json!({"code": code.0, "meaning": text})).collect();
    let text: String = TABLE.iter().map(|(code, text)| format!("{:>3}  {text}\n", code.0)).collect();
    here.screen.result("exit-codes", &serde_json::json!({"codes": codes}), |_| text.clone(), &text);
    Ok(ExitCode::OK)
}
