//! Every case against the phases as they are, and against each mutant that it names.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test, which says how many cases it ran")]

use conformance::case::{self, Case, Kind};
use conformance::mutants;
use std::collections::BTreeSet;
use std::path::Path;

const FOLDERS: &[(&str, Kind)] = &[
    ("detection", Kind::Detection),
    ("build-environment", Kind::Build),
    ("launch-environment", Kind::Launch),
];

fn cases(folder: &str) -> Vec<(String, Case)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").join(folder);
    let mut cases: Vec<(String, Case)> = fs_err::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = format!("{folder}/{}", path.file_stem().unwrap().display());
            (name.clone(), cnb::parse(&name, &fs_err::read_to_string(path).unwrap()).unwrap())
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    cases
}

fn difference(case: &Case, kind: Kind, mutant: &str) -> Option<String> {
    let room = tempfile::tempdir().unwrap();
    let phases = Path::new(env!("CARGO_BIN_EXE_phases"));
    case::run(case, kind, mutant, phases, room.path()).unwrap()
}

fn all_in(folder: &str) {
    let kind = FOLDERS.iter().find(|it| it.0 == folder).unwrap().1;
    let cases = cases(folder);
    let mut wrong = Vec::new();
    for (name, case) in &cases {
        if let Some(difference) = difference(case, kind, "") {
            wrong.push(format!("{name} ({}): {difference}", case.clause));
        }
    }
    println!("{folder}: {} of {} cases", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn detection_is_as_the_text_says() {
    all_in("detection");
}

#[test]
fn the_environment_of_a_build_is_as_the_text_says() {
    all_in("build-environment");
}

#[test]
fn the_environment_of_a_launch_is_as_the_text_says() {
    all_in("launch-environment");
}

#[test]
fn every_case_fails_on_each_mutant_that_it_names_and_every_mutant_is_noticed() {
    let mut noticed = BTreeSet::new();
    let mut wrong = Vec::new();
    for (folder, kind) in FOLDERS {
        for (name, case) in cases(folder) {
            if case.mutants.is_empty() {
                wrong.push(format!("{name} names no mutant"));
            }
            for mutant in &case.mutants {
                match mutants::find(mutant) {
                    None => wrong.push(format!("{name}: there is no mutant `{mutant}`")),
                    Some(_) if difference(&case, *kind, mutant).is_none() => {
                        wrong.push(format!("{name} does not notice {mutant}"));
                    }
                    Some(_) => {
                        noticed.insert(mutant.clone());
                    }
                }
            }
        }
    }
    let missed = mutants::ALL.iter().filter(|it| !noticed.contains(it.name));
    wrong.extend(missed.map(|it| format!("no case notices {}", it.name)));
    println!("{} mutants noticed", noticed.len());
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
