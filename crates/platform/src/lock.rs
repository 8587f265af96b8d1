//! `packlight.lock`: what the last resolution settled on, so that the next build is the same one.
//!
//! docs/formats/lock.md describes the file. The base's part is ours; the others are the buildpacks', which hand them
//! over as fragments and get them back through a binding.

use debian::LockedPackage;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The version of the file's format.
const VERSION: i64 = 1;

/// The first lines of the file.
const HEADER: &str = "\
# What this app's image is made of, each part with its sha256. Written by `packlight build --lock`, refreshed by
# `packlight build --update`; keep it beside the source and in version control.
";

/// A lock.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lock {
    /// The packages of the base.
    pub debian: Option<DebianLock>,
    /// The buildpacks' parts.
    pub parts: toml::Table,
}

/// The packages of the base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DebianLock {
    /// The release's code name.
    pub release: String,
    /// What was asked for, for running: when that changes, the versions below are preferences and no longer orders.
    pub wanted_run: Vec<String>,
    /// What was asked for, for building.
    pub wanted_build: Vec<String>,
    /// Packages of the run base.
    pub run: Vec<LockedPackage>,
    /// Packages that the build base has besides.
    pub build: Vec<LockedPackage>,
}

/// A lock that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// It is not a lock.
    #[error("{file} cannot be understood: {reason}; `packlight build --update --lock` writes a new one")]
    Parse {
        /// Its name.
        file: String,
        /// The parser's words.
        reason: String,
    },
    /// Another version of Packlight wrote it.
    #[error(
        "{file} has version {found}, and this packlight reads version {VERSION}; take the packlight that wrote it, or make the file anew (remove it, then `packlight build --lock`)"
    )]
    Version {
        /// Its name.
        file: String,
        /// The version in it.
        found: i64,
    },
    /// Two buildpacks wrote the same part.
    #[error("two buildpacks wrote the part `{0}` of the lock")]
    Twice(String),
    /// It cannot be read or written.
    #[error("the lock could not be read or written")]
    Io(#[from] std::io::Error),
    /// It cannot be printed.
    #[error("the lock could not be printed")]
    Print(#[from] toml::ser::Error),
}

impl Lock {
    /// Parses the text of the lock called `file`.
    ///
    /// # Errors
    /// When it is not a lock, or one of another version.
    pub fn parse(file: &str, text: &str) -> Result<Self, LockError> {
        let wrong = |reason: String| LockError::Parse { file: file.to_owned(), reason };
        let mut table: toml::Table = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        match table.remove("version").and_then(|it| it.as_integer()) {
            Some(VERSION) => {}
            Some(found) => return Err(LockError::Version { file: file.to_owned(), found }),
            None => return Err(wrong("it has no `version`".to_owned())),
        }
        let debian = match table.remove("debian") {
            Some(part) => Some(part.try_into().map_err(|error: toml::de::Error| wrong(error.to_string()))?),
            None => None,
        };
        Ok(Self { debian, parts: table })
    }

    /// Reads a lock, when it is there.
    ///
    /// # Errors
    /// When it cannot be read or is not a lock.
    pub fn load(file: &Path) -> Result<Option<Self>, LockError> {
        match oci::bounded::read_text(file) {
            Ok(text) => Self::parse(&file.display().to_string(), &text).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The file's text: the same lock gives the same text.
    ///
    /// # Errors
    /// When a part cannot be said in TOML.
    pub fn print(&self) -> Result<String, LockError> {
        let mut table = toml::Table::new();
        table.insert("version".to_owned(), VERSION.into());
        if let Some(debian) = &self.debian {
            table.insert("debian".to_owned(), toml::Value::try_from(debian)?);
        }
        table.extend(self.parts.clone());
        Ok(format!("{HEADER}\n{}", toml::to_string(&table)?))
    }

    /// Adds what a buildpack wrote as its part.
    ///
    /// # Errors
    /// When it is not TOML, or another buildpack wrote the same part.
    pub fn add_fragment(&mut self, file: &str, text: &str) -> Result<(), LockError> {
        let table: toml::Table = toml::from_str(text)
            .map_err(|error| LockError::Parse { file: file.to_owned(), reason: error.to_string() })?;
        merge(&mut self.parts, table)
    }
}

/// Tables of one name are joined (`[agent.opentelemetry]` and `[agent.datadog]`); anything else must be there once.
fn merge(into: &mut toml::Table, from: toml::Table) -> Result<(), LockError> {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new)?,
            (Some(_), _) => return Err(LockError::Twice(key)),
            (None, value) => {
                into.insert(key, value);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_join_under_one_name_and_never_overwrite() {
        let mut lock = Lock::default();
        lock.add_fragment("a", "[agent.opentelemetry]\nx = 1\n").unwrap();
        lock.add_fragment("b", "[agent.datadog]\nx = 2\n[python]\ny = 1\n").unwrap();
        assert!(matches!(lock.add_fragment("c", "[python]\ny = 2\n"), Err(LockError::Twice(_))));
        let text = lock.print().unwrap();
        assert_eq!(Lock::parse("packlight.lock", &text).unwrap(), lock);
        assert_eq!(Lock::parse("packlight.lock", &text).unwrap().print().unwrap(), text);
    }

    #[test]
    fn a_lock_of_another_version_or_shape_is_refused_by_name() {
        let newer = Lock::parse("packlight.lock", "version = 2\n").unwrap_err().to_string();
        assert!(newer.contains("packlight.lock has version 2"), "{newer}");
        let wrong = Lock::parse("packlight.lock", "version = 1\n[debian]\n").unwrap_err().to_string();
        assert!(wrong.contains("packlight.lock cannot be understood"), "{wrong}");
    }
}
