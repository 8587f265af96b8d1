//! What is started: program, arguments, environment, user, directory.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.0/conversion.md>

use super::{RunError, RunRequest, passwd};
use crate::settings::Environment;
use cnb::labels::BUILD_METADATA;
use cnb::metadata::BuildMetadata;
use oci::{Image, ImageConfig};
use sandbox::Identity;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Where each process type has a link to the launcher.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#launch>
const PROCESSES: &str = "/cnb/process";
const LAUNCHER: &str = "/cnb/lifecycle/launcher";

/// What is started.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) argv: Vec<OsString>,
    pub(super) env: BTreeMap<OsString, OsString>,
    pub(super) user: Identity,
    pub(super) cwd: PathBuf,
}

impl Plan {
    pub(super) fn of(
        request: &RunRequest,
        image: &Image,
        layers: &[PathBuf],
        defaults: &[(String, String)],
        own: &Environment,
    ) -> Result<Self, RunError> {
        let config = image.config();
        let user = &config.config.user;
        let user = passwd::find(user, layers)
            .ok_or_else(|| RunError::NoUser { image: request.name.short(), user: user.clone() })?;
        let mut env = image_env(config, user.home.as_deref(), own);
        env.extend(pairs(defaults));
        env.extend(pairs(&request.env));
        try_out(&mut env);
        let cwd = match config.config.working_dir.as_str() {
            "" => "/",
            dir => dir,
        };
        Ok(Self { argv: argv(request, config)?, env, user: user.identity, cwd: cwd.into() })
    }
}

/// The image's variables over those that every engine sets.
fn image_env(config: &ImageConfig, home: Option<&str>, own: &Environment) -> BTreeMap<OsString, OsString> {
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let mut env: BTreeMap<OsString, OsString> =
        [("PATH".into(), path.into()), ("HOME".into(), home.unwrap_or("/").into())].into();
    // What the terminal can do does not depend on the image.
    if let Some(term) = own.get(OsStr::new("TERM")) {
        env.insert("TERM".into(), term.clone());
    }
    let own = config.config.env.iter().map(|it| it.split_once('=').unwrap_or((it, "")));
    env.extend(own.map(|(name, value)| (name.into(), value.into())));
    env
}

/// An app that is tried out is not in production, which is what the agent in its image says unless it is told.
fn try_out(env: &mut BTreeMap<OsString, OsString>) {
    let attributes = env.entry("OTEL_RESOURCE_ATTRIBUTES".into()).or_default();
    if !attributes.to_string_lossy().contains("deployment.environment") {
        let mut all = OsString::from("deployment.environment.name=development");
        if !attributes.is_empty() {
            all.push(",");
            all.push(&*attributes);
        }
        *attributes = all;
    }
}

fn pairs(variables: &[(String, String)]) -> impl Iterator<Item = (OsString, OsString)> {
    variables.iter().map(|(name, value)| (name.into(), value.into()))
}

fn argv(request: &RunRequest, config: &ImageConfig) -> Result<Vec<OsString>, RunError> {
    let with_args = |first: OsString| std::iter::once(first).chain(request.args.iter().cloned()).collect();
    if let Some(program) = &request.entrypoint {
        return Ok(with_args(program.into()));
    }
    let there = process_types(config);
    let image = || request.name.short();
    if let Some(kind) = &request.process {
        if !there.contains(kind) {
            return Err(RunError::NoProcess { image: image(), asked: kind.clone(), there });
        }
        return Ok(with_args(format!("{PROCESSES}/{kind}").into()));
    }
    let container = &config.config;
    let args: Vec<OsString> = match request.args.is_empty() {
        true => container.cmd.iter().map(OsString::from).collect(),
        false => request.args.clone(),
    };
    let argv: Vec<OsString> = container.entrypoint.iter().map(OsString::from).chain(args).collect();
    // The launcher alone has nothing to launch: the image has no default process type.
    if argv.is_empty() || argv == [LAUNCHER] {
        return Err(RunError::NothingToStart { image: image(), there });
    }
    Ok(argv)
}

/// The process types that the image's label lists.
fn process_types(config: &ImageConfig) -> Vec<String> {
    let label = config.config.labels.get(BUILD_METADATA);
    let metadata: Option<BuildMetadata> = label.and_then(|it| serde_json::from_str(it).ok());
    metadata.map(|it| it.processes.into_iter().map(|it| it.kind).collect()).unwrap_or_default()
}

