//! The layers that a buildpack left: `<layer>.toml` beside `<layer>/`.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#layer-types>

use crate::beneath::{Beneath, BeneathError};
use crate::cache::Stamp;
use cnb::layer::{LayerToml, LayerTypes};
use rustix::fs::FileType;
use std::collections::BTreeMap;

/// Files of a buildpack's directory that are no layers.
pub(crate) const RESERVED: &[&str] = &["launch", "build", "store"];

/// A layer as it lies on the disk.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OnDisk {
    pub(crate) name: String,
    pub(crate) toml: LayerToml,
    pub(crate) has_files: bool,
}

/// A file that can't be read or understood, in words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayersError {
    #[error(transparent)]
    Files(#[from] BeneathError),
    #[error(transparent)]
    Parse(#[from] cnb::ParseError),
    #[error("{0}")]
    Other(String),
}

/// The layers in the directory of one buildpack, by name.
pub(crate) fn read(dir: &Beneath) -> Result<Vec<OnDisk>, LayersError> {
    let mut layers = Vec::new();
    for entry in dir.entries()? {
        let Some(name) = entry.name.to_str() else {
            let path = dir.name().join(&entry.name);
            let text = format!("{} has a name that is not UTF-8; rename it", path.display());
            return Err(LayersError::Other(text));
        };
        let Some(name) = name.strip_suffix(".toml") else { continue };
        if RESERVED.contains(&name) || entry.kind == FileType::Directory || !cnb::id::is_valid_layer(name) {
            continue;
        }
        let file = format!("{name}.toml");
        let Some(toml) = toml_file(dir, &file)? else { continue };
        types_are_in_their_table(dir, &file)?;
        let has_files = dir.dir(name)?.is_some();
        layers.push(OnDisk { name: name.to_owned(), toml, has_files });
    }
    Ok(layers)
}

/// Where types stood until Buildpack API 0.5: read today, such a layer would be for nothing, without a word.
fn types_are_in_their_table(dir: &Beneath, file: &str) -> Result<(), LayersError> {
    let table: toml::Table = toml_file(dir, file)?.unwrap_or_default();
    match ["launch", "build", "cache"].iter().find(|it| table.contains_key(**it)) {
        None => Ok(()),
        Some(key) => {
            let path = dir.name().join(file);
            let text = format!("{} has `{key}` outside of the table `types`; move it there", path.display());
            Err(LayersError::Other(text))
        }
    }
}

/// By layer: its bills of materials, each with what proves it.
pub(crate) type Bills = BTreeMap<String, BTreeMap<String, Stamp>>;

/// The bills of materials of all layers in the directory of one buildpack.
pub(crate) fn bills(dir: &Beneath) -> Result<Bills, BeneathError> {
    let mut bills = Bills::new();
    for entry in dir.entries()? {
        if let Some(file) = entry.name.to_str()
            && let Some((layer, _)) = file.rsplit_once(".sbom.")
            && let Some(stamp) = dir.stamp(file)?
        {
            bills.entry(layer.to_owned()).or_default().insert(file.to_owned(), stamp);
        }
    }
    Ok(bills)
}

/// A TOML file in `dir`; `None` when it is not there.
pub(crate) fn toml_file<T: serde::de::DeserializeOwned>(
    dir: &Beneath,
    name: &str,
) -> Result<Option<T>, LayersError> {
    let Some(bytes) = dir.read(name)? else { return Ok(None) };
    let path = dir.name().join(name).display().to_string();
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(cnb::parse(&path, &text)?)),
        Err(_) => Err(LayersError::Other(format!("{path} is not UTF-8, as every TOML file is"))),
    }
}

/// Neither for building, nor for launch, nor for the next build.
pub(crate) fn is_ignored(types: LayerTypes) -> bool {
    !types.build && !types.launch && !types.cache
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dirs::Dir;

    fn error(prepare: impl Fn(&std::path::Path)) -> String {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        read(&Beneath::open(&Dir::new(dir.path(), "/layers/bp")).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn a_layer_that_is_a_link_is_refused_by_name() {
        let said = error(|dir| {
            fs_err::write(dir.join("venv.toml"), "[types]\nlaunch = true\n").unwrap();
            std::os::unix::fs::symlink("/etc", dir.join("venv")).unwrap();
        });
        assert_eq!(said, "/layers/bp/venv is a symbolic link; write a directory there instead");
    }

    #[test]
    fn a_layers_toml_that_is_a_link_or_no_toml_is_refused_by_name() {
        let said = error(|dir| std::os::unix::fs::symlink("/etc/passwd", dir.join("venv.toml")).unwrap());
        assert_eq!(said, "/layers/bp/venv.toml is a symbolic link; write a file there instead");
        let said = error(|dir| fs_err::write(dir.join("venv.toml"), "[types]\nlaunch = 1\n").unwrap());
        assert!(said.starts_with("/layers/bp/venv.toml is not what the specification asks for"), "{said}");
    }

    #[test]
    fn types_outside_of_their_table_are_refused_by_name() {
        let said = error(|dir| fs_err::write(dir.join("venv.toml"), "launch = true\n").unwrap());
        assert_eq!(said, "/layers/bp/venv.toml has `launch` outside of the table `types`; move it there");
    }

    #[test]
    fn what_a_buildpack_says_of_itself_is_no_layer() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["launch.toml", "build.toml", "store.toml", "real.toml"] {
            fs_err::write(dir.path().join(name), "").unwrap();
        }
        fs_err::create_dir(dir.path().join("store")).unwrap();
        let layers = read(&Beneath::open(&Dir::same(dir.path())).unwrap()).unwrap();
        assert_eq!(layers.len(), 1);
        assert_eq!((&*layers[0].name, layers[0].has_files), ("real", false));
    }
}
