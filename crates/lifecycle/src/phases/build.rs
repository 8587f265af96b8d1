//! Build: every buildpack of the group in turn, each with what it was asked for and with what those before it left.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#phase-5-build-component-buildpacks-only>

use crate::beneath::{Beneath, BeneathError};
use crate::buildpack::{self, Room};
use crate::catalogue::{Catalogue, CatalogueError, Kind, Known};
use crate::dirs::Dirs;
use crate::environment::Variables;
use crate::events::{Event, Events};
use crate::layers::{self, LayersError, OnDisk};
use crate::process::Launch;
use crate::runner::{ExitStatus, RunError, Runner};
use crate::sbom;
use crate::semantics::Semantics;
use cnb::analyzed::TargetData;
use cnb::env::Environment;
use cnb::group::GroupToml;
use cnb::launch::LaunchToml;
use cnb::layer::{BuildToml, StoreToml};
use cnb::metadata::BuildMetadata;
use cnb::plan::{BuildpackPlan, Plan, PlanEntry};

/// What build is asked.
#[derive(Debug)]
pub struct BuildRequest<'a> {
    /// Where everything is.
    pub dirs: &'a Dirs,
    /// The buildpacks that there are.
    pub catalogue: &'a Catalogue,
    /// The buildpacks to run.
    pub group: &'a GroupToml,
    /// The build plan.
    pub plan: &'a Plan,
    /// What the app will run on.
    pub target: Option<&'a TargetData>,
    /// The execution environment.
    pub exec_env: &'a str,
    /// The build image's environment with what this machine adds; only what the specification lists gets through.
    pub env: &'a Environment,
    /// The rules.
    pub semantics: Semantics,
}

