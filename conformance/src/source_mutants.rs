//! Mutants of our own sources, for clauses that tests of ours show: `source-mutants.toml` says which text of which file
//! becomes which other text and which test must then fail, and `source-mutants.seen.toml` that it was seen to.
//!
//! `tools/mutants.sh` makes them, each in a copy of the tree.

use crate::clauses;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One mutant.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceMutant {
    /// What is wrong with it, in words with hyphens.
    pub name: String,
    /// The file, from the top of the repository.
    pub file: String,
    /// What is in it exactly once.
    pub find: String,
    /// What stands there in the mutant.
    pub replace: String,
    /// The test that must fail, as clauses name it: `room::test`.
    pub test: String,
    /// The clauses that this test shows by failing on it.
    pub clauses: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    mutant: Vec<SourceMutant>,
}

fn room() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The top of the repository.
#[must_use]
pub fn top() -> &'static Path {
    room().parent().unwrap_or_else(room)
}

/// All of them.
///
/// # Errors
/// When `source-mutants.toml` can't be read.
pub fn all() -> io::Result<Vec<SourceMutant>> {
    let path = room().join("source-mutants.toml");
    let text = fs_err::read_to_string(&path)?;
    let file: File = cnb::parse(&path.display().to_string(), &text).map_err(io::Error::other)?;
    Ok(file.mutant)
}

/// Which have been seen to fail, and on which lines.
///
/// # Errors
/// When `source-mutants.seen.toml` is there and can't be read.
pub fn seen() -> io::Result<BTreeMap<String, String>> {
    let path = room().join("source-mutants.seen.toml");
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    cnb::parse(&path.display().to_string(), &fs_err::read_to_string(&path)?).map_err(io::Error::other)
}

/// Writes down which have been seen to fail.
///
/// # Errors
/// When the file can't be written.
pub fn write_seen(seen: &BTreeMap<String, String>) -> io::Result<()> {
    let mut text = "# Mutants of `source-mutants.toml` that were seen to fail, each with a digest of the lines that it changes and of\n\
                    # the test: after a change there, look again with `make test-mutants`, which writes this file.\n"
        .to_owned();
    for (name, digest) in seen {
        let _ = writeln!(text, "{name} = \"{digest}\"");
    }
    let path = room().join("source-mutants.seen.toml");
    let mut file = tempfile::NamedTempFile::new_in(room())?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.persist(path).map_err(|it| it.error)?;
    Ok(())
}

impl SourceMutant {
    /// The file's text as it is, and as the mutant has it.
    ///
    /// # Errors
    /// When the text to find is not there exactly once.
    pub fn applied(&self) -> io::Result<(String, String)> {
        let text = fs_err::read_to_string(top().join(&self.file))?;
        match text.matches(&self.find).count() {
            1 => {
                let changed = text.replace(&self.find, &self.replace);
                Ok((text, changed))
            }
            count => {
                let error = format!("{}: what it changes is in {} {count} times", self.name, self.file);
                Err(io::Error::other(error))
            }
        }
    }

    /// A digest of the whole lines that it changes, of what they become, and of who must notice.
    ///
    /// # Errors
    /// When the text to find is not there exactly once.
    pub fn digest(&self) -> io::Result<String> {
        let (text, _) = self.applied()?;
        let start = text.find(&self.find).unwrap_or_default();
        let from = text[..start].rfind('\n').map_or(0, |it| it + 1);
        let end = start + self.find.len();
        let to = text[end..].find('\n').map_or(text.len(), |it| end + it);
        let mut hasher = Sha256::new();
        for part in [&text[from..to], &self.find, &self.replace, &self.test] {
            hasher.update(part.as_bytes());
            hasher.update([0]);
        }
        Ok(hasher.finalize().iter().take(8).map(|it| format!("{it:02x}")).collect())
    }

    /// The folder of the room of the test, and the test's own name.
    #[must_use]
    pub fn room_and_test(&self) -> (&str, &str) {
        self.test.split_once("::").unwrap_or((&self.test, ""))
    }
}

/// What became of a mutant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The test failed.
    Noticed,
    /// The test passed.
    Missed,
    /// It does not compile, or the test was not run: the last lines of what cargo said.
    Broken(String),
}

/// A copy of the tree in which mutants are made, with a target directory of its own.
pub struct Copy {
    tree: PathBuf,
    target: PathBuf,
}

impl Copy {
    /// Brings the copy up to date with the tree. Files that are the same are left alone, so that nothing is compiled anew.
    ///
    /// # Errors
    /// When a file can't be copied.
    pub fn of_the_tree(dir: &Path) -> io::Result<Self> {
        let copy = Self { tree: dir.join("tree"), target: dir.join("target") };
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(top());
        let listed = git.output()?;
        for name in String::from_utf8_lossy(&listed.stdout).split('\0').filter(|it| !it.is_empty()) {
            let (from, to) = (top().join(name), copy.tree.join(name));
            if !from.is_file() {
                continue;
            }
            let bytes = fs_err::read(&from)?;
            if fs_err::read(&to).ok().as_ref() != Some(&bytes) {
                fs_err::create_dir_all(to.parent().unwrap_or(&copy.tree))?;
                fs_err::copy(&from, &to)?;
            }
        }
        Ok(copy)
    }

    /// Makes a mutant, runs the one test, and takes the mutant back.
    ///
    /// # Errors
    /// When the mutant can't be made or cargo can't be started.
    pub fn try_one(&self, mutant: &SourceMutant) -> io::Result<Fate> {
        let (right, wrong) = mutant.applied()?;
        let path = self.tree.join(&mutant.file);
        fs_err::write(&path, wrong)?;
        let result = self.run(mutant);
        fs_err::write(&path, right)?;
        result
    }

    fn run(&self, mutant: &SourceMutant) -> io::Result<Fate> {
        let (room, test) = mutant.room_and_test();
        let place = clauses::place_of(room, test)?;
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["test", "--locked", "--quiet", "--no-fail-fast", "-p", &place.package])
            .args(&place.target);
        if place.package == "oci" {
            // What speaks to registries is a feature of it.
            cargo.args(["--features", "registry"]);
        }
        cargo
            .args([test, "--", "--include-ignored"])
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(name);
            }
        }
        let output = cargo.output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let named = |line: &str| line == test || line.ends_with(&format!("::{test}"));
        if said.split("failures:").skip(1).any(|it| it.lines().any(|line| named(line.trim()))) {
            return Ok(Fate::Noticed);
        }
        if output.status.success() && said.contains("test result: ok. 1 passed") {
            return Ok(Fate::Missed);
        }
        let all = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
        let lines: Vec<&str> = all.lines().filter(|it| !it.trim().is_empty()).collect();
        Ok(Fate::Broken(lines[lines.len().saturating_sub(25)..].join("\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_wants_a_new_look_when_its_line_or_its_test_changes() {
        let mutant = SourceMutant {
            name: "a".into(),
            file: "conformance/Cargo.toml".into(),
            find: "name = \"phases\"".into(),
            replace: "name = \"other\"".into(),
            test: "x::y".into(),
            clauses: Vec::new(),
        };
        let (right, wrong) = mutant.applied().unwrap();
        assert!(right.contains("\"phases\"") && wrong.contains("\"other\""));
        let other = SourceMutant { test: "x::z".into(), ..mutant.clone() };
        assert_ne!(mutant.digest().unwrap(), other.digest().unwrap());
        let twice = SourceMutant { find: "path = ".into(), ..mutant };
        let error = twice.digest().unwrap_err().to_string();
        assert!(error.contains("a: what it changes is in conformance/Cargo.toml"), "{error}");
    }
}
