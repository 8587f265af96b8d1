//! Another lifecycle beside ours: what it makes of each case, and in what whole builds of the two differ.

use crate::outcome;
use crate::programs::{self, Programs};
use crate::suite::{self, Any, Named};
use crate::whole;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// A difference that is known, and why it is there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// Paths of the outcome; `*` stands for anything.
    paths: Vec<String>,
    /// Only in these cases; none: in all.
    #[serde(default)]
    cases: Vec<String>,
    /// Why, with the line of DECISIONS.md where there is one.
    why: String,
}

#[derive(Debug, Deserialize)]
struct Differences {
    difference: Vec<Known>,
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn parsed<T: serde::de::DeserializeOwned>(name: &str) -> io::Result<T> {
    cnb::parse(name, &fs_err::read_to_string(file(name))?).map_err(io::Error::other)
}

/// What the reference makes of each case, as written down: `passes`, or in what it differs.
///
/// # Errors
/// When `reference.toml` can't be read.
pub fn recorded() -> io::Result<BTreeMap<String, String>> {
    parsed("reference.toml")
}

/// Runs everything on the lifecycle of a folder and on ours.
///
/// # Errors
/// When the other does not do what is written down, or the two differ in what is not listed; in words.
pub fn compare(dir: &Path, update: bool) -> io::Result<String> {
    let theirs = Programs::of(&fs_err::canonicalize(dir)?);
    let cases = suite::all()?;
    let results = suite::each(&cases, |it| Ok((it.id.clone(), verdict(it, &theirs)?)));
    let results = results.into_iter().collect::<io::Result<BTreeMap<String, String>>>()?;
    if update {
        write_record(&results)?;
    }
    let mut wrong = unlike(&recorded()?, &results);
    let ours = Programs::of(&programs::under_test()?);
    let known: Differences = parsed("differences.toml")?;
    let pairs = suite::each(&cases, |it| side_by_side(it, &ours, &theirs));
    let mut seen = BTreeSet::new();
    let mut compared = 0;
    for (case, pair) in cases.iter().zip(pairs) {
        let Some(found) = pair? else { continue };
        compared += 1;
        for (path, values) in found {
            let at = known.difference.iter().position(|it| it.covers(&case.id, &path));
            match at {
                Some(at) => drop(seen.insert(at)),
                None => wrong.push(format!("{}: {path}: ours and theirs: {values}", case.id)),
            }
        }
    }
    for (at, it) in known.difference.iter().enumerate() {
        if !seen.contains(&at) {
            wrong.push(format!("nothing differs any more in {}: {}", it.paths.join(", "), it.why));
        }
    }
    let passed = results.values().filter(|it| *it == "passes").count();
    let total = results.len() + compared;
    let closing = |word: &str, failed: usize| {
        format!("test result: {word}. {} passed; {failed} failed; 0 ignored", total.saturating_sub(failed))
    };
    let said = format!(
        "{passed} of {} cases pass on the other lifecycle; {compared} whole builds were made by both, and differ in {} \
         known things",
        results.len(),
        seen.len()
    );
    if wrong.is_empty() {
        return Ok(format!("{said}\n{}", closing("ok", 0)));
    }
    Err(io::Error::other(format!("{}\n{said}\n{}", wrong.join("\n"), closing("FAILED", wrong.len()))))
}

impl Known {
    fn covers(&self, case: &str, path: &str) -> bool {
        let here = self.cases.is_empty() || self.cases.iter().any(|it| it == case);
        here && self.paths.iter().any(|it| fits(it, path))
    }
}

/// Whether a path is one of those that a pattern stands for.
fn fits(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((head, rest)) => path.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len()).any(|at| tail.is_char_boundary(at) && fits(rest, &tail[at..]))
        }),
    }
}

fn verdict(case: &Named, programs: &Programs) -> io::Result<String> {
    if !case.platform_api().is_empty() && case.platform_api() != programs::PLATFORM_API && case.is_later() {
        return Ok(format!("does not speak Platform API {}", case.platform_api()));
    }
    let difference = case.run(programs)?;
    // What differs and not how: values have paths of this run in them.
    let what = |text: String| {
        let end = [": ", " lacks ", " has "].iter().filter_map(|it| text.find(it)).min();
        format!("differs: {}", &text[..end.unwrap_or(text.len())])
    };
    Ok(difference.map_or_else(|| "passes".to_owned(), what))
}

fn write_record(results: &BTreeMap<String, String>) -> io::Result<()> {
    let mut text = "# What the reference lifecycle (tools/peers/lifecycle) makes of each case; written by\n\
                    # `UPDATE_REFERENCE=1 make test-peers`, which otherwise compares.\n"
        .to_owned();
    for (id, result) in results {
        let _ = writeln!(text, "{id:?} = {result:?}");
    }
    fs_err::write(file("reference.toml"), text)
}

fn unlike(recorded: &BTreeMap<String, String>, results: &BTreeMap<String, String>) -> Vec<String> {
    let ids: BTreeSet<&String> = recorded.keys().chain(results.keys()).collect();
    let none = "nothing".to_owned();
    let mut wrong = Vec::new();
    for id in ids {
        let (was, is) = (recorded.get(id).unwrap_or(&none), results.get(id).unwrap_or(&none));
        if was != is {
            wrong.push(format!(
                "{id}: reference.toml says `{was}`, and it is `{is}` (UPDATE_REFERENCE=1 writes it)"
            ));
        }
    }
    wrong
}

type Found = Vec<(String, String)>;

/// Both in the same place, one after the other: paths are in layers, and layers in digests.
fn side_by_side(case: &Named, ours: &Programs, theirs: &Programs) -> io::Result<Option<Found>> {
    let Any::Whole(it) = &case.case else { return Ok(None) };
    if case.is_later() {
        return Ok(None);
    }
    let place = suite::empty_room()?;
    let room = place.path().join("room");
    let mut trees = Vec::new();
    for programs in [ours, theirs] {
        let tree = match whole::play(it, programs, &room)? {
            Ok(outcome) => outcome.tree(),
            // Which step it was, and not in what words it failed.
            Err(text) => serde_json::json!({ "stopped": text.split('`').nth(1) }),
        };
        trees.push(tree);
        fs_err::remove_dir_all(&room)?;
    }
    let mut found = Vec::new();
    outcome::differences("", &trees[0], &trees[1], &mut found);
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(fits("a > * > c", "a > b > c") && fits("a*", "a") && fits("*c", "a > c"));
        assert!(!fits("a > * > c", "a > c") && !fits("a", "a > b"));
    }
}
