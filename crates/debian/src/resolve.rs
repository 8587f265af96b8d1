//! From names to a set of packages: greedy, as apt without recommendations does it.
//!
//! A satisfied alternative comes first, else the first real package, else a provider by priority; conflicts are
//! looked for at the end. For what images are made of it finds the same sets as apt; where a greedy choice runs into
//! a conflict it says so instead of backtracking.

mod error;

use std::collections::{BTreeMap, VecDeque};

use crate::depends::{Relation, groups};
use crate::lock::LockedPackage;
use crate::near::near;
use crate::packages::{Candidate, PackageIndex};
use crate::release::Cut;

pub(crate) use error::Refusal;
pub use error::ResolveError;

/// The packages that `wanted` needs and `already` has not, sorted by name, each pinned to its file.
///
/// # Errors
/// An unknown name (with names near to it), a dependency that nothing satisfies, two packages that exclude each other.
pub fn resolve(
    index: &PackageIndex,
    wanted: &[&str],
    already: &[LockedPackage],
) -> Result<Vec<LockedPackage>, ResolveError> {
    let rules = Rules { cuts: index.release.cuts, pins: &Pins::new() };
    resolve_with(index, wanted, already, rules).map_err(|refusal| refusal.error)
}

/// As [`resolve`], following every dependency, those of maintainer scripts too: what `apt-get install
/// --no-install-recommends` would install.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_uncut(
    index: &PackageIndex,
    wanted: &[&str],
    already: &[LockedPackage],
) -> Result<Vec<LockedPackage>, ResolveError> {
    let rules = Rules { cuts: &[], pins: &Pins::new() };
    resolve_with(index, wanted, already, rules).map_err(|refusal| refusal.error)
}

/// Names with the version that is taken of each, where the newest is not.
pub(crate) type Pins<'a> = BTreeMap<&'a str, Candidate<'a>>;

/// How dependencies are followed.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) cuts: &'a [Cut],
    pub(crate) pins: &'a Pins<'a>,
}

pub(crate) fn resolve_with<'a>(
    index: &'a PackageIndex,
    wanted: &[&str],
    already: &'a [LockedPackage],
    rules: Rules<'a>,
) -> Result<Vec<LockedPackage>, Refusal> {
    let mut set = Set {
        index,
        rules,
        chosen: BTreeMap::new(),
        provided: BTreeMap::new(),
        todo: VecDeque::new(),
        choices: VecDeque::new(),
    };
    for package in already {
        set.hold(package);
    }
    for name in wanted {
        set.want(name)?;
    }
    set.close()?;
    set.check_conflicts()?;
    let new = set.chosen.values().filter(|chosen| !chosen.held);
    Ok(new.map(|chosen| locked(chosen.candidate)).collect::<Result<_, _>>()?)
}

#[derive(Clone, Copy)]
struct Chosen<'a> {
    candidate: Candidate<'a>,
    version: &'a str,
    /// In the base below already: not part of the answer.
    held: bool,
    /// Who asked first.
    parent: Option<&'a str>,
}

/// A package's dependency that is still to be looked at.
type Need<'a> = (&'a str, Vec<Relation<'a>>);

struct Set<'a> {
    index: &'a PackageIndex,
    rules: Rules<'a>,
    chosen: BTreeMap<&'a str, Chosen<'a>>,
    /// Provided names with the version, if any, that they are provided in.
    provided: BTreeMap<&'a str, Vec<(&'a str, Option<&'a str>)>>,
    todo: VecDeque<Need<'a>>,
    /// Needs with alternatives, looked at when nothing else is left: by then one is often satisfied.
    choices: VecDeque<Need<'a>>,
}

impl<'a> Set<'a> {
    fn hold(&mut self, package: &'a LockedPackage) {
        let same = self.index.named(&package.name).find(|candidate| candidate.version() == package.version);
        // An older version than the index knows: what it provides is taken from the newer one.
        if let Some(candidate) = same.or_else(|| self.index.newest(&package.name)) {
            let chosen = Chosen { candidate, version: &package.version, held: true, parent: None };
            self.insert(&package.name, chosen);
        }
    }

    fn insert(&mut self, name: &'a str, chosen: Chosen<'a>) {
        for provided in groups(chosen.candidate.field("Provides")).flatten() {
            let version = provided.constraint.map(|(_, version)| version);
            self.provided.entry(provided.name).or_default().push((name, version));
        }
        self.chosen.insert(name, chosen);
    }

    fn want(&mut self, name: &str) -> Result<(), ResolveError> {
        let plain = Relation { name, constraint: None };
        if self.satisfies(plain) {
            return Ok(());
        }
        match self.best(plain) {
            Some(candidate) => {
                self.choose(candidate, None);
                Ok(())
            }
            None => Err(ResolveError::Unknown {
                name: name.to_owned(),
                release: self.index.release.name,
                near: near(name, self.index.names()),
            }),
        }
    }

