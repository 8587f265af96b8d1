//! What the other buildpacks ask for: the metadata of the plan entry `debian`, added up.

use crate::errors;
use buildpack::{BuildpackPlan, Failure};
use debian::Release;
use std::collections::BTreeSet;

/// The plan entry.
pub(crate) const ENTRY: &str = "debian";

/// Package names, sorted.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) release: &'static Release,
    pub(crate) run: Vec<String>,
    pub(crate) build: Vec<String>,
}

impl Wanted {
    /// Adds up what is asked.
    pub(crate) fn of(plan: &BuildpackPlan) -> Result<Self, Failure> {
        let (mut run, mut build) = (BTreeSet::new(), BTreeSet::new());
        let mut releases = BTreeSet::new();
        for entry in plan.entries.iter().filter(|it| it.name == ENTRY) {
            releases.extend(entry.metadata.get("release").and_then(|it| it.as_str()).map(str::to_owned));
            run.extend(names(&entry.metadata, "run")?);
            build.extend(names(&entry.metadata, "build")?);
        }
        let name = match releases.iter().collect::<Vec<_>>().as_slice() {
            [] => debian::RELEASES.first().map_or("", |it| it.name),
            [one] => one.as_str(),
            several => return Err(errors::several_releases(several).into()),
        };
        let release = debian::release(name).ok_or_else(|| errors::unknown_release(name))?;
        let build: Vec<String> = build.difference(&run).cloned().collect();
        Ok(Self { release, run: run.into_iter().collect(), build })
    }

    /// Everything that the build has.
    pub(crate) fn all(&self) -> Vec<String> {
        self.run.iter().chain(&self.build).cloned().collect()
    }
}

fn names(metadata: &toml::Table, key: &str) -> Result<Vec<String>, Failure> {
    let Some(value) = metadata.get(key) else { return Ok(Vec::new()) };
    let list = value.as_array().ok_or_else(|| errors::not_names(key))?;
    list.iter()
        .map(|it| it.as_str().map(str::to_owned).ok_or_else(|| errors::not_names(key).into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str) -> Result<Wanted, String> {
        Wanted::of(&toml::from_str(text).unwrap()).map_err(|it| it.to_string())
    }

    #[test]
    fn what_is_asked_is_added_up_and_what_runs_is_not_only_for_the_build() {
        let it = wanted(
            "[[entries]]\nname = \"debian\"\nmetadata = { release = \"bookworm\", run = [\"b\"], build = [\"b\", \"c\"] }\n\
             [[entries]]\nname = \"debian\"\nmetadata = { run = [\"a\"] }\n\
             [[entries]]\nname = \"other\"\nmetadata = { run = [\"x\"] }\n",
        )
        .unwrap();
        assert_eq!(
            (it.release.name, it.run, it.build),
            ("bookworm", vec!["a".into(), "b".into()], vec!["c".into()])
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let metadata = |text: &str| format!("[[entries]]\nname = \"debian\"\nmetadata = {{ {text} }}\n");
        for (text, words) in [
            (metadata("release = \"trixie\"") + &metadata("release = \"bookworm\""), "bookworm, trixie"),
            (metadata("release = \"buzz\""), "buzz"),
            (metadata("run = \"x\""), "`run`"),
        ] {
            let error = wanted(&text).map(|it| it.run).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
