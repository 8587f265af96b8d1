//! `BP_*` variables that users of other buildpacks set: obeyed, or refused aloud. Never ignored in silence.

use buildpack::Build;

/// Variables of Paketo's Python buildpacks that have no meaning here, and what to use instead.
/// `BP_PIP_REQUIREMENT` and `BP_CPYTHON_VERSION` are obeyed.
const REFUSED: &[(&str, &str)] = &[
    ("BP_PIP_VERSION", "uv installs the packages; its version is part of this buildpack"),
    ("BP_PIP_DEST_PATH", "wheels of your own: PIP_FIND_LINKS"),
    ("BP_PIP_FIND_LINKS", "use PIP_FIND_LINKS"),
    ("BP_UV_FIND_LINKS", "use UV_FIND_LINKS"),
    ("BP_UV_VERSION", "its version is part of this buildpack"),
    ("BP_UV_INSTALL_GROUPS", "only the main dependencies are installed"),
    ("BP_CPYTHON_RM_SETUPTOOLS", "no setuptools is installed unless the app lists it"),
    ("BP_CPYTHON_CONFIGURE_FLAGS", "Python is not compiled here"),
    ("BP_POETRY_VERSION", "Poetry is not supported yet"),
    ("BP_POETRY_RUN_TARGET", "Poetry is not supported yet"),
    ("BP_PIPENV_VERSION", "Pipenv is not supported yet"),
    ("BP_CONDA_SOLVER", "conda is not supported yet"),
    ("BP_LIVE_RELOAD_ENABLED", "there is no live reload yet"),
];

/// Says which variables are set and have no effect.
pub(crate) fn tell(build: &Build) {
    for (name, instead) in REFUSED {
        if build.var(name).is_some() {
            build.log.warning(format_args!("{name} has no effect: {instead}"));
        }
    }
}
