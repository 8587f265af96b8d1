//! Every case against the programs as they are (ours, or those that `CNB_LIFECYCLE_DIR` names), and against each mutant
//! that it names.

use conformance::mutants;
use conformance::programs::{self, Programs};
use conformance::suite::{self, Named};
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn the_programs_do_what_the_text_says() {
    let programs = Programs::of(&programs::under_test().unwrap());
    let cases = suite::all().unwrap();
    let found = suite::each(&cases, |it| {
        it.run(&programs)
            .unwrap_or_else(|error| Some(error.to_string()))
            .map(|text| format!("{}: {text}", it.id))
    });
    let wrong: Vec<String> = found.into_iter().flatten().collect();
    println!("{} of {} cases", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_case_fails_on_each_mutant_that_it_names_and_every_mutant_is_noticed() {
    let programs = Programs::of(&programs::under_test().unwrap());
    let phases = Path::new(env!("CARGO_BIN_EXE_phases"));
    let cases = suite::all().unwrap();
    let mut wrong: Vec<String> = cases
        .iter()
        .filter(|it| it.mutants().is_empty())
        .map(|it| format!("{} names no mutant", it.id))
        .collect();
    let pairs: Vec<(&Named, &String)> =
        cases.iter().flat_map(|it| it.mutants().iter().map(move |mutant| (it, mutant))).collect();
    let runs = suite::each(&pairs, |(case, mutant)| match case.run_wrong(mutant, phases, &programs) {
        Ok(Some(difference)) => {
            println!("{} with {mutant}: {difference}", case.id);
            None
        }
        Ok(None) => Some(format!("{} does not notice {mutant}", case.id)),
        Err(error) => Some(format!("{} with {mutant}: {error}", case.id)),
    });
    wrong.extend(runs.into_iter().flatten());
    let noticed: BTreeSet<&str> = pairs.iter().map(|(_, mutant)| mutant.as_str()).collect();
    let wrapped = programs::wrapped().unwrap();
    let known = mutants::ALL.iter().map(|it| it.name).chain(wrapped.iter().map(|it| it.name.as_str()));
    wrong.extend(known.filter(|it| !noticed.contains(it)).map(|it| format!("no case notices {it}")));
    println!("{} mutants noticed in {} runs", noticed.len(), pairs.len());
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
