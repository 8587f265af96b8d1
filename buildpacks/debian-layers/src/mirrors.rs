//! Which mirrors are asked: the user's, else those of the build image where it is a Debian, else the public ones.

use crate::errors;
use buildpack::context::read_optional;
use buildpack::{Build, Failure};
use debian::{Mirrors, SourceKind};
use serde::Deserialize;
use std::path::Path;

/// The public defaults: Packlight's settings have them, and its packaging puts them into this buildpack's folder.
const DEFAULTS: &str = "mirrors.toml";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Defaults {
    archive: Vec<String>,
    security: Vec<String>,
}

pub(crate) fn choose(build: &Build) -> Result<Mirrors, Failure> {
    let set = |name: &str| -> Vec<String> {
        build.var(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    let sources = debian::apt_sources(Path::new("/etc/apt"));
    let of = |kind: SourceKind| -> Vec<String> {
        sources.iter().filter(|it| it.kind == kind).map(|it| it.url.clone()).collect()
    };
    let text = read_optional(&build.buildpack_dir.join(DEFAULTS))?.unwrap_or_default();
    let defaults: Defaults = toml::from_str(&String::from_utf8_lossy(&text)).unwrap_or_default();
    let first = |lists: [Vec<String>; 3]| lists.into_iter().find(|it| !it.is_empty());
    let archive = first([set("PACKLIGHT_DEBIAN_MIRROR"), of(SourceKind::Archive), defaults.archive]);
    let security =
        first([set("PACKLIGHT_DEBIAN_SECURITY_MIRROR"), of(SourceKind::Security), defaults.security]);
    match (archive, security) {
        (Some(archive), Some(security)) => Ok(Mirrors { archive, security }),
        _ => Err(errors::no_mirror().into()),
    }
}
