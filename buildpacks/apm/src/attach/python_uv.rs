//! Asking uv: which packages satisfy these requirements, given what the app has.

use crate::attach::python::{is_unreachable, uv_pip};
use crate::attach::python_app::{self, Shown};
use crate::attach::python_resolve::Question;
use crate::errors;
use crate::lock::Pin;
use buildpack::{Build, Failure, ToolFailure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;

/// An answer of uv's: packages, or why there are none.
pub(crate) type Answer = Result<Vec<Pin>, ToolFailure>;

/// Who asks uv, on behalf of one app and one agent.
#[derive(Debug)]
pub(crate) struct Asker<'a> {
    build: &'a Build,
    pub(crate) question: &'a Question<'a>,
    app: Shown,
}

impl<'a> Asker<'a> {
    /// Shows uv what the app has.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(crate) fn new(build: &'a Build, question: &'a Question<'a>) -> Result<Self, Failure> {
        let app = python_app::show(&question.venv.installed, &question.room.path().join("app"))?;
        Ok(Self { build, question, app })
    }

    /// Asks for requirements, one a line; `overrides` are requirements of packages that are not taken at their word.
    ///
    /// # Errors
    /// When the package index cannot be asked.
    pub(crate) fn ask(
        &self,
        requirements: &str,
        overrides: &str,
        preferred: &[Pin],
    ) -> Result<Answer, Failure> {
        let room = self.question.room;
        let files = Files {
            requirements: room.file("agent.in", requirements)?,
            constraints: room.file("app.txt", &self.constraints(preferred))?,
            overrides: room.file("train.txt", overrides)?,
        };
        let mut answer = self.compile(&files, Age::AWeek)?;
        let core = self.question.agent.core.first().map_or("", String::as_str);
        if answer.as_ref().is_err_and(|it| is_without_dates(it, core)) {
            self.build
                .log
                .detail("the package index does not say how old a version is: the newest that fits is taken");
            answer = self.compile(&files, Age::Any)?;
        }
        match answer {
            Err(failure) if is_unreachable(&failure) => Err(errors::not_resolved(&failure).into()),
            Err(failure) => Ok(Err(failure)),
            Ok(text) => Ok(Ok(packages(&text, preferred))),
        }
    }

    fn compile(&self, files: &Files, age: Age) -> Result<Result<String, ToolFailure>, Failure> {
        let mut tool = uv_pip(self.build, self.question.room, "compile")?
            .args(["--quiet", "--no-header", "--format", "pylock.toml", "--only-binary", ":all:"])
            .args([OsStr::new("--python"), self.question.venv.python.as_os_str()])
            .args([OsStr::new("--constraint"), files.constraints.as_os_str()])
            .args([OsStr::new("--override"), files.overrides.as_os_str(), files.requirements.as_os_str()]);
        if age == Age::AWeek {
            tool = tool.args(["--exclude-newer", "7 days"]);
        }
        Ok(tool.run(&self.build.log))
    }

    /// What the app has, exactly; and of the preferred set what the app has not.
    fn constraints(&self, preferred: &[Pin]) -> String {
        let app = self.app.values().map(|it| format!("{it}\n"));
        let ours = preferred.iter().filter(|it| !self.question.venv.installed.contains_key(&it.name));
        app.chain(ours.map(|it| format!("{}=={}\n", it.name, it.version))).collect()
    }
}

/// What uv is asked with.
struct Files {
    requirements: PathBuf,
    constraints: PathBuf,
    overrides: PathBuf,
}

/// Whether not a single version was old enough: each agent is years old, so the index just does not tell.
fn is_without_dates(failure: &ToolFailure, core: &str) -> bool {
    let text = failure.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    text.contains(&format!("there are no versions of {core}")) && text.contains("`exclude-newer`")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    /// Whoever takes over a package is usually found out within days.
    AWeek,
    Any,
}

/// `pylock.toml`, as far as it is needed. <https://packaging.python.org/en/latest/specifications/pylock-toml/>
#[derive(Debug, Deserialize)]
struct Pylock {
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    wheels: Vec<Wheel>,
}

#[derive(Debug, Deserialize)]
struct Wheel {
    #[serde(default)]
    url: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// The packages of an answer. A wheel without machine code is the only one taken where there is one: it is smaller, the
/// same on every machine, and fits every base. Hashes that we have tested are the only ones taken for our own pins.
fn packages(text: &str, preferred: &[Pin]) -> Vec<Pin> {
    let lock: Pylock = toml::from_str(text).unwrap_or(Pylock { packages: Vec::new() });
    let pin = |it: Package| {
        if let Some(known) = preferred.iter().find(|own| own.name == it.name && own.version == it.version) {
            return known.clone();
        }
        let is_pure = |it: &&Wheel| it.url.ends_with("-none-any.whl") || it.path.ends_with("-none-any.whl");
        let hash = |it: &Wheel| it.hashes.get("sha256").cloned();
        let pure: Vec<String> = it.wheels.iter().filter(is_pure).filter_map(hash).collect();
        let sha256 = if pure.is_empty() { it.wheels.iter().filter_map(hash).collect() } else { pure };
        Pin { name: it.name, version: it.version, sha256 }
    };
    lock.packages.into_iter().map(pin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pure_wheel_is_the_only_one_taken_where_there_is_one() {
        let text = r#"
            [[packages]]
            name = "wrapt"
            version = "2.5.2"
            wheels = [
                { url = "https://h/wrapt-2.5.2-cp311-cp311-manylinux_2_17_x86_64.whl", hashes = { sha256 = "aa" } },
                { url = "https://h/wrapt-2.5.2-py3-none-any.whl", hashes = { sha256 = "bb" } },
            ]
            [[packages]]
            name = "other"
            version = "1"
            wheels = [{ path = "/w/other-1-cp311-cp311-linux_x86_64.whl", hashes = { sha256 = "cc" } }]
        "#;
        let found = packages(text, &[]);
        assert_eq!(found[0].sha256, ["bb"]);
        assert_eq!(found[1].sha256, ["cc"]);
        let tested = Pin { name: "other".into(), version: "1".into(), sha256: vec!["dd".into()] };
        assert_eq!(packages(text, std::slice::from_ref(&tested))[1], tested);
    }
}
