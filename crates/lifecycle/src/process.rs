//! What buildpacks say in `launch.toml`, and how the processes of several become one list.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#launchtoml-toml>

use crate::catalogue::Known;
use cnb::api::{ApiVersion, BuildpackFeatures};
use cnb::launch::{Label, LaunchToml, Process, Slice};
use cnb::metadata::LaunchProcess;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that buildpacks said so far.
#[derive(Debug, Default)]
pub(crate) struct Launch {
    processes: BTreeMap<String, LaunchProcess>,
    default: Option<String>,
    labels: Vec<Label>,
    slices: Vec<Slice>,
}

/// What is put together at the end.
pub(crate) struct Merged {
    pub(crate) processes: Vec<LaunchProcess>,
    pub(crate) default: Option<String>,
    pub(crate) labels: Vec<Label>,
    pub(crate) slices: Vec<Slice>,
}

impl Launch {
    /// Adds what one more buildpack said; `Ok` holds a warning, `Err` what its author has to change.
    pub(crate) fn add(&mut self, known: &Known, launch: LaunchToml) -> Result<Option<String>, String> {
        check(&launch, known.api, known.features)?;
        let mut warning = None;
        for process in launch.processes {
            let is_default = process.default;
            let kind = process.kind.clone();
            if is_default {
                self.default = Some(kind.clone());
                warning = None;
            } else if self.default.as_ref() == Some(&kind) {
                self.default = None;
                warning = Some(format!(
                    "{} redefines the default process `{kind}` without `default = true`: the image starts nothing \
                     by default",
                    known.full_name()
                ));
            }
            self.processes.insert(kind, launch_process(process, known));
        }
        // the last buildpack that sets a label wins
        let keys: BTreeSet<&str> = launch.labels.iter().map(|it| &*it.key).collect();
        self.labels.retain(|it| !keys.contains(&*it.key));
        self.labels.extend(launch.labels);
        self.slices.extend(launch.slices);
        Ok(warning)
    }

    /// The processes by type, without `default`, which is said beside them.
    pub(crate) fn merged(self) -> Merged {
        Merged {
            processes: self.processes.into_values().collect(),
            default: self.default,
            labels: self.labels,
            slices: self.slices,
        }
    }
}

fn launch_process(process: Process, known: &Known) -> LaunchProcess {
    let features = known.features;
    LaunchProcess {
        kind: process.kind,
        command: process.command,
        args: process.args,
        direct: features.no_shell || process.direct.unwrap_or(false),
        default: false,
        buildpack_id: known.about.id.clone(),
        working_dir: if features.working_dir { process.working_dir } else { String::new() },
        exec_env: if features.exec_env { process.exec_env } else { Vec::new() },
    }
}

