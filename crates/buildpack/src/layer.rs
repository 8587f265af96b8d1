//! Layers: kept or made anew, always for a reason that the log tells, and never half made.
//!
//! ```text
//! <layers>/<name>/            contents
//! <layers>/<name>.toml        types and metadata, written last: without it the contents count as unfinished
//! <layers>/<name>.sbom.*.json what is in it
//! ```
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#layers>

use crate::{Failure, Log, atomic};
use cnb::layer::{LayerToml, LayerTypes};
use fs_err as fs;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};

/// What a buildpack says of a layer that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Use it as it is.
    Keep,
    /// Empty it and make it anew, because of this (a fragment that fits after "made anew: ").
    Recreate(String),
}

/// Whether a layer has contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State<M> {
    /// It was restored and the decision was to keep it; this is its metadata.
    Kept(M),
    /// Its directory is empty, because of this.
    Empty(String),
}

/// One layer of this buildpack.
#[derive(Debug)]
pub struct Layer<M> {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub path: PathBuf,
    /// Whether it has contents.
    pub state: State<M>,
    layers: PathBuf,
    types: LayerTypes,
}

/// When a variable is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvScope {
    /// For later buildpacks and at launch (`env`).
    All,
    /// For later buildpacks (`env.build`).
    Build,
    /// At launch (`env.launch`).
    Launch,
}

/// What a variable's file does to what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvOperator {
    /// Adds at the end; give the delimiter with [`EnvOperator::Delimiter`].
    Append,
    /// Only where nothing is.
    Default,
    /// Replaces.
    Override,
    /// Adds in front; give the delimiter with [`EnvOperator::Delimiter`].
    Prepend,
    /// What `Append` and `Prepend` put between.
    Delimiter,
}

/// What no layer is called. <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#layer-content-metadata-toml>
const RESERVED: [&str; 3] = ["build", "launch", "store"];

/// Opens a layer: reads what was restored, lets `decide` look at its metadata, and empties it unless it is kept.
///
/// Nothing is written to a layer that is kept, but its `.toml` (types are never restored) by [`Layer::finish`].
///
/// # Errors
/// When the layers directory cannot be read or written.
pub fn open<M: DeserializeOwned>(
    layers: &Path,
    (name, types): (&str, LayerTypes),
    log: &Log,
    decide: impl FnOnce(&M) -> Decision,
) -> Result<Layer<M>, Failure> {
    debug_assert!(!RESERVED.contains(&name), "{name}.toml is a file of the buildpack's own");
    let path = layers.join(name);
    let state = match restored(layers, name, types)? {
        Ok(metadata) => match decide(&metadata) {
            Decision::Keep => State::Kept(metadata),
            Decision::Recreate(reason) => State::Empty(reason),
        },
        Err(reason) => State::Empty(reason),
    };
    match &state {
        State::Kept(_) => log.step(format_args!("layer {name}: kept, unchanged")),
        State::Empty(reason) => {
            log.step(format_args!("layer {name}: made anew, {reason}"));
            clear(layers, name)?;
            fs::create_dir_all(&path)?;
        }
    }
    Ok(Layer { name: name.to_owned(), path, state, layers: layers.to_owned(), types })
}

/// The restored metadata, or why there is none.
fn restored<M: DeserializeOwned>(
    layers: &Path,
    name: &str,
    types: LayerTypes,
) -> io::Result<Result<M, String>> {
    let path = layers.join(name);
    let Some(text) = crate::context::read_optional(&toml_path(layers, name))? else {
        let why = if path.exists() { "an earlier build did not finish it" } else { "there was none" };
        return Ok(Err(why.to_owned()));
    };
    // A layer that is only for launch is not restored, only its metadata: the exporter takes it from the old image.
    let contents_needed = types.build || types.cache;
    if contents_needed && !path.is_dir() {
        return Ok(Err("its contents were not restored".to_owned()));
    }
    let parsed = cnb::parse::<LayerToml>(name, &String::from_utf8_lossy(&text))
        .ok()
        .and_then(|it| it.metadata.try_into().ok());
    Ok(parsed.ok_or_else(|| "it was written by another version of this buildpack".to_owned()))
}

/// Removes a layer with its metadata and SBOM files; the metadata goes first.
///
/// # Errors
/// When something of it cannot be removed.
pub fn clear(layers: &Path, name: &str) -> io::Result<()> {
    atomic::remove(&toml_path(layers, name))?;
    for format in crate::sbom::EXTENSIONS {
        atomic::remove(&layers.join(format!("{name}.sbom.{format}")))?;
    }
    atomic::remove(&layers.join(name))
}

impl<M> Layer<M> {
    /// Whether it has to be made.
    pub fn is_empty(&self) -> bool {
        matches!(self.state, State::Empty(_))
    }

