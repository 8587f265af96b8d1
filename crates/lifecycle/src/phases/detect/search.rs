//! The search for a group: orders are flattened, everybody is asked, plans are settled.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#order-resolution>

use super::{DetectError, DetectRequest, Left, Said};
use crate::buildpack::{self, Answer, Room};
use crate::catalogue::{CatalogueError, Kind, Known};
use crate::environment::Variables;
use crate::events::Event;
use crate::resolve::Candidate;
use crate::semantics::Verdict;
use cnb::group::{Chosen, GroupToml};
use cnb::order::{Group, Member};
use cnb::plan::Plan;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// What is still to be looked at in a group.
#[derive(Clone)]
enum Step<'a> {
    /// The groups of extensions, which stand in front of every group of buildpacks.
    Extensions(&'a [Group]),
    Member {
        kind: Kind,
        member: Member,
        /// The composite buildpacks that it was found in.
        within: Vec<String>,
    },
}

/// A member of a group without composites, ready to be asked.
#[derive(Clone)]
struct Asked {
    known: Known,
    optional: bool,
}

type Key = (Kind, String, String);
pub(super) type Settled = Option<(GroupToml, Plan)>;

pub(super) struct Search<'a> {
    request: &'a DetectRequest<'a>,
    room: Room<'a>,
    variables: Variables,
    /// Everybody is asked once, in however many groups they are.
    answers: BTreeMap<Key, Answer>,
    asked: Vec<Key>,
    left: Vec<Left>,
}

impl<'a> Search<'a> {
    pub(super) fn new(request: &'a DetectRequest<'a>, room: Room<'a>, variables: Variables) -> Self {
        Self { request, room, variables, answers: BTreeMap::new(), asked: Vec::new(), left: Vec::new() }
    }

    /// The first group that passes.
    pub(super) fn run(&mut self) -> Result<Settled, DetectError> {
        for steps in &self.groups() {
            if let Some(settled) = self.steps(steps, &[])? {
                return Ok(Some(settled));
            }
        }
        Ok(None)
    }

    /// The groups that were tried and left.
    pub(super) fn left(self) -> Vec<Left> {
        self.left
    }

