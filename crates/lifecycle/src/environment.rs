//! The environment of `bin/detect` and `bin/build`.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#environment>

use crate::beneath::{Beneath, BeneathError};
use crate::dirs::{Dir, Dirs};
use crate::semantics::{EnvFiles, Semantics};
use cnb::env::{self, Environment};
use rustix::fs::FileType;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// What of the build image's environment a buildpack sees; the same list as the reference lifecycle's, since buildpacks
/// were written against it.
const ALLOWED: &[&str] = &[
    "CNB_STACK_ID",
    "HOSTNAME",
    "HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "PATH",
    "LD_LIBRARY_PATH",
    "LIBRARY_PATH",
    "CPATH",
    "PKG_CONFIG_PATH",
];

/// The environment that buildpacks change from one to the next, with what the user and the operator put on top.
#[derive(Debug)]
pub(crate) struct Variables {
    buildpacks: Environment,
    user: EnvFiles,
    operator: EnvFiles,
    semantics: Semantics,
}

impl Variables {
    pub(crate) fn new(image: &Environment, dirs: &Dirs, semantics: Semantics) -> Result<Self, BeneathError> {
        let buildpacks = image
            .iter()
            .filter(|(name, _)| ALLOWED.iter().any(|it| OsStr::new(it) == name.as_os_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let operator = match &dirs.build_config {
            Some(dir) => by_default(given(&dir.join("env"))?),
            None => EnvFiles::new(),
        };
        Ok(Self { buildpacks, user: given(&dirs.platform.join("env"))?, operator, semantics })
    }

    /// What one program is given, before the variables of its own inputs.
    pub(crate) fn for_program(&self, clear_env: ClearEnv) -> Environment {
        let mut env = self.buildpacks.clone();
        if clear_env == ClearEnv::No {
            for (name, value) in &self.user {
                let value = OsStr::from_bytes(value);
                if env::BUILD_PATHS.iter().any(|(it, _)| OsStr::new(it) == name.as_os_str()) {
                    env::prepend_path(&mut env, &name.to_string_lossy(), value);
                } else {
                    env.insert(name.clone(), value.to_owned());
                }
            }
        }
        (self.semantics.apply_env)(&mut env, &self.operator);
        env
    }

    /// Adds what a build layer brings: its directories, then `env/`, then `env.build/`.
    pub(crate) fn add_layer(&mut self, layer: &Beneath, inside: &Dir) -> Result<(), BeneathError> {
        for (variable, directory) in env::BUILD_PATHS {
            if layer.kind(directory)?.is_some() {
                let path = inside.inside.join(directory);
                env::prepend_path(&mut self.buildpacks, variable, path.as_os_str());
            }
        }
        for name in ["env", "env.build"] {
            if let Some(dir) = layer.dir(name)? {
                (self.semantics.apply_env)(&mut self.buildpacks, &files_in(&dir)?);
            }
        }
        Ok(())
    }
}

/// Whether a buildpack wants none of the user's variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClearEnv {
    Yes,
    No,
}

impl From<bool> for ClearEnv {
    fn from(clear: bool) -> Self {
        if clear { Self::Yes } else { Self::No }
    }
}

fn files_in(dir: &Beneath) -> Result<EnvFiles, BeneathError> {
    let mut files = EnvFiles::new();
    for entry in dir.entries()? {
        if entry.kind != FileType::Directory
            && let Some(contents) = dir.read(&entry.name)?
        {
            files.insert(entry.name, contents);
        }
    }
    Ok(files)
}

/// Files that the platform wrote; links are followed, since Kubernetes mounts every file of a volume as one.
fn given(dir: &Dir) -> Result<EnvFiles, BeneathError> {
    let io = |source| BeneathError::Io { path: dir.host.clone(), source };
    let mut files = EnvFiles::new();
    let entries = match std::fs::read_dir(&dir.host) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(files),
        Err(error) => return Err(io(error)),
    };
    for entry in entries {
        let entry = entry.map_err(io)?;
        if fs_err::metadata(entry.path()).map_err(io)?.is_file() {
            files.insert(entry.file_name(), oci::bounded::read(&entry.path()).map_err(io)?);
        }
    }
    Ok(files)
}

/// An operator's file without a suffix is a default.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#operator-defined-variables>
fn by_default(files: EnvFiles) -> EnvFiles {
    let (plain, suffixed): (EnvFiles, EnvFiles) =
        files.into_iter().partition(|(name, _)| !name.as_bytes().contains(&b'.'));
    let mut all = suffixed;
    for (mut file, value) in plain {
        file.push(".default");
        all.insert(file, value);
    }
    all
}
