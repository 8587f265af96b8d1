//! Detection beside the text's own algorithm, written down as plainly as it is told there, on orders and plans that
//! nobody thought of.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#phase-1-detection>

#![expect(clippy::unwrap_used, reason = "a test")]

use cnb::analyzed::TargetData;
use cnb::order::{Group, Member, Order};
use cnb::plan::{Alternative, BuildPlan, Provide, Provider, Require};
use conformance::mutants;
use lifecycle::{
    Catalogue, DetectError, DetectRequest, Dir, Dirs, ExitStatus, Invocation, Kind, RunError, Runner,
    Semantics, Silent, Stream, detect,
};
use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

/// The members of the order's own groups, of the composite `x`, and of the composite `y`, which is in `x`.
const POOLS: [&[&str]; 3] = [&["a", "b", "x"], &["c", "d", "y"], &["e", "f"]];
const NAMES: &[&str] = &["p", "q"];
const EXTENSIONS: &[&str] = &["m", "n"];
/// The execution environment of every detection here.
const HERE: &str = "production";

#[derive(Debug, Clone)]
struct Buildpack {
    exit: i32,
    /// Alternatives: what is provided and what is required.
    plans: Vec<(Vec<&'static str>, Vec<&'static str>)>,
    /// The execution environment that it says it is for.
    only_for: Option<&'static str>,
    /// It is for another system.
    elsewhere: bool,
}

/// Ids, and whether each is optional.
type Entries = Vec<(&'static str, bool)>;

#[derive(Debug, Clone)]
struct World {
    buildpacks: BTreeMap<&'static str, Buildpack>,
    order: Vec<Entries>,
    x: Vec<Entries>,
    y: Vec<Entries>,
    /// Groups of extensions.
    extensions: Vec<Vec<&'static str>>,
}

/// By name, who provides and who requires.
type Needs = BTreeMap<String, (Vec<String>, Vec<String>)>;
/// What detection comes to: the group, extensions in front, and the plan; or whether somebody erred.
type Outcome = Result<(Vec<String>, Needs), bool>;

// --- the text's algorithm

/// One entry of a group after another; composites are replaced by each of their groups, and an optional one is then left
/// out.
fn resolved(world: &World, entries: &Entries) -> Vec<Entries> {
    let at = entries.iter().position(|(id, _)| matches!(*id, "x" | "y"));
    let Some(at) = at else { return vec![entries.clone()] };
    let (id, optional) = entries[at];
    let own = if id == "x" { &world.x } else { &world.y };
    let mut groups = Vec::new();
    for group in own {
        let whole = [&entries[..at], group, &entries[at + 1..]].concat();
        groups.extend(resolved(world, &whole));
    }
    if optional {
        groups.extend(resolved(world, &[&entries[..at], &entries[at + 1..]].concat()));
    }
    groups
}

/// Each group of extensions in turn stands before the buildpacks, and then none does; an extension is optional.
fn with_extensions(world: &World, entries: &Entries) -> Vec<Entries> {
    let mut all = Vec::new();
    for extensions in &world.extensions {
        let extensions: Entries = extensions.iter().map(|it| (*it, true)).collect();
        all.extend(resolved(world, entries).into_iter().map(|it| [extensions.clone(), it].concat()));
    }
    all.extend(resolved(world, entries));
    all
}

fn by_the_text(world: &World) -> Outcome {
    let mut erred = false;
    for group in world.order.iter().flat_map(|it| with_extensions(world, it)) {
        let known = |id: &str| &world.buildpacks[id];
        // Who is for another execution environment is passed over as if it were not there.
        let is_here = |id: &str| known(id).only_for.is_none_or(|it| it == HERE || it == "*");
        let group: Entries = group.into_iter().filter(|(id, _)| is_here(id)).collect();
        erred |= group.iter().any(|(id, _)| !known(id).elsewhere && !matches!(known(id).exit, 0 | 100));
        let passes = |id: &str| known(id).exit == 0 && !known(id).elsewhere;
        if group.iter().any(|(id, optional)| !passes(id) && !optional) {
            continue;
        }
        let passed: Entries = group.into_iter().filter(|(id, _)| passes(id)).collect();
        if let Some(found) = trials(world, &passed).iter().find_map(|it| trial(world, &passed, it)) {
            return Ok(found);
        }
    }
    Err(erred)
}

/// One alternative of each, left to right and depth first.
fn trials(world: &World, group: &Entries) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for (id, _) in group {
        let count = world.buildpacks[id].plans.len();
        all = all
            .into_iter()
            .flat_map(|picks| (0..count).map(move |pick| [picks.clone(), vec![pick]].concat()))
            .collect();
    }
    all
}

