//! The app's interpreter and packages where some other buildpack, or the base, has put them.
//!
//! Nothing is known of that buildpack. What its layers will bring at launch says which interpreter the app is started
//! with, and that interpreter says where it finds packages: a virtual environment, folders in `PYTHONPATH`, Debian's own.

use crate::attach::python::{HOOK, Venv, distribution, names};
use buildpack::launch_env::launch_environment;
use buildpack::{Build, Environment, Failure, Tool};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What of the environment decides which Python there is and where it finds things.
const ABOUT_PYTHON: &[&str] =
    &["PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE", "VIRTUAL_ENV", "HOME"];

/// Before what is asked for: what an app's own `sitecustomize` prints comes first.
const MARK: &str = "--packlight--";

/// Says the version and the path. `-c` puts the current directory in front, as an empty text.
const QUESTION: &str = "import sys; print('--packlight--\\n%s %d.%d' % ((sys.implementation.name,) + sys.version_info[:2])); \
                        print('\\n'.join(it for it in sys.path if it))";

/// The oldest minor of Python 3 that the agent's code is written for.
const OLDEST: u32 = 8;

/// What was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// An environment that an agent can be put beside.
    App(Box<Venv>),
    /// None, and why.
    None(String),
}

/// Looks for the interpreter that the app will be started with.
///
/// # Errors
/// When a directory cannot be read.
pub(crate) fn find(build: &Build) -> Result<Found, Failure> {
    let known = |(name, _): &(&OsString, &OsString)| ABOUT_PYTHON.iter().any(|it| *it == name.as_os_str());
    let own: Environment = build.env.iter().filter(known).map(|(a, b)| (a.clone(), b.clone())).collect();
    let env = launch_environment(build, &own)?;
    let env: Environment =
        env.into_iter().filter(|(name, _)| ABOUT_PYTHON.iter().any(|it| *it == name.as_os_str())).collect();
    let Some(python) = interpreter(&env) else {
        return Ok(Found::None("no Python is in the layers, nor in the base".to_owned()));
    };
    // Build images have a Python of their own, whatever the app is written in.
    let is_of_a_layer = build.layers.parent().is_some_and(|root| python.starts_with(root));
    if !is_of_a_layer && !env.contains_key(OsStr::new("PYTHONPATH")) && !is_python(&build.app) {
        return Ok(Found::None("the app is not written in Python".to_owned()));
    }
    let asked = Tool::new(&python, &env).env("PYTHONDONTWRITEBYTECODE", "1").args(["-c", QUESTION]);
    match asked.in_dir(&build.app).run(&build.log) {
        Ok(answer) => read(build, (python, env), &answer),
        Err(failure) => Ok(Found::None(format!("{} cannot be asked: {failure}", python.display()))),
    }
}

/// An app whose folder says so at a glance.
pub(crate) fn is_python(app: &Path) -> bool {
    const FILES: &[&str] =
        &["requirements.txt", "pyproject.toml", "setup.py", "Pipfile", "uv.lock", "poetry.lock"];
    let has_module = || names(app).is_ok_and(|all| all.iter().any(|it| it.ends_with(".py")));
    FILES.iter().any(|it| app.join(it).is_file()) || has_module()
}

/// The one of the virtual environment, else the first of the path; where it is there by its version alone, the newest.
fn interpreter(env: &Environment) -> Option<PathBuf> {
    let of_venv = env.get(OsStr::new("VIRTUAL_ENV")).map(|it| Path::new(it).join("bin/python"));
    let path = env.get(OsStr::new("PATH")).cloned().unwrap_or_default();
    let dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let named = |name: &str| dirs.iter().map(|it| it.join(name)).find(|it| it.is_file());
    let numbered = || {
        let all =
            dirs.iter().flat_map(|dir| names(dir).unwrap_or_default().into_iter().map(|it| dir.join(it)));
        all.filter_map(|it| Some((minor(&it)?, it))).max_by_key(|it| it.0).map(|it| it.1)
    };
    let of_venv = of_venv.filter(|it| it.is_file());
    of_venv.or_else(|| named("python3")).or_else(|| named("python")).or_else(numbered)
}

/// The 13 of `python3.13`.
fn minor(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_prefix("python3.")?.parse().ok()
}

fn read(build: &Build, (python, env): (PathBuf, Environment), answer: &str) -> Result<Found, Failure> {
    let mut lines = answer.lines().skip_while(|it| *it != MARK).skip(1);
    let (name, minor) = lines.next().and_then(|it| it.split_once(' ')).unwrap_or_default();
    let is_old = |minor: &str| {
        minor.strip_prefix("3.").and_then(|it| it.parse().ok()).is_none_or(|it: u32| it < OLDEST)
    };
    if name != "cpython" || is_old(minor) {
        let text = format!("{} is {name} {minor}; CPython 3.{OLDEST} or newer is wanted", python.display());
        return Ok(Found::None(text));
    }
    let mut installed = BTreeMap::new();
    let mut hooked = false;
    for dir in lines.map(Path::new).filter(|it| it.is_dir() && *it != build.app) {
        for name in names(dir)? {
            hooked |= name == HOOK;
            if let Some((name, version)) = distribution(&name) {
                // What comes first in the path is what is imported.
                installed.entry(name).or_insert(version);
            }
        }
    }
    let minor = minor.to_owned();
    Ok(Found::App(Box::new(Venv { python, minor, installed, hooked, env })))
}