/// What a build made; it is in the layers directory too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Processes, labels, slices: `config/metadata.toml`.
    pub metadata: BuildMetadata,
    /// Plan entries that nobody met.
    pub unmet: Vec<String>,
}

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// `bin/build` failed.
    #[error("{who}: bin/build ended with {status}")]
    Failed {
        /// `id@version`.
        who: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// `bin/build` could not be run.
    #[error("{who}: bin/build {source}")]
    Run {
        /// `id@version`.
        who: String,
        /// Why.
        source: RunError,
    },
    /// What it left behind can't be used.
    #[error("{who}: {reason}")]
    Left {
        /// `id@version`.
        who: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A buildpack is not there or not readable.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The lifecycle's own files could not be written.
    #[error(transparent)]
    Files(#[from] BeneathError),
    /// `config/metadata.toml` could not be written as TOML.
    #[error("config/metadata.toml: {0}")]
    Print(#[from] toml::ser::Error),
}

impl BuildError {
    /// The buildpack that failed, as `id@version`.
    pub(crate) fn who(&self) -> Option<&str> {
        match self {
            Self::Failed { who, .. } | Self::Run { who, .. } | Self::Left { who, .. } => Some(who),
            Self::Catalogue(_) | Self::Files(_) | Self::Print(_) => None,
        }
    }
}

/// Runs every buildpack of the group and writes `config/metadata.toml` and `sbom/`.
///
/// # Errors
/// With the first buildpack that fails.
pub fn build(
    request: &BuildRequest<'_>,
    runner: &dyn Runner,
    events: &dyn Events,
) -> Result<Built, BuildError> {
    let room = Room {
        dirs: request.dirs,
        target: request.target,
        exec_env: request.exec_env,
        runner,
        events,
        semantics: request.semantics,
    };
    let layers_dir = Beneath::open(&request.dirs.layers)?;
    layers_dir.remove("sbom")?;
    layers_dir.remove("config")?;
    let mut builder = Builder {
        room,
        variables: Variables::new(request.env, request.dirs, request.semantics)?,
        launch: Launch::default(),
        open: request.plan.entries.clone(),
        layers_dir,
    };
    for chosen in &request.group.group {
        let known = request.catalogue.get(Kind::Buildpack, &chosen.id, &chosen.version)?;
        builder.buildpack(&known)?;
    }
    builder.finish(request.group)
}

struct Builder<'a> {
    room: Room<'a>,
    variables: Variables,
    launch: Launch,
    /// Plan entries that nobody has met yet.
    open: Vec<PlanEntry>,
    layers_dir: Beneath,
}

impl Builder<'_> {
    fn buildpack(&mut self, known: &Known) -> Result<(), BuildError> {
        let who = known.full_name();
        let asked = self.asked_of(known);
        let directory = cnb::id::escape(&known.about.id);
        self.layers_dir.make_dir(&directory, self.room.dirs.owner)?;
        match buildpack::build(self.room, known, &self.variables, &asked)? {
            Ok(ExitStatus::Code(0)) => {}
            Ok(status) => return Err(BuildError::Failed { who, status }),
            Err(source) => return Err(BuildError::Run { who, source }),
        }
        self.take(known, &directory, &asked)
            .map_err(|error| BuildError::Left { who, reason: error.to_string() })
    }

    /// Every requirement of a name that it provides and that nobody has met.
    fn asked_of(&self, known: &Known) -> BuildpackPlan {
        let provides =
            |entry: &&PlanEntry| entry.providers.iter().any(|it| !it.extension && it.id == known.about.id);
        let entries = self.open.iter().filter(provides).flat_map(|it| it.requires.iter().cloned());
        BuildpackPlan { entries: entries.collect() }
    }

    /// Reads what it left. Nobody has to be asked whether the directory is still what it was: it is opened anew.
    fn take(&mut self, known: &Known, directory: &str, asked: &BuildpackPlan) -> Result<(), LayersError> {
        let gone =
            || LayersError::Other(format!("its directory {directory} in the layers directory is gone"));
        let dir = self.layers_dir.dir(directory)?.ok_or_else(gone)?;
        let layers = layers::read(&dir)?;
        self.use_layers(known, &dir, &layers)?;
        self.met(&dir, asked)?;
        for warning in sbom::collect(&self.layers_dir, &dir, known, &layers)? {
            self.room.events.event(&Event::Warning(&warning));
        }
        layers::toml_file::<StoreToml>(&dir, "store.toml")?;
        if let Some(launch) = layers::toml_file::<LaunchToml>(&dir, "launch.toml")?
            && let Some(warning) = self.launch.add(known, launch).map_err(LayersError::Other)?
        {
            self.room.events.event(&Event::Warning(&warning));
        }
        Ok(())
    }

    /// Build layers are for the buildpacks to come; a layer that is for nothing is put out of their way.
    fn use_layers(&mut self, known: &Known, dir: &Beneath, layers: &[OnDisk]) -> Result<(), LayersError> {
        let inside = self.room.dirs.layers.join(cnb::id::escape(&known.about.id));
        for layer in layers.iter().filter(|it| it.has_files) {
            let name = &layer.name;
            if layers::is_ignored(layer.toml.types) {
                dir.rename(name, format!("{name}.ignore"))?;
            } else if layer.toml.types.build
                && let Some(open) = dir.dir(name)?
            {
                self.variables.add_layer(&open, &inside.join(name))?;
            }
        }
        Ok(())
    }

    /// What is not called unmet in `build.toml` is nobody else's business.
    ///
    /// <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#unmet-buildpack-plan-entries>
    fn met(&mut self, dir: &Beneath, asked: &BuildpackPlan) -> Result<(), LayersError> {
        let said: BuildToml = layers::toml_file(dir, "build.toml")?.unwrap_or_default();
        let is_asked = |name: &str| asked.entries.iter().any(|it| it.name == name);
        if let Some(unmet) = said.unmet.iter().find(|it| !is_asked(&it.name)) {
            let text = format!("build.toml calls `{}` unmet, which was not in its plan", unmet.name);
            return Err(LayersError::Other(text));
        }
        let is_met = |entry: &PlanEntry| {
            entry
                .requires
                .iter()
                .any(|it| is_asked(&it.name) && !said.unmet.iter().any(|u| u.name == it.name))
        };
        self.open.retain(|entry| !is_met(entry));
        Ok(())
    }

    fn finish(self, group: &GroupToml) -> Result<Built, BuildError> {
        let launch = self.launch.merged();
        let metadata = BuildMetadata {
            buildpack_default_process_type: launch.default.unwrap_or_default(),
            buildpacks: group.group.clone(),
            extensions: group.group_extensions.clone(),
            processes: launch.processes,
            slices: launch.slices,
            labels: launch.labels,
        };
        let text = cnb::print(&metadata)?;
        // a buildpack may have left something in its place
        self.layers_dir.remove("config")?;
        let config = self.layers_dir.make_dir("config", None)?;
        config.write("metadata.toml", text.as_bytes(), None)?;
        let provided = |entry: &&PlanEntry| entry.providers.iter().any(|it| !it.extension);
        let names = self.open.iter().filter(provided).filter_map(|it| it.requires.first());
        Ok(Built { metadata, unmet: names.map(|it| it.name.clone()).collect() })
    }
}
