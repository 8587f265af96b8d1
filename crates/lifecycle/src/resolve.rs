//! Build plans: the trials by which a group settles on who provides what to whom.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#phase-1-detection>; what the text leaves open is as
//! the reference lifecycle has it, see conformance/DECISIONS.md.

use cnb::plan::{Alternative, BuildPlan, Plan, PlanEntry, Provider, Require};
use std::collections::{BTreeMap, BTreeSet};

/// Enough for any builder, and few enough that plans written to never end do end.
const MOST_TRIALS: usize = 100_000;

/// A member of a group that passed.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Whether it is an image extension.
    pub extension: bool,
    /// Whether the group passes without it.
    pub optional: bool,
    /// What it wrote.
    pub plan: BuildPlan,
}

/// What a group settled on.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolution {
    /// The members that take part, as positions in what was given.
    pub members: Vec<usize>,
    /// The plan, by name of the dependency.
    pub plan: Plan,
}

/// Why a group can't agree, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved(pub String);

/// One member in one trial.
#[derive(Clone, Copy)]
struct Part<'a> {
    at: usize,
    optional: bool,
    wants: &'a Alternative,
}

/// Settles on a plan: alternatives are tried left to right, depth first, and the first trial that works wins.
///
/// # Errors
/// When no trial works, with the reasons of the first one.
pub fn resolve(candidates: &[Candidate]) -> Result<Resolution, Unresolved> {
    let mut search = Search { candidates, trials: 0, first_reason: None };
    let mut parts = Vec::with_capacity(candidates.len());
    match search.from(0, &mut parts) {
        Some(resolution) => Ok(resolution),
        None if search.trials >= MOST_TRIALS => Err(Unresolved(format!(
            "the build plans have so many alternatives that {MOST_TRIALS} trials did not settle them"
        ))),
        None => Err(Unresolved(search.first_reason.unwrap_or_else(|| "nothing to build with".to_owned()))),
    }
}

struct Search<'a> {
    candidates: &'a [Candidate],
    trials: usize,
    first_reason: Option<String>,
}

