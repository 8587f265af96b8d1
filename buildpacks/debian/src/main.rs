//! The image extension `packlight/debian`: it provides the plan entry `debian`, with which a buildpack asks for Debian
//! packages in the build and the run image.
//! It installs nothing: Packlight's own platform composes both images from the merged entry between detect and
//! build. A `bin/generate`, which says the same as Dockerfiles to other platforms, is not there yet.
//! Everything is in this file; who reads the entry is `platform`.
//!
//! `bin/detect` runs in an empty root file system, so this program is static and uses the standard library alone.
//! <https://github.com/buildpacks/spec/blob/b745fcf/image_extension.md#phase-1-detection>

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

/// What `bin/detect` writes: any metadata of the requires that match is the platform's to read.
const PLAN: &str = "[[provides]]\nname = \"debian\"\n";

fn main() -> ExitCode {
    let program = env::args_os().next().map(PathBuf::from);
    let outcome = match program.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()) {
        Some("detect") => detect(),
        Some(other) => Err(format!("packlight/debian has bin/detect alone, and was started as `{other}`")),
        None => Err("packlight/debian was started without a name".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            complain(&reason);
            ExitCode::FAILURE
        }
    }
}

/// Detection always passes: whether packages are wanted is said by who requires them.
fn detect() -> Result<(), String> {
    let plan = plan_path()
        .ok_or("packlight/debian: detect needs CNB_BUILD_PLAN_PATH or the plan's path as argument 2")?;
    write_whole(&plan, PLAN)
        .map_err(|error| format!("packlight/debian: cannot write the plan {}: {error}", plan.display()))
}

/// The variable since Buildpack API 0.8; platforms of before give the second argument only.
fn plan_path() -> Option<PathBuf> {
    env::var_os("CNB_BUILD_PLAN_PATH").or_else(|| env::args_os().nth(2)).map(PathBuf::from)
}

/// The file is there whole or not at all; a platform may have put an empty one there, which the rename replaces.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    fs::write(&temporary, text)?;
    fs::rename(&temporary, path)
}

#[expect(clippy::print_stderr, reason = "a program: the user's log is its standard error")]
fn complain(reason: &str) {
    eprintln!("{reason}");
}
