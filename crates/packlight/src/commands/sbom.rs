//! `packlight sbom`.

use super::Here;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use clap::{Args, Subcommand};
use platform::images::Source;
use platform::sbom::{self, Bills, Where};
use std::path::PathBuf;

/// Look at an image's Software Bills of Materials
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write an image's Software Bills of Materials as files
    Download(DownloadArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "\
The files lie under the paths that they have in the image: DIR/layers/sbom/launch/BUILDPACK/LAYER/sbom.cdx.json

Examples:
      packlight sbom download my-app
  Of an image in a registry, of which nothing else is fetched.
      packlight sbom download registry.example.com/team/my-app --remote --output-dir bills")]
struct DownloadArguments {
    /// The image: a name (of the store, else of its registry), docker:NAME, oci:DIR, oci-archive:FILE or
    /// docker-archive:FILE
    image: String,
    /// The folder that the files are written beneath
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    output_dir: PathBuf,
    /// Ask the registry, even if the store has an image of that name
    #[arg(long)]
    remote: bool,
}

pub(super) fn run(here: &Here<'_>, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let Verb::Download(arguments) = &arguments.verb;
    let source = Source::parse(&arguments.image, &here.default_registry()?)?;
    let place = if arguments.remote { Where::Registry } else { Where::StoreFirst };
    let world = here.world()?;
    let bills =
        sbom::download(&world, &source, place, &arguments.output_dir, &|event| here.screen.event(event));
    let is_missing = |name| !arguments.remote && !matches!(world.store.image(name), Ok(Some(_)));
    let bills = bills.map_err(|error| match &source {
        Source::Registry(name) if is_missing(name) => Failure::from(error).not_in_store(),
        _ => error.into(),
    })?;
    let list = list(&bills);
    here.screen.result("sbom", &bills, |_| list.clone(), &list);
    Ok(ExitCode::OK)
}

fn list(bills: &Bills) -> String {
    bills.files.iter().map(|it| format!("{}\n", it.display())).collect()
}