    fn choose(&mut self, candidate: Candidate<'a>, parent: Option<&'a str>) {
        let name = candidate.name();
        if self.chosen.contains_key(name) {
            return;
        }
        self.insert(name, Chosen { candidate, version: candidate.version(), held: false, parent });
        let needs = groups(candidate.field("Pre-Depends")).chain(groups(candidate.field("Depends")));
        for group in needs {
            let cut = |relation: &Relation<'_>| {
                self.rules
                    .cuts
                    .iter()
                    .any(|cut| (cut.package == "*" || cut.package == name) && cut.dependency == relation.name)
            };
            if group.iter().any(cut) {
                continue;
            }
            if group.len() == 1 {
                self.todo.push_back((name, group));
            } else {
                self.choices.push_back((name, group));
            }
        }
    }

    fn close(&mut self) -> Result<(), Refusal> {
        while let Some((package, group)) = self.todo.pop_front().or_else(|| self.choices.pop_front()) {
            if group.iter().any(|relation| self.satisfies(*relation)) {
                continue;
            }
            if let Some(error) = self.held_back(package, &group) {
                return Err(Refusal { error, concerned: error::concerned(package, &group) });
            }
            // A real package of any alternative goes before a provider of the first.
            let real = group.iter().find_map(|relation| self.real(*relation));
            let Some(candidate) = real.or_else(|| group.iter().find_map(|relation| self.best(*relation)))
            else {
                let error = self.unsatisfied(package, &group);
                return Err(Refusal { error, concerned: error::concerned(package, &group) });
            };
            self.choose(candidate, Some(package));
        }
        Ok(())
    }

    fn satisfies(&self, relation: Relation<'_>) -> bool {
        let real = self.chosen.get(relation.name).is_some_and(|chosen| relation.accepts(chosen.version));
        real || self
            .provided
            .get(relation.name)
            .is_some_and(|all| all.iter().any(|(_, version)| provides(relation, *version)))
    }

    fn real(&self, relation: Relation<'_>) -> Option<Candidate<'a>> {
        if self.chosen.contains_key(relation.name) {
            return None;
        }
        self.candidate(relation.name).filter(|candidate| relation.accepts(candidate.version()))
    }

    /// The version of a package that is taken: the pinned one, else the newest.
    fn candidate(&self, name: &str) -> Option<Candidate<'a>> {
        self.rules.pins.get(name).copied().or_else(|| self.index.newest(name))
    }

    /// The real package, else the provider of the highest priority, then the first by name.
    fn best(&self, relation: Relation<'_>) -> Option<Candidate<'a>> {
        self.real(relation).or_else(|| {
            let fitting = self.index.providing(relation.name).filter(|candidate| {
                !self.chosen.contains_key(candidate.name())
                    && groups(candidate.field("Provides")).flatten().any(|provided| {
                        provided.name == relation.name
                            && provides(relation, provided.constraint.map(|(_, version)| version))
                    })
                    && self
                        .candidate(candidate.name())
                        .is_some_and(|taken| taken.version() == candidate.version())
            });
            fitting.min_by_key(|candidate| (rank(candidate.field("Priority")), candidate.name()))
        })
    }

    fn held_back(&self, package: &str, group: &[Relation<'_>]) -> Option<ResolveError> {
        let [relation] = group else { return None };
        let held = self.chosen.get(relation.name).filter(|chosen| chosen.held)?;
        Some(ResolveError::Held {
            package: package.to_owned(),
            relation: relation.to_string(),
            held: format!("{} {}", relation.name, held.version),
        })
    }

    fn unsatisfied(&self, package: &'a str, group: &[Relation<'_>]) -> ResolveError {
        let spelt: Vec<String> = group.iter().map(ToString::to_string).collect();
        let mut chain = Vec::new();
        let mut at = package;
        while let Some(parent) = self.chosen.get(at).and_then(|chosen| chosen.parent) {
            chain.push(parent.to_owned());
            at = parent;
        }
        ResolveError::Unsatisfied {
            package: package.to_owned(),
            relation: spelt.join(" | "),
            release: self.index.release.name,
            chain,
        }
    }

    fn check_conflicts(&self) -> Result<(), Refusal> {
        for (name, chosen) in &self.chosen {
            for field in ["Conflicts", "Breaks"] {
                for relation in groups(chosen.candidate.field(field)).flatten() {
                    if let Some(second) = self.hit_by(name, relation) {
                        let (first, second) = ((*name).to_owned(), second.to_owned());
                        let concerned = vec![second.clone(), first.clone()];
                        let relation = format!("{field}: {relation}");
                        return Err(Refusal {
                            error: ResolveError::Conflict { first, second, relation },
                            concerned,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// Another package of the set that `relation` names, itself or by what it provides.
    fn hit_by(&self, owner: &str, relation: Relation<'_>) -> Option<&'a str> {
        if relation.name != owner
            && let Some((name, chosen)) = self.chosen.get_key_value(relation.name)
            && relation.accepts(chosen.version)
        {
            return Some(name);
        }
        let providers = self.provided.get(relation.name)?;
        providers
            .iter()
            .find(|(name, version)| *name != owner && provides(relation, *version))
            .map(|(name, _)| *name)
    }
}

/// Whether a provided name in a version (or none) meets a relation: without a version it meets only a plain one.
fn provides(relation: Relation<'_>, version: Option<&str>) -> bool {
    match version {
        Some(version) => relation.accepts(version),
        None => relation.constraint.is_none(),
    }
}

fn rank(priority: &str) -> u8 {
    match priority {
        "required" => 0,
        "important" => 1,
        "standard" => 2,
        "optional" => 3,
        _ => 4,
    }
}

fn locked(candidate: Candidate<'_>) -> Result<LockedPackage, ResolveError> {
    let bad = |field| ResolveError::Entry { package: candidate.name().to_owned(), field };
    let need =
        |field| Some(candidate.field(field)).filter(|value| !value.is_empty()).ok_or_else(|| bad(field));
    let sha256 = need("SHA256")?.to_lowercase();
    if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(bad("SHA256"));
    }
    let filename = need("Filename")?;
    if filename.starts_with('/') || filename.split('/').any(|part| part == "..") {
        return Err(bad("Filename"));
    }
    Ok(LockedPackage {
        name: candidate.name().to_owned(),
        version: need("Version")?.to_owned(),
        architecture: need("Architecture")?.to_owned(),
        suite: candidate.suite.to_owned(),
        filename: filename.to_owned(),
        size: need("Size")?.parse().map_err(|_| bad("Size"))?,
        sha256,
    })
}
