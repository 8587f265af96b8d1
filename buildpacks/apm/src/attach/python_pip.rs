//! uv where no buildpack before has brought one: the interpreter's own pip fetches it, and it is gone with the build.

use crate::attach::python::names;
use crate::errors;
use buildpack::uv::Config;
use buildpack::uv_wheel::{self, NotInstalled};
use buildpack::{Build, Environment, Failure, Tool};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Debian keeps pip here, as one file that Python can run.
const DEBIANS: &str = "/usr/share/python-wheels";

/// Asks an interpreter where it keeps the pip that it could install; an empty line where it keeps none.
const BUNDLED: &str = "import importlib.util as u; it = u.find_spec('ensurepip'); \
                       print(it.submodule_search_locations[0] + '/_bundled' if it else '')";

/// Installs uv below `into`.
///
/// # Errors
/// When there is no pip, or it cannot have uv.
pub(crate) fn install_uv(
    build: &Build,
    (python, needed): (&Path, &Environment),
    into: &Path,
) -> Result<PathBuf, Failure> {
    let mut env = build.env.clone();
    for (name, value) in needed {
        env.insert(name.clone(), value.clone());
    }
    let Some(pip) = pip(build, python, &env)? else {
        return Err(errors::no_pip(&python.display().to_string()).into());
    };
    let pip: Vec<&OsStr> = pip.iter().map(OsString::as_os_str).collect();
    let secrets = Config::of(build)?.secrets;
    let text = format!("Fetching uv {} with {}'s pip", uv_wheel::VERSION, python.display());
    let install = || uv_wheel::install(python, &pip, (&env, &secrets), into, &build.log);
    match build.log.timed(text, install) {
        Ok(uv) => Ok(uv),
        Err(NotInstalled::Pip(failure)) => Err(errors::no_uv(&failure).into()),
        Err(NotInstalled::Other(failure)) => Err(failure),
    }
}

/// What the interpreter is given to run pip: its own, the one that it could install, Debian's.
fn pip(build: &Build, python: &Path, env: &Environment) -> Result<Option<Vec<OsString>>, Failure> {
    let ask = |args: &[&str]| Tool::new(python, env).args(args).run(&build.log);
    if ask(&["-m", "pip", "--version"]).is_ok() {
        return Ok(Some(vec!["-m".into(), "pip".into()]));
    }
    let bundled = ask(&["-c", BUNDLED]).unwrap_or_default();
    // What the app's own `sitecustomize` prints comes first.
    let bundled = bundled.lines().next_back().unwrap_or_default();
    for dir in [bundled, DEBIANS].into_iter().filter(|it| !it.is_empty()).map(Path::new) {
        let wheels = names(dir)?;
        let is_pip = |it: &&String| it.starts_with("pip-") && it.ends_with(".whl");
        if let Some(wheel) = wheels.iter().rfind(is_pip) {
            return Ok(Some(vec![dir.join(wheel).join("pip").into()]));
        }
    }
    Ok(None)
}