/// How many letters must be added, removed or changed to come from one word to the other.
pub(super) fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.iter().enumerate() {
            let change = corner + usize::from(a != *b);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(corner + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::{ContainerConfig, ImageName};

    fn request() -> RunRequest {
        RunRequest {
            name: ImageName::parse("my-app", "docker.io").unwrap(),
            process: None,
            entrypoint: None,
            args: Vec::new(),
            env: Vec::new(),
            network: super::super::AppNetwork::Best,
            ports: Vec::new(),
            volumes: Vec::new(),
        }
    }

    fn config(entrypoint: &[&str], cmd: &[&str]) -> ImageConfig {
        let words = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect();
        let label =
            r#"{"processes":[{"type":"web","command":["x"],"args":[]},{"type":"worker","command":["y"]}]}"#;
        ImageConfig {
            config: ContainerConfig {
                entrypoint: words(entrypoint),
                cmd: words(cmd),
                labels: [(BUILD_METADATA.to_owned(), label.to_owned())].into(),
                ..ContainerConfig::default()
            },
            ..ImageConfig::default()
        }
    }

    #[test]
    fn the_image_decides_unless_a_type_or_a_program_is_asked_for() {
        let config = config(&["/cnb/process/web"], &["--flag"]);
        assert_eq!(argv(&request(), &config).unwrap(), ["/cnb/process/web", "--flag"]);
        let args = RunRequest { args: vec!["a".into()], ..request() };
        assert_eq!(argv(&args, &config).unwrap(), ["/cnb/process/web", "a"]);
        let worker = RunRequest { process: Some("worker".into()), ..request() };
        assert_eq!(argv(&worker, &config).unwrap(), ["/cnb/process/worker"]);
        let shell = RunRequest { entrypoint: Some("bash".into()), args: vec!["-c".into()], ..request() };
        assert_eq!(argv(&shell, &config).unwrap(), ["bash", "-c"]);
    }

    #[test]
    fn a_type_that_is_not_there_is_answered_with_those_that_are() {
        let asked = RunRequest { process: Some("wrok".into()), ..request() };
        let error = argv(&asked, &config(&["/cnb/process/web"], &[])).unwrap_err().to_string();
        assert_eq!(error, "my-app:latest has no process type `wrok`; it has: web, worker");
        let error = argv(&request(), &config(&[LAUNCHER], &[])).unwrap_err().to_string();
        assert_eq!(error, "my-app:latest starts nothing by itself; its process types: web, worker");
    }

    #[test]
    fn the_images_variables_win_over_an_engines_own() {
        let mut config = config(&[], &[]);
        config.config.env = vec!["PATH=/cnb/process:/bin".into(), "A=b=c".into(), "EMPTY".into()];
        let own = [("TERM".into(), "xterm".into()), ("SECRET".into(), "x".into())].into();
        let env = image_env(&config, Some("/home/cnb"), &own);
        let text: Vec<_> =
            env.iter().map(|(name, value)| format!("{}={}", name.display(), value.display())).collect();
        assert_eq!(text, ["A=b=c", "EMPTY=", "HOME=/home/cnb", "PATH=/cnb/process:/bin", "TERM=xterm"]);
    }

    #[test]
    fn telemetry_of_a_trial_is_not_productions_unless_that_is_said() {
        let of = |value: &str| {
            let mut env = [("OTEL_RESOURCE_ATTRIBUTES".into(), value.into())].into();
            try_out(&mut env);
            env.remove(OsStr::new("OTEL_RESOURCE_ATTRIBUTES")).unwrap()
        };
        assert_eq!(of(""), "deployment.environment.name=development");
        assert_eq!(of("a=b"), "deployment.environment.name=development,a=b");
        assert_eq!(of("a=b,deployment.environment.name=test"), "a=b,deployment.environment.name=test");
    }

    #[test]
    fn near_names_are_few_letters_away() {
        assert_eq!(distance("my-app", "my-app"), 0);
        assert_eq!(distance("my-ap", "my-app"), 1);
        assert_eq!(distance("ym-app", "my-app"), 2);
        assert_eq!(distance("", "abc"), 3);
    }
}