impl<'a> Search<'a> {
    fn from(&mut self, next: usize, parts: &mut Vec<Part<'a>>) -> Option<Resolution> {
        let candidates = self.candidates;
        let Some(candidate) = candidates.get(next) else {
            self.trials += 1;
            return match trial(candidates, parts.clone()) {
                Ok(resolution) => Some(resolution),
                Err(reason) => {
                    self.first_reason.get_or_insert(reason);
                    None
                }
            };
        };
        let last = candidate.plan.or.len();
        for (i, wants) in std::iter::once(&candidate.plan.first).chain(&candidate.plan.or).enumerate() {
            if self.trials >= MOST_TRIALS {
                return None;
            }
            // an optional member is left out only when its last alternative does not work either
            parts.push(Part { at: next, optional: candidate.optional && i == last, wants });
            let found = self.from(next + 1, parts);
            parts.pop();
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

fn trial(candidates: &[Candidate], mut parts: Vec<Part<'_>>) -> Result<Resolution, String> {
    loop {
        let needs = Needs::of(&parts);
        let mut out = BTreeSet::new();
        for (at, reason) in needs.unmet() {
            let part = parts.iter().find(|it| it.at == at);
            if part.is_some_and(|it| !it.optional) {
                let it = &candidates[at];
                return Err(format!("{}@{} {reason}", it.id, it.version));
            }
            out.insert(at);
        }
        if out.is_empty() {
            if parts.iter().all(|it| candidates[it.at].extension) {
                return Err("no buildpack takes part".to_owned());
            }
            return Ok(Resolution {
                members: parts.iter().map(|it| it.at).collect(),
                plan: needs.plan(candidates),
            });
        }
        parts.retain(|it| !out.contains(&it.at));
    }
}

/// Who provides and requires what, by name.
#[derive(Default)]
struct Needs<'a>(BTreeMap<&'a str, Need<'a>>);

#[derive(Default)]
struct Need<'a> {
    providers: Vec<usize>,
    requires: Vec<&'a Require>,
    /// Who requires it before anybody provides it.
    early: Vec<usize>,
    /// Who provides it and has not been asked yet.
    unused: Vec<usize>,
}

impl<'a> Needs<'a> {
    fn of(parts: &[Part<'a>]) -> Self {
        let mut needs = Self::default();
        for part in parts {
            for provide in &part.wants.provides {
                needs.0.entry(&provide.name).or_default().unused.push(part.at);
            }
            for require in &part.wants.requires {
                let need = needs.0.entry(&require.name).or_default();
                need.providers.append(&mut need.unused);
                if need.providers.is_empty() {
                    need.early.push(part.at);
                } else {
                    need.requires.push(require);
                }
            }
        }
        needs
    }

    fn unmet(&self) -> impl Iterator<Item = (usize, String)> {
        self.0.iter().flat_map(|(name, need)| {
            let early =
                need.early.iter().map(move |at| (*at, format!("requires `{name}`, which nobody provides")));
            let unused =
                need.unused.iter().map(move |at| (*at, format!("provides `{name}`, which nobody requires")));
            early.chain(unused)
        })
    }

    fn plan(&self, candidates: &[Candidate]) -> Plan {
        let provider = |at: &usize| {
            let it = &candidates[*at];
            Provider { id: it.id.clone(), version: it.version.clone(), extension: it.extension }
        };
        let entries = self.0.values().map(|need| PlanEntry {
            providers: need.providers.iter().map(provider).collect(),
            requires: need.requires.iter().copied().cloned().collect(),
        });
        Plan { entries: entries.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a?: +x -y | +z` is an optional `a` that provides x and requires y, or else provides z; `!` is an extension.
    fn candidate(text: &str) -> Candidate {
        let (name, plans) = text.split_once(':').unwrap();
        let mut alternatives = plans.split('|').map(|plan| {
            let mut alternative = Alternative::default();
            for word in plan.split_whitespace() {
                let name = word[1..].to_owned();
                if word.starts_with('+') {
                    alternative.provides.push(cnb::plan::Provide { name });
                } else {
                    alternative.requires.push(Require { name, ..Require::default() });
                }
            }
            alternative
        });
        let first = alternatives.next().unwrap();
        Candidate {
            id: name.trim_end_matches(['?', '!']).to_owned(),
            version: "1".to_owned(),
            extension: name.ends_with('!'),
            optional: name.ends_with(['?', '!']),
            plan: BuildPlan { first, or: alternatives.collect() },
        }
    }

    fn settle(texts: &[&str]) -> Result<String, String> {
        let candidates: Vec<Candidate> = texts.iter().map(|it| candidate(it)).collect();
        let resolution = resolve(&candidates).map_err(|it| it.0)?;
        let members: Vec<&str> = resolution.members.iter().map(|at| &*candidates[*at].id).collect();
        Ok(members.join(" "))
    }

    #[test]
    fn what_is_required_must_be_provided_before_or_by_the_same() {
        assert_eq!(settle(&["a: +x", "b: -x"]).unwrap(), "a b");
        assert_eq!(settle(&["a: +x -x"]).unwrap(), "a");
        assert_eq!(settle(&["a: -x", "b: +x -x"]).unwrap_err(), "a@1 requires `x`, which nobody provides");
    }

    #[test]
    fn what_is_provided_must_be_required_later_or_by_the_same() {
        assert_eq!(settle(&["a: +x"]).unwrap_err(), "a@1 provides `x`, which nobody requires");
        assert_eq!(
            settle(&["a: +x", "b: -x", "c: +x"]).unwrap_err(),
            "c@1 provides `x`, which nobody requires"
        );
    }

    #[test]
    fn an_optional_member_is_left_out_and_so_is_who_needed_it() {
        assert_eq!(settle(&["a?: +x", "b: "]).unwrap(), "b");
        assert_eq!(settle(&["a?: -x", "b: "]).unwrap(), "b");
        assert_eq!(settle(&["a?: +x -q", "b?: -x", "c:"]).unwrap(), "c");
        assert!(settle(&["a?: +x -q", "b: -x"]).is_err());
    }

    #[test]
    fn alternatives_are_tried_left_to_right_and_depth_first() {
        assert_eq!(settle(&["a: +x | +y", "b: -y | -x"]).unwrap(), "a b");
        let candidates = ["a: +x | +y", "b: -y | -x"].map(candidate);
        // (x, y) fails, (x, x) works before (y, y) is reached
        let plan = resolve(&candidates).unwrap().plan;
        assert_eq!(plan.entries[0].requires[0].name, "x");
    }

    #[test]
    fn an_optional_member_is_kept_when_a_later_alternative_works() {
        assert_eq!(settle(&["a?: +x |", "b:"]).unwrap(), "a b");
    }

    #[test]
    fn extensions_alone_are_no_group_and_an_unused_one_is_left_out() {
        assert_eq!(settle(&["e!: +x", "b: -x"]).unwrap(), "e b");
        assert_eq!(settle(&["e!: +x", "b:"]).unwrap(), "b");
        assert!(settle(&["e!:", "b?: +x"]).is_err());
    }

    #[test]
    fn an_entry_has_all_providers_so_far_and_all_requires() {
        let candidates = ["a: +x", "b: +x -x", "c: -x"].map(candidate);
        let plan = resolve(&candidates).unwrap().plan;
        let providers: Vec<&str> = plan.entries[0].providers.iter().map(|it| &*it.id).collect();
        assert_eq!(providers, ["a", "b"]);
        assert_eq!(plan.entries[0].requires.len(), 2);
    }

    #[test]
    fn plans_without_end_end() {
        let many: Vec<String> = (0..20).map(|i| format!("b{i}: {}", "-q | ".repeat(20))).collect();
        let mut texts: Vec<&str> = many.iter().map(String::as_str).collect();
        texts.push("c: -never");
        assert!(settle(&texts).unwrap_err().contains("alternatives"));
    }
}
