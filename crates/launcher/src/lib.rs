//! The launcher: the program in every app image that makes a process's environment and then becomes the process.
//! It talks to no network, starts nothing but `exec.d` programs, and decides nothing that the image does not say.
//! Open `select.rs` next, how a command line becomes a process, then `environment.rs`, `exec_d.rs` and `start.rs`.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#launcher>

mod environment;
mod error;
pub mod exec_d;
mod select;
mod start;

pub use environment::{ApplyEnv, clean, layers_environment};
pub use error::{Code, LaunchError};
pub use select::{Process, select};
pub use start::Start;

use cnb::api::{self, ApiVersion, PlatformFeatures};
use cnb::env::Environment;
use cnb::metadata::BuildMetadata;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What the launcher is told by its environment.
#[derive(Debug, Clone)]
pub struct World {
    /// Where the layers are.
    pub layers: PathBuf,
    /// Where the application is.
    pub app: PathBuf,
    /// The execution environment.
    pub exec_env: String,
    /// What the Platform API of the image means.
    pub features: PlatformFeatures,
    /// The whole environment.
    pub env: Environment,
    /// How environment files are applied: [`cnb::env::apply`].
    pub apply_env: ApplyEnv,
}

/// Runs one `exec.d` program in an environment, and returns the variables that it wants.
pub type RunExecD<'a> =
    &'a mut dyn FnMut(&Path, &Environment) -> Result<BTreeMap<String, String>, LaunchError>;

impl World {
    /// Reads `CNB_LAYERS_DIR`, `CNB_APP_DIR`, `CNB_EXEC_ENV` and `CNB_PLATFORM_API` from an environment.
    ///
    /// # Errors
    /// When the Platform API is not one that is spoken.
    pub fn from_environment(env: Environment) -> Result<Self, LaunchError> {
        let or = |name: &str, default: &str| {
            let set = env.get(std::ffi::OsStr::new(name)).filter(|it| !it.is_empty());
            set.cloned().unwrap_or_else(|| OsString::from(default))
        };
        let asked = or("CNB_PLATFORM_API", &api::OWN_PLATFORM_API.to_string()).to_string_lossy().into_owned();
        let features = asked.parse::<ApiVersion>().ok().and_then(api::platform_features);
        Ok(Self {
            layers: or("CNB_LAYERS_DIR", "/layers").into(),
            app: or("CNB_APP_DIR", "/workspace").into(),
            exec_env: or("CNB_EXEC_ENV", "production").to_string_lossy().into_owned(),
            features: features.ok_or(LaunchError::PlatformApi(asked))?,
            env,
            apply_env: cnb::env::apply,
        })
    }

    /// Reads what the builder wrote for the launcher.
    ///
    /// # Errors
    /// When it is not there, not understood, or of a Buildpack API that is not spoken.
    pub fn metadata(&self) -> Result<BuildMetadata, LaunchError> {
        let path = self.layers.join("config/metadata.toml");
        let text = std::fs::read_to_string(&path)
            .map_err(|source| LaunchError::Io { path: path.clone(), source })?;
        let metadata: BuildMetadata = cnb::parse(&path.display().to_string(), &text)
            .map_err(|it| LaunchError::Metadata(it.to_string()))?;
        match metadata.buildpacks.iter().find(|it| api::buildpack_features(it.api).is_none()) {
            Some(other) => Err(LaunchError::BuildpackApi { who: other.full_name(), api: other.api }),
            None => Ok(metadata),
        }
    }
}

/// From the command line to what is to be executed. The current directory is the application's already.
///
/// # Errors
/// With what is wrong and with whom.
pub fn prepare(world: &World, argv: &[OsString], run_exec_d: RunExecD<'_>) -> Result<Start, LaunchError> {
    let metadata = world.metadata()?;
    let process = select(&metadata, argv, world.features, &world.exec_env)?;
    let mut env = clean(&world.env);
    let layers = environment::launch_layers(&world.layers, &metadata)?;
    layers_environment(&mut env, &layers, process.kind.as_deref(), world.apply_env)?;
    exec_d::run_all(&mut env, &layers, process.kind.as_deref(), run_exec_d)?;
    start::start(world, argv, process, &layers, env)
}
