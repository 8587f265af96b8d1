//! `packlight.lock` as a buildpack sees it: the pins of an earlier build in, this buildpack's own fragment out.
//!
//! The effective lock comes as a binding of type `packlight-lock`, else from the app's folder. A fragment is a TOML
//! table with the buildpack's own sections, in the cache layer `lock`; the platform merges all fragments.

use crate::layer::{self, Decision};
use crate::{Context, Failure, LayerTypes};
use fs_err as fs;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// The type of the binding, and the name of the file.
pub const BINDING: &str = "packlight-lock";
/// The file's name, in the binding, in the app's folder and in the layer.
pub const FILE: &str = "packlight.lock";

/// A lock that an earlier build or the app's author wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Lock {
    /// Where it was found.
    pub path: PathBuf,
    /// All of it, other buildpacks' sections included.
    pub table: toml::Table,
}

impl Lock {
    /// The section called `name` (dots go into tables); `None` when there is none or it has another shape, which an
    /// older or newer buildpack wrote and which is resolved anew.
    #[must_use]
    pub fn section<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let mut parts = name.split('.');
        let mut value = self.table.get(parts.next()?)?;
        for part in parts {
            value = value.get(part)?;
        }
        value.clone().try_into().ok()
    }
}

/// The lock that this build is to keep to, when there is one.
///
/// # Errors
/// When it is there and cannot be read or is not TOML.
pub fn effective(context: &Context) -> Result<Option<Lock>, Failure> {
    let bound = context.binding(BINDING).map(|it| it.dir.join(FILE));
    first(bound.into_iter().chain([context.app.join(FILE)]))
}

/// As [`effective`]; a platform that hands over no lock has at least restored this buildpack's own fragment.
///
/// # Errors
/// As [`effective`].
pub fn effective_in_build(build: &crate::Build) -> Result<Option<Lock>, Failure> {
    match effective(build)? {
        None => first([build.layers.join("lock").join(FILE)]),
        found => Ok(found),
    }
}

fn first(paths: impl IntoIterator<Item = PathBuf>) -> Result<Option<Lock>, Failure> {
    for path in paths {
        if let Some(bytes) = crate::context::read_optional(&path)? {
            let table = cnb::parse(&path.display().to_string(), &String::from_utf8_lossy(&bytes))?;
            return Ok(Some(Lock { path, table }));
        }
    }
    Ok(None)
}

/// Writes this buildpack's fragment; an unchanged one is not touched.
///
/// # Errors
/// When it cannot be said in TOML or not be written.
pub fn write_fragment(layers: &Path, fragment: &impl Serialize) -> Result<(), Failure> {
    let types = LayerTypes { cache: true, ..LayerTypes::default() };
    let silent = crate::Log::new(std::io::sink());
    let layer = layer::open(layers, ("lock", types), &silent, |_: &toml::Table| Decision::Keep)?;
    fs::create_dir_all(&layer.path)?;
    crate::atomic::write_if_changed(&layer.path.join(FILE), toml::to_string(fragment)?.as_bytes())?;
    layer.finish(&toml::Table::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_is_written_once_and_a_section_is_found_by_its_dotted_name() {
        let dir = tempfile::tempdir().unwrap();
        let table: toml::Table = toml::from_str("[agent.one]\nversion = \"2\"\n").unwrap();
        write_fragment(dir.path(), &table).unwrap();
        write_fragment(dir.path(), &table).unwrap();
        let text = fs::read_to_string(dir.path().join("lock/packlight.lock")).unwrap();
        let lock = Lock { path: PathBuf::new(), table: toml::from_str(&text).unwrap() };
        assert_eq!(lock.section::<toml::Table>("agent.one").unwrap()["version"].as_str(), Some("2"));
        assert!(lock.section::<toml::Table>("agent.two").is_none());
        let layer = fs::read_to_string(dir.path().join("lock.toml")).unwrap();
        assert!(layer.contains("cache = true"), "{layer}");
    }
}
