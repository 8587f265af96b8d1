//! uv itself: which one, and how pip brings it, so that it comes through the user's own index, mirror, proxy and
//! certificates.

use crate::{Environment, Failure, Tool, ToolFailure};
use fs_err as fs;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The version.
pub const VERSION: &str = "0.13.9";
/// The musllinux wheel holds a static program, so it runs on every base.
const PLATFORM: &str = "musllinux_1_1_x86_64";
/// Of that wheel.
const SHA256: &str = "2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25";

/// What would make pip install elsewhere, or otherwise.
const REMOVED: &[&str] = &["PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIREMENT", "PIP_NO_BINARY"];

/// Variables and not the absence of them: they overrule a configuration file too.
const SET: &[(&str, &str)] = &[
    ("PIP_USER", "0"),
    ("PIP_REQUIRE_VIRTUALENV", "0"),
    ("PIP_ROOT_USER_ACTION", "ignore"),
    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
];

/// Why uv is not there.
#[derive(Debug)]
pub enum NotInstalled {
    /// pip failed.
    Pip(ToolFailure),
    /// A file could not be moved or written.
    Other(Failure),
}

impl<E: Into<Failure>> From<E> for NotInstalled {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Puts the program into `<into>/bin/uv`. `pip` is what an interpreter is given to run pip: a file, or `-m pip`; the
/// environment is the user's, with what the interpreter needs to find it.
///
/// # Errors
/// When pip cannot have it.
pub fn install(
    python: &Path,
    pip: &[&OsStr],
    (env, secrets): (&Environment, &[String]),
    into: &Path,
    log: &crate::Log,
) -> Result<PathBuf, NotInstalled> {
    let (requirements, installed) = (into.join("requirements.txt"), into.join("installed"));
    fs::create_dir_all(into.join("bin"))?;
    crate::atomic::write(&requirements, format!("uv=={VERSION} --hash=sha256:{SHA256}\n").as_bytes())?;
    Tool::new(python, &of_pip(env))
        .args(pip)
        .args(["install", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-compile"])
        .args(["--platform", PLATFORM, "--implementation", "py", "--target"])
        .args([installed.as_os_str(), OsStr::new("-r"), requirements.as_os_str()])
        .secrets(secrets.iter().cloned())
        .run(log)
        .map_err(NotInstalled::Pip)?;
    let program = into.join("bin/uv");
    fs::rename(installed.join("bin/uv"), &program)?;
    fs::remove_dir_all(installed)?;
    fs::remove_file(requirements)?;
    Ok(program)
}

/// The user's environment, as pip is given it.
fn of_pip(env: &Environment) -> Environment {
    let mut env = env.clone();
    for name in REMOVED {
        env.remove(OsStr::new(name));
    }
    for (name, value) in SET {
        env.insert((*name).into(), (*value).into());
    }
    env
}
