//! Which versions of the agent's packages fit the app: the app's pins win, what cannot fit is left out with its reason.
//!
//! Everything of one release train goes together (SDK 1.45 with 0.66b): the app's own OpenTelemetry decides the train,
//! else the inventory does, else the newest that the app's other packages allow. uv does the resolving.

use crate::agent_toml;
use crate::attach::python::{Room, Venv};
use crate::attach::python_single;
use crate::attach::python_uv::{Answer, Asker};
use crate::lock::{Pin, Pins};
use crate::vendors::opentelemetry::{OLDEST_MINOR, TRAIN_OFFSET};
use crate::vendors::{Inventory, Library, PythonAgent};
use buildpack::{Build, Failure, ToolFailure};

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The app's environment.
    pub venv: &'a Venv,
    /// The agent.
    pub agent: &'a PythonAgent,
    /// The tested set.
    pub inventory: &'a Inventory,
    /// Pins of an earlier build, to be kept where they still fit.
    pub earlier: Option<&'a Pins>,
    /// Where uv works: what it has read to choose, it need not read again to install.
    pub room: &'a Room,
}

/// Chooses.
///
/// # Errors
/// When the package index cannot be asked.
pub fn resolve(build: &Build, question: &Question) -> Result<Pins, Failure> {
    match question.agent.trains {
        true => in_trains(build, question),
        false => python_single::resolve(build, question),
    }
}

/// OpenTelemetry's many packages.
fn in_trains(build: &Build, question: &Question) -> Result<Pins, Failure> {
    let wanted = question.venv.libraries(question.agent);
    if let Some(reason) = too_old(question.venv) {
        return Ok(nothing(question.venv, &wanted, &reason));
    }
    let resolver = Resolver { asker: Asker::new(build, question)?, question };
    let earlier = question.earlier.map(|it| it.packages.as_slice()).filter(|it| !it.is_empty());
    let attempts = earlier.into_iter().chain([question.inventory.package.as_slice(), &[]]);
    for preferred in attempts {
        // A set of another release train could only be in the way of the app's own.
        if let (Some(own), Some(other)) = (resolver.app_train(), train_of(preferred))
            && own != other
        {
            continue;
        }
        let train = resolver.app_train().or_else(|| train_of(preferred));
        if let Some(pins) = resolver.attempt(&wanted, preferred, train)? {
            return Ok(pins);
        }
    }
    Ok(nothing(question.venv, &wanted, "no version of OpenTelemetry fits the app's packages"))
}

/// Why the app's own OpenTelemetry cannot be built upon; `None`: it can, or there is none.
fn too_old(venv: &Venv) -> Option<String> {
    let (name, version) = ["opentelemetry-sdk", "opentelemetry-api"]
        .iter()
        .find_map(|it| Some((*it, venv.installed.get(*it)?)))?;
    let minor = minor_of(version)?;
    (minor < OLDEST_MINOR)
        .then(|| format!("the app has {name} {version}, the agent needs 1.{OLDEST_MINOR} or newer"))
}

/// The number after `1.`.
fn minor_of(version: &str) -> Option<u32> {
    version.strip_prefix("1.")?.split('.').next()?.parse().ok()
}

/// The SDK's minor in a set of pins: its own, else that of the instrumentations that go with it.
fn train_of(pins: &[Pin]) -> Option<u32> {
    let sdk = pins.iter().find(|it| it.name == "opentelemetry-sdk").and_then(|it| minor_of(&it.version));
    sdk.or_else(|| {
        let contrib = pins.iter().find(|it| it.name.starts_with("opentelemetry-instrumentation"))?;
        let minor = contrib.version.strip_prefix("0.")?.split('b').next()?;
        minor.parse::<u32>().ok()?.checked_sub(TRAIN_OFFSET)
    })
}

pub(crate) fn nothing(venv: &Venv, wanted: &[&Library], reason: &str) -> Pins {
    let skipped = wanted.iter().map(|it| left_out(venv, it, reason)).collect();
    Pins { skipped, ..Pins::default() }
}

pub(crate) fn named(venv: &Venv, library: &Library) -> agent_toml::Library {
    let version = venv.version_of(&library.distributions).unwrap_or_default().to_owned();
    agent_toml::Library { name: library.name.clone(), version, reason: String::new() }
}

