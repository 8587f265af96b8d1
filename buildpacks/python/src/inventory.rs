//! `inventory.toml`: what this buildpack brings itself, each file with its sha256.

use crate::errors;
use buildpack::{Context, Failure};
use serde::Deserialize;

/// The inventory of this release; [`Inventory::of`] adds the user's own.
const OWN: &str = include_str!("../inventory.toml");

/// Where more standalone builds are listed: a file in the app's folder.
pub(crate) const INVENTORY_VARIABLE: &str = "PACKLIGHT_PYTHON_INVENTORY";

/// Where the builds are: `https://...` or `file://...`, the layout of python-build-standalone below it.
pub(crate) const MIRROR_VARIABLE: &str = "PACKLIGHT_PYTHON_MIRROR";

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inventory {
    /// Where standalone builds are when the user names no mirror.
    #[serde(default)]
    mirror: String,
    #[serde(default)]
    pub(crate) debian: Vec<Debian>,
    #[serde(default)]
    pub(crate) standalone: Vec<Standalone>,
    /// The user's own builds: where one of them fits, none of ours is taken.
    #[serde(skip)]
    pub(crate) preferred: Vec<Standalone>,
}

/// A Python that a Debian release maintains.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Debian {
    /// `3.13`.
    pub(crate) python: String,
    /// `trixie`.
    pub(crate) release: String,
}

/// A standalone build.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Standalone {
    /// `3.12.13`.
    pub(crate) version: String,
    /// Below the mirror.
    pub(crate) path: String,
    pub(crate) sha256: String,
}

impl Inventory {
    /// Where standalone builds are: the user's mirror, else this release's.
    pub(crate) fn mirror<'a>(&'a self, context: &'a Context) -> &'a str {
        let own = context.var(MIRROR_VARIABLE).filter(|it| !it.is_empty());
        own.unwrap_or(&self.mirror).trim_end_matches('/')
    }

    /// This release's inventory with the standalone builds that the user's file names.
    pub(crate) fn of(context: &Context) -> Result<Self, Failure> {
        let mut all = parse("inventory.toml", OWN)?;
        if let Some(file) = context.var(INVENTORY_VARIABLE) {
            let Some(bytes) = context.read_app(file)? else {
                return Err(errors::no_inventory(file).into());
            };
            all.preferred = parse(file, &String::from_utf8_lossy(&bytes))?.standalone;
        }
        Ok(all)
    }
}

fn parse(file: &str, text: &str) -> Result<Inventory, Failure> {
    toml::from_str(text).map_err(|error| errors::bad_inventory(file, error.to_string().trim_end()).into())
}

/// `3.13` or `3.13.2` as numbers.
pub(crate) fn numbers(version: &str) -> Option<[u32; 3]> {
    let mut all = [0; 3];
    for (index, part) in version.split('.').enumerate() {
        *all.get_mut(index)? = part.parse().ok()?;
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_inventory_is_complete() {
        let own = parse("inventory.toml", OWN).unwrap();
        assert_eq!(own.debian[0].python, "3.13");
        for it in own.debian.iter().map(|it| &it.python).chain(own.standalone.iter().map(|it| &it.version)) {
            assert!(numbers(it).is_some(), "{it}");
        }
        for it in &own.standalone {
            assert_eq!(it.sha256.len(), 64, "{}", it.version);
        }
    }
}
