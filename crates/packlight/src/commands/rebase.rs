//! `packlight rebase`.

use super::Here;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use clap::Args;
use platform::rebase::{self, Forcing, Outcome, Place, RebaseRequest, Rebased, Run};
use std::io::BufRead as _;

/// Put images on a newer run image, without a build and without moving a layer
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  An image of a registry, on the run image that it names.
      packlight rebase registry.example.com/team/my-app --publish

  All of a team's, and what would happen first.
      packlight rebase --all 'registry.example.com/team/*' --dry-run
      packlight rebase --all 'registry.example.com/team/*'

  A list from elsewhere.
      kubectl get pods -A -o jsonpath='{..image}' | tr ' ' '\\n' | sort -u | packlight rebase - --publish")]
pub(crate) struct Arguments {
    /// The images; `-` reads their names from standard input, one a line
    #[arg(required_unless_present = "all")]
    names: Vec<String>,
    /// All images of a registry whose names match; `*` stands for anything. They are rebased in the registry
    #[arg(long, value_name = "PATTERN", conflicts_with = "names")]
    all: Option<String>,
    /// Rebase the images in their registries, not those of the store
    #[arg(long)]
    publish: bool,
    /// The run image, in place of the one that each image names
    #[arg(long, value_name = "IMAGE")]
    run_image: Option<String>,
    /// Do it although the new run image is for something else, or unknown to the image
    #[arg(long)]
    force: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(here: &Here<'_>, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let world = here.world()?;
    let images = match &arguments.all {
        Some(pattern) => rebase::matching(&world, pattern)?,
        None => here.names(&names(&arguments.names)?)?,
    };
    let request = RebaseRequest {
        images,
        place: if arguments.publish || arguments.all.is_some() { Place::Registry } else { Place::Store },
        run_image: here.names(arguments.run_image.as_slice())?.into_iter().next(),
        force: if arguments.force { Forcing::Yes } else { Forcing::No },
        run: if arguments.dry_run { Run::Dry } else { Run::Real },
    };
    let done = rebase::rebase(&world, &request, &|event| here.screen.event(event))?;
    let value = serde_json::json!({"images": done, "dry-run": arguments.dry_run});
    let changed: Vec<&str> = done.iter().filter(|it| is_rebased(it)).map(|it| it.name.as_str()).collect();
    here.screen.result("rebased", &value, |_| text(&done, arguments.dry_run), &changed.join("\n"));
    let refused = done.iter().any(|it| matches!(it.outcome, Outcome::Refused { .. }));
    Ok(if refused { ExitCode::REBASE } else { ExitCode::OK })
}

/// Names as they are given, or the lines of standard input.
pub(super) fn names(given: &[String]) -> Result<Vec<String>, Failure> {
    if given != ["-"] {
        return Ok(given.to_vec());
    }
    let lines: Result<Vec<String>, _> = std::io::stdin().lock().lines().collect();
    let lines = lines.map_err(|error| Failure::usage(&format!("standard input: {error}")))?;
    Ok(lines.iter().map(|it| it.trim()).filter(|it| !it.is_empty()).map(str::to_owned).collect())
}

fn is_rebased(it: &Rebased) -> bool {
    matches!(it.outcome, Outcome::Rebased { .. })
}

fn text(done: &[Rebased], dry: bool) -> String {
    let count = |which: fn(&Outcome) -> bool| done.iter().filter(|it| which(&it.outcome)).count();
    let rebased = count(|it| matches!(it, Outcome::Rebased { .. }));
    let unchanged = count(|it| matches!(it, Outcome::Unchanged));
    let refused = count(|it| matches!(it, Outcome::Refused { .. }));
    let verb = if dry { "to be rebased" } else { "rebased" };
    format!("{rebased} {verb}, {unchanged} on their run image already, {refused} refused\n")
}
