//! `BP_*` variables of Paketo's Python buildpacks: obeyed, or refused aloud. Never ignored in silence.

use buildpack::Build;

/// Variables that are obeyed.
const OBEYED: &[&str] = &["BP_CPYTHON_VERSION", "BP_PIP_REQUIREMENT"];

/// Variables that have no meaning here, and what to use instead.
const REFUSED: &[(&str, &str)] = &[
    ("BP_CONDA_SOLVER", "conda is not supported yet"),
    ("BP_CPYTHON_CONFIGURE_FLAGS", "Python is not compiled here"),
    ("BP_CPYTHON_RM_SETUPTOOLS", "no setuptools is installed unless the app lists it"),
    ("BP_PIPENV_VERSION", "Pipenv is not supported yet"),
    ("BP_PIP_DEST_PATH", "wheels of your own: PIP_FIND_LINKS"),
    ("BP_PIP_FIND_LINKS", "use PIP_FIND_LINKS"),
    ("BP_PIP_VERSION", "uv installs the packages; its version is part of this buildpack"),
    ("BP_POETRY_RUN_TARGET", "Poetry is not supported yet"),
    ("BP_POETRY_VERSION", "Poetry is not supported yet"),
    ("BP_PYTHON_VERSION", "use BP_CPYTHON_VERSION"),
    ("BP_UV_FIND_LINKS", "use UV_FIND_LINKS"),
    ("BP_UV_INSTALL_GROUPS", "only the main dependencies are installed"),
    ("BP_UV_VERSION", "its version is part of this buildpack"),
];

/// Says which variables are set and have no effect.
pub(crate) fn tell(build: &Build) {
    buildpack::paketo::tell(build, OBEYED, REFUSED);
}