    /// Sets a variable; call it only while the layer is being made.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_env(
        &self,
        scope: EnvScope,
        (name, operator): (&str, EnvOperator),
        value: &str,
    ) -> Result<(), Failure> {
        let dir = self.path.join(match scope {
            EnvScope::All => "env",
            EnvScope::Build => "env.build",
            EnvScope::Launch => "env.launch",
        });
        let suffix = match operator {
            EnvOperator::Append => "append",
            EnvOperator::Default => "default",
            EnvOperator::Override => "override",
            EnvOperator::Prepend => "prepend",
            EnvOperator::Delimiter => "delim",
        };
        fs::create_dir_all(&dir)?;
        Ok(atomic::write_if_changed(&dir.join(format!("{name}.{suffix}")), value.as_bytes())?)
    }

    /// Copies a program to `exec.d/<name>`; call it only while the layer is being made.
    ///
    /// # Errors
    /// When the program cannot be read or written.
    pub fn add_exec_d(&self, name: &str, program: &Path) -> Result<(), Failure> {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = self.path.join("exec.d");
        fs::create_dir_all(&dir)?;
        let to = dir.join(name);
        fs::copy(program, &to)?;
        Ok(fs::set_permissions(&to, std::fs::Permissions::from_mode(0o755))?)
    }

    /// Writes the layer's SBOM files, in all three formats.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_sbom(&self, sbom: &crate::sbom::Sbom) -> Result<(), Failure> {
        for (extension, text) in sbom.files() {
            atomic::write_if_changed(
                &self.layers.join(format!("{}.sbom.{extension}", self.name)),
                text.as_bytes(),
            )?;
        }
        Ok(())
    }

    /// Says what the layer is for and what it was made from: the last thing done to it, in every build.
    ///
    /// # Errors
    /// When the metadata cannot be said in TOML or not be written.
    pub fn finish(&self, metadata: &impl Serialize) -> Result<(), Failure> {
        let metadata = toml::Table::try_from(metadata)?;
        let text = cnb::print(&LayerToml { types: self.types, metadata })?;
        Ok(atomic::write_if_changed(&toml_path(&self.layers, &self.name), text.as_bytes())?)
    }
}

fn toml_path(layers: &Path, name: &str) -> PathBuf {
    layers.join(format!("{name}.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    type Meta = BTreeMap<String, String>;
    const CACHED: LayerTypes = LayerTypes { build: true, launch: true, cache: true };

    fn open_at(layers: &Path, want: &str) -> (Layer<Meta>, String) {
        let (log, memory) = Log::memory();
        let layer = open(layers, ("venv", CACHED), &log, |old: &Meta| match old.get("digest") {
            Some(it) if it == want => Decision::Keep,
            _ => Decision::Recreate("requirements.txt has changed".to_owned()),
        })
        .unwrap();
        (layer, memory.text())
    }

    fn digest(text: &str) -> Meta {
        Meta::from([("digest".to_owned(), text.to_owned())])
    }

    #[test]
    fn a_finished_layer_is_kept_and_a_changed_one_made_anew_with_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        let (layer, log) = open_at(dir.path(), "1");
        assert!(layer.is_empty());
        assert_eq!(log, "  layer venv: made anew, there was none\n");
        fs::write(layer.path.join("file"), "x").unwrap();
        layer.finish(&digest("1")).unwrap();

        let (layer, log) = open_at(dir.path(), "1");
        assert_eq!(layer.state, State::Kept(digest("1")));
        assert!(log.contains("kept"), "{log}");
        assert!(layer.path.join("file").exists());

        let (layer, log) = open_at(dir.path(), "2");
        assert_eq!(log, "  layer venv: made anew, requirements.txt has changed\n");
        assert!(!layer.path.join("file").exists());
        assert!(!dir.path().join("venv.toml").exists());
    }

    #[test]
    fn a_layer_that_was_not_finished_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("venv/half")).unwrap();
        let (layer, log) = open_at(dir.path(), "1");
        assert!(log.contains("did not finish"), "{log}");
        assert!(!layer.path.join("half").exists());
    }

    #[test]
    fn metadata_without_contents_keeps_only_a_launch_layer() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("venv.toml"), "[metadata]\ndigest = \"1\"\n").unwrap();
        let launch = LayerTypes { launch: true, ..LayerTypes::default() };
        let keep = |_: &Meta| Decision::Keep;
        let it = open(dir.path(), ("venv", launch), &Log::memory().0, keep).unwrap();
        assert!(!it.is_empty());
        let (layer, log) = open_at(dir.path(), "1");
        assert!(layer.is_empty());
        assert!(log.contains("not restored"), "{log}");
    }

    #[test]
    fn the_environment_is_a_file_for_each_operator() {
        let dir = tempfile::tempdir().unwrap();
        let (layer, _) = open_at(dir.path(), "1");
        layer.set_env(EnvScope::Launch, ("A", EnvOperator::Default), "1").unwrap();
        layer.set_env(EnvScope::All, ("B", EnvOperator::Prepend), "x").unwrap();
        layer.set_env(EnvScope::All, ("B", EnvOperator::Delimiter), ":").unwrap();
        assert_eq!(fs::read_to_string(layer.path.join("env.launch/A.default")).unwrap(), "1");
        assert_eq!(fs::read_to_string(layer.path.join("env/B.delim")).unwrap(), ":");
    }
}
