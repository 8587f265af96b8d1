//! What ARCHITECTURE.md says must not be, each as a test. A rule is a function from a source file to complaints, so
//! that each is also tried on a text that breaks it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use source::{Source, files, metadata, sources, top};

/// `(room, rooms it may use)`. A room that is missing here fails the test. The only place where this is decided.
const ALLOWED: &[(&str, &[&str])] = &[
    // crates/
    ("cnb", &[]),
    ("oci", &[]),
    ("sandbox", &[]),
    ("destinations", &[]),
    ("buildpack", &["cnb"]),
    ("launcher", &["cnb"]),
    ("debian", &["oci"]),
    ("lifecycle", &["oci", "cnb"]),
    ("telemetry", &["destinations"]),
    ("platform", &["lifecycle", "sandbox", "debian", "oci", "cnb", "telemetry", "destinations"]),
    ("packlight", &["platform", "telemetry"]),
    // buildpacks/: never one another, never the lifecycle
    ("buildpack-python", &["buildpack", "destinations"]),
    ("buildpack-procfile", &["buildpack", "destinations"]),
    ("buildpack-apm", &["buildpack", "destinations"]),
    ("buildpack-debian-layers", &["buildpack", "debian"]),
    ("extension-debian", &[]),
    // The cases are run against programs; these are the ones that it wraps, and their mutants.
    ("conformance", &["cnb", "launcher", "lifecycle", "testing"]),
    // What tests alone are written with.
    ("testing", &[]),
    // The benchmarks time what a user starts.
    ("bench", &[]),
];

/// Libraries that read the environment or print, because that is the contract that they are for.
const SPEAKS_TO_THE_OUTSIDE: &[(&str, &str)] = &[
    ("crates/buildpack/src/program.rs", "the Buildpack API is made of variables, arguments and a log"),
    (
        "crates/sandbox/src/lib.rs",
        "asks by which name it was started: a sandbox's runner is the program itself",
    ),
    ("crates/sandbox/src/runner.rs", "the runner is a process of its own, whose standard input is its order"),
    ("crates/sandbox/src/running.rs", "hands the caller's standard streams on where it is told to"),
];

/// Where the engines create files: each is complete before it gets its final name, or nobody looks before it is.
const WRITES_FILES: &[(&str, &str)] = &[
    ("crates/buildpack/src/atomic.rs", "the door that buildpacks use: another name, then a rename"),
    (
        "crates/buildpack/src/layer.rs",
        "a program of a layer, which the lifecycle reads when the buildpack has ended",
    ),
    ("crates/buildpack/src/program.rs", "the plan, which the lifecycle reads when the buildpack has ended"),
    (
        "crates/lifecycle/src/volume.rs",
        "a cache's next contents, in a directory that is renamed when complete",
    ),
    ("crates/lifecycle/src/volume/notes.rs", "what is known of a cache, under another name first"),
    ("crates/oci/src/store/blobs.rs", "the files of an archive, in a scratch directory"),
    ("crates/oci/src/store/lock.rs", "locks have no content"),
    ("crates/oci/src/store/open.rs", "a new store, under another name first"),
    ("crates/platform/src/agent/papers.rs", "what an image's bills are to be, in a scratch directory"),
    ("crates/platform/src/agent/room.rs", "notes beside an image's layers, in a scratch directory"),
    ("crates/platform/src/base/composition.rs", "a new base, under another name first"),
    ("crates/platform/src/build/handover.rs", "what one build is handed, in its scratch directory"),
    ("crates/platform/src/builder/described.rs", "a buildpack in line, in a scratch directory"),
    ("crates/platform/src/payload.rs", "the payload is unpacked beside its final name"),
    ("crates/platform/src/bin/append-payload.rs", "the executable, under another name first"),
    ("crates/sandbox/src/ids.rs", "files of /proc"),
    ("crates/sandbox/src/reduced/entry.rs", "a room, in which nobody is before it is complete"),
    ("crates/sandbox/src/running.rs", "a terminal is opened"),
];

/// Files that may be longer than a reader likes.
const LONG: &[(&str, &str)] = &[];
const LINES: usize = 400;

type Rule = fn(&Source) -> Vec<String>;

