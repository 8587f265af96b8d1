//! The environment that a process starts in.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#launch-environment>

use crate::error::LaunchError;
use cnb::env::{self, Environment};
use cnb::metadata::BuildMetadata;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// Applies one directory of environment files.
pub type ApplyEnv = fn(&mut Environment, &BTreeMap<OsString, Vec<u8>>);

/// The lifecycle's own variables, which no process is to see.
const OWN: &[&str] =
    &["CNB_LAYERS_DIR", "CNB_APP_DIR", "CNB_PROCESS_TYPE", "CNB_PLATFORM_API", "CNB_DEPRECATION_MODE"];

/// An environment without the lifecycle's variables, its PATH without the lifecycle's directories.
#[must_use]
pub fn clean(env: &Environment) -> Environment {
    let mut clean = env.clone();
    for name in OWN {
        clean.remove(OsStr::new(name));
    }
    if let Some(path) = clean.get_mut(OsStr::new("PATH")) {
        let is_ours = |it: &&[u8]| matches!(*it, b"/cnb/process" | b"/cnb/lifecycle");
        let others: Vec<&[u8]> = path.as_bytes().split(|it| *it == b':').filter(|it| !is_ours(it)).collect();
        *path = OsString::from_vec(others.join(&b':'));
    }
    clean
}

/// The launch layers of each buildpack, in the order of the group, by name.
pub(crate) fn launch_layers(dir: &Path, metadata: &BuildMetadata) -> Result<Vec<Vec<PathBuf>>, LaunchError> {
    let of = |id: &str| {
        let list = entries(&dir.join(cnb::id::escape(id)))?;
        Ok(list.into_iter().filter(|it| it.is_dir).map(|it| it.path).collect())
    };
    metadata.buildpacks.iter().map(|it| of(&it.id)).collect()
}

/// Adds what the layers of each buildpack bring: first all their directories, then their environment files, as the
/// reference has it: a variable like `PATH.prepend` of one layer comes before the `bin` of all its siblings.
///
/// # Errors
/// When a file can't be read.
pub fn layers_environment(
    env: &mut Environment,
    buildpacks: &[Vec<PathBuf>],
    process: Option<&str>,
    apply: ApplyEnv,
) -> Result<(), LaunchError> {
    for layers in buildpacks {
        for layer in layers {
            for (variable, directory) in env::LAUNCH_PATHS {
                let path = layer.join(directory);
                if path.exists() {
                    env::prepend_path(env, variable, path.as_os_str());
                }
            }
        }
        for layer in layers {
            apply(env, &files(&layer.join("env"))?);
            let launch = layer.join("env.launch");
            apply(env, &files(&launch)?);
            if let Some(process) = process {
                apply(env, &files(&launch.join(process))?);
            }
        }
    }
    Ok(())
}

fn files(dir: &Path) -> Result<BTreeMap<OsString, Vec<u8>>, LaunchError> {
    let mut files = BTreeMap::new();
    for entry in entries(dir)?.into_iter().filter(|it| it.path.is_file()) {
        let contents = std::fs::read(&entry.path)
            .map_err(|source| LaunchError::Io { path: entry.path.clone(), source })?;
        files.insert(entry.path.file_name().unwrap_or_default().to_owned(), contents);
    }
    Ok(files)
}

pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    /// A directory itself, and no link to one.
    pub(crate) is_dir: bool,
}

/// What is in a directory, by name; nothing when there is none.
pub(crate) fn entries(dir: &Path) -> Result<Vec<Entry>, LaunchError> {
    let fail = |source: io::Error| LaunchError::Io { path: dir.to_owned(), source };
    let reader = match std::fs::read_dir(dir) {
        Ok(reader) => reader,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(fail(error)),
    };
    let mut list = Vec::new();
    for entry in reader {
        let entry = entry.map_err(fail)?;
        let is_dir = entry.file_type().map_err(fail)?.is_dir();
        list.push(Entry { path: entry.path(), is_dir });
    }
    list.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lifecycles_variables_and_directories_are_gone() {
        let env: Environment = [
            ("PATH", "/cnb/process:/cnb/lifecycle:/usr/bin:/cnb/process:/bin"),
            ("CNB_APP_DIR", "/workspace"),
            ("CNB_LAYERS_DIR", "/layers"),
            ("CNB_PLATFORM_API", "0.15"),
            ("CNB_DEPRECATION_MODE", "quiet"),
            ("CNB_EXEC_ENV", "test"),
            ("HOME", "/home/me"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
        let clean: Vec<String> = clean(&env)
            .iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect();
        assert_eq!(clean, ["CNB_EXEC_ENV=test", "HOME=/home/me", "PATH=/usr/bin:/bin"]);
    }

    fn put(dir: &Path, file: &str, contents: &str) {
        let path = dir.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }

    fn after(files: &[(&str, &str)], process: Option<&str>) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for (file, contents) in files {
            put(dir.path(), file, contents);
        }
        let metadata: BuildMetadata = cnb::parse(
            "metadata.toml",
            "[[buildpacks]]\nid = \"b/one\"\nversion = \"1\"\napi = \"0.10\"\n\
             [[buildpacks]]\nid = \"a/two\"\nversion = \"1\"\napi = \"0.10\"\n",
        )
        .unwrap();
        let layers = launch_layers(dir.path(), &metadata).unwrap();
        let mut env: Environment = [("PATH".into(), "/bin".into())].into();
        layers_environment(&mut env, &layers, process, env::apply).unwrap();
        let root = dir.path().to_string_lossy().into_owned();
        env.iter().map(|(k, v)| format!("{}={}", k.display(), v.display()).replace(&root, "")).collect()
    }

    #[test]
    fn directories_of_later_buildpacks_come_first_and_only_path_and_libraries_count() {
        let files = [
            ("b_one/x/bin/f", ""),
            ("b_one/x/include/f", ""),
            ("b_one/y/bin/f", ""),
            ("a_two/z/bin/f", ""),
            ("a_two/z/lib/f", ""),
        ];
        assert_eq!(
            after(&files, None),
            ["LD_LIBRARY_PATH=/a_two/z/lib", "PATH=/a_two/z/bin:/b_one/y/bin:/b_one/x/bin:/bin"]
        );
    }

    #[test]
    fn environment_files_come_after_all_directories_of_their_buildpack() {
        let files =
            [("b_one/a/env/PATH.prepend", "/first"), ("b_one/a/env/PATH.delim", ":"), ("b_one/b/bin/f", "")];
        assert_eq!(after(&files, None), ["PATH=/first:/b_one/b/bin:/bin"]);
    }

    #[test]
    fn the_files_of_a_process_come_last_and_only_for_it() {
        let files = [
            ("b_one/x/env/V", "env"),
            ("b_one/x/env.launch/V", "launch"),
            ("b_one/x/env.launch/web/V", "web"),
            ("b_one/x/env.build/V", "never"),
        ];
        assert_eq!(after(&files, Some("web")), ["PATH=/bin", "V=web"]);
        assert_eq!(after(&files, Some("worker")), ["PATH=/bin", "V=launch"]);
        assert_eq!(after(&files, None), ["PATH=/bin", "V=launch"]);
    }
}
