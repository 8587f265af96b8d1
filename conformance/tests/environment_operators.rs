//! The operators of environment files beside the text's rules, written down as plainly as they are told there, on layers
//! that nobody thought of: two buildpacks make layers, and a third sees what becomes of a variable.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#environment-variable-modification-rules>

#![expect(clippy::unwrap_used, reason = "a test")]

use cnb::group::{Chosen, GroupToml};
use cnb::plan::Plan;
use conformance::mutants;
use lifecycle::{
    BuildRequest, Catalogue, Dir, Dirs, ExitStatus, Invocation, Kind, RunError, Runner, Semantics, Silent,
    Stream, build,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Mutex;

/// Suffix and contents of the files of one directory that are for the variable.
type Files = BTreeMap<&'static str, String>;
/// `env` and `env.build` of a layer.
type Layer = [Files; 2];
/// Layers by name.
type Layers = BTreeMap<&'static str, Layer>;

const SUFFIXES: &[&str] = &["", "append", "default", "delim", "override", "prepend", "unknown"];

// --- the text's rules

/// Earlier buildpacks before later ones, layers by name, `env` before `env.build`; of one directory by name of the file.
fn by_the_text(buildpacks: &[Layers]) -> String {
    let mut value = String::new();
    for directory in buildpacks.iter().flat_map(|it| it.values()).flatten() {
        let delimiter = directory.get("delim").cloned().unwrap_or_default();
        for (suffix, contents) in directory {
            let joined = |first: &str, second: &str| {
                if value.is_empty() { contents.clone() } else { format!("{first}{delimiter}{second}") }
            };
            value = match *suffix {
                "" | "override" => contents.clone(),
                "default" => {
                    if value.is_empty() {
                        contents.clone()
                    } else {
                        value
                    }
                }
                "append" => joined(&value, contents),
                "prepend" => joined(contents, &value),
                _ => value,
            };
        }
    }
    value
}

/// Where there is one operator alone, the text says what comes out without a word of how.
fn by_its_order(buildpacks: &[Layers], suffix: &str) -> String {
    let mut all: Vec<&String> =
        buildpacks.iter().flat_map(|it| it.values()).flatten().filter_map(|it| it.get(suffix)).collect();
    match suffix {
        "append" => all.into_iter().map(String::as_str).collect(),
        "prepend" => {
            all.reverse();
            all.into_iter().map(String::as_str).collect()
        }
        "default" => all.into_iter().find(|it| !it.is_empty()).cloned().unwrap_or_default(),
        _ => all.last().map(|it| (*it).clone()).unwrap_or_default(),
    }
}

// --- ours

/// Makes the layers of the first two buildpacks, and keeps what the third sees.
struct Makes<'a> {
    layers: &'a [Layers],
    seen: Mutex<Option<String>>,
}

impl Runner for Makes<'_> {
    fn run(&self, it: &Invocation, _: &mut dyn FnMut(Stream, &[u8])) -> Result<ExitStatus, RunError> {
        let position = ["one@1", "two@1", "show@1"].iter().position(|who| *who == it.who).unwrap();
        let dir = Path::new(&it.env[OsStr::new("CNB_LAYERS_DIR")]);
        let Some(layers) = self.layers.get(position) else {
            let seen = it.env.get(OsStr::new("V")).map(|it| it.to_string_lossy().into_owned());
            *self.seen.lock().unwrap() = seen;
            return Ok(ExitStatus::Code(0));
        };
        for (name, layer) in layers {
            for (folder, files) in ["env", "env.build"].iter().zip(layer) {
                fs_err::create_dir_all(dir.join(name).join(folder)).unwrap();
                for (suffix, contents) in files {
                    let file = if suffix.is_empty() { "V".to_owned() } else { format!("V.{suffix}") };
                    fs_err::write(dir.join(name).join(folder).join(file), contents).unwrap();
                }
            }
            fs_err::write(dir.join(format!("{name}.toml")), "[types]\nbuild = true\n").unwrap();
        }
        Ok(ExitStatus::Code(0))
    }
}

