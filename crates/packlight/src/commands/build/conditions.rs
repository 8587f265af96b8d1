//! The flags of `packlight build` that say where and as whom buildpacks build.

use clap::Args;
use platform::build::{Conditions, moment};
use std::path::{Component, Path, PathBuf};

#[derive(Debug, Args)]
#[command(next_help_heading = "Where and as whom it is built")]
pub(super) struct ConditionArguments {
    /// When the image was made: now, seconds since 1970, or a time such as 2022-01-01T05:00:00Z [default: the same for
    /// all images, so that equal ones are equal]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    creation_time: Option<String>,
    /// Where the app is, in the build and in the image [default: /workspace]
    #[arg(long, value_name = "PATH", value_parser = workspace)]
    workspace: Option<PathBuf>,
    /// The execution environment: production, test, or a name of your own [default: production]
    #[arg(long, value_name = "NAME", value_parser = exec_env)]
    exec_env: Option<String>,
    /// The id of the user that builds and owns the app, in place of the builder's
    #[arg(long, value_name = "UID", value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX)))]
    uid: Option<u32>,
    /// The id of the group, in place of the builder's
    #[arg(long, value_name = "GID", value_parser = clap::value_parser!(u32).range(0..=i64::from(i32::MAX)))]
    gid: Option<u32>,
}

impl ConditionArguments {
    pub(super) fn conditions(&self) -> Conditions {
        let usual = Conditions::default();
        Conditions {
            created: self.creation_time.clone(),
            exec_env: self.exec_env.clone().unwrap_or(usual.exec_env),
            workspace: self.workspace.clone().unwrap_or(usual.workspace),
            uid: self.uid,
            gid: self.gid,
        }
    }
}

/// What no app may be in, at or above: the lifecycle's own, what is mounted when an app starts, and what is a link in
/// most images.
const TAKEN: &[&str] = &[
    "/bin",
    "/cnb",
    "/dev",
    "/etc",
    "/home/cnb",
    "/layers",
    "/lib",
    "/lib64",
    "/platform",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/tmp",
    "/var/run",
];
/// What no app may be at: the system is there.
const SYSTEMS: &[&str] =
    &["/", "/home", "/opt", "/root", "/srv", "/usr", "/usr/bin", "/usr/lib", "/usr/local", "/var"];

/// As `pack` has it, a path that does not begin with `/` begins there all the same.
fn workspace(text: &str) -> Result<PathBuf, String> {
    let path: PathBuf = Path::new("/").join(text).components().collect();
    let plain = |it: Component<'_>| matches!(it, Component::RootDir | Component::Normal(_));
    if !path.components().all(plain) {
        return Err("it is a path without `..`".to_owned());
    }
    let taken = TAKEN.iter().any(|it| path.starts_with(it) || Path::new(it).starts_with(&path));
    if taken || SYSTEMS.iter().any(|it| path == Path::new(it)) {
        return Err("that place is the system's or the lifecycle's; choose another, such as /app".to_owned());
    }
    Ok(path)
}

/// <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#execution-environments>
fn exec_env(text: &str) -> Result<String, String> {
    let plain = |it: char| it.is_ascii_alphanumeric() || it == '.' || it == '-';
    match !text.is_empty() && text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("it is made of letters, digits, `.` and `-`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_is_a_place_of_its_own() {
        for (text, path) in [("/app", "/app"), ("app/", "/app"), ("/usr/src/app", "/usr/src/app")] {
            assert_eq!(workspace(text), Ok(path.into()));
        }
        for wrong in
            ["/", "", "/a/../cnb", "/cnb", "/cnb/x", "/layers/x", "/usr", "/home", "/bin/x", "/tmp/x"]
        {
            assert!(workspace(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_execution_environment_is_a_plain_word() {
        assert_eq!(exec_env("test-1.x").as_deref(), Ok("test-1.x"));
        assert!(exec_env("a/b").is_err() && exec_env("").is_err());
    }
}