/// An optional buildpack is left out in its last alternative only (conformance/DECISIONS.md); before, its trial fails.
fn trial(world: &World, group: &Entries, picks: &[usize]) -> Option<(Vec<String>, Needs)> {
    let plan = |at: usize| &world.buildpacks[group[at].0].plans[picks[at]];
    let may_go = |at: usize| group[at].1 && picks[at] + 1 == world.buildpacks[group[at].0].plans.len();
    let mut left: Vec<usize> = (0..group.len()).collect();
    loop {
        let provided =
            |name: &str, upto: usize| left.iter().any(|it| *it <= upto && plan(*it).0.contains(&name));
        let required =
            |name: &str, from: usize| left.iter().any(|it| *it >= from && plan(*it).1.contains(&name));
        let in_vain = left.iter().copied().find(|at| {
            plan(*at).0.iter().any(|name| !required(name, *at))
                || plan(*at).1.iter().any(|name| !provided(name, *at))
        });
        match in_vain {
            None => break,
            Some(at) if may_go(at) => left.retain(|it| *it != at),
            Some(_) => return None,
        }
    }
    if left.iter().all(|it| EXTENSIONS.contains(&group[*it].0)) {
        return None;
    }
    let mut entries: Needs = BTreeMap::new();
    for at in &left {
        let id = group[*at].0.to_owned();
        plan(*at).0.iter().for_each(|it| entries.entry((*it).to_owned()).or_default().0.push(id.clone()));
        plan(*at).1.iter().for_each(|it| entries.entry((*it).to_owned()).or_default().1.push(id.clone()));
    }
    Some((left.iter().map(|at| group[*at].0.to_owned()).collect(), entries))
}

// --- ours

/// Answers for the buildpacks without starting anything.
struct Answers<'a>(&'a World);

impl Runner for Answers<'_> {
    fn run(&self, it: &Invocation, _: &mut dyn FnMut(Stream, &[u8])) -> Result<ExitStatus, RunError> {
        let id = it.who.split('@').next().unwrap();
        let buildpack = &self.0.buildpacks[id];
        let mut alternatives = buildpack.plans.iter().map(|(provides, requires)| Alternative {
            provides: provides.iter().map(|name| Provide { name: (*name).to_owned() }).collect(),
            requires: requires.iter().map(|name| require(id, name)).collect(),
        });
        let plan = BuildPlan { first: alternatives.next().unwrap(), or: alternatives.collect() };
        let path = &it.env[OsStr::new("CNB_BUILD_PLAN_PATH")];
        fs_err::write(Path::new(path), cnb::print(&plan).unwrap()).unwrap();
        Ok(ExitStatus::Code(buildpack.exit))
    }
}

fn require(id: &str, name: &str) -> Require {
    let mut require = Require { name: name.to_owned(), ..Require::default() };
    require.metadata.insert("who".to_owned(), id.into());
    require
}

fn groups(groups: &[Entries]) -> Vec<Group> {
    let member = |(id, optional): &(&str, bool)| Member {
        id: (*id).to_owned(),
        version: "1".to_owned(),
        optional: *optional,
    };
    groups.iter().map(|it| Group { group: it.iter().map(member).collect() }).collect()
}

fn by_ours(world: &World, semantics: Semantics, room: &Path) -> Outcome {
    let dir = |name: &str| {
        fs_err::create_dir_all(room.join(name)).unwrap();
        Dir::same(room.join(name))
    };
    let _ = fs_err::remove_dir_all(room.join("work"));
    for id in POOLS.concat().into_iter().chain(EXTENSIONS.iter().copied()) {
        let word = if EXTENSIONS.contains(&id) { "extension" } else { "buildpack" };
        let own = dir(&format!("{word}s/{id}/1"));
        let mut text = format!("api = \"0.12\"\n[{word}]\nid = \"{id}\"\nversion = \"1\"\n");
        let about = world.buildpacks.get(id);
        if let Some(only_for) = about.and_then(|it| it.only_for) {
            text += &format!("exec-env = [\"{only_for}\"]\n");
        }
        if about.is_some_and(|it| it.elsewhere) {
            text += "[[targets]]\nos = \"linux\"\narch = \"s390x\"\n";
        }
        if matches!(id, "x" | "y") {
            let order =
                Order { order: groups(if id == "x" { &world.x } else { &world.y }), ..Order::default() };
            text += &cnb::print(&order).unwrap();
        }
        fs_err::write(own.host.join(format!("{word}.toml")), text).unwrap();
        // An extension without one has a plan that is there already.
        fs_err::create_dir_all(own.host.join("bin")).unwrap();
        fs_err::write(own.host.join("bin/detect"), "").unwrap();
    }
    let dirs = Dirs {
        app: dir("app"),
        layers: dir("layers"),
        platform: dir("platform"),
        build_config: None,
        work: dir("work"),
        owner: None,
    };
    let mut catalogue = Catalogue::new();
    catalogue.add_all(Kind::Buildpack, &dir("buildpacks")).unwrap();
    catalogue.add_all(Kind::Extension, &dir("extensions")).unwrap();
    let extensions = world.extensions.iter().map(|it| it.iter().map(|id| (*id, false)).collect());
    let extensions: Vec<Entries> = extensions.collect();
    let order = Order { order: groups(&world.order), order_extensions: groups(&extensions) };
    let target = TargetData { os: "linux".to_owned(), arch: "amd64".to_owned(), ..TargetData::default() };
    let request = DetectRequest {
        dirs: &dirs,
        catalogue: &catalogue,
        order: &order,
        target: Some(&target),
        exec_env: HERE,
        env: &BTreeMap::new(),
        semantics,
    };
    match detect(&request, &Answers(world), &Silent) {
        Err(error @ DetectError::NothingPassed { .. }) => Err(error.is_a_buildpacks_fault()),
        found => {
            let found = found.unwrap();
            let mut entries: Needs = BTreeMap::new();
            for it in found.plan.entries {
                let names: BTreeSet<&String> = it.requires.iter().map(|it| &it.name).collect();
                assert_eq!(names.len(), 1, "an entry has requirements, all of one name: {it:?}");
                let who = it.requires.iter().map(|it| it.metadata["who"].as_str().unwrap().to_owned());
                let is_said = |it: &Provider| it.extension == EXTENSIONS.contains(&it.id.as_str());
                assert!(it.providers.iter().all(is_said), "a provider that is an extension says so: {it:?}");
                let providers = it.providers.iter().map(|it| it.id.clone()).collect();
                entries.insert(it.requires[0].name.clone(), (providers, who.collect()));
            }
            let (extensions, buildpacks) = (found.group.group_extensions, found.group.group);
            Ok((extensions.into_iter().chain(buildpacks).map(|it| it.id).collect(), entries))
        }
    }
}

