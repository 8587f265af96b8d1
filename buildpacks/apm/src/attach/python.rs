//! Python: the app's environment as an earlier buildpack left it, and the agent's layer beside it.
//!
//! ```text
//! <layer>/python/         the agent's own code; the hook in the app's environment loads packlight_start.py from it
//! <layer>/site-packages/  packages that the app lacks; put at the end of the app's path
//! <layer>/manifest.json   which module is instrumented by what
//! <layer>/exec.d/         the launch program
//! ```

use crate::attach::python_code;
use crate::attach::python_resolve::Question;
use crate::errors;
use crate::lock::Pins;
use crate::vendors::{Library, PythonAgent};
use buildpack::uv::Config;
use buildpack::{Build, Context, Environment, Failure, Tool, ToolFailure};
use fs_err as fs;
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The app's virtual environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Venv {
    /// Where it is.
    pub path: PathBuf,
    /// `3.13`.
    pub minor: String,
    /// Normalised names and versions of what is installed.
    pub installed: BTreeMap<String, String>,
}

impl Venv {
    /// The environment that `VIRTUAL_ENV` names; `None` when there is none.
    ///
    /// # Errors
    /// When its directories cannot be read.
    pub fn find(context: &Context) -> Result<Option<Self>, Failure> {
        let Some(path) = context.var("VIRTUAL_ENV").map(PathBuf::from) else { return Ok(None) };
        let Some(minor) =
            names(&path.join("lib"))?.iter().find_map(|it| it.strip_prefix("python3.").map(str::to_owned))
        else {
            return Ok(None);
        };
        let minor = format!("3.{minor}");
        let site = path.join(format!("lib/python{minor}/site-packages"));
        let installed = names(&site)?.iter().filter_map(|it| distribution(it)).collect();
        Ok(Some(Self { path, minor, installed }))
    }

    /// Its interpreter.
    #[must_use]
    pub fn python(&self) -> PathBuf {
        self.path.join("bin/python")
    }

    /// The version of the first of these distributions that is installed.
    #[must_use]
    pub fn version_of(&self, distributions: &[String]) -> Option<&str> {
        distributions.iter().find_map(|it| self.installed.get(it)).map(String::as_str)
    }

    /// What of the agent's table the app has.
    #[must_use]
    pub fn libraries<'a>(&self, agent: &'a PythonAgent) -> Vec<&'a Library> {
        let has = |it: &&Library| it.distributions.is_empty() || self.version_of(&it.distributions).is_some();
        let covered = |it: &&Library| it.unless.as_ref().is_some_and(|by| self.installed.contains_key(by));
        agent.library.iter().filter(has).filter(|it| !covered(it)).collect()
    }
}

/// `flask-3.1.2.dist-info`: the name and the version, without reading a file.
/// <https://packaging.python.org/en/latest/specifications/recording-installed-packages/>
fn distribution(directory: &str) -> Option<(String, String)> {
    let (name, version) = directory.strip_suffix(".dist-info")?.rsplit_once('-')?;
    Some((normalised(name), version.to_owned()))
}

/// <https://packaging.python.org/en/latest/specifications/name-normalization/>
#[must_use]
pub fn normalised(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for char in name.chars() {
        match char {
            '-' | '_' | '.' if text.ends_with('-') => {}
            '-' | '_' | '.' => text.push('-'),
            other => text.push(other.to_ascii_lowercase()),
        }
    }
    text
}

/// Names in a directory, sorted; none when it is not there.
fn names(dir: &Path) -> Result<Vec<String>, Failure> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(dir)? {
        all.extend(entry?.file_name().into_string());
    }
    all.sort();
    Ok(all)
}

/// Fills the agent's layer.
///
/// # Errors
/// When a package cannot be installed or a file not be written.
pub fn fill(
    build: &Build,
    question: &Question,
    vendor: &str,
    pins: &Pins,
    layer: &Path,
) -> Result<(), Failure> {
    let Question { venv, agent, room, .. } = *question;
    let site = layer.join("site-packages");
    fs::create_dir_all(&site)?;
    if !pins.packages.is_empty() {
        build.log.timed(format_args!("Installing {} packages of the agent", pins.packages.len()), || {
            install(build, (venv, room), pins, &site)
        })?;
    }
    tidy(&site)?;
    python_code::write(&layer.join("python"))?;
    compile(build, venv, layer)?;
    let manifest = manifest(venv, agent, vendor, pins);
    Ok(fs::write(layer.join("manifest.json"), format!("{manifest:#}\n"))?)
}