    fn groups(&self) -> Vec<Vec<Step<'a>>> {
        let order = self.request.order;
        let start = |group: &Group| {
            let extensions = (!order.order_extensions.is_empty())
                .then_some(Step::Extensions(order.order_extensions.as_slice()));
            extensions.into_iter().chain(members(group, Kind::Buildpack, &[])).collect()
        };
        order.order.iter().map(start).collect()
    }

    /// Order resolution: `[E, O, F]` becomes `[E, A, B, F]`, then `[E, C, D, F]`, and for an optional `O` `[E, F]`.
    ///
    /// <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#order-resolution>
    fn steps(&mut self, steps: &[Step<'a>], done: &[Asked]) -> Result<Settled, DetectError> {
        let mut done = done.to_vec();
        for (i, step) in steps.iter().enumerate() {
            let rest = &steps[i + 1..];
            let (kind, member, within) = match step {
                Step::Extensions(groups) => {
                    let groups = groups.iter().map(|it| members(it, Kind::Extension, &[]).collect());
                    return self.alternatives(groups.collect(), rest, &done, true);
                }
                Step::Member { kind, member, within } => (*kind, member, within),
            };
            if done.iter().any(|it| it.known.kind == kind && it.known.about.id == member.id) {
                continue;
            }
            let known = self.request.catalogue.get(kind, &member.id, &member.version)?;
            if !known.order.is_empty() {
                let name = known.full_name();
                if within.contains(&name) {
                    return Err(CatalogueError::Cycle(name).into());
                }
                let within: Vec<String> = within.iter().cloned().chain([name]).collect();
                let groups = (self.room.semantics.composite)(&known.order);
                let groups = groups.iter().map(|it| members(it, kind, &within).collect());
                return self.alternatives(groups.collect(), rest, &done, member.optional);
            }
            if self.is_for_this_environment(&known) {
                done.push(Asked { known, optional: member.optional || kind == Kind::Extension });
            }
        }
        self.group(&done)
    }

    fn alternatives(
        &mut self,
        groups: Vec<Vec<Step<'a>>>,
        rest: &[Step<'a>],
        done: &[Asked],
        optional: bool,
    ) -> Result<Settled, DetectError> {
        for mut steps in groups {
            steps.extend_from_slice(rest);
            if let Some(settled) = self.steps(&steps, done)? {
                return Ok(Some(settled));
            }
        }
        if optional { self.steps(rest, done) } else { Ok(None) }
    }

    /// A buildpack for other execution environments is passed over in silence, its group goes on.
    ///
    /// <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#detector>
    fn is_for_this_environment(&mut self, known: &Known) -> bool {
        let list = &known.about.exec_env;
        let fits = !known.features.exec_env
            || self.request.exec_env.is_empty()
            || list.is_empty()
            || list.iter().any(|it| it == "*" || it == self.request.exec_env);
        if !fits {
            let reason = format!(
                "is for the execution environment {}, not {}",
                list.join(", "),
                self.request.exec_env
            );
            self.record(known, Answer::without_asking(Verdict::NotForThis(reason)));
        }
        fits
    }

    /// Asks a group and lets its members agree.
    fn group(&mut self, members: &[Asked]) -> Result<Settled, DetectError> {
        self.ask(members);
        match self.settle(members) {
            Ok(settled) => Ok(Some(settled)),
            Err(reason) => {
                let members: Vec<String> = members.iter().map(|it| it.known.full_name()).collect();
                self.room.events.event(&Event::GroupFailed { members: &members, reason: &reason });
                self.left.push(Left { members, reason });
                Ok(None)
            }
        }
    }

    fn ask(&mut self, members: &[Asked]) {
        let mut to_ask: Vec<&Known> = Vec::new();
        for Asked { known, .. } in members {
            if self.answers.contains_key(&key(known)) {
                continue;
            }
            let fits_target = self.room.semantics.fits_target;
            match self.request.target.map_or(Ok(()), |it| fits_target(&known.targets, it)) {
                Ok(()) => to_ask.push(known),
                Err(reason) => self.record(known, Answer::without_asking(Verdict::NotForThis(reason))),
            }
        }
        let queue = Mutex::new(to_ask.iter().copied().enumerate());
        let answers = Mutex::new(vec![None; to_ask.len()]);
        let threads = std::thread::available_parallelism().map_or(2, |it| it.get() * 2).min(to_ask.len());
        let (room, variables) = (self.room, &self.variables);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let next = queue.lock().ok().and_then(|mut it| it.next());
                        let Some((i, known)) = next else { return };
                        let answer = buildpack::detect(room, known, variables);
                        if let Ok(mut answers) = answers.lock() {
                            answers[i] = Some(answer);
                        }
                    }
                });
            }
        });
        let answers = answers.into_inner().unwrap_or_default();
        for (known, answer) in to_ask.into_iter().zip(answers) {
            let lost = || Answer::without_asking(Verdict::Error("bin/detect gave no answer".to_owned()));
            self.record(known, answer.unwrap_or_else(lost));
        }
    }

    fn record(&mut self, known: &Known, answer: Answer) {
        let key = key(known);
        if !self.answers.contains_key(&key) {
            self.room.events.event(&Event::Judged { who: &known.full_name(), verdict: &answer.verdict });
            self.asked.push(key.clone());
            self.answers.insert(key, answer);
        }
    }

    fn settle(&self, members: &[Asked]) -> Result<(GroupToml, Plan), String> {
        let mut passed = Vec::new();
        for it in members {
            match self.answers.get(&key(&it.known)) {
                Some(answer) if answer.verdict == Verdict::Pass => passed.push((it, answer)),
                _ if it.optional => {}
                _ => return Err(format!("{} did not pass", it.known.full_name())),
            }
        }
        if !passed.iter().any(|(it, _)| it.known.kind == Kind::Buildpack) {
            return Err("no buildpack of it passed".to_owned());
        }
        let candidates: Vec<Candidate> = passed.iter().map(|(it, answer)| candidate(it, answer)).collect();
        let resolution = (self.room.semantics.resolve)(&candidates).map_err(|it| it.0)?;
        let mut group = GroupToml::default();
        for at in resolution.members {
            let known = &passed[at].0.known;
            let about = &known.about;
            let chosen = Chosen {
                id: about.id.clone(),
                version: about.version.clone(),
                api: known.api,
                homepage: about.homepage.clone(),
            };
            match known.kind {
                Kind::Buildpack => group.group.push(chosen),
                Kind::Extension => group.group_extensions.push(chosen),
            }
        }
        Ok((group, resolution.plan))
    }

    /// What everybody said, in the order in which they were asked.
    pub(super) fn said(&self) -> Vec<Said> {
        let said = |key: &Key| {
            let answer = self.answers.get(key)?;
            let who = format!("{}@{}", key.1, key.2);
            Some(Said { who, verdict: answer.verdict.clone(), output: answer.output.clone() })
        };
        self.asked.iter().filter_map(said).collect()
    }
}

fn members<'a>(group: &Group, kind: Kind, within: &[String]) -> impl Iterator<Item = Step<'a>> {
    group.group.iter().map(move |it| Step::Member { kind, member: it.clone(), within: within.to_vec() })
}

fn candidate(member: &Asked, answer: &Answer) -> Candidate {
    let known = &member.known;
    Candidate {
        id: known.about.id.clone(),
        version: known.about.version.clone(),
        extension: known.kind == Kind::Extension,
        optional: member.optional,
        plan: answer.plan.clone(),
    }
}

fn key(known: &Known) -> Key {
    (known.kind, known.about.id.clone(), known.about.version.clone())
}
