//! The installer: a layer that holds uv, and the one place that runs it and pip.

use crate::errors;
use crate::requirements::Requirements;
use buildpack::pip::secrets_in;
use buildpack::uv::{Choice, Config};
use buildpack::uv_wheel::{self, NotInstalled};
use buildpack::{Build, Decision, Failure, LayerTypes, Tool, ToolFailure};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

const BUILD_AND_CACHE: LayerTypes = LayerTypes { build: true, launch: false, cache: true };
const CACHE: LayerTypes = LayerTypes { build: false, launch: false, cache: true };

/// Debian's python3-pip-whl keeps pip here, as one file that Python can run.
const WHEELS: &str = "usr/share/python-wheels";

/// Roots, separated by colons, in which Debian's packages are where the base does not have them: the buildpack
/// packlight/debian-layers says so.
const ROOTS: &str = "PACKLIGHT_DEBIAN_ROOTS";

#[derive(Debug, Serialize, Deserialize)]
struct UvLayer {
    version: String,
}

/// uv, ready to run.
#[derive(Debug)]
pub(crate) struct Installer<'a> {
    build: &'a Build,
    /// The interpreter of the base that runs pip.
    python: PathBuf,
    program: PathBuf,
    cache: PathBuf,
    config: Config,
}

/// Debian's interpreter for `minor`.
pub(crate) fn debian_python(build: &Build, minor: &str) -> PathBuf {
    of_debian(build, &format!("usr/bin/python{minor}"))
}

/// A file or folder of Debian's: in the first root that has it, else in the base.
fn of_debian(build: &Build, path: &str) -> PathBuf {
    let roots = build.var(ROOTS).unwrap_or_default().split(':').filter(|it| !it.is_empty());
    let found = roots.map(|it| Path::new(it).join(path)).find(|it| it.exists());
    found.unwrap_or_else(|| Path::new("/").join(path))
}

impl<'a> Installer<'a> {
    /// Opens the layers `uv` and `uv-cache`, and installs uv where it is not there yet.
    pub(crate) fn open(build: &'a Build, python: PathBuf) -> Result<Self, Failure> {
        let version = uv_wheel::VERSION.to_owned();
        let layer = build.layer("uv", BUILD_AND_CACHE, |old: &UvLayer| match old.version == version {
            true => Decision::Keep,
            false => Decision::Recreate(format!("uv {} becomes {version}", old.version)),
        })?;
        let cache = build.layer("uv-cache", CACHE, |_: &toml::Table| Decision::Keep)?;
        cache.finish(&toml::Table::new())?;
        let this = Self {
            build,
            python,
            program: layer.path.join("bin/uv"),
            cache: cache.path.clone(),
            config: Config::of(build)?,
        };
        if layer.is_empty() {
            let text = format!("Installing uv {version} with Debian's pip");
            build.log.timed(text, || this.install(&layer.path))?;
        }
        layer.finish(&UvLayer { version })?;
        let left_out = &this.config.left_out;
        if !left_out.is_empty() {
            let names = left_out.join(", ");
            build.log.step(format_args!("pip settings that uv has no counterpart for: {names}"));
        }
        Ok(this)
    }

    /// Takes in what requirements files say of indexes: their passwords are masked, several of them are one to pip.
    pub(crate) fn adopt(&mut self, requirements: &Requirements) {
        for text in requirements.files.values().map(|it| String::from_utf8_lossy(it)) {
            self.config.secrets.extend(secrets_in(&text));
            // `${TOKEN}` in a requirements file is filled in from the environment.
            for name in text.split("${").skip(1).filter_map(|it| it.split('}').next()) {
                self.config.secrets.extend(self.build.var(name).map(str::to_owned));
            }
        }
        if requirements.options.iter().any(|it| it.starts_with("--extra-index-url")) {
            self.config.reach.push(("UV_INDEX_STRATEGY", "unsafe-best-match".to_owned()));
        }
        if !requirements.trusted.is_empty() {
            let known = self.config.reach.iter().find(|(name, _)| *name == "UV_INSECURE_HOST");
            let hosts = known.map(|(_, it)| it.clone()).into_iter().chain(requirements.trusted.clone());
            let all = hosts.collect::<Vec<_>>().join(" ");
            self.config.reach.push(("UV_INSECURE_HOST", all));
        }
    }

    /// What the user's settings say of the packages that are taken.
    pub(crate) fn choice(&self) -> &Choice {
        &self.config.choice
    }

    fn install(&self, layer: &Path) -> Result<(), Failure> {
        let pip = find_wheel(&of_debian(self.build, WHEELS))?.join("pip");
        // Debian's pip is in its file; what the user has on these paths is for the app.
        let mut env = self.build.env.clone();
        for name in ["PYTHONPATH", "PYTHONHOME"] {
            env.remove(OsStr::new(name));
        }
        let around = (&env, self.config.secrets.as_slice());
        match uv_wheel::install(&self.python, &[pip.as_os_str()], around, layer, &self.build.log) {
            Ok(_) => Ok(()),
            Err(NotInstalled::Pip(failure)) => {
                Err(crate::explain::pip_failed(uv_wheel::VERSION, &failure).into())
            }
            Err(NotInstalled::Other(failure)) => Err(failure),
        }
    }

    /// `uv pip <verb>` with all that pip is configured with.
    pub(crate) fn uv_pip(&self, verb: &str) -> Tool {
        let choice = self.choice();
        let tool = self.config.pip(&self.program, &self.build.env, verb).args(&choice.args);
        self.placed(choice.env.iter().fold(tool, |tool, (name, value)| tool.env(name, value)))
    }

    /// `uv` with its environment, in the app's folder.
    pub(crate) fn uv(&self) -> Tool {
        self.placed(self.config.tool(&self.program, &self.build.env))
    }

    fn placed(&self, tool: Tool) -> Tool {
        tool.env("UV_CACHE_DIR", &self.cache).in_dir(&self.build.app)
    }
}

/// A folder for lists that uv reads; nothing of it is left, whatever happens.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// An empty folder, where temporary files go.
    pub(crate) fn new(build: &Build) -> Result<Self, Failure> {
        let name = format!("packlight-python-{}", std::process::id());
        let path = Path::new(build.var("TMPDIR").unwrap_or("/tmp")).join(name);
        buildpack::atomic::remove(&path)?;
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Writes a file in it.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let path = self.0.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The room's temporary files vanish with the room.
        let _ = buildpack::atomic::remove(&self.0);
    }
}

fn find_wheel(dir: &Path) -> Result<PathBuf, Failure> {
    let mut wheels: Vec<PathBuf> = match fs::read_dir(dir) {
        Ok(list) => list.filter_map(|it| Some(it.ok()?.path())).filter(|it| is_pip(it)).collect(),
        Err(_) => Vec::new(),
    };
    wheels.sort();
    wheels.pop().ok_or_else(|| errors::no_pip(&dir.display().to_string()).into())
}

fn is_pip(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("pip-") && name.ends_with(".whl")
}

/// A failure of uv, explained.
pub(crate) fn explained(failure: &ToolFailure, about: &crate::explain::About) -> Failure {
    crate::explain::explain(failure, about).into()
}
