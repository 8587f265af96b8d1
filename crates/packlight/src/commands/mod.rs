//! The verbs: one file each, from arguments to a request to `platform`, and what is shown of the result.

pub(crate) mod agent;
pub(crate) mod base;
pub(crate) mod build;
pub(crate) mod doctor;
pub(crate) mod exit_codes;
pub(crate) mod images;
pub(crate) mod inspect;
pub(crate) mod prune;
pub(crate) mod rebase;
pub(crate) mod rm;
pub(crate) mod run;
pub(crate) mod sbom;
pub(crate) mod store;
pub(crate) mod telemetry;
mod version;

use crate::cli::{Cli, Command};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::interrupts::Interrupts;
use crate::render::Screen;
use platform::settings::{Environment, Settings};
use platform::world::{self, World};
use platform::{ImageName, Store};
use std::path::PathBuf;

/// Does what was asked.
pub(crate) fn run(
    cli: &Cli,
    screen: &Screen,
    interrupts: &Interrupts,
    env: Environment,
) -> Result<ExitCode, Failure> {
    let here = Here { screen, interrupts, env, store: cli.globals.store.clone() };
    match &cli.command {
        Command::Build(arguments) => build::run(&here, arguments),
        Command::Run(arguments) => run::run(&here, arguments),
        Command::Images(arguments) => images::run(&here, arguments),
        Command::Rm(arguments) => rm::run(&here, arguments),
        Command::Inspect(arguments) => inspect::run(&here, arguments),
        Command::Sbom(arguments) => sbom::run(&here, arguments),
        Command::Prune(arguments) => prune::run(&here, arguments),
        Command::Rebase(arguments) => rebase::run(&here, arguments),
        Command::Agent(arguments) => agent::run(&here, arguments),
        Command::Doctor(arguments) => doctor::run(&here, arguments),
        Command::Telemetry(arguments) => telemetry::run(&here, arguments),
        Command::Store(arguments) => store::run(&here, arguments),
        Command::Base(arguments) => base::run(&here, arguments),
        Command::Version => version::run(&here),
        Command::ExitCodes(arguments) => exit_codes::run(&here, arguments),
    }
}

/// What every verb is given besides its own arguments.
pub(crate) struct Here<'a> {
    pub(crate) screen: &'a Screen,
    interrupts: &'a Interrupts,
    pub(crate) env: Environment,
    store: Option<PathBuf>,
}

impl Here<'_> {
    /// Everything that a build needs.
    fn world(&self) -> Result<World, Failure> {
        Ok(World::open(self.env.clone(), self.store.as_deref())?)
    }

    /// The store, for what needs no buildpack.
    fn open_store(&self) -> Result<(Store, Settings), Failure> {
        Ok(world::open_store(&self.env, self.store.as_deref())?)
    }

    /// The registry of short image names.
    fn default_registry(&self) -> Result<String, Failure> {
        Ok(Settings::load(&self.env).map_err(world::WorldError::from)?.registry().to_owned())
    }

    /// Image names as the user's settings complete them.
    fn names(&self, texts: &[String]) -> Result<Vec<ImageName>, Failure> {
        let settings = Settings::load(&self.env).map_err(world::WorldError::from)?;
        texts.iter().map(|it| Ok(ImageName::parse(it, settings.registry())?)).collect()
    }
}
