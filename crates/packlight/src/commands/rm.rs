//! `packlight rm`.

use super::Here;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use clap::Args;
use platform::housekeeping;

/// Take names away from images; `prune` then frees the space
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
      packlight rm my-app my-app:1.4
      packlight prune")]
pub(crate) struct Arguments {
    /// Names of images
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

pub(super) fn run(here: &Here<'_>, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let names = here.names(&arguments.names)?;
    let (store, _) = here.open_store()?;
    let (mut removed, mut missing) = (Vec::new(), Vec::new());
    for name in &names {
        match housekeeping::remove(&store, name)? {
            true => removed.push(name.short()),
            false => missing.push(name.short()),
        }
    }
    let text: String = removed.iter().map(|it| format!("removed {it}\n")).collect();
    here.screen.result(
        "removed",
        &serde_json::json!({"names": removed}),
        |_| text.clone(),
        &removed.join("\n"),
    );
    match missing.is_empty() {
        true => Ok(ExitCode::OK),
        false => {
            Err(Failure::new(ExitCode::GENERAL, &format!("no image has the name {}", missing.join(" or ")))
                .hint("`packlight images` lists the names"))
        }
    }
}
