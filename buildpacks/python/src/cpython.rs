//! The layer of a Python that Debian lacks: a standalone build from a mirror, checked against the inventory's sha256.

use crate::errors;
use crate::inventory::Standalone;
use buildpack::{Build, Decision, Failure, LayerTypes, Tool};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const FETCH: &str = include_str!("fetch.py");
const ALL: LayerTypes = LayerTypes { build: true, launch: true, cache: true };

/// The exit codes of `fetch.py`.
const NOT_FETCHED: &str = "exit code 3";
const WRONG_DIGEST: &str = "exit code 4";

#[derive(Debug, Serialize, Deserialize)]
struct CpythonLayer {
    version: String,
    sha256: String,
}

/// Opens the layer `cpython`; returns the interpreter in it.
pub(crate) fn open(
    build: &Build,
    wanted: &Standalone,
    mirror: &str,
    helper: &Path,
) -> Result<PathBuf, Failure> {
    let layer = build.layer("cpython", ALL, |old: &CpythonLayer| match old.sha256 == wanted.sha256 {
        true => Decision::Keep,
        false => Decision::Recreate(format!("Python {} becomes {}", old.version, wanted.version)),
    })?;
    let minor: Vec<&str> = wanted.version.split('.').take(2).collect();
    let python = layer.path.join(format!("bin/python{}", minor.join(".")));
    if layer.is_empty() {
        build.log.timed(format!("Fetching Python {}", wanted.version), || {
            fetch(build, wanted, (mirror, helper), &layer.path)?;
            compile(build, &python, &layer.path)
        })?;
    }
    layer.finish(&CpythonLayer { version: wanted.version.clone(), sha256: wanted.sha256.clone() })?;
    Ok(python)
}

fn fetch(
    build: &Build,
    wanted: &Standalone,
    (mirror, helper): (&str, &Path),
    to: &Path,
) -> Result<(), Failure> {
    // A `+` in a path means itself, but some servers take it for a space.
    let url = format!("{mirror}/{}", wanted.path.replace('+', "%2B"));
    let secrets = buildpack::pip::secrets_in(mirror);
    let shown = buildpack::tool::mask(&url, &secrets);
    Tool::new(helper, &build.env)
        .args(["-c".as_ref(), FETCH.as_ref(), url.as_ref(), to.as_os_str(), wanted.sha256.as_ref()])
        .secrets(secrets)
        .run(&build.log)
        .map(drop)
        .map_err(|failure| match failure.why.as_str() {
            why if why.contains(NOT_FETCHED) => {
                errors::python_not_fetched(&wanted.version, &shown, failure.stderr.trim()).into()
            }
            why if why.contains(WRONG_DIGEST) => {
                errors::python_wrong_digest(&shown, &wanted.sha256, failure.stderr.trim()).into()
            }
            _ => errors::tool_failed(&failure, "unpack a standalone Python").into(),
        })
}

/// The builds come without bytecode, and an interpreter without it starts four times slower.
fn compile(build: &Build, python: &Path, layer: &Path) -> Result<(), Failure> {
    Tool::new(python, &build.env)
        .args(["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"])
        .args([layer.join("lib")])
        .env("PYTHONHASHSEED", "0")
        .run(&build.log)
        .map(drop)
        .map_err(|failure| errors::tool_failed(&failure, "compile the standard library").into())
}
