//! From a command line to a process.

use crate::error::LaunchError;
use cnb::api::{self, PlatformFeatures};
use cnb::metadata::{BuildMetadata, LaunchProcess};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What is to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its type; `None` for a user's own command.
    pub kind: Option<String>,
    /// The program, and for a shell the whole script.
    pub command: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Without a shell.
    pub direct: bool,
    /// Where, when it is not the application's directory.
    pub working_dir: Option<PathBuf>,
}

impl Process {
    /// For messages.
    #[must_use]
    pub fn who(&self) -> String {
        self.kind.clone().unwrap_or_else(|| "launcher".to_owned())
    }
}

/// The name by which the launcher was called is a process type; else the arguments are a command.
///
/// # Errors
/// When there is no command, or the process is for another execution environment.
pub fn select(
    metadata: &BuildMetadata,
    argv: &[OsString],
    features: PlatformFeatures,
    exec_env: &str,
) -> Result<Process, LaunchError> {
    let name = argv.first().and_then(|it| Path::new(it).file_name());
    let user = argv.get(1..).unwrap_or_default();
    match metadata.processes.iter().find(|it| name == Some(OsStr::new(&it.kind))) {
        Some(process) => {
            let fits = !features.exec_env
                || process.exec_env.is_empty()
                || process.exec_env.iter().any(|it| it == "*" || it == exec_env);
            if !fits {
                let (kind, wanted) = (process.kind.clone(), process.exec_env.join(", "));
                return Err(LaunchError::ExecEnv { kind, wanted, exec_env: exec_env.to_owned() });
            }
            Ok(of_buildpack(metadata, process, user, features))
        }
        None => of_user(metadata, user),
    }
}

fn of_user(metadata: &BuildMetadata, user: &[OsString]) -> Result<Process, LaunchError> {
    let own = |command: &OsString, args: &[OsString], direct| Process {
        kind: None,
        command: command.clone(),
        args: args.to_vec(),
        direct,
        working_dir: None,
    };
    match user {
        [] => Err(LaunchError::NoCommand(metadata.processes.iter().map(|it| it.kind.clone()).collect())),
        [dashes] if dashes == "--" => Err(LaunchError::NothingAfterDashes),
        [dashes, command, args @ ..] if dashes == "--" => Ok(own(command, args, true)),
        [command, args @ ..] => Ok(own(command, args, false)),
    }
}

/// What follows the program in `command` is always given. `args` are defaults: a user's arguments replace them, where
/// platform and buildpack know that; else they are appended.
fn of_buildpack(
    metadata: &BuildMetadata,
    process: &LaunchProcess,
    user: &[OsString],
    features: PlatformFeatures,
) -> Process {
    let mut command = process.command.0.iter().map(OsString::from);
    let program = command.next().unwrap_or_default();
    let always: Vec<OsString> = command.collect();
    let buildpack = metadata.api_of(&process.buildpack_id).and_then(api::buildpack_features);
    // only newer buildpacks write more than the program there
    let overridable =
        features.command_list && (!always.is_empty() || buildpack.is_some_and(|it| it.overridable_args));
    let defaults = process.args.iter().map(OsString::from);
    let mut args = always;
    if user.is_empty() || !overridable {
        args.extend(defaults);
    }
    args.extend_from_slice(user);
    Process {
        kind: Some(process.kind.clone()),
        command: program,
        args,
        direct: process.direct,
        working_dir: (!process.working_dir.is_empty()).then(|| PathBuf::from(&process.working_dir)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"
        [[buildpacks]]
        id = "new"
        version = "1"
        api = "0.9"
        [[buildpacks]]
        id = "old"
        version = "1"
        api = "0.8"
        [[processes]]
        type = "web"
        command = ["gunicorn", "--config", "x"]
        args = ["app:app"]
        direct = true
        buildpack-id = "new"
        working-dir = "/elsewhere"
        [[processes]]
        type = "one"
        command = ["run"]
        args = ["default"]
        direct = true
        buildpack-id = "new"
        [[processes]]
        type = "old"
        command = ["run"]
        args = ["default"]
        buildpack-id = "old"
        [[processes]]
        type = "tests"
        command = ["pytest"]
        exec-env = ["test"]
        direct = true
        buildpack-id = "new"
    "#;

    fn chosen_with(platform: &str, argv: &[&str]) -> Result<String, String> {
        let metadata: BuildMetadata = cnb::parse("metadata.toml", METADATA).unwrap();
        let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
        let features = api::platform_features(platform.parse().unwrap()).unwrap();
        let process = select(&metadata, &argv, features, "production").map_err(|it| it.to_string())?;
        let how = if process.direct { "direct" } else { "shell" };
        let words = std::iter::once(&process.command).chain(&process.args);
        let words: Vec<_> = words.map(|it| it.to_string_lossy().into_owned()).collect();
        Ok(format!("{} {how}: {}", process.who(), words.join(" ")))
    }

    fn chosen(argv: &[&str]) -> Result<String, String> {
        chosen_with("0.15", argv)
    }

    #[test]
    fn the_name_of_the_program_is_the_process_type() {
        assert_eq!(chosen(&["/cnb/process/web"]).unwrap(), "web direct: gunicorn --config x app:app");
        assert_eq!(chosen(&["web"]).unwrap(), "web direct: gunicorn --config x app:app");
    }

    #[test]
    fn a_users_arguments_replace_default_ones_and_never_those_of_the_command() {
        assert_eq!(chosen(&["web", "b:b", "-x"]).unwrap(), "web direct: gunicorn --config x b:b -x");
        assert_eq!(chosen(&["one", "mine"]).unwrap(), "one direct: run mine");
        assert_eq!(chosen(&["one"]).unwrap(), "one direct: run default");
    }

    #[test]
    fn for_old_buildpacks_and_old_platforms_a_users_arguments_are_appended() {
        assert_eq!(chosen(&["old", "mine"]).unwrap(), "old shell: run default mine");
        assert_eq!(chosen_with("0.9", &["one", "mine"]).unwrap(), "one direct: run default mine");
    }

    #[test]
    fn another_name_takes_a_command_with_a_shell_or_after_dashes_without() {
        assert_eq!(chosen(&["launcher", "bash"]).unwrap(), "launcher shell: bash");
        assert_eq!(chosen(&["launcher", "--", "env", "-0"]).unwrap(), "launcher direct: env -0");
        assert_eq!(
            chosen(&["launcher"]).unwrap_err(),
            "nothing to start: the image has no default process; start it with a command, or with one of these as \
             entrypoint: web, one, old, tests"
        );
        assert_eq!(
            chosen(&["launcher", "--"]).unwrap_err(),
            "nothing to start: a command belongs after `--`"
        );
    }

    #[test]
    fn a_process_of_another_execution_environment_is_refused_where_the_platform_knows_of_them() {
        assert_eq!(
            chosen(&["tests"]).unwrap_err(),
            "tests: this process is for the execution environment test, and CNB_EXEC_ENV is production"
        );
        assert_eq!(chosen_with("0.14", &["tests"]).unwrap(), "tests direct: pytest");
    }
}