pub(crate) fn left_out(venv: &Venv, library: &Library, reason: &str) -> agent_toml::Library {
    agent_toml::Library { reason: reason.to_owned(), ..named(venv, library) }
}

/// Asked for by instrumentations up to 0.49b0 for its `pkg_resources`, which the agent's older.py stands in for.
const UNNEEDED: &[&str] = &["setuptools"];

struct Resolver<'a> {
    asker: Asker<'a>,
    question: &'a Question<'a>,
}

impl Resolver<'_> {
    /// The minor of the app's own SDK or API.
    fn app_train(&self) -> Option<u32> {
        let installed = &self.question.venv.installed;
        ["opentelemetry-sdk", "opentelemetry-api"].iter().find_map(|it| minor_of(installed.get(*it)?))
    }

    /// One attempt with one set of preferences; `None`: not even the core fits with them.
    fn attempt(
        &self,
        wanted: &[&Library],
        preferred: &[Pin],
        train: Option<u32>,
    ) -> Result<Option<Pins>, Failure> {
        let train = match train {
            Some(train) => train,
            None => match self.ask(&[], preferred, None)?.ok().as_deref().and_then(train_of) {
                Some(train) => train,
                None => return Ok(None),
            },
        };
        let (mut fits, mut skipped) = (wanted.to_vec(), Vec::new());
        let mut answer = self.ask(&fits, preferred, Some(train))?;
        if answer.is_err() {
            if self.ask(&[], preferred, Some(train))?.is_err() {
                return Ok(None);
            }
            fits.clear();
            for library in wanted {
                match self.ask(&[library], preferred, Some(train))? {
                    Ok(_) => fits.push(library),
                    Err(failure) => {
                        let reason = reason(library, &failure, train);
                        skipped.push(left_out(self.question.venv, library, &reason));
                    }
                }
            }
            answer = self.ask(&fits, preferred, Some(train))?;
        }
        let Ok(packages) = answer else { return Ok(None) };
        Ok(Some(self.pins(packages, &fits, skipped)))
    }

    fn pins(&self, packages: Vec<Pin>, fits: &[&Library], skipped: Vec<agent_toml::Library>) -> Pins {
        let venv = self.question.venv;
        let of_agent = packages.iter().find(|it| it.name == "opentelemetry-sdk").map(|it| &it.version);
        let sdk = venv.installed.get("opentelemetry-sdk").or(of_agent).cloned();
        let lacks =
            |it: &Pin| !venv.installed.contains_key(&it.name) && !UNNEEDED.contains(&it.name.as_str());
        Pins {
            inputs: String::new(),
            version: sdk.unwrap_or_default(),
            instrumented: fits.iter().map(|it| named(venv, it)).collect(),
            skipped,
            packages: packages.into_iter().filter(lacks).collect(),
        }
    }

    /// Asks uv for the core and these libraries' packages.
    fn ask(&self, libraries: &[&Library], preferred: &[Pin], train: Option<u32>) -> Result<Answer, Failure> {
        self.asker.ask(&self.requirements(libraries, train), &self.overrides(train), preferred)
    }

    fn requirements(&self, libraries: &[&Library], train: Option<u32>) -> String {
        let of_sdk =
            train.map_or(format!(">=1.{OLDEST_MINOR}"), |it| format!(">=1.{it}.0,<1.{}.0a0", it + 1));
        let of_contrib = train.map_or(format!(">=0.{}b0", OLDEST_MINOR + TRAIN_OFFSET), contrib_range);
        let bound = |name: &str| if name == "opentelemetry-sdk" { &of_sdk } else { &of_contrib }.clone();
        let core = self.question.agent.core.iter().map(|it| format!("{it}{}\n", bound(it)));
        // The extra `instruments` is how an instrumentation says which versions of the library it supports.
        let extra = |it: &Library| if it.tested { "" } else { "[instruments]" };
        let others = libraries.iter().map(|it| format!("{}{}{of_contrib}\n", it.package, extra(it)));
        core.chain(others).collect()
    }

    /// Requirements that are not taken at their word.
    fn overrides(&self, train: Option<u32>) -> String {
        let mut text = train.map(overrides).unwrap_or_default();
        // Instrumentations up to 0.59b0 ask for wrapt 1, since nobody had tried 2 then; what is different for them the
        // agent's older.py makes the same again.
        if self.question.venv.installed.get("wrapt").is_some_and(|it| it.starts_with("2.")) {
            text.push_str("wrapt>=1.0.0\n");
        }
        text
    }
}

