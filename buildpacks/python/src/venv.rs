//! The layer with the app's packages: a virtual environment at a fixed path, the same bytes every time.
//!
//! ```text
//! venv/pyvenv.cfg  bin/python -> /usr/bin/python3.13  bin/gunicorn ...
//!      lib/python3.13/site-packages/{flask, ..., packlight.pth, _packlight_hook.py}
//! ```
//!
//! It is made here and not by `python -m venv`: that needs another Debian package, starts an interpreter, and writes
//! the patch level into `pyvenv.cfg`, which would make a layer of the app depend on an update of the base.

use crate::errors;
use crate::resolve::{Listed, Pin, Pins, Question, requirements_text};
use crate::uv::{Installer, Scratch, explained};
use crate::version::Python;
use buildpack::digest::Digest;
use buildpack::sbom::{Package, Sbom};
use buildpack::{Build, Decision, EnvOperator, EnvScope, Failure, Layer, LayerTypes, Tool, atomic};
use fs_err as fs;
use fs_err::os::unix::fs::symlink;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const ALL: LayerTypes = LayerTypes { build: true, launch: true, cache: true };

const HOOK: &str = include_str!("hook.py");
/// One `if` when no agent is active. <https://docs.python.org/3/library/site.html>
const PTH: &str = "import os; \"PACKLIGHT_PYTHON_AGENT\" in os.environ and __import__(\"_packlight_hook\")\n";
/// From Python 3.15 on a `.start` file takes the place of a `.pth` file's `import` lines. <https://peps.python.org/pep-0829/>
const START: &str = "_packlight_hook:start\n";

/// What the layer was made from.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct VenvLayer {
    python: String,
    interpreter: String,
    packages: String,
    /// What the user's settings said of the packages that are taken.
    #[serde(default)]
    choice: String,
    hook: String,
    path: String,
}

/// What the layer is made of.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) python: &'a Python,
    pub(crate) interpreter: &'a Path,
    pub(crate) pins: &'a Pins,
    pub(crate) listed: &'a Listed,
    pub(crate) question: &'a Question<'a>,
}

impl VenvLayer {
    fn of(build: &Build, wanted: &Wanted) -> Result<Self, Failure> {
        let src = build.app.join("src").is_dir().to_string();
        let hook = Digest::new().part("hook", HOOK.as_bytes()).part("pth", PTH.as_bytes());
        Ok(Self {
            python: wanted.python.minor.clone(),
            interpreter: wanted.interpreter.display().to_string(),
            packages: wanted.pins.digest(&build.app, wanted.listed)?.part("src", src.as_bytes()).hex(),
            choice: choice(wanted.question.choice),
            hook: hook.part("start", START.as_bytes()).part("version", build.about.version.as_bytes()).hex(),
            path: build.layers.join("venv").display().to_string(),
        })
    }

    /// Why a layer made from `old` cannot be used.
    fn changed_since(&self, old: &Self) -> Option<String> {
        let reason = match () {
            () if self.python != old.python => format!("Python {} becomes {}", old.python, self.python),
            () if self.interpreter != old.interpreter || self.path != old.path => {
                "its place has changed".to_owned()
            }
            () if self.packages != old.packages => "the packages have changed".to_owned(),
            () if self.choice != old.choice => {
                "the settings that decide which packages are taken have changed".to_owned()
            }
            () if self.hook != old.hook => "it was made by another version of this buildpack".to_owned(),
            () => return None,
        };
        Some(reason)
    }
}

/// A digest: the settings themselves are nobody's business.
fn choice(key: &str) -> String {
    if key.is_empty() { String::new() } else { buildpack::digest::sha256(key.as_bytes()) }
}

/// Opens the layer `venv` and installs what is pinned, unless it holds just that.
pub(crate) fn open(build: &Build, installer: &Installer, wanted: &Wanted) -> Result<(), Failure> {
    let new = VenvLayer::of(build, wanted)?;
    let layer = build.layer("venv", ALL, |old: &VenvLayer| match new.changed_since(old) {
        None => Decision::Keep,
        Some(reason) => Decision::Recreate(reason),
    })?;
    let site = layer.path.join(format!("lib/python{}/site-packages", wanted.python.minor));
    if layer.is_empty() {
        make(&layer.path, &site, wanted)?;
        write_hook(build, &layer.path, &site, &wanted.python.minor)?;
        let count = wanted.pins.packages.len();
        let text = format!("Installing {count} package{}", if count == 1 { "" } else { "s" });
        build.log.timed(text, || install(build, installer, &layer.path, wanted))?;
        tidy(&layer.path, &site)?;
        set_env(build, &layer)?;
    }
    layer.write_sbom(&Sbom::new(installed(&site)?))?;
    layer.finish(&new)
}

fn make(venv: &Path, site: &Path, wanted: &Wanted) -> Result<(), Failure> {
    let home = wanted.interpreter.parent().unwrap_or(Path::new("/usr/bin"));
    fs::create_dir_all(site)?;
    fs::create_dir_all(venv.join("bin"))?;
    symlink("lib", venv.join("lib64"))?;
    symlink(wanted.interpreter, venv.join("bin/python"))?;
    symlink("python", venv.join("bin/python3"))?;
    symlink("python", venv.join(format!("bin/python{}", wanted.python.minor)))?;
    let text = format!(
        "home = {}\nimplementation = CPython\nversion_info = {}\ninclude-system-site-packages = false\n",
        home.display(),
        wanted.python.minor
    );
    Ok(fs::write(venv.join("pyvenv.cfg"), text)?)
}

