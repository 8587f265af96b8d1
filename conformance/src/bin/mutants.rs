//! `tools/mutants.sh`: makes mutants of our sources one after the other and runs the test that each must fail. Arguments:
//! the directory of the copy, then `new` for those that were not seen yet, or names of mutants; none: all.

use conformance::source_mutants::{self, Copy, Fate, SourceMutant};
use std::io;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(wrong) => {
            say(&format!("{wrong} mutants are not noticed"));
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<usize> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (dir, wanted) =
        arguments.split_first().ok_or_else(|| io::Error::other("the directory of the copy is wanted"))?;
    if ["DOCKER_HOST", "PACKLIGHT_PAYLOAD"].iter().any(|it| std::env::var_os(it).is_none()) {
        return Err(io::Error::other(
            "tests that want an engine would fail without one: run tools/mutants.sh",
        ));
    }
    let mut seen = source_mutants::seen()?;
    let mut all = source_mutants::all()?;
    // A mutant that is no more has been seen for nothing.
    seen.retain(|name, _| all.iter().any(|it| it.name == *name));
    let is_new = |it: &SourceMutant| it.digest().map(|digest| seen.get(&it.name) != Some(&digest));
    let mut chosen = Vec::new();
    all.sort_by(|a, b| (a.room_and_test().0, &a.file, &a.test).cmp(&(b.room_and_test().0, &b.file, &b.test)));
    for it in all {
        let is_asked_for = wanted.is_empty() || wanted.contains(&it.name);
        if is_asked_for || (wanted.first().is_some_and(|it| it == "new") && is_new(&it)?) {
            chosen.push(it);
        }
    }
    let copy = Copy::of_the_tree(Path::new(dir))?;
    let mut wrong = 0;
    for (at, it) in chosen.iter().enumerate() {
        let fate = copy.try_one(it)?;
        let word = match &fate {
            Fate::Noticed => "noticed",
            Fate::Missed => "MISSED",
            Fate::Broken(_) => "BROKEN",
        };
        say(&format!("{}/{} {word} {} by {}", at + 1, chosen.len(), it.name, it.test));
        match fate {
            Fate::Noticed => drop(seen.insert(it.name.clone(), it.digest()?)),
            Fate::Missed => drop(seen.remove(&it.name)),
            Fate::Broken(ref said) => {
                seen.remove(&it.name);
                say(said);
            }
        }
        wrong += usize::from(fate != Fate::Noticed);
        source_mutants::write_seen(&seen)?;
    }
    Ok(wrong)
}

#[expect(clippy::print_stdout, reason = "a program of this suite")]
fn say(text: &str) {
    println!("{text}");
}