/// Packages of one train ask for each other's exact release (0.66b1), but not every one is released each time (0.66b2):
/// within a train any goes with any.
fn overrides(train: u32) -> String {
    let range = contrib_range(train);
    let names = [
        "opentelemetry-semantic-conventions",
        "opentelemetry-instrumentation",
        "opentelemetry-instrumentation-asgi",
        "opentelemetry-instrumentation-dbapi",
        "opentelemetry-instrumentation-wsgi",
        "opentelemetry-util-http",
    ];
    names.map(|it| format!("{it}{range}\n")).concat()
}

fn contrib_range(train: u32) -> String {
    let minor = train + TRAIN_OFFSET;
    format!(">=0.{minor}b0,<0.{}a0", minor + 1)
}

/// `supports >=1.0.0,<2.1.0`, from uv's explanation.
fn reason(library: &Library, failure: &ToolFailure, train: u32) -> String {
    let text: String = failure.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    for distribution in &library.distributions {
        let marker = format!("depends on {distribution}");
        for (position, _) in text.match_indices(&marker) {
            let rest = &text[position + marker.len()..];
            if rest.starts_with(['>', '<', '=', '!', '~']) {
                let range: &str = rest.split([' ', ';']).next().unwrap_or_default();
                return format!("supports {}", range.trim_end_matches([',', '.']));
            }
        }
    }
    format!("no version of {} fits OpenTelemetry 1.{train} and the app's packages", library.package)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn library(name: &str) -> Library {
        Library {
            name: name.to_owned(),
            distributions: vec![name.to_owned()],
            package: format!("opentelemetry-instrumentation-{name}"),
            import: name.to_owned(),
            class: String::new(),
            before: None,
            unless: None,
            supports: String::new(),
            tested: false,
        }
    }

    #[test]
    fn the_supported_range_is_taken_from_uvs_words() {
        let stderr = "  x No solution found:\n  Because only opentelemetry-instrumentation-sqlalchemy[instruments]==0.66b1 is\n      \
            available and it depends on sqlalchemy>=1.0.0,<2.1.0,\n      we can conclude";
        let failure =
            ToolFailure { name: "uv".into(), why: "x".into(), stdout: String::new(), stderr: stderr.into() };
        assert_eq!(reason(&library("sqlalchemy"), &failure, 45), "supports >=1.0.0,<2.1.0");
        assert_eq!(
            reason(&library("redis"), &failure, 45),
            "no version of opentelemetry-instrumentation-redis fits OpenTelemetry 1.45 and the app's packages"
        );
    }

    #[test]
    fn a_sets_train_shows_in_the_sdk_or_in_what_goes_with_it() {
        let pin = |name: &str, version: &str| Pin {
            name: name.into(),
            version: version.into(),
            sha256: Vec::new(),
        };
        assert_eq!(train_of(&[pin("opentelemetry-sdk", "1.45.1")]), Some(45));
        assert_eq!(
            train_of(&[pin("wrapt", "2"), pin("opentelemetry-instrumentation-flask", "0.48b0")]),
            Some(27)
        );
        assert_eq!(train_of(&[]), None);
    }

    #[test]
    fn an_app_with_an_old_opentelemetry_gets_no_agent_and_the_reason() {
        let venv = |version: &str| Venv {
            minor: "3.11".into(),
            installed: BTreeMap::from([("opentelemetry-api".to_owned(), version.to_owned())]),
            ..Venv::default()
        };
        assert_eq!(
            too_old(&venv("1.15.0")).unwrap(),
            "the app has opentelemetry-api 1.15.0, the agent needs 1.20 or newer"
        );
        assert_eq!(too_old(&venv("1.20.0")), None);
    }
}
