//! The specification's clauses, as `clauses/*.toml` has them: an id, a sentence of ours, and the cases that show it, or
//! why none does.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// The documents, in the order of the table.
pub const DOCUMENTS: &[&str] = &["buildpack", "platform", "distribution", "project-descriptor"];

/// How strongly the text says it; `says` is for what it says without one of the words.
pub const LEVELS: &[&str] = &["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "says"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    document: String,
    reasons: BTreeMap<String, String>,
    under: Vec<Under>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Under {
    heading: String,
    clauses: Vec<Written>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    level: String,
    says: String,
    #[serde(default)]
    cases: Vec<String>,
    #[serde(default)]
    not_shown: String,
    #[serde(default)]
    not_ours: String,
}

/// One clause.
#[derive(Debug, Clone)]
pub struct Clause {
    /// Document, heading and a word.
    pub id: String,
    /// The document and the anchor of the heading.
    pub link: String,
    /// MUST and the others.
    pub level: String,
    /// What it says.
    pub says: String,
    /// Cases and tests that show it.
    pub cases: Vec<String>,
    /// Why none does; empty where one does.
    pub not_shown: String,
    /// Why it asks nothing of a platform or a lifecycle: it is for those who write buildpacks, make base images or run
    /// registries, and no program of ours can keep or break it. Empty where it does.
    pub not_ours: String,
}

/// All of them.
///
/// # Errors
/// When a file can't be read.
pub fn all() -> io::Result<Vec<Clause>> {
    let mut all = Vec::new();
    for name in DOCUMENTS {
        let path = room().join("clauses").join(format!("{name}.toml"));
        let text = fs_err::read_to_string(&path)?;
        let document: Document = cnb::parse(&path.display().to_string(), &text).map_err(io::Error::other)?;
        for under in document.under {
            for it in under.clauses {
                let reason = |it: String| document.reasons.get(&it).cloned().unwrap_or(it);
                all.push(Clause {
                    id: format!("{name}/{}/{}", under.heading, it.id),
                    link: format!("{}#{}", document.document, under.heading),
                    level: it.level,
                    says: it.says,
                    cases: it.cases,
                    not_shown: reason(it.not_shown),
                    not_ours: reason(it.not_ours),
                });
            }
        }
    }
    Ok(all)
}

fn room() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every test of every room that a clause may name: `room::test`.
///
/// # Errors
/// When a source can't be read.
pub fn tests() -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    each_test(|room, _, test| {
        found.insert(format!("{room}::{test}"));
    })?;
    Ok(found)
}

/// Where a test is, in the words of `cargo test`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestPlace {
    /// The package.
    pub package: String,
    /// Which of its targets has it.
    pub target: Vec<String>,
}

/// Where the test `room::test` is.
///
/// # Errors
/// When it is nowhere, or a source can't be read.
pub fn place_of(room: &str, test: &str) -> io::Result<TestPlace> {
    let mut place = None;
    each_test(|it, path, name| {
        if it == room && name == test {
            place = Some(path.to_owned());
        }
    })?;
    let path = place.ok_or_else(|| io::Error::other(format!("there is no test {room}::{test}")))?;
    let manifest =
        path.ancestors().map(|it| it.join("Cargo.toml")).find(|it| it.is_file()).unwrap_or_default();
    let toml: toml::Table =
        cnb::parse(room, &fs_err::read_to_string(&manifest)?).map_err(io::Error::other)?;
    let package = toml.get("package").and_then(|it| it.get("name")).and_then(toml::Value::as_str);
    let top = manifest.parent().unwrap_or(&path).to_owned();
    let mut parts = path.strip_prefix(&top).unwrap_or(&path).iter().map(|it| it.to_string_lossy());
    let target = match (parts.next().as_deref(), parts.next()) {
        (Some("tests"), Some(name)) => vec!["--test".to_owned(), name.trim_end_matches(".rs").to_owned()],
        (_, Some(name)) if name == "bin" => vec!["--bins".to_owned()],
        _ if top.join("src/lib.rs").exists() => vec!["--lib".to_owned()],
        _ => vec!["--bins".to_owned()],
    };
    Ok(TestPlace { package: package.unwrap_or(room).to_owned(), target })
}

fn each_test(mut seen: impl FnMut(&str, &Path, &str)) -> io::Result<()> {
    let top = room().parent().unwrap_or_else(room);
    let crates = fs_err::read_dir(top.join("crates"))?.flatten().map(|it| it.path());
    let buildpacks = fs_err::read_dir(top.join("buildpacks"))?.flatten().map(|it| it.path());
    for path in crates.chain(buildpacks).chain([room().to_owned()]) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut open: Vec<PathBuf> = vec![path.join("src"), path.join("tests")];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(fs_err::read_dir(&path)?.flatten().map(|it| it.path()));
            } else if path.extension().is_some_and(|it| it == "rs") {
                let source = fs_err::read_to_string(&path)?;
                names(&source).for_each(|it| seen(&name, &path, it));
            }
        }
    }
    Ok(())
}

/// The functions of a source that are tests.
fn names(source: &str) -> impl Iterator<Item = &str> {
    source.split("#[test]").skip(1).filter_map(|it| {
        let (_, rest) = it.split_once("fn ")?;
        rest.split_once('(').map(|(name, _)| name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_found_in_its_target() {
        let target = |room: &str, test: &str| place_of(room, test).unwrap();
        let whole = target("lifecycle", "what_the_table_leaves_out_is_no_news");
        assert_eq!((whole.package.as_str(), whole.target.join(" ").as_str()), ("lifecycle", "--test whole"));
        let own = target("conformance", "a_test_is_found_in_its_target");
        assert_eq!((own.package.as_str(), own.target.join(" ").as_str()), ("conformance", "--lib"));
        assert_eq!(target("lifecycle", "seconds_become_dates").target, ["--bins"]);
        assert!(place_of("cnb", "nothing_of_that_name").is_err());
    }

    #[test]
    fn a_function_is_a_test_when_it_says_so() {
        let found: Vec<&str> =
            names("fn a() {}\n#[test]\nfn b() {}\n    #[test]\n    #[cfg(x)]\n fn c() {}").collect();
        assert_eq!(found, ["b", "c"]);
    }
}