/// Every rule over the sources, with a file that breaks it.
const RULES: &[(&str, Rule, &str, &str)] = &[
    ("only sandbox is unsafe", unsafe_only_in_sandbox, "crates/oci/src/a.rs", "fn f() { unsafe { g() } }"),
    (
        "unsafe has its reason",
        unsafe_has_its_reason,
        "crates/sandbox/src/a.rs",
        "fn f() {\n unsafe { g() }\n}",
    ),
    ("only sandbox mounts", mounts_only_in_sandbox, "crates/oci/src/a.rs", "use rustix::mount::mount;"),
    ("only sandbox unshares", mounts_only_in_sandbox, "crates/platform/src/a.rs", "unshare(flags);"),
    ("only programs print", engines_are_silent, "crates/oci/src/a.rs", "fn f() { println!(\"{x}\"); }"),
    (
        "only programs read the environment",
        engines_are_silent,
        "crates/oci/src/a.rs",
        "let x = env::var_os(n);",
    ),
    ("only programs exit", engines_are_silent, "crates/lifecycle/src/a.rs", "std::process::exit(1);"),
    ("the launcher is offline", launcher_is_small, "crates/launcher/src/a.rs", "use std::net::TcpStream;"),
    ("the launcher is synchronous", launcher_is_small, "crates/launcher/src/a.rs", "async fn f() {}"),
    ("one table of versions", versions_in_one_table, "crates/lifecycle/src/a.rs", "if api.minor >= 9 {}"),
    (
        "versions are not made up",
        versions_in_one_table,
        "crates/lifecycle/src/a.rs",
        "api < ApiVersion { major, minor }",
    ),
    ("nothing in place", nothing_in_place, "crates/platform/src/a.rs", "fs::write(path, text)?;"),
    ("no hidden writer", nothing_in_place, "crates/platform/src/a.rs", "fs_err::File::create(path)?;"),
    (
        "phases are handed what they may touch",
        phases_are_hermetic,
        "crates/lifecycle/src/phases/detect.rs",
        "use oci::Image;",
    ),
    (
        "a room introduces itself",
        room_introduces_itself,
        "crates/oci/src/lib.rs",
        "//! Images. And more.\n\npub mod a;",
    ),
    ("files are short", files_are_short, "crates/oci/src/a.rs", LONG_TEXT),
];

/// 401 lines.
const LONG_TEXT: &str = {
    const BYTES: [u8; 401] = [b'\n'; 401];
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => "",
    }
};

#[test]
fn every_rule_finds_what_breaks_it() {
    for (name, rule, path, text) in RULES {
        assert!(!rule(&Source::new(path, text)).is_empty(), "{name}: not found in {text:?}");
    }
}

