//! An agent that is one package with what it needs: ddtrace, newrelic, elastic-apm, sentry-sdk.
//!
//! The app's own, where it has one; else the inventory's, else the newest that fits the app's packages. Which versions of a
//! library the agent supports stands in its table, and uv compares.

use crate::agent_toml;
use crate::attach::python_resolve::{Question, left_out, named, nothing};
use crate::attach::python_uv::{Answer, Asker};
use crate::lock::{Pin, Pins};
use crate::vendors::Library;
use buildpack::{Build, Failure, ToolFailure};

/// Chooses.
///
/// # Errors
/// When the package index cannot be asked.
pub(crate) fn resolve(build: &Build, question: &Question) -> Result<Pins, Failure> {
    let wanted = question.venv.libraries(question.agent);
    let single = Single { asker: Asker::new(build, question)?, question };
    let earlier = question.earlier.map(|it| it.packages.as_slice()).filter(|it| !it.is_empty());
    let attempts = earlier.into_iter().chain([question.inventory.package.as_slice(), &[]]);
    let mut why = None;
    for preferred in attempts {
        match single.ask(&[], preferred)? {
            Ok(packages) => return single.with_libraries(&wanted, preferred, packages),
            // The newest is the one whose reason is short: without a preference uv explains version by version.
            Err(failure) => why = why.or_else(|| single.told(&failure)),
        }
    }
    Ok(nothing(question.venv, &wanted, &why.unwrap_or_else(|| single.untold())))
}

struct Single<'a> {
    asker: Asker<'a>,
    question: &'a Question<'a>,
}

impl Single<'_> {
    fn ask(&self, libraries: &[&Library], preferred: &[Pin]) -> Result<Answer, Failure> {
        let agent = self.question.agent;
        let installed = &self.question.venv.installed;
        let mut lines: Vec<String> = agent.core.iter().map(|it| format!("{it}{}", agent.supports)).collect();
        for library in libraries {
            let has = library.distributions.iter().find(|it| installed.contains_key(*it));
            lines.extend(has.map(|it| format!("{it}{}", library.supports)));
            lines.extend(Some(library.package.clone()).filter(|it| !it.is_empty()));
        }
        self.asker.ask(&(lines.join("\n") + "\n"), "", preferred)
    }

    /// The core fits: now with all libraries at once, else with those that fit one by one.
    fn with_libraries(
        &self,
        wanted: &[&Library],
        preferred: &[Pin],
        core: Vec<Pin>,
    ) -> Result<Pins, Failure> {
        if let Ok(packages) = self.ask(wanted, preferred)? {
            return Ok(self.pins(packages, wanted, Vec::new()));
        }
        let (mut fits, mut skipped, mut packages) = (Vec::new(), Vec::new(), core);
        for library in wanted {
            let more = [fits.as_slice(), &[*library]].concat();
            match self.ask(&more, preferred)? {
                Ok(answer) => (fits, packages) = (more, answer),
                Err(failure) => {
                    let reason = match library.supports.as_str() {
                        "" => self.told(&failure).unwrap_or_else(|| self.untold()),
                        range => format!("supports {range}"),
                    };
                    skipped.push(left_out(self.question.venv, library, &reason));
                }
            }
        }
        Ok(self.pins(packages, &fits, skipped))
    }

    fn pins(&self, packages: Vec<Pin>, fits: &[&Library], skipped: Vec<agent_toml::Library>) -> Pins {
        let venv = self.question.venv;
        let core = self.core();
        let version = packages.iter().find(|it| it.name == core).map(|it| it.version.clone());
        let version = version.or_else(|| venv.installed.get(core).cloned()).unwrap_or_default();
        let instrumented = fits.iter().map(|it| named(venv, it)).collect();
        let packages = packages.into_iter().filter(|it| !venv.installed.contains_key(&it.name)).collect();
        Pins { inputs: String::new(), version, instrumented, skipped, packages }
    }

    fn core(&self) -> &str {
        self.question.agent.core.first().map_or("", String::as_str)
    }

    /// Why the agent does not fit, where uv's explanation names a package of the app.
    fn told(&self, failure: &ToolFailure) -> Option<String> {
        let (venv, core) = (self.question.venv, self.core());
        if let Some(version) = venv.installed.get(core) {
            let range = &self.question.agent.supports;
            return Some(format!("the app has {core} {version}, the agent needs {core}{range}"));
        }
        let text = failure.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        let needs = ["depends on ", "depend on "];
        let mut after =
            needs.iter().flat_map(|it| text.match_indices(it).map(|(at, it)| &text[at + it.len()..]));
        after.find_map(|words| {
            let words = words.strip_prefix("one of: ").unwrap_or(words);
            let wanted = words.split([' ', ';']).next()?.trim_end_matches([',', '.']);
            let name = wanted.split(['<', '>', '=', '!', '~', '[']).next()?;
            let version = venv.installed.get(name).filter(|_| name.len() < wanted.len())?;
            Some(format!("{core} needs {wanted}, the app has {name} {version}"))
        })
    }

    fn untold(&self) -> String {
        format!(
            "no version of {} fits Python {} and the app's packages",
            self.core(),
            self.question.venv.minor
        )
    }
}
