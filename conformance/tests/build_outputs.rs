//! What becomes of plan entries, processes and labels of a group, beside the text's rules written down as plainly as they
//! are told there, on builds that nobody thought of.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#unmet-buildpack-plan-entries> and
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#launchtoml-toml>

#![expect(clippy::unwrap_used, reason = "a test")]

use cnb::group::{Chosen, GroupToml};
use cnb::launch::{Command, Label, LaunchToml, Process};
use cnb::plan::{BuildpackPlan, Plan, PlanEntry, Provider, Require};
use lifecycle::{
    BuildRequest, Catalogue, Dir, Dirs, ExitStatus, Invocation, Kind, RunError, Runner, Semantics, Silent,
    Stream, build,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Mutex;

const IDS: [&str; 3] = ["one", "two", "three"];
const NAMES: &[&str] = &["p", "q", "r"];
const TYPES: &[&str] = &["web", "worker", "job"];

/// What a buildpack of a build does.
#[derive(Debug, Clone)]
struct Does {
    /// Names that it calls unmet, where it was asked for them.
    unmet: Vec<&'static str>,
    /// Process types in the order that it writes them.
    processes: Vec<&'static str>,
    /// The place among them of its default.
    default: Option<usize>,
    /// Keys of its labels.
    labels: Vec<&'static str>,
}

#[derive(Debug, Clone)]
struct World {
    /// By name, the positions of its providers.
    providers: BTreeMap<&'static str, BTreeSet<usize>>,
    does: Vec<Does>,
}

/// What is compared.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// By buildpack, the names in its plan.
    plans: BTreeMap<String, BTreeSet<String>>,
    /// Names that nobody met.
    unmet: BTreeSet<String>,
    /// By type, whose the process is.
    processes: BTreeMap<String, String>,
    default: String,
    /// By key, whose the label is.
    labels: BTreeMap<String, String>,
}

// --- the text's rules

fn by_the_text(world: &World) -> Outcome {
    let mut outcome =
        Outcome { unmet: world.providers.keys().map(|it| (*it).to_owned()).collect(), ..Outcome::default() };
    for (at, (id, does)) in IDS.iter().zip(&world.does).enumerate() {
        // An entry goes to each of its providers in turn, as long as those before called it unmet.
        let is_asked = |name: &&String| world.providers[name.as_str()].contains(&at);
        let asked: BTreeSet<String> = outcome.unmet.iter().filter(is_asked).cloned().collect();
        outcome.unmet.retain(|it| !asked.contains(it) || does.unmet.contains(&it.as_str()));
        outcome.plans.insert((*id).to_owned(), asked);
        for (place, kind) in does.processes.iter().enumerate() {
            outcome.processes.insert((*kind).to_owned(), (*id).to_owned());
            if does.default == Some(place) {
                (*kind).clone_into(&mut outcome.default);
            } else if outcome.default == *kind {
                // Redefined by somebody who does not make it the default.
                outcome.default.clear();
            }
        }
        for key in &does.labels {
            outcome.labels.insert((*key).to_owned(), (*id).to_owned());
        }
    }
    outcome
}

// --- ours

struct Doing<'a> {
    world: &'a World,
    plans: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

impl Runner for Doing<'_> {
    fn run(&self, it: &Invocation, _: &mut dyn FnMut(Stream, &[u8])) -> Result<ExitStatus, RunError> {
        let id = it.who.split('@').next().unwrap();
        let does = &self.world.does[IDS.iter().position(|it| *it == id).unwrap()];
        let plan = fs_err::read_to_string(Path::new(&it.env[OsStr::new("CNB_BP_PLAN_PATH")])).unwrap();
        let plan: BuildpackPlan = cnb::parse("plan", &plan).unwrap();
        let asked: BTreeSet<String> = plan.entries.into_iter().map(|it| it.name).collect();
        let dir = Path::new(&it.env[OsStr::new("CNB_LAYERS_DIR")]);
        let unmet: String = does
            .unmet
            .iter()
            .filter(|it| asked.contains(**it))
            .map(|it| format!("[[unmet]]\nname = \"{it}\"\n"))
            .collect();
        fs_err::write(dir.join("build.toml"), unmet).unwrap();
        let process = |(place, kind): (usize, &&str)| Process {
            kind: (*kind).to_owned(),
            command: Command(vec![id.to_owned()]),
            default: does.default == Some(place),
            ..Process::default()
        };
        let label = |key: &&str| Label { key: (*key).to_owned(), value: id.to_owned() };
        let launch = LaunchToml {
            processes: does.processes.iter().enumerate().map(process).collect(),
            labels: does.labels.iter().map(label).collect(),
            ..LaunchToml::default()
        };
        fs_err::write(dir.join("launch.toml"), cnb::print(&launch).unwrap()).unwrap();
        self.plans.lock().unwrap().insert(id.to_owned(), asked);
        Ok(ExitStatus::Code(0))
    }
}