fn by_ours(layers: &[Layers], semantics: Semantics, room: &Path) -> String {
    let dir = |name: &str| {
        fs_err::create_dir_all(room.join(name)).unwrap();
        Dir::same(room.join(name))
    };
    let _ = (fs_err::remove_dir_all(room.join("layers")), fs_err::remove_dir_all(room.join("work")));
    let chosen = |id: &str| Chosen {
        id: id.to_owned(),
        version: "1".to_owned(),
        api: "0.10".parse().unwrap(),
        homepage: None,
    };
    let ids = ["one", "two", "show"];
    for id in ids {
        let own = dir(&format!("buildpacks/{id}/1"));
        let text = format!("api = \"0.10\"\n[buildpack]\nid = \"{id}\"\nversion = \"1\"\n");
        let file = own.host.join("buildpack.toml");
        if !file.exists() {
            fs_err::write(file, text).unwrap();
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
    let group = GroupToml { group: ids.map(chosen).to_vec(), ..GroupToml::default() };
    let request = BuildRequest {
        dirs: &dirs,
        catalogue: &catalogue,
        group: &group,
        plan: &Plan::default(),
        target: None,
        exec_env: "",
        env: &BTreeMap::new(),
        semantics,
    };
    let makes = Makes { layers, seen: Mutex::new(None) };
    build(&request, &makes, &Silent).unwrap();
    makes.seen.into_inner().unwrap().unwrap_or_default()
}

// --- layers

fn files(suffixes: &'static [&'static str], most: usize) -> impl Strategy<Value = Files> {
    let contents =
        prop_oneof![1 => Just(String::new()), 4 => "[a-z:]{1,3}", 1 => Just("$HOME \n".to_owned())];
    prop::collection::btree_map(prop::sample::select(suffixes), contents, 0..=most)
}

fn layers(suffixes: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<Layers>> {
    let layer = [files(suffixes, most), files(suffixes, most)];
    let names = prop::sample::select(&["b", "a", "ab", "B"][..]);
    prop::collection::vec(prop::collection::btree_map(names, layer, 1..=2), 2)
}

fn run(
    strategy: impl Strategy<Value = Vec<Layers>>,
    text: impl Fn(&[Layers]) -> String,
    semantics: Semantics,
    max_shrink_iters: u32,
) -> Result<(), String> {
    let room = tempfile::tempdir().unwrap();
    let config = Config { cases: 60, failure_persistence: None, max_shrink_iters, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let result = runner.run(&strategy, |it| {
        let (text, ours) = (text(&it), by_ours(&it, semantics, room.path()));
        if text == ours {
            Ok(())
        } else {
            Err(TestCaseError::fail(format!("{text:?} by the text, {ours:?} by ours")))
        }
    });
    result.map_err(|error| error.to_string())
}

#[test]
fn the_operators_are_those_of_the_text() {
    run(layers(SUFFIXES, 3), by_the_text, Semantics::SPECIFICATION, 2000).unwrap();
    for suffix in [&["append"], &["prepend"], &["default"], &["override"]] {
        run(layers(suffix, 1), |it| by_its_order(it, suffix[0]), Semantics::SPECIFICATION, 2000).unwrap();
    }
}

#[test]
fn the_texts_rules_find_wrong_operators() {
    let wrong = mutants::ALL
        .iter()
        .filter(|it| !std::ptr::fn_addr_eq(it.semantics.apply_env, Semantics::SPECIFICATION.apply_env));
    let mut tried = 0;
    for mutant in wrong {
        let found = run(layers(SUFFIXES, 3), by_the_text, mutant.semantics, 0).is_err();
        assert!(found, "{} is not found", mutant.name);
        tried += 1;
    }
    assert!(tried > 9, "{tried}");
}
