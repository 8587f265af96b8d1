//! The inventory of clauses is whole and true to what is there, and the table is what it comes to.

use conformance::{clauses, source_mutants, suite, table};
use std::collections::BTreeSet;

#[test]
fn every_clause_names_what_shows_it_or_says_why_nothing_does_and_every_case_shows_one() {
    let clauses = clauses::all().unwrap();
    let cases: BTreeSet<String> = suite::all().unwrap().into_iter().map(|it| it.id).collect();
    let tests = clauses::tests().unwrap();
    let mut wrong = Vec::new();
    let mut ids = BTreeSet::new();
    let mut named = BTreeSet::new();
    for it in &clauses {
        if !ids.insert(&it.id) {
            wrong.push(format!("{} is there twice", it.id));
        }
        if !clauses::LEVELS.contains(&it.level.as_str()) {
            wrong.push(format!("{}: there is no level {}", it.id, it.level));
        }
        let said = [!it.cases.is_empty(), !it.not_shown.is_empty(), !it.not_ours.is_empty()];
        if said.iter().filter(|it| **it).count() != 1 {
            wrong.push(format!("{} wants cases, or one reason why there are none", it.id));
        }
        if !it.says.ends_with('.') {
            wrong.push(format!("{} says no sentence", it.id));
        }
        for case in &it.cases {
            let known = if case.contains("::") { tests.contains(case) } else { cases.contains(case) };
            if !known {
                wrong.push(format!("{}: there is no {case}", it.id));
            }
            named.insert(case.clone());
        }
    }
    wrong.extend(cases.difference(&named).map(|it| format!("{it} is the case of no clause")));
    println!(
        "{} of {} clauses are shown",
        clauses.iter().filter(|it| !it.cases.is_empty()).count(),
        clauses.len()
    );
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Shown by a test that nobody has seen fail for that reason.
const UNPROVEN: &[&str] = &["platform/detector/environment"];

#[test]
fn every_mutant_of_our_sources_can_be_made_and_its_test_was_seen_to_notice_it() {
    let mutants = source_mutants::all().unwrap();
    let seen = source_mutants::seen().unwrap();
    let clauses = clauses::all().unwrap();
    let mut wrong = Vec::new();
    let mut names = BTreeSet::new();
    for it in &mutants {
        if !names.insert(it.name.as_str()) {
            wrong.push(format!("{} is there twice", it.name));
        }
        match it.digest() {
            Ok(digest) if seen.get(&it.name) == Some(&digest) => {}
            Ok(_) => wrong.push(format!(
                "{} was not seen to fail {} as the two are now: make test-mutants MUTANTS={}",
                it.name, it.test, it.name
            )),
            Err(error) => wrong.push(error.to_string()),
        }
        for id in &it.clauses {
            let shown = clauses.iter().any(|clause| clause.id == *id && clause.cases.contains(&it.test));
            if !shown {
                wrong.push(format!("{}: {} is no case of {id}", it.name, it.test));
            }
        }
    }
    wrong.extend(
        seen.keys().filter(|it| !names.contains(it.as_str())).map(|it| format!("{it} is no mutant any more")),
    );
    // What a case shows has its mutants there; what only our tests show has one here.
    let by_tests_alone = |it: &&clauses::Clause| {
        !it.cases.is_empty()
            && it.cases.iter().all(|case| case.contains("::"))
            && !UNPROVEN.contains(&it.id.as_str())
    };
    for clause in clauses.iter().filter(by_tests_alone) {
        if !mutants.iter().any(|it| it.clauses.contains(&clause.id)) {
            wrong.push(format!("no mutant shows that {:?} show {}", clause.cases, clause.id));
        }
    }
    println!("{} mutants of our sources", mutants.len());
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_table_is_what_is_there() {
    let wanted = table::print().unwrap();
    if std::env::var_os("UPDATE_TABLE").is_some() {
        fs_err::write(table::path(), &wanted).unwrap();
    }
    let found = fs_err::read_to_string(table::path()).unwrap_or_default();
    assert!(
        found == wanted,
        "TABLE.md is not what is there: UPDATE_TABLE=1 cargo test -p conformance --test clauses"
    );
}
