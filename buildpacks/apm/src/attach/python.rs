//! Python: the app's environment as an earlier buildpack left it, and the agent's layer beside it.
//!
//! ```text
//! <layer>/python/         the agent's own code; the hook in the app's environment loads packlight_start.py from it
//! <layer>/site-packages/  packages that the app lacks; put at the end of the app's path
//! <layer>/manifest.json   which module is instrumented by what
//! <layer>/agent.toml      whose agent it is and what it observes, for the launch program in the layer `config`
//! <layer>/path/<3.13>/    where the app's environment has no hook: goes in front of PYTHONPATH when the agent wakes
//! ```

use crate::attach::python_resolve::Question;
use crate::attach::{python_code, python_pip};
use crate::errors;
use crate::lock::Pins;
use crate::vendors::{Library, PythonAgent};
use buildpack::uv::Config;
use buildpack::{Build, Context, Environment, Failure, Tool, ToolFailure};
use fs_err as fs;
use serde_json::json;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The app's environment: an interpreter and the packages that it finds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Venv {
    /// The interpreter.
    pub python: PathBuf,
    /// `3.13`.
    pub minor: String,
    /// Normalised names and versions of what is installed.
    pub installed: BTreeMap<String, String>,
    /// Whether packlight/python has left its hook.
    pub hooked: bool,
    /// What the interpreter needs to start, such as where its libraries are.
    pub env: Environment,
}

impl Venv {
    /// The environment that packlight/python has made; `None` when another one has, or nobody.
    ///
    /// # Errors
    /// When its directories cannot be read.
    pub fn of_packlight(context: &Context) -> Result<Option<Self>, Failure> {
        let Some(path) = context.var("VIRTUAL_ENV").map(PathBuf::from) else { return Ok(None) };
        let Some(minor) =
            names(&path.join("lib"))?.iter().find_map(|it| it.strip_prefix("python3.").map(str::to_owned))
        else {
            return Ok(None);
        };
        let minor = format!("3.{minor}");
        let site = path.join(format!("lib/python{minor}/site-packages"));
        if !site.join(HOOK).is_file() {
            return Ok(None);
        }
        let installed = names(&site)?.iter().filter_map(|it| distribution(it)).collect();
        // Where the interpreter's libraries are, when they are in a layer.
        let libraries = context.env.get_key_value(OsStr::new(LIBRARIES));
        let env = libraries.into_iter().map(|(name, it)| (name.clone(), it.clone())).collect();
        Ok(Some(Self { python: path.join("bin/python"), minor, installed, hooked: true, env }))
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

/// Where in the layer the folder for PYTHONPATH is.
pub const PATH_DIR: &str = "path";
/// What packlight/python leaves in the app's environment.
pub(crate) const HOOK: &str = "_packlight_hook.py";
const LIBRARIES: &str = "LD_LIBRARY_PATH";

/// `flask-3.1.2.dist-info`, or `flask-3.1.2-py3.11.egg-info` of older installers: the name and the version, without reading a file.
/// <https://packaging.python.org/en/latest/specifications/recording-installed-packages/>
pub(crate) fn distribution(directory: &str) -> Option<(String, String)> {
    let (name, version) = match directory.strip_suffix(".dist-info") {
        Some(both) => both.rsplit_once('-')?,
        None => {
            let (name, rest) = directory.strip_suffix(".egg-info")?.split_once('-')?;
            (name, rest.split("-py").next()?)
        }
    };
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
pub(crate) fn names(dir: &Path) -> Result<Vec<String>, Failure> {
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
    if !venv.hooked {
        python_code::write_path(&layer.join(PATH_DIR).join(&venv.minor))?;
    }
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
            venv.python.as_os_str(),
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
    let tool = Tool::new(&venv.python, &venv.env)
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

/// `uv pip <verb>` where pip is configured to find packages. It runs where no `pyproject.toml` is: the app's own
/// `[tool.uv]` is about the app's packages.
pub(crate) fn uv_pip(build: &Build, room: &Room, verb: &str) -> Result<Tool, Failure> {
    let tool = Config::of(build)?.pip(room.uv(build)?, &build.env, verb);
    let tool = tool.env("UV_CACHE_DIR", room.path.join("cache")).in_dir(&build.layers);
    // uv starts the interpreter to ask what it is.
    let libraries = room.env.get(OsStr::new(LIBRARIES));
    Ok(libraries.into_iter().fold(tool, |tool, it| tool.env(LIBRARIES, it)))
}

/// A temporary directory, removed at the end, and what is in it for as long as the agent is chosen and installed.
#[derive(Debug)]
pub struct Room {
    path: PathBuf,
    python: PathBuf,
    env: Environment,
    uv: OnceCell<PathBuf>,
}

impl Room {
    /// An empty one.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(build: &Build, venv: &Venv) -> Result<Self, Failure> {
        let path = build.layers.join(format!(".packlight-apm-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self { path, python: venv.python.clone(), env: venv.env.clone(), uv: OnceCell::new() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The uv of the path, else one that the interpreter's pip brings.
    fn uv(&self, build: &Build) -> Result<&Path, Failure> {
        if let Some(uv) = self.uv.get() {
            return Ok(uv);
        }
        let path = build.env.get(OsStr::new("PATH")).cloned().unwrap_or_default();
        let there = std::env::split_paths(&path).map(|it| it.join("uv")).find(|it| it.is_file());
        let uv = match there {
            Some(uv) => uv,
            None => python_pip::install_uv(build, (&self.python, &self.env), &self.path.join("uv"))?,
        };
        Ok(self.uv.get_or_init(|| uv))
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let path = self.path.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // What is left behind is no layer and harms nobody.
        drop(fs::remove_dir_all(&self.path));
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
        assert_eq!(distribution("PyYAML-5.4.1-py3.11.egg-info"), Some(("pyyaml".into(), "5.4.1".into())));
        assert_eq!(distribution("flask"), None);
    }
}
