//! The way of a package into a layer: resolved, fetched, unpacked and finished there, where bytecode can name its file.

use crate::wanted::Wanted;
use crate::{LIBRARIES, errors, mirrors};
use buildpack::{Build, Environment, Failure, Tool, atomic};
use debian::{Archive, Composed, LockedPackage, Lower};
use fs_err as fs;
use std::path::{Path, PathBuf};

/// What the base has to have, in its own version or not at all: a second C library cannot be beside the base's, and
/// the rest is data for which programs look in `/usr/share` and `/etc` of the base.
const THE_BASES_OWN: &[&str] = &["libc6", "media-types", "netbase", "tzdata"];

/// One layer's packages.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) packages: Vec<LockedPackage>,
    pub(crate) root: PathBuf,
}

/// Where the packages for running and those for building go, empty folders both.
pub(crate) type Roots = [PathBuf; 2];

/// Unpacks what is wanted. The signed index says which versions there are; every package is checked by its SHA-256.
pub(crate) fn unpack(
    build: &Build,
    wanted: &Wanted,
    room: &Scratch,
    roots: Roots,
) -> Result<[Part; 2], Failure> {
    let archive = Archive {
        release: wanted.release,
        mirrors: mirrors::choose(build)?,
        cache: room.0.join("downloads"),
        now: jiff::Timestamp::now(),
        allow_expired: false,
    };
    let (run, besides) =
        build.log.timed(format_args!("Choosing packages of Debian {}", wanted.release.name), || {
            resolve(&archive, wanted)
        })?;
    let all = run.len() + besides.len();
    let [for_run, for_build] = roots;
    build.log.timed(format_args!("Fetching and unpacking {all} packages"), || {
        let (run, done) = part(&archive, run, None, for_run)?;
        let (besides, more) = part(&archive, besides, Some(Lower { root: &run.root }), for_build)?;
        finish(build, &done, &[&run])?;
        finish(build, &more, &[&run, &besides])?;
        Ok([run, besides])
    })
}

fn resolve(archive: &Archive, wanted: &Wanted) -> Result<(Vec<LockedPackage>, Vec<LockedPackage>), Failure> {
    let index = debian::refresh(archive, &|_| ()).map_err(|it| errors::not_had(&it))?;
    let ask = |names: &[String], already: &[LockedPackage]| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        debian::resolve(&index, &names, already).map_err(|it| Failure::from(errors::not_had(&it)))
    };
    let base: Vec<String> = THE_BASES_OWN.iter().map(|it| (*it).to_owned()).collect();
    let base = ask(&base, &[])?;
    let run = ask(&wanted.run, &base)?;
    let below: Vec<LockedPackage> = base.into_iter().chain(run.iter().cloned()).collect();
    let besides = ask(&wanted.build, &below)?;
    let is_compiler = |it: &&LockedPackage| wanted.release.compilers.contains(&it.name.as_str());
    match run.iter().chain(&besides).find(is_compiler) {
        Some(compiler) => Err(errors::compiler(&compiler.name).into()),
        None => Ok((run, besides)),
    }
}

fn part(
    archive: &Archive,
    packages: Vec<LockedPackage>,
    lower: Option<Lower<'_>>,
    root: PathBuf,
) -> Result<(Part, Composed), Failure> {
    let files = debian::fetch(&archive.mirrors, &archive.cache, &packages, &|_| ())
        .map_err(|it| errors::not_had(&it))?;
    let debs: Vec<(LockedPackage, PathBuf)> = packages.iter().cloned().zip(files).collect();
    let composed = debian::compose(&debs, lower, &root).map_err(|it| errors::not_unpacked(&it))?;
    Ok((Part { packages, root }, composed))
}

/// Runs the packages' own programs that make what only they can make: bytecode.
fn finish(build: &Build, composed: &Composed, stack: &[&Part]) -> Result<(), Failure> {
    for step in &composed.finish {
        let below = |path: &str| match path.strip_prefix('/') {
            Some(inside) => stack.iter().map(|it| it.root.join(inside)).find(|it| it.exists()),
            None => None,
        };
        let mut argv = step.argv.iter().map(|it| below(it).unwrap_or_else(|| it.into()));
        let program = argv.next().unwrap_or_default();
        let libraries: Vec<String> =
            stack.iter().map(|it| it.root.join(LIBRARIES).display().to_string()).collect();
        let mut tool =
            Tool::new(&program, &Environment::new()).env("LD_LIBRARY_PATH", libraries.join(":")).args(argv);
        for (name, value) in &step.env {
            tool = tool.env(name, value);
        }
        tool.run(&build.log).map_err(|it| errors::not_finished(step.what, &it.stderr))?;
    }
    Ok(())
}

/// Leaves `usr` alone in a layer. What is beside it is for a base: users, dpkg's database, links.
pub(crate) fn settle(layer: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(layer)? {
        let entry = entry?;
        if entry.file_name() != "usr" {
            atomic::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// A temporary directory on the layers' file system; a directory without a TOML file beside it is no layer.
#[derive(Debug)]
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(build: &Build) -> Result<Self, Failure> {
        let path = build.layers.join(".packlight-debian");
        atomic::remove(&path)?;
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind is no layer and harms nobody.
        drop(atomic::remove(&self.0));
    }
}
