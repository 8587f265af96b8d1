//! Both package sets of a base from what is wished, in the versions of an older lock wherever they still fit.
//!
//! A locked version is a preference: it stays as long as the index has that very file and the rest gets on with it.
//! One that is in the way gives way alone, and who and why is told; without a lock the newest is taken of everything.

use std::collections::{BTreeMap, BTreeSet};

use crate::lock::LockedPackage;
use crate::packages::{Candidate, PackageIndex};
use crate::resolve::{Pins, Refusal, ResolveError, Rules, resolve_with};

/// What a base is to have.
#[derive(Debug, Clone, Copy)]
pub struct Wishes<'a> {
    /// Packages that apps run on.
    pub run: &'a [&'a str],
    /// Packages that the build has besides; when a compiler is among what they bring, the release's own
    /// [`build_core`](crate::Release::build_core) comes with it.
    pub build: &'a [&'a str],
}

/// Both package sets of a base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The run base's packages, sorted by name.
    pub run: Vec<LockedPackage>,
    /// What the build base has besides, sorted by name.
    pub build: Vec<LockedPackage>,
    /// Packages that could not keep their locked version, sorted by name.
    pub moved: Vec<Moved>,
}

/// A package that could not keep its locked version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The package.
    pub name: String,
    /// The locked version.
    pub from: String,
    /// The version that it has now.
    pub to: String,
    /// Why: a sentence without its beginning and its full stop.
    pub why: String,
}

/// The packages for `wishes`, each in the version that `locked` names where that is possible.
///
/// # Errors
/// As [`crate::resolve`], when there is no such set even of the newest versions.
pub fn settle(
    index: &PackageIndex,
    wishes: Wishes<'_>,
    locked: &[LockedPackage],
) -> Result<Settled, ResolveError> {
    let mut why: BTreeMap<&str, String> = BTreeMap::new();
    let mut pins = Pins::new();
    for package in locked {
        if let Some(candidate) = same_file(index, package) {
            pins.insert(&package.name, candidate);
        } else {
            why.insert(&package.name, "the archive's index has that version no more".to_owned());
        }
    }
    loop {
        let refusal = match both(index, wishes, &pins) {
            Ok((run, build)) => return Ok(Settled { moved: moved(locked, &run, &build, &why), run, build }),
            Err(refusal) => refusal,
        };
        // Each round takes at least one pin away, so this ends.
        let blamed = refusal.concerned.iter().find_map(|name| pins.remove_entry(name.as_str()));
        let released: Vec<&str> = match blamed {
            Some((name, _)) => vec![name],
            None if pins.is_empty() => return Err(refusal.error),
            None => std::mem::take(&mut pins).into_keys().collect(),
        };
        why.extend(released.into_iter().map(|name| (name, reason(&refusal.error))));
    }
}

/// Why a locked version is in the way. That nothing satisfies a need is not said: another version does.
fn reason(error: &ResolveError) -> String {
    match error {
        ResolveError::Unsatisfied { package, relation, .. }
        | ResolveError::Held { package, relation, .. } => {
            format!("{package} needs {relation}")
        }
        other => other.to_string(),
    }
}

/// The index's entry of the very file that is locked, of its own suite if that still has it.
fn same_file<'a>(index: &'a PackageIndex, package: &LockedPackage) -> Option<Candidate<'a>> {
    let same = |candidate: &Candidate<'_>| {
        candidate.version() == package.version
            && candidate.field("SHA256").eq_ignore_ascii_case(&package.sha256)
    };
    let in_its_suite = index.named(&package.name).find(|it| same(it) && it.suite == package.suite);
    in_its_suite.or_else(|| index.named(&package.name).find(same))
}

type Sets = (Vec<LockedPackage>, Vec<LockedPackage>);

fn both(index: &PackageIndex, wishes: Wishes<'_>, pins: &Pins<'_>) -> Result<Sets, Refusal> {
    let rules = Rules { cuts: index.release.cuts, pins };
    let run = resolve_with(index, wishes.run, &[], rules)?;
    let mut build = resolve_with(index, wishes.build, &run, rules)?;
    if build.iter().chain(&run).any(|it| index.release.compilers.contains(&it.name.as_str())) {
        build = resolve_with(index, &[index.release.build_core, wishes.build].concat(), &run, rules)?;
    }
    Ok((run, build))
}

fn moved(
    locked: &[LockedPackage],
    run: &[LockedPackage],
    build: &[LockedPackage],
    why: &BTreeMap<&str, String>,
) -> Vec<Moved> {
    let now: BTreeMap<&str, &LockedPackage> =
        run.iter().chain(build).map(|package| (package.name.as_str(), package)).collect();
    let gave_way = |old: &LockedPackage| {
        let new = now
            .get(old.name.as_str())
            .filter(|new| (&new.version, &new.sha256) != (&old.version, &old.sha256))?;
        Some(Moved {
            name: old.name.clone(),
            from: old.version.clone(),
            to: new.version.clone(),
            why: why.get(old.name.as_str()).cloned().unwrap_or_default(),
        })
    };
    let mut seen = BTreeSet::new();
    let mut moved: Vec<Moved> =
        locked.iter().filter(|old| seen.insert(&old.name)).filter_map(gave_way).collect();
    moved.sort_by(|left, right| left.name.cmp(&right.name));
    moved
}
