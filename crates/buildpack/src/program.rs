//! The two programs of a buildpack, and the only place here that reads the environment and prints.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#detection>

use crate::context::Inputs;
use crate::{Context, Failure, Log, atomic, layer};
use cnb::launch::LaunchToml;
use cnb::layer::{BuildToml, LayerTypes, StoreToml, Unmet};
use cnb::plan::{Alternative, BuildPlan, BuildpackPlan, Provide, Require};
use fs_err as fs;
use serde::de::DeserializeOwned;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A buildpack: what it does when detecting and when building. Its `bin/detect` and `bin/build` are one program.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Whether the app is for it, and what it needs.
    pub detect: fn(&Detect) -> Result<Detected, Failure>,
    /// Its layers and processes.
    pub build: fn(&Build) -> Result<Built, Failure>,
}

/// What detection is handed; it dereferences to [`Context`].
#[derive(Debug, Clone)]
pub struct Detect {
    /// What both programs are handed.
    pub context: Context,
}

/// What detection says.
#[derive(Debug, Clone, PartialEq)]
pub enum Detected {
    /// The app is for this buildpack, which provides and requires this.
    Pass(BuildPlan),
    /// The app is not for this buildpack (exit code 100); what was logged is shown when nothing else passes.
    Fail,
}

impl Detected {
    /// Passes with an empty plan.
    #[must_use]
    pub fn pass() -> Self {
        Self::Pass(BuildPlan::default())
    }

    /// Passes with a plan of one alternative.
    #[must_use]
    pub fn with(provides: &[&str], requires: Vec<Require>) -> Self {
        Self::Pass(BuildPlan { first: alternative(provides, requires), or: Vec::new() })
    }
}

/// One alternative of a build plan.
#[must_use]
pub fn alternative(provides: &[&str], requires: Vec<Require>) -> Alternative {
    let provides = provides.iter().map(|it| Provide { name: (*it).to_owned() }).collect();
    Alternative { provides, requires }
}

/// One requirement of a build plan.
#[must_use]
pub fn require(name: &str, metadata: toml::Table) -> Require {
    Require { name: name.to_owned(), metadata, ..Require::default() }
}

/// What building is handed; it dereferences to [`Context`].
#[derive(Debug, Clone)]
pub struct Build {
    /// What both programs are handed.
    pub context: Context,
    /// Where this buildpack's layers are.
    pub layers: PathBuf,
    /// What others asked of this buildpack.
    pub plan: BuildpackPlan,
    /// What an earlier build left in `store.toml`.
    pub store: toml::Table,
}

impl Build {
    /// Opens a layer; see [`layer::open`].
    ///
    /// # Errors
    /// When the layers directory cannot be read or written.
    pub fn layer<M: DeserializeOwned>(
        &self,
        name: &str,
        types: LayerTypes,
        decide: impl FnOnce(&M) -> layer::Decision,
    ) -> Result<layer::Layer<M>, Failure> {
        layer::open(&self.layers, (name, types), &self.log, decide)
    }
}

/// What building says beside its layers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Built {
    /// `launch.toml`.
    pub launch: LaunchToml,
    /// Plan entries that were not met.
    pub unmet: Vec<String>,
    /// `store.toml`; `None`: none is written.
    pub store: Option<toml::Table>,
}

impl Deref for Detect {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}

impl Deref for Build {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}

/// Runs the buildpack: the program's name says whether it detects or builds. Call it from `main` and nowhere else.
#[must_use]
pub fn run(program: &Program) -> ExitCode {
    // Files of a layer have the same modes, whoever runs the build. <https://man7.org/linux/man-pages/man2/umask.2.html>
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let log = Log::new(std::io::stdout());
    match run_with(program, std::env::args_os().collect(), &log) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            log.raw(&format!("{}\n", failure.to_string().trim_end()));
            ExitCode::from(failure.exit_code())
        }
    }
}

/// The exit code of detection that is not for this app.
const NOT_FOR_ME: u8 = 100;

fn run_with(program: &Program, args: Vec<std::ffi::OsString>, log: &Log) -> Result<u8, Failure> {
    let mut args = args.into_iter().map(PathBuf::from);
    let inputs = Inputs {
        program: args.next().unwrap_or_default(),
        args: args.collect(),
        env: std::env::vars_os().collect(),
        current_dir: std::env::current_dir()?,
    };
    match inputs.program.file_name().and_then(|it| it.to_str()) {
        Some("detect") => run_detect(program, &inputs, log),
        Some("build") => run_build(program, &inputs, log),
        _ => Err(Failure::NotGiven(
            "program name `detect` or `build`; a buildpack runs as bin/detect or bin/build",
        )),
    }
}

fn run_detect(program: &Program, inputs: &Inputs, log: &Log) -> Result<u8, Failure> {
    let plan_path = inputs.path("CNB_BUILD_PLAN_PATH", 1)?;
    let context = inputs.context(inputs.path("CNB_PLATFORM_DIR", 0)?, log)?;
    match (program.detect)(&Detect { context })? {
        Detected::Fail => Ok(NOT_FOR_ME),
        Detected::Pass(plan) => {
            // The lifecycle made the file; it may be a place that cannot be renamed onto (a mount), so it is filled.
            fs::write(&plan_path, cnb::print(&plan)?)?;
            Ok(0)
        }
    }
}

fn run_build(program: &Program, inputs: &Inputs, log: &Log) -> Result<u8, Failure> {
    let layers = inputs.path("CNB_LAYERS_DIR", 0)?;
    let plan_path = inputs.path("CNB_BP_PLAN_PATH", 2)?;
    let context = inputs.context(inputs.path("CNB_PLATFORM_DIR", 1)?, log)?;
    let store: StoreToml = read_toml(&layers.join("store.toml"))?;
    let build = Build { context, plan: read_toml(&plan_path)?, store: store.metadata, layers };
    let built = (program.build)(&build)?;
    let unmet: Vec<Unmet> = built.unmet.into_iter().map(|name| Unmet { name }).collect();
    write_toml(&build.layers.join("launch.toml"), &built.launch)?;
    write_toml(&build.layers.join("build.toml"), &BuildToml { unmet })?;
    if let Some(metadata) = built.store {
        write_toml(&build.layers.join("store.toml"), &StoreToml { metadata })?;
    }
    Ok(0)
}

fn read_toml<T: DeserializeOwned + Default>(path: &Path) -> Result<T, Failure> {
    match crate::context::read_optional(path)? {
        Some(bytes) => Ok(cnb::parse(&path.display().to_string(), &String::from_utf8_lossy(&bytes))?),
        None => Ok(T::default()),
    }
}

fn write_toml(path: &Path, value: &impl serde::Serialize) -> Result<(), Failure> {
    Ok(atomic::write(path, cnb::print(value)?.as_bytes())?)
}
