//! The environment that the app will start in, as far as the layers of this build say it already.
//!
//! A buildpack sees the build environment of those before it: of a layer that is for launch alone it sees nothing there. What
//! such layers will bring at launch can be read from their directories.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#launch-environment>

use crate::Build;
use crate::context::read_optional;
use cnb::env::{self, Environment};
use cnb::layer::LayerToml;
use fs_err as fs;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// `from` with what the launch layers of the other buildpacks add to it. A buildpack is not told the order of its
/// group, so they are taken by name.
///
/// # Errors
/// When a directory or a file cannot be read.
pub fn launch_environment(build: &Build, from: &Environment) -> io::Result<Environment> {
    let mut all = from.clone();
    let Some(root) = build.layers.parent() else { return Ok(all) };
    for buildpack in directories(root)?.into_iter().filter(|it| *it != build.layers) {
        let layers: Vec<PathBuf> =
            directories(&buildpack)?.into_iter().filter(|it| is_for_launch(it)).collect();
        for layer in &layers {
            for (variable, directory) in env::LAUNCH_PATHS {
                let path = layer.join(directory);
                if path.exists() {
                    env::prepend_path(&mut all, variable, path.as_os_str());
                }
            }
        }
        for layer in &layers {
            for name in ["env", "env.launch"] {
                env::apply(&mut all, &files(&layer.join(name))?);
            }
        }
    }
    Ok(all)
}

/// A layer's TOML file that cannot be read is its buildpack's affair: the lifecycle will say so.
fn is_for_launch(layer: &Path) -> bool {
    let mut toml = layer.as_os_str().to_owned();
    toml.push(".toml");
    let text = fs::read_to_string(PathBuf::from(toml)).unwrap_or_default();
    toml::from_str::<LayerToml>(&text).is_ok_and(|it| it.types.launch)
}

/// The directories in one, by name; links are not followed.
fn directories(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn files(dir: &Path) -> io::Result<BTreeMap<OsString, Vec<u8>>> {
    let mut files = BTreeMap::new();
    if !dir.is_dir() {
        return Ok(files);
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file()
            && let Some(contents) = read_optional(&entry.path())?
        {
            files.insert(entry.file_name(), contents);
        }
    }
    Ok(files)
}