fn plan(world: &World) -> Plan {
    let provider =
        |at: &usize| Provider { id: IDS[*at].to_owned(), version: "1".to_owned(), extension: false };
    let entry = |(name, providers): (&&str, &BTreeSet<usize>)| PlanEntry {
        providers: providers.iter().map(provider).collect(),
        requires: vec![Require { name: (*name).to_owned(), ..Require::default() }],
    };
    Plan { entries: world.providers.iter().map(entry).collect() }
}

fn by_ours(world: &World, room: &Path) -> Outcome {
    let dir = |name: &str| {
        fs_err::create_dir_all(room.join(name)).unwrap();
        Dir::same(room.join(name))
    };
    let _ = (fs_err::remove_dir_all(room.join("layers")), fs_err::remove_dir_all(room.join("work")));
    for id in IDS {
        let file = dir(&format!("buildpacks/{id}/1")).host.join("buildpack.toml");
        if !file.exists() {
            fs_err::write(file, format!("api = \"0.10\"\n[buildpack]\nid = \"{id}\"\nversion = \"1\"\n"))
                .unwrap();
        }
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
    let chosen = |id: &str| Chosen {
        id: id.to_owned(),
        version: "1".to_owned(),
        api: "0.10".parse().unwrap(),
        homepage: None,
    };
    let group = GroupToml { group: IDS.map(chosen).to_vec(), ..GroupToml::default() };
    let request = BuildRequest {
        dirs: &dirs,
        catalogue: &catalogue,
        group: &group,
        plan: &plan(world),
        target: None,
        exec_env: "",
        env: &BTreeMap::new(),
        semantics: Semantics::SPECIFICATION,
    };
    let doing = Doing { world, plans: Mutex::default() };
    let built = build(&request, &doing, &Silent).unwrap();
    let processes = built.metadata.processes;
    assert!(processes.iter().all(|it| it.command.0 == [it.buildpack_id.clone()]), "{processes:?}");
    Outcome {
        plans: doing.plans.into_inner().unwrap(),
        unmet: built.unmet.into_iter().collect(),
        processes: processes.into_iter().map(|it| (it.kind, it.buildpack_id)).collect(),
        default: built.metadata.buildpack_default_process_type,
        labels: built.metadata.labels.into_iter().map(|it| (it.key, it.value)).collect(),
    }
}

// --- builds

fn does() -> impl Strategy<Value = Does> {
    let processes = subsequence(TYPES, 0..=TYPES.len()).prop_shuffle();
    let default = prop::option::of(0..TYPES.len());
    let (unmet, labels) = (subsequence(NAMES, 0..=2), subsequence(&["a", "b"][..], 0..=2));
    (unmet, processes, default, labels).prop_map(|(unmet, processes, default, labels)| {
        let default = default.filter(|it| *it < processes.len());
        Does { unmet, processes, default, labels }
    })
}

fn world() -> impl Strategy<Value = World> {
    let providers = prop::collection::btree_set(0..IDS.len(), 1..=IDS.len());
    let plan = prop::collection::btree_map(select(NAMES), providers, 0..=NAMES.len());
    (plan, prop::collection::vec(does(), IDS.len())).prop_map(|(providers, does)| World { providers, does })
}

#[test]
fn plans_processes_and_labels_of_a_group_are_as_the_text_says() {
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let room = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let result = runner.run(&world(), |it| {
        prop_assert_eq!(by_ours(&it, room.path()), by_the_text(&it), "{:#?}", it);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
