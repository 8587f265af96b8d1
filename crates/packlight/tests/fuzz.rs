//! That no fuzz target is forgotten: each file is listed, has seeds, and is run by `make fuzz`. No fuzzer is needed for that.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod source;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use source::top;

/// The names in a folder of `fuzz/`, without their endings.
fn names_in(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(top().join("fuzz").join(folder)).unwrap();
    entries.map(|it| it.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect()
}

/// The names of the targets in `fuzz/Cargo.toml`, each with its path.
fn listed() -> Vec<(String, String)> {
    let text = fs::read_to_string(top().join("fuzz/Cargo.toml")).unwrap();
    let value = |table: &str, key: &str| {
        let line = table.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
        line.unwrap_or_default().trim().trim_matches('"').to_owned()
    };
    text.split("[[bin]]").skip(1).map(|table| (value(table, "name"), value(table, "path"))).collect()
}

#[test]
fn every_fuzz_target_is_listed_and_has_seeds() {
    let files = names_in("fuzz_targets");
    assert!(files.len() > 10, "only {} targets were found", files.len());
    let listed = listed();
    for (name, path) in &listed {
        assert_eq!(*path, format!("fuzz_targets/{name}.rs"));
    }
    assert_eq!(listed.into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>(), files, "fuzz/Cargo.toml");
    assert_eq!(names_in("corpus-seeds"), files, "fuzz/corpus-seeds");
    for name in &files {
        assert!(!names_in(&format!("corpus-seeds/{name}")).is_empty(), "{name} has no seed");
    }
}

#[test]
fn make_fuzz_runs_every_target() {
    let output = Command::new("tools/fuzz.sh").arg("--list").current_dir(top()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let run: BTreeSet<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(run, names_in("fuzz_targets"));
    let makefile = fs::read_to_string(top().join("Makefile")).unwrap();
    assert!(makefile.contains("\nfuzz: ") && makefile.contains("tools/fuzz.sh $(TARGETS)"));
}
