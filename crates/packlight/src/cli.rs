//! Everything that can be asked on the command line; what a verb takes is in its own file of `commands/`.

use crate::commands::{
    agent, base, build, doctor, exit_codes, images, inspect, prune, rebase, rm, run, sbom, store, telemetry,
};
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Source in, observable image out.
#[derive(Debug, Parser)]
#[command(name = "packlight", version, about, long_about = None, styles = STYLES, max_term_width = 100)]
#[command(after_help = EXAMPLES, disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    // Not global: behind `run`, `-v` is a volume, as everybody expects.
    #[arg(short = 'v', hide = true)]
    more: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// What every verb takes, with the short forms that not every verb has.
    pub(crate) fn globals(&self) -> Globals {
        let more = self.more || matches!(&self.command, Command::Build(build) if build.more);
        let verbose = self.globals.verbose || more && !self.globals.quiet;
        let said = match &self.command {
            Command::Inspect(inspect) => inspect.output,
            _ => None,
        };
        Globals { verbose, format: said.unwrap_or(self.globals.format), ..self.globals.clone() }
    }
}

const EXAMPLES: &str = "\
Examples:
  In the folder of a Python app: make an image of it, then start the image.
      packlight build my-app
      packlight run my-app

  The same image under Docker, when there is an engine.
      docker run --rm -p 8000:8000 -e PORT=8000 my-app

  See its traces: every request is printed as a span.
      packlight run my-app -e OTEL_TRACES_EXPORTER=console

`packlight VERB --help` has the examples of a verb, `packlight exit-codes` what a script can go by.";

/// What every verb takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output, and where things are kept")]
pub(crate) struct Globals {
    /// Print nothing but the result (for a build: the image's digest) and errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print more: each layer, each download
    #[arg(long, global = true)]
    pub(crate) verbose: bool,
    /// `json`: one event a line on standard output, the result last
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
    /// When to use colour; NO_COLOR and CLICOLOR_FORCE are heeded too
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: Color,
    /// The store, where images and caches are kept [default: $PACKLIGHT_STORE, or
    /// $XDG_DATA_HOME/packlight, or ~/.local/share/packlight]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
}

/// For whom the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make an image of an app's source
    Build(Box<build::Arguments>),
    /// Start an image from the store
    Run(run::Arguments),
    /// List the images of the store
    #[command(visible_alias = "ls")]
    Images(images::Arguments),
    /// Show what an image or a builder says of itself, without fetching a layer
    Inspect(inspect::Arguments),
    /// Look at an image's Software Bills of Materials
    Sbom(sbom::Arguments),
    /// Take names away from images; `prune` then frees the space
    Rm(rm::Arguments),
    /// Free what nothing uses any more
    Prune(prune::Arguments),
    /// Put images on a newer run image, without a build and without moving a layer
    Rebase(rebase::Arguments),
    /// Look after the APM agents of images that stand already
    Agent(agent::Arguments),
    /// Find out why there are no spans
    Doctor(doctor::Arguments),
    /// Receive the telemetry of apps that were started some other way
    Telemetry(telemetry::Arguments),
    /// Look after the store
    Store(store::Arguments),
    /// Look after the bases, which apps run on
    Base(base::Arguments),
    /// Print the version
    Version,
    /// Print what the exit codes mean
    ExitCodes(exit_codes::Arguments),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inspect_has_the_flag_that_pack_has() {
        let format = |args: &[&str]| {
            Cli::try_parse_from([&["packlight"], args].concat()).map(|it| it.globals().format)
        };
        assert_eq!(format(&["inspect", "app", "--output", "json"]).unwrap(), Format::Json);
        assert_eq!(format(&["inspect", "app", "--format", "json"]).unwrap(), Format::Json);
        assert_eq!(format(&["inspect", "app"]).unwrap(), Format::Text);
        assert!(format(&["inspect", "app", "--output", "json", "--format", "text"]).is_err());
    }
}