fn check(launch: &LaunchToml, api: ApiVersion, features: BuildpackFeatures) -> Result<(), String> {
    let mut types = BTreeSet::new();
    for process in &launch.processes {
        let kind = &process.kind;
        if !cnb::id::is_valid_process(kind) {
            return Err(format!(
                "launch.toml has a process of type `{kind}`; a type has letters, digits, `.`, `_` and `-`"
            ));
        }
        if !types.insert(kind) {
            return Err(format!("launch.toml has two processes of type `{kind}`; keep one"));
        }
        if process.command.0.is_empty() {
            return Err(format!("launch.toml gives process `{kind}` no `command`"));
        }
        if features.no_shell && process.direct.is_some() {
            return Err(format!(
                "launch.toml gives process `{kind}` the key `direct`, which Buildpack API {api} does not have; remove \
                 it, and start `bash -c` where a shell is wanted"
            ));
        }
    }
    if launch.processes.iter().filter(|it| it.default).count() > 1 {
        return Err("launch.toml has more than one process with `default = true`; keep one".to_owned());
    }
    let mut keys = BTreeSet::new();
    match launch.labels.iter().find(|it| it.key.is_empty() || !keys.insert(&it.key)) {
        Some(label) if label.key.is_empty() => Err("launch.toml has a label without a `key`".to_owned()),
        Some(label) => Err(format!("launch.toml has two labels `{}`; keep one", label.key)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Kind;
    use crate::dirs::Dir;
    use cnb::buildpack_toml::About;

    fn known(id: &str, api: &str) -> Known {
        let api: ApiVersion = api.parse().unwrap();
        Known {
            kind: Kind::Buildpack,
            dir: Dir::same("/cnb/buildpacks/x"),
            api,
            features: cnb::api::buildpack_features(api).unwrap(),
            about: About { id: id.into(), version: "1".into(), ..About::default() },
            targets: Vec::new(),
            order: Vec::new(),
            finished_layers: false,
        }
    }

    fn toml(text: &str) -> LaunchToml {
        cnb::parse("launch.toml", text).unwrap()
    }

    const WEB: &str = "[[processes]]\ntype = \"web\"\ncommand = [\"a\"]\n";

    #[test]
    fn a_later_buildpack_replaces_a_process_and_the_last_default_wins() {
        let mut launch = Launch::default();
        launch.add(&known("one", "0.10"), toml(&format!("{WEB}default = true\n"))).unwrap();
        let second = "[[processes]]\ntype = \"web\"\ncommand = [\"b\"]\ndefault = true\n[[processes]]\ntype = \"worker\"\ncommand = [\"c\"]\n";
        assert_eq!(launch.add(&known("two", "0.10"), toml(second)).unwrap(), None);
        let merged = launch.merged();
        assert_eq!(merged.default.as_deref(), Some("web"));
        let all: Vec<_> =
            merged.processes.iter().map(|it| (&*it.kind, &*it.buildpack_id, it.default)).collect();
        assert_eq!(all, [("web", "two", false), ("worker", "two", false)]);
    }

    #[test]
    fn redefining_the_default_without_default_leaves_none_and_says_so() {
        let mut launch = Launch::default();
        launch.add(&known("one", "0.10"), toml(&format!("{WEB}default = true\n"))).unwrap();
        let warning = launch.add(&known("two", "0.10"), toml(WEB)).unwrap().unwrap();
        assert!(warning.contains("two@1 redefines the default process `web`"), "{warning}");
        assert_eq!(launch.merged().default, None);
    }

    #[test]
    fn a_shell_is_what_old_buildpacks_may_ask_for() {
        let mut launch = Launch::default();
        launch.add(&known("old", "0.8"), toml(WEB)).unwrap();
        let direct = "[[processes]]\ntype = \"direct\"\ncommand = [\"a\"]\ndirect = true\n";
        launch.add(&known("older", "0.7"), toml(direct)).unwrap();
        launch.add(&known("new", "0.9"), toml("[[processes]]\ntype = \"z\"\ncommand = [\"a\"]\n")).unwrap();
        let all: Vec<_> = launch.merged().processes.iter().map(|it| (it.kind.clone(), it.direct)).collect();
        assert_eq!(all, [("direct".into(), true), ("web".into(), false), ("z".into(), true)]);
        let refused = Launch::default().add(&known("new", "0.9"), toml(direct)).unwrap_err();
        assert!(refused.contains("`direct`, which Buildpack API 0.9 does not have"), "{refused}");
    }

    #[test]
    fn keys_of_later_apis_are_not_there_for_earlier_ones() {
        let all = format!("{WEB}working-dir = \"/w\"\nexec-env = [\"test\"]\n");
        let of = |api| {
            let mut launch = Launch::default();
            launch.add(&known("x", api), toml(&all)).unwrap();
            let process = launch.merged().processes.remove(0);
            (process.working_dir, process.exec_env)
        };
        assert_eq!(of("0.7"), (String::new(), vec![]));
        assert_eq!(of("0.11"), ("/w".to_owned(), vec![]));
        assert_eq!(of("0.12"), ("/w".to_owned(), vec!["test".to_owned()]));
    }

    #[test]
    fn what_the_text_forbids_is_refused_with_the_cure() {
        let refuse = |text: &str| Launch::default().add(&known("x", "0.10"), toml(text)).unwrap_err();
        assert!(refuse(&format!("{WEB}{WEB}")).contains("two processes of type `web`"));
        assert!(refuse("[[processes]]\ntype = \"a/b\"\ncommand = [\"x\"]\n").contains("`a/b`"));
        assert!(refuse("[[processes]]\ntype = \"a\"\n").contains("no `command`"));
        let label = "[[labels]]\nkey = \"k\"\nvalue = \"v\"\n";
        assert!(refuse(&format!("{label}{label}")).contains("two labels `k`"));
        let both = "[[processes]]\ntype = \"a\"\ncommand = [\"x\"]\ndefault = true\n[[processes]]\ntype = \"b\"\ncommand = [\"x\"]\ndefault = true\n";
        assert!(refuse(both).contains("more than one process with `default = true`"));
    }

    #[test]
    fn the_last_buildpack_that_sets_a_label_wins() {
        let mut launch = Launch::default();
        launch.add(&known("a", "0.10"), toml("[[labels]]\nkey = \"k\"\nvalue = \"1\"\n")).unwrap();
        launch.add(&known("b", "0.10"), toml("[[labels]]\nkey = \"k\"\nvalue = \"2\"\n")).unwrap();
        assert_eq!(launch.merged().labels, [Label { key: "k".into(), value: "2".into() }]);
    }
}
