//! What the buildpacks and the project ask of the base.

use crate::lock::DebianLock;
use cnb::plan::Plan;
use cnb::project::DebianPackages;
use debian::Release;
use std::collections::BTreeSet;

/// The build plan's entry by which a buildpack asks for Debian packages; its metadata has `release`, `build` and `run`.
pub const PLAN_ENTRY: &str = "debian";

/// The release that is taken when nobody asks for one: the newest.
const DEFAULT_RELEASE: &str = "trixie";

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Code name of the release.
    pub release: String,
    /// Packages that apps run on, sorted.
    pub run: Vec<String>,
    /// Packages that the build has besides, sorted.
    pub build: Vec<String>,
}

/// What is asked makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum WantedError {
    /// Two releases.
    #[error("the buildpacks ask for two releases of Debian, {0} and {1}: an image has one")]
    TwoReleases(String, String),
    /// A release that is not known.
    #[error("Debian {0} is not known; there are: {1}")]
    UnknownRelease(String, String),
    /// A value of another type.
    #[error("a buildpack's requirement `debian` has `{0}` that is not {1}")]
    Type(&'static str, &'static str),
}

impl Wanted {
    /// The packages that every base of the newest release has, and no more.
    #[must_use]
    pub fn core() -> Self {
        Self { release: DEFAULT_RELEASE.to_owned(), run: Vec::new(), build: Vec::new() }
    }

    /// Adds up what the plan and the project ask for.
    ///
    /// # Errors
    /// When two releases are asked for, or a value is not what it should be.
    pub fn of(plan: &Plan, project: &DebianPackages) -> Result<Self, super::BaseError> {
        let mut release: Option<String> = None;
        let mut run: BTreeSet<String> = project.run.iter().cloned().collect();
        let mut build: BTreeSet<String> = project.build.iter().cloned().collect();
        for require in plan.entries.iter().flat_map(|it| &it.requires).filter(|it| it.name == PLAN_ENTRY) {
            if let Some(value) = require.metadata.get("release") {
                let name = value.as_str().ok_or(WantedError::Type("release", "a name"))?;
                match &release {
                    Some(other) if other != name => {
                        return Err(WantedError::TwoReleases(other.clone(), name.to_owned()).into());
                    }
                    _ => release = Some(name.to_owned()),
                }
            }
            run.extend(names(require.metadata.get("run"), "run")?);
            build.extend(names(require.metadata.get("build"), "build")?);
        }
        Ok(Self {
            release: release.unwrap_or_else(|| DEFAULT_RELEASE.to_owned()),
            run: run.into_iter().collect(),
            build: build.into_iter().collect(),
        })
    }

    /// The release's row.
    ///
    /// # Errors
    /// When there is none.
    pub fn release(&self) -> Result<&'static Release, WantedError> {
        debian::release(&self.release).ok_or_else(|| {
            let known: Vec<&str> = debian::RELEASES.iter().map(|it| it.name).collect();
            WantedError::UnknownRelease(self.release.clone(), known.join(", "))
        })
    }

    /// Whether a lock was made for the same wishes.
    #[must_use]
    pub fn is_met_by(&self, lock: &DebianLock) -> bool {
        lock.release == self.release && lock.wanted_run == self.run && lock.wanted_build == self.build
    }
}

fn names(value: Option<&toml::Value>, key: &'static str) -> Result<Vec<String>, WantedError> {
    let wrong = || WantedError::Type(key, "a list of package names");
    let Some(value) = value else { return Ok(Vec::new()) };
    let list = value.as_array().ok_or_else(wrong)?;
    list.iter().map(|it| it.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Plan {
        cnb::parse("plan.toml", text).unwrap()
    }

    #[test]
    fn what_several_buildpacks_and_the_project_ask_for_is_added_up() {
        let plan = plan(
            "[[entries]]\n[[entries.requires]]\nname = \"debian\"\nmetadata = { release = \"trixie\", run = [\"python3\"] }\n\
             [[entries.requires]]\nname = \"debian\"\nmetadata = { build = [\"gcc\"] }\n\
             [[entries.requires]]\nname = \"python\"\nmetadata = { run = [\"not-ours\"] }\n",
        );
        let project = DebianPackages { build: vec![], run: vec!["libpq5".into()] };
        let wanted = Wanted::of(&plan, &project).unwrap();
        assert_eq!(wanted.release, "trixie");
        assert_eq!((wanted.run, wanted.build), (vec!["libpq5".into(), "python3".into()], vec!["gcc".into()]));
    }

    #[test]
    fn two_releases_and_wrong_types_are_refused() {
        let two = plan(
            "[[entries]]\n[[entries.requires]]\nname = \"debian\"\nmetadata = { release = \"trixie\" }\n\
             [[entries.requires]]\nname = \"debian\"\nmetadata = { release = \"bookworm\" }\n",
        );
        assert!(
            Wanted::of(&two, &DebianPackages::default()).unwrap_err().to_string().contains("two releases")
        );
        let wrong =
            plan("[[entries]]\n[[entries.requires]]\nname = \"debian\"\nmetadata = { run = \"x\" }\n");
        assert!(Wanted::of(&wrong, &DebianPackages::default()).unwrap_err().to_string().contains("`run`"));
    }
}
