//! `packlight store`.

use super::Here;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use clap::{Args, Subcommand};
use platform::housekeeping;

/// Look after the store
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Read everything and say what is damaged
    Check,
    /// Print where the store is
    Path,
}

pub(super) fn run(here: &Here<'_>, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (store, _) = here.open_store()?;
    let path = store.root().display().to_string();
    match arguments.verb {
        Verb::Path => {
            here.screen.result("store", &serde_json::json!({"path": path}), |_| format!("{path}\n"), &path);
            Ok(ExitCode::OK)
        }
        Verb::Check => {
            let problems: Vec<String> =
                housekeeping::check(&store)?.iter().map(ToString::to_string).collect();
            let value = serde_json::json!({"path": path, "problems": problems});
            let lines: String = problems.iter().map(|it| format!("{it}\n")).collect();
            let text =
                if problems.is_empty() { format!("{path}: everything is as it should be\n") } else { lines };
            here.screen.result("checked", &value, |_| text.clone(), problems.join("\n").as_str());
            Ok(if problems.is_empty() { ExitCode::OK } else { ExitCode::STORE })
        }
    }
}