fn write_hook(build: &Build, venv: &Path, site: &Path, minor: &str) -> Result<(), Failure> {
    let hook = site.join("_packlight_hook.py");
    fs::write(&hook, HOOK)?;
    fs::write(site.join("packlight.pth"), PTH)?;
    if crate::inventory::numbers(minor).is_some_and(|it| it >= [3, 15, 0]) {
        fs::write(site.join("packlight.start"), START)?;
    }
    // uv compiles only what it installs.
    let compile = "import py_compile as it, sys; \
                   it.compile(sys.argv[1], doraise=True, invalidation_mode=it.PycInvalidationMode.UNCHECKED_HASH)";
    Tool::new(venv.join("bin/python"), &build.env)
        .args(["-I".as_ref(), "-S".as_ref(), "-c".as_ref(), compile.as_ref(), hook.as_os_str()])
        .run(&build.log)
        .map(drop)
        .map_err(|failure| errors::tool_failed(&failure, "compile a module").into())
}

fn install(build: &Build, installer: &Installer, venv: &Path, wanted: &Wanted) -> Result<(), Failure> {
    let scratch = Scratch::new(build)?;
    let (hashed, others) = wanted.pins.split();
    for (pins, hashes) in [(hashed, true), (others, false)].iter().filter(|(pins, _)| !pins.is_empty()) {
        let mut text = wanted.listed.requirements.options.join("\n");
        text.push('\n');
        text.push_str(&requirements_text(&with_places(pins, &build.app)));
        let list = scratch.write("pins.txt", &text)?;
        let mut tool = installer
            .uv_pip("install")
            .args(["--no-deps", "--compile-bytecode"])
            .args(["--python".as_ref(), venv.join("bin/python").as_os_str()])
            .args(["-r".as_ref(), list.as_os_str()]);
        // uv takes a folder for unchanged while its pyproject.toml is: what has no hash is built anew.
        tool = tool.args([if *hashes { "--require-hashes" } else { "--refresh" }]);
        tool.stream_some_errors(is_progress)
            .run(&build.log)
            .map_err(|failure| explained(&failure, &wanted.question.about(build)))?;
    }
    Ok(())
}

/// Of what uv tells: what is fetched, built and done, not each package.
fn is_progress(line: &str) -> bool {
    ["Downloading", "Building", "Built", "Bytecode", "Installed", "warning"]
        .iter()
        .any(|it| line.trim_start().starts_with(it))
}

/// The list is a file in the layers directory: what is relative in it must say to what.
fn with_places(pins: &[Pin], app: &Path) -> Vec<Pin> {
    let place = |path: &str| match path.starts_with('/') || path.contains("://") {
        true => path.to_owned(),
        false => {
            app.join(path.trim_start_matches("./")).display().to_string().trim_end_matches('/').to_owned()
        }
    };
    let mut pins = pins.to_vec();
    for pin in &mut pins {
        if let Some(path) = pin.requirement.strip_prefix("-e ") {
            pin.requirement = format!("-e {}", place(path));
        } else if let Some((name, path)) = pin.requirement.split_once(" @ ./") {
            pin.requirement = format!("{name} @ file://{}", place(path));
        } else if pin.requirement.starts_with('.') {
            pin.requirement = place(&pin.requirement);
        }
    }
    pins
}

/// Removes what uv leaves for itself and what differs from one install to the next.
fn tidy(venv: &Path, site: &Path) -> Result<(), Failure> {
    for name in [".lock", ".gitignore", "CACHEDIR.TAG"] {
        atomic::remove(&venv.join(name))?;
    }
    for dir in dist_infos(site)? {
        // It holds the times of a source tree.
        let cache = dir.join("uv_cache.json");
        if cache.exists() {
            fs::remove_file(&cache)?;
            let record = dir.join("RECORD");
            let lines = fs::read_to_string(&record)?;
            let kept = lines.lines().filter(|it| !it.contains("/uv_cache.json,"));
            fs::write(&record, kept.map(|it| format!("{it}\n")).collect::<String>())?;
        }
    }
    Ok(())
}

fn dist_infos(site: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut all = Vec::new();
    for entry in fs::read_dir(site)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "dist-info") {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

/// What is in the environment, as its directories say: markers may have left out some of what is pinned.
fn installed(site: &Path) -> Result<Vec<Package>, Failure> {
    let name = |path: &PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let split = |it: String| {
        it.rsplit_once('-').map(|(name, version)| Package::pypi(&name.replace('_', "-"), version))
    };
    Ok(dist_infos(site)?.iter().filter_map(name).filter_map(split).collect())
}

fn set_env<M>(build: &Build, layer: &Layer<M>) -> Result<(), Failure> {
    let path = layer.path.display().to_string();
    layer.set_env(EnvScope::All, ("VIRTUAL_ENV", EnvOperator::Override), &path)?;
    // What the app prints is seen when it is printed.
    layer.set_env(EnvScope::Launch, ("PYTHONUNBUFFERED", EnvOperator::Default), "1")?;
    // gunicorn listens on 0.0.0.0:$PORT where PORT is set, and on 127.0.0.1 where it is not.
    layer.set_env(EnvScope::Launch, ("PORT", EnvOperator::Default), crate::start::DEFAULT_PORT)?;
    let src = build.app.join("src");
    if src.is_dir() {
        layer.set_env(EnvScope::Launch, ("PYTHONPATH", EnvOperator::Prepend), &src.display().to_string())?;
        layer.set_env(EnvScope::Launch, ("PYTHONPATH", EnvOperator::Delimiter), ":")?;
    }
    Ok(())
}

/// Fails when the interpreter is not where the plan asked the base to have it.
pub(crate) fn check_interpreter(interpreter: &Path, minor: &str) -> Result<(), Failure> {
    match interpreter.exists() {
        true => Ok(()),
        false => Err(errors::no_interpreter(&interpreter.display().to_string(), minor).into()),
    }
}
