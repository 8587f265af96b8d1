//! What every figure stands on: the program to measure, the examples, and a directory that is removed afterwards.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::stopwatch::output;

/// The name under which the example is built.
pub(crate) const APP: &str = "bench-flask";
/// The store of figures that need a base and not its composition.
pub(crate) const WARM: &str = "warm";

/// Where a figure is measured.
pub(crate) struct Ground {
    /// The program that a user has.
    pub(crate) packlight: PathBuf,
    /// The top of the checkout.
    pub(crate) top: PathBuf,
    /// A directory of this run.
    pub(crate) room: PathBuf,
}

impl Ground {
    pub(crate) fn prepare() -> Result<Self> {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        let packlight = env::var_os("PACKLIGHT").map_or_else(|| top.join("dist/packlight"), PathBuf::from);
        if !packlight.is_file() {
            return Err(format!("{} is not there; run `make dist` first", packlight.display()).into());
        }
        let room = env::temp_dir().join(format!("packlight-bench-{}", std::process::id()));
        fs::create_dir_all(&room)?;
        Ok(Self { packlight: packlight.canonicalize()?, top, room })
    }

    /// `packlight` with a store of this run; a build goes to the store alone unless the arguments say otherwise.
    pub(crate) fn packlight(&self, store: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.packlight);
        command.arg("--store").arg(self.room.join(store)).args(arguments);
        if arguments.contains(&"build") && !arguments.contains(&"--output") {
            command.args(["--output", "store"]);
        }
        command.env_remove("PACKLIGHT_PAYLOAD");
        command
    }

    /// A copy of `examples/flask` for one figure, which may change it.
    pub(crate) fn app(&self, figure: &str) -> Result<PathBuf> {
        let copy = self.room.join(format!("app-{figure}"));
        if !copy.exists() {
            output(Command::new("cp").arg("-r").arg(self.top.join("examples/flask")).arg(&copy))?;
        }
        Ok(copy)
    }

    /// The events of a build of a figure's app.
    pub(crate) fn build(&self, store: &str, figure: &str) -> Result<Vec<serde_json::Value>> {
        let app = self.app(figure)?;
        let path = app.to_string_lossy();
        let arguments = ["--format", "json", "build", APP, "--path", &path];
        let printed = output(&mut self.packlight(store, &arguments))?;
        let lines: std::result::Result<_, _> = printed.lines().map(serde_json::from_str).collect();
        Ok(lines?)
    }

    /// A program of this checkout, built for measuring.
    pub(crate) fn example(&self, package: &str, example: &str) -> Result<PathBuf> {
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.top.join("target"), PathBuf::from);
        let build = ["build", "--locked", "--quiet", "--release", "-p", package, "--example", example];
        output(Command::new("cargo").args(build).current_dir(&self.top))?;
        Ok(target.join("release/examples").join(example))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // Directories of a store can have modes that keep their owner out.
        let _ = Command::new("chmod").args(["-R", "u+rwX"]).arg(&self.room).output();
        let _ = fs::remove_dir_all(&self.room);
    }
}
