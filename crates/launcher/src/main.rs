//! Reads environment and arguments, and becomes the process that the image was asked for.

use launcher::{LaunchError, World, exec_d, prepare};
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let error = launch();
    // one line, and no backtrace: the reader is an operator looking at a container that did not start
    let _ = writeln!(std::io::stderr(), "ERROR: {error}");
    ExitCode::from(u8::try_from(error.code().0).unwrap_or(82))
}

/// Returns only when nothing was started.
fn launch() -> LaunchError {
    match try_launch() {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn try_launch() -> Result<std::convert::Infallible, LaunchError> {
    let argv: Vec<OsString> = std::env::args_os().collect();
    let world = World::from_environment(std::env::vars_os().collect())?;
    if let Some(kind) = std::env::var_os("CNB_PROCESS_TYPE") {
        let kind = kind.to_string_lossy();
        let _ = writeln!(
            std::io::stderr(),
            "WARNING: CNB_PROCESS_TYPE chooses no process any more; start the image with the entrypoint `{kind}`"
        );
    }
    std::env::set_current_dir(&world.app)
        .map_err(|source| LaunchError::Io { path: world.app.clone(), source })?;
    Err(prepare(&world, &argv, &mut exec_d::run)?.exec())
}