fn install(build: &Build, (venv, room): (&Venv, &Room), pins: &Pins, site: &Path) -> Result<(), Failure> {
    let lines = pins.packages.iter().map(|pin| {
        let hashes: String = pin.sha256.iter().map(|it| format!(" --hash=sha256:{it}")).collect();
        format!("{}=={}{hashes}\n", pin.name, pin.version)
    });
    let file = room.file("agent.txt", &lines.collect::<String>())?;
    let tool = uv_pip(build, room, "install")?
        .args(["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--python"])
        .args([
            venv.python().as_os_str(),
            OsStr::new("--target"),
            site.as_os_str(),
            OsStr::new("-r"),
            file.as_os_str(),
        ]);
    tool.run(&build.log).map_err(|it| errors::not_installed(&it))?;
    Ok(())
}

/// Removes what only the installer needs, and what is not the same every time.
fn tidy(site: &Path) -> Result<(), Failure> {
    for name in ["bin", ".lock", "wrapt-stubs"] {
        buildpack::atomic::remove(&site.join(name))?;
    }
    for directory in names(site)?.iter().filter(|it| it.ends_with(".dist-info")) {
        for name in ["RECORD", "INSTALLER", "REQUESTED", "uv_cache.json", "direct_url.json"] {
            buildpack::atomic::remove(&site.join(directory).join(name))?;
        }
    }
    Ok(())
}

/// Bytecode without times in it, so that it is still good after export and the same on every machine; one process
/// in one order, because what a process has compiled before shows in the bytes.
fn compile(build: &Build, venv: &Venv, layer: &Path) -> Result<(), Failure> {
    // Where the interpreter's libraries are, when they are in a layer.
    let libraries = OsStr::new("LD_LIBRARY_PATH");
    let env =
        build.env.get_key_value(libraries).into_iter().map(|(name, it)| (name.clone(), it.clone())).collect();
    let tool = Tool::new(venv.python(), &env)
        .env("PYTHONHASHSEED", "0")
        .env("LC_ALL", "C.UTF-8")
        .args(["-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"])
        .args([layer.join("python"), layer.join("site-packages")]);
    tool.run(&build.log).map_err(|it| errors::not_compiled(&it))?;
    Ok(())
}

fn manifest(venv: &Venv, agent: &PythonAgent, vendor: &str, pins: &Pins) -> serde_json::Value {
    let is_in = |it: &&&Library| pins.instrumented.iter().any(|lib| lib.name == it.name);
    let rows: Vec<serde_json::Value> = venv
        .libraries(agent)
        .iter()
        .filter(is_in)
        .map(|it| json!({"name": it.name, "import": it.import, "class": it.class, "before": it.before}))
        .collect();
    json!({"schema": 1, "agent": vendor, "version": pins.version, "defaults": agent.defaults, "instrumentations": rows})
}

/// `uv pip <verb>` with the uv of the path and where pip is configured to find packages. It runs where no `pyproject.toml` is: the app's
/// own `[tool.uv]` is about the app's packages.
pub(crate) fn uv_pip(build: &Build, room: &Room, verb: &str) -> Result<Tool, Failure> {
    let tool = Config::of(build)?.pip(&program("uv", &build.env), &build.env, verb);
    Ok(tool.env("UV_CACHE_DIR", room.0.join("cache")).in_dir(&build.layers))
}

/// `env` is the tool's, so the path is searched here.
fn program(name: &str, env: &Environment) -> PathBuf {
    let path = env.get(OsStr::new("PATH")).cloned().unwrap_or_default();
    std::env::split_paths(&path)
        .map(|it| it.join(name))
        .find(|it| it.is_file())
        .unwrap_or_else(|| name.into())
}

/// A temporary directory, removed at the end.
#[derive(Debug)]
pub struct Room(PathBuf);

impl Room {
    /// An empty one.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(build: &Build) -> Result<Self, Failure> {
        let path = build.layers.join(format!(".packlight-apm-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let path = self.0.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // What is left behind is no layer and harms nobody.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Whether uv failed for want of a network and not of a version.
pub(crate) fn is_unreachable(failure: &ToolFailure) -> bool {
    [
        "Failed to fetch",
        "error sending request",
        "Could not connect",
        "dns error",
        "could not be started",
        "Network connectivity",
    ]
    .iter()
    .any(|it| failure.stderr.contains(it) || failure.why.contains(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_come_from_the_directories_names() {
        assert_eq!(
            distribution("ruamel.yaml_clib-0.2.8.dist-info"),
            Some(("ruamel-yaml-clib".into(), "0.2.8".into()))
        );
        assert_eq!(distribution("Flask-3.1.2.dist-info"), Some(("flask".into(), "3.1.2".into())));
        assert_eq!(distribution("flask"), None);
    }
}
