//! What every buildpack of ours is written on: inputs as values, layers, the plan, locks, the user's errors, the log.
//! It knows no vendor, has no network code, and is not the lifecycle that runs buildpacks.
//! Open [`program`] next: what a buildpack is, and the one place that reads the environment and prints.
//!
//! Of languages it knows one thing that two buildpacks must do alike: how uv comes ([`uv_wheel`]) and what it
//! is told ([`mod@uv`]) of what pip is configured with ([`pip`]).
//!
//! A buildpack's `main.rs` is two functions and one line:
//!
//! ```no_run
//! use buildpack::{Build, Built, Detect, Detected, Failure, Program};
//!
//! fn detect(context: &Detect) -> Result<Detected, Failure> {
//!     if context.app.join("marker").exists() { Ok(Detected::pass()) } else { Ok(Detected::Fail) }
//! }
//!
//! fn build(_: &Build) -> Result<Built, Failure> {
//!     Ok(Built::default())
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     buildpack::run(&Program { detect, build })
//! }
//! ```

pub mod atomic;
pub mod context;
pub mod digest;
pub mod error;
pub mod launch_env;
pub mod layer;
pub mod lock;
pub mod log;
pub mod paketo;
pub mod pip;
pub mod program;
pub mod sbom;
pub mod tool;
pub mod uv;
pub mod uv_wheel;

pub use cnb::env::Environment;
pub use cnb::launch::{Command, Label, LaunchToml, Process, Slice};
pub use cnb::layer::LayerTypes;
pub use cnb::plan::{Alternative, BuildPlan, BuildpackPlan, Provide, Require};
pub use context::{Binding, Context};
pub use error::{Failure, UserError};
pub use layer::{Decision, EnvOperator, EnvScope, Layer, State};
pub use log::Log;
pub use program::{Build, Built, Detect, Detected, Program, run};
pub use tool::{Tool, ToolFailure};