#[test]
fn every_source_file_keeps_every_rule() {
    let mut rules: Vec<Rule> = Vec::new();
    for (_, rule, ..) in RULES {
        if !rules.iter().any(|it| std::ptr::fn_addr_eq(*it, *rule)) {
            rules.push(*rule);
        }
    }
    let sources = sources();
    let complaints: Vec<_> = sources.iter().flat_map(|it| rules.iter().flat_map(|rule| rule(it))).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn rooms_use_only_what_they_may() {
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let mut complaints = Vec::new();
    for (user, used) in path_dependencies() {
        match allowed.get(user.as_str()) {
            None => complaints.push(format!("`{user}` is not listed in ALLOWED")),
            Some(may) => complaints.extend(
                used.iter()
                    .filter(|it| !may.contains(&it.as_str()))
                    .map(|it| format!("`{user}` must not depend on `{it}`")),
            ),
        }
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// Every room with the rooms that it names in its Cargo.toml, for its tests too: what a test imports, it is built on.
/// `testing` is any test's, and no program's.
fn path_dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata(&["--no-deps"]);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let dependencies = |package: &serde_json::Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        let rooms =
            all.filter(|it| it["path"].is_string() && !(it["name"] == "testing" && it["kind"] == "dev"));
        rooms.map(|it| text(&it["name"])).collect()
    };
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages.map(|it| (text(&it["name"]), dependencies(it))).collect()
}

#[test]
fn every_room_keeps_the_workspace_lints() {
    let manifests =
        files().into_iter().filter(|path| path.ends_with("Cargo.toml") && path.components().count() > 1);
    // Neither is of the workspace.
    for path in manifests.filter(|path| !path.starts_with("examples") && !path.starts_with("fuzz")) {
        let text = fs::read_to_string(top().join(&path)).unwrap();
        assert!(text.contains("[lints]\nworkspace = true"), "{} has lints of its own", path.display());
    }
}

#[test]
fn exceptions_are_still_needed() {
    let sources = sources();
    let find = |path: &str| sources.iter().find(|it| it.path == path);
    for (path, _) in SPEAKS_TO_THE_OUTSIDE {
        assert!(find(path).is_some_and(|it| !speaks(it).is_empty()), "{path} needs no exception");
    }
    for (path, _) in WRITES_FILES {
        assert!(find(path).is_some_and(|it| !writes(it).is_empty()), "{path} needs no exception");
    }
    for (path, _) in LONG {
        assert!(find(path).is_some_and(|it| length(it) > LINES), "{path} needs no exception");
    }
}

fn unsafe_only_in_sandbox(source: &Source) -> Vec<String> {
    if source.room() == "crates/sandbox" {
        return Vec::new();
    }
    source.lines_with(&["unsafe"], "only sandbox may be unsafe")
}

fn unsafe_has_its_reason(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let explained = |at: usize| lines[at.saturating_sub(8)..=at].iter().any(|line| line.contains("SAFETY:"));
    let uses = source.code.lines().enumerate().filter(|(_, line)| source::has_word(line, "unsafe"));
    uses.filter(|(at, _)| !explained(*at))
        .map(|(at, line)| format!("{}:{}: unsafe without SAFETY: {}", source.path, at + 1, line.trim()))
        .collect()
}

fn mounts_only_in_sandbox(source: &Source) -> Vec<String> {
    if source.room() == "crates/sandbox" {
        return Vec::new();
    }
    let doors = ["rustix::mount", "unshare", "setns", "pivot_root", "CloneFlags", "UnshareFlags", "libc::"];
    source.lines_with(&doors, "mounts, namespaces and raw system calls are sandbox's")
}

/// Programs: what is started, and the command line. A buildpack is one, though its tests may see it as a library.
fn is_program(source: &Source) -> bool {
    let rooms = ["buildpacks/", "crates/packlight/", "conformance/", "bench/"];
    let file = source.path.ends_with("/src/main.rs") || source.path.contains("/src/bin/");
    file || rooms.iter().any(|room| source.path.starts_with(room))
}

fn speaks(source: &Source) -> Vec<String> {
    const WORDS: &[&str] = &[
        "print!",
        "println!",
        "eprint!",
        "eprintln!",
        "dbg!",
        "env::var",
        "env::var_os",
        "env::vars",
        "env::vars_os",
        "env::args",
        "env::args_os",
        "env::current_dir",
        "env::temp_dir",
        "env::home_dir",
        "process::exit",
        "process::abort",
        "io::stdout",
        "io::stderr",
        "io::stdin",
    ];
    source.lines_with(WORDS, "only programs print, read the environment or exit")
}

fn engines_are_silent(source: &Source) -> Vec<String> {
    let excepted = SPEAKS_TO_THE_OUTSIDE.iter().any(|(path, _)| *path == source.path);
    if excepted || is_program(source) { Vec::new() } else { speaks(source) }
}

fn launcher_is_small(source: &Source) -> Vec<String> {
    if source.room() != "crates/launcher" {
        return Vec::new();
    }
    source.lines_with(
        &["std::net", "async", "thread::spawn"],
        "the launcher has no network, no async and no thread",
    )
}

fn versions_in_one_table(source: &Source) -> Vec<String> {
    if source.path == "crates/cnb/src/api.rs" || !source.path.starts_with("crates/") {
        return Vec::new();
    }
    source.lines_with(
        &["ApiVersion {", "ApiVersion::new", "api.minor", "api.major"],
        "versions are compared in cnb/src/api.rs",
    )
}

fn writes(source: &Source) -> Vec<String> {
    let words = [
        "fs::write",
        "fs_err::write",
        "fs::copy",
        "fs_err::copy",
        "File::create",
        "File::create_new",
        "File::options",
        "OpenOptions::new",
    ];
    source.lines_with(&words, "a file appears complete under its final name; see WRITES_FILES")
}

fn nothing_in_place(source: &Source) -> Vec<String> {
    // A buildpack's files are looked at when its process has ended; the benchmarks keep nothing.
    let engine = source.path.starts_with("crates/");
    let excepted = WRITES_FILES.iter().any(|(path, _)| *path == source.path);
    if excepted || !engine { Vec::new() } else { writes(source) }
}

fn phases_are_hermetic(source: &Source) -> Vec<String> {
    if !matches!(
        source.path.as_str(),
        "crates/lifecycle/src/phases/detect.rs" | "crates/lifecycle/src/phases/build.rs"
    ) {
        return Vec::new();
    }
    source.lines_with(&["oci::", "Images"], "detect and build are handed no source of images")
}

fn room_introduces_itself(source: &Source) -> Vec<String> {
    let name = source.path.rsplit('/').next().unwrap();
    let library = || fs::exists(top().join(source.room()).join("src/lib.rs")).unwrap();
    let is_root = name == "lib.rs" || (name == "main.rs" && !library());
    let first: String =
        source.text.lines().map_while(|line| line.strip_prefix("//! ")).collect::<Vec<_>>().join(" ");
    // A full stop ends a sentence where a blank or nothing follows.
    let sentences = first.split(". ").filter(|it| !it.trim().is_empty()).count();
    if !is_root || sentences >= 3 {
        return Vec::new();
    }
    vec![format!(
        "{}: begins with {sentences} sentences; say what it is, what it is not, which file to open next",
        source.path
    )]
}

/// Lines before the tests, which end a file.
fn length(source: &Source) -> usize {
    let end = source.text.find("#[cfg(test)]\nmod ").unwrap_or(source.text.len());
    source.text[..end].lines().count()
}

fn files_are_short(source: &Source) -> Vec<String> {
    let lines = length(source);
    if lines <= LINES || LONG.iter().any(|(path, _)| *path == source.path) {
        return Vec::new();
    }
    vec![format!("{}: {lines} lines without tests; more than {LINES} are two things", source.path)]
}