// --- worlds

fn entries(pool: &'static [&'static str]) -> impl Strategy<Value = Vec<Entries>> {
    let group = subsequence(pool, 1..=pool.len()).prop_shuffle();
    let group = group.prop_flat_map(|ids| {
        let count = ids.len();
        (Just(ids), prop::collection::vec(any::<bool>(), count))
    });
    let group = group.prop_map(|(ids, optional)| ids.into_iter().zip(optional).collect::<Entries>());
    prop::collection::vec(group, 1..=2)
}

fn buildpack() -> impl Strategy<Value = Buildpack> {
    let names = || prop_oneof![3 => Just(vec![]), 2 => subsequence(NAMES, 1..=NAMES.len())];
    let exit = prop_oneof![8 => Just(0), 1 => Just(100), 1 => Just(1)];
    let plans = prop::collection::vec((names(), names()), 1..=2);
    let only_for = prop_oneof![
        8 => Just(None),
        1 => Just(Some("test")),
        1 => Just(Some(HERE)),
        1 => Just(Some("*")),
    ];
    let elsewhere = prop_oneof![12 => Just(false), 1 => Just(true)];
    (exit, plans, only_for, elsewhere).prop_map(|(exit, plans, only_for, elsewhere)| Buildpack {
        exit,
        plans,
        only_for,
        elsewhere,
    })
}

/// An extension requires nothing.
fn extension() -> impl Strategy<Value = Buildpack> {
    buildpack().prop_map(|mut it| {
        it.plans.iter_mut().for_each(|(_, requires)| requires.clear());
        it
    })
}

fn world() -> impl Strategy<Value = World> {
    let ids: Vec<&str> = POOLS.concat().into_iter().filter(|it| !matches!(*it, "x" | "y")).collect();
    let buildpacks = prop::collection::vec(buildpack(), ids.len());
    let extensions = prop::collection::vec(extension(), EXTENSIONS.len());
    let group = subsequence(EXTENSIONS, 1..=EXTENSIONS.len()).prop_shuffle();
    let groups = prop_oneof![2 => Just(vec![]), 1 => prop::collection::vec(group, 1..=2)];
    let orders = (entries(POOLS[0]), entries(POOLS[1]), entries(POOLS[2]));
    (buildpacks, extensions, groups, orders).prop_map(move |(own, more, extensions, (order, x, y))| {
        let own = ids.iter().copied().zip(own);
        let buildpacks = own.chain(EXTENSIONS.iter().copied().zip(more)).collect();
        World { buildpacks, order, x, y, extensions }
    })
}

/// The same worlds every time; what fails is made smaller where somebody wants to read it.
fn run(semantics: Semantics, max_shrink_iters: u32) -> Result<(), String> {
    let config = Config { cases: 400, failure_persistence: None, max_shrink_iters, ..Config::default() };
    let room = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let result = runner.run(&world(), |it| {
        let (text, ours) = (by_the_text(&it), by_ours(&it, semantics, room.path()));
        if text == ours {
            Ok(())
        } else {
            Err(TestCaseError::fail(format!("{text:?} by the text, {ours:?} by ours")))
        }
    });
    result.map_err(|error| match error {
        TestError::Fail(reason, world) => format!("{reason}\n{world:#?}"),
        other => other.to_string(),
    })
}

#[test]
fn detection_is_the_algorithm_of_the_text() {
    run(Semantics::SPECIFICATION, 2000).unwrap();
}

#[test]
fn the_algorithm_of_the_text_finds_wrong_detections() {
    for name in [
        "or-is-ignored",
        "unused-provides-pass",
        "unmet-requires-pass",
        "nothing-is-dropped",
        "errors-are-failures",
    ] {
        assert!(run(mutants::find(name).unwrap().semantics, 0).is_err(), "{name} is not found");
    }
}
