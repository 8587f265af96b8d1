//! The buildpack `packlight/debian-layers`: it meets the plan entry `debian` with layers of unpacked Debian packages.
//! It is for builders of others. Where the image extension `packlight/debian` is, packages are part of the base
//! instead, which is better: a base can be rebased. It runs no maintainer script and brings no C library.
//! Open the two functions below next, then `wanted.rs` (what is asked), `glibc.rs` (what the base must have) and
//! `packages.rs` (the way of a package into a layer).

mod errors;
mod glibc;
mod mirrors;
mod packages;
mod wanted;

use buildpack::digest::Digest;
use buildpack::sbom::{Package, Sbom};
use buildpack::{
    Build, Built, Decision, Detect, Detected, EnvOperator, EnvScope, Failure, Layer, LayerTypes, Program,
};
use packages::{Part, Scratch};
use serde::{Deserialize, Serialize};
use std::process::ExitCode;
use wanted::Wanted;

/// What apps run on.
const RUN: (&str, LayerTypes) = ("packages", LayerTypes { build: true, launch: true, cache: true });
/// What the build has besides.
const BUILD: (&str, LayerTypes) = ("build-packages", LayerTypes { build: true, launch: false, cache: true });

/// Roots in which the buildpacks that come later look for Debian's files, separated by colons.
const ROOTS: &str = "PACKLIGHT_DEBIAN_ROOTS";
/// Where Debian's libraries are in them.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

fn main() -> ExitCode {
    buildpack::run(&Program { detect, build })
}

/// Passes always: whether packages are wanted is said by who requires them.
fn detect(_: &Detect) -> Result<Detected, Failure> {
    Ok(Detected::with(&["debian"], Vec::new()))
}

/// What a layer was made from.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    wanted: String,
}

fn build(build: &Build) -> Result<Built, Failure> {
    build.log.heading("Debian packages");
    let wanted = Wanted::of(&build.plan)?;
    let digest = |names: &[String]| {
        let key = format!("{} {}", wanted.release.name, names.join(" "));
        Digest::new().part("wanted", key.as_bytes()).hex()
    };
    let decide = |made: &Made, now: &str| match made.wanted == now {
        true => Decision::Keep,
        false => Decision::Recreate("other packages are asked for".to_owned()),
    };
    let (for_run, for_build) = (digest(&wanted.run), digest(&wanted.all()));
    let run = build.layer(RUN.0, RUN.1, |made: &Made| decide(made, &for_run))?;
    let besides = build.layer(BUILD.0, BUILD.1, |made: &Made| decide(made, &for_build))?;
    if run.is_empty() || besides.is_empty() {
        let room = Scratch::new(build)?;
        let place = |layer: &Layer<Made>, name: &str| match layer.is_empty() {
            true => layer.path.clone(),
            // The other one is made on top of it.
            false => room.0.join(name),
        };
        let parts = packages::unpack(build, &wanted, &room, [place(&run, "run"), place(&besides, "build")])?;
        glibc::check(&parts, &wanted)?;
        keep(&run, &parts[0])?;
        keep(&besides, &parts[1])?;
    }
    run.finish(&Made { wanted: for_run })?;
    besides.finish(&Made { wanted: for_build })?;
    Ok(Built::default())
}

/// Fills a layer, where it is to be made.
fn keep(layer: &Layer<Made>, part: &Part) -> Result<(), Failure> {
    if !layer.is_empty() {
        return Ok(());
    }
    packages::settle(&layer.path)?;
    let at = |path: &str| layer.path.join(path).display().to_string();
    let prepend = |name: &str, value: &str| -> Result<(), Failure> {
        layer.set_env(EnvScope::All, (name, EnvOperator::Prepend), value)?;
        layer.set_env(EnvScope::All, (name, EnvOperator::Delimiter), ":")
    };
    prepend("PATH", &at("usr/bin"))?;
    prepend("LD_LIBRARY_PATH", &at(LIBRARIES))?;
    layer.set_env(EnvScope::Build, (ROOTS, EnvOperator::Prepend), &layer.path.display().to_string())?;
    layer.set_env(EnvScope::Build, (ROOTS, EnvOperator::Delimiter), ":")?;
    let packages = part.packages.iter().map(|it| Package::deb(&it.name, &it.version, &it.architecture));
    layer.write_sbom(&Sbom::new(packages.collect()))
}
