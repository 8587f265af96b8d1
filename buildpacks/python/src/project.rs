//! What kind of Python project the app is: which file lists its packages. Nothing here needs an interpreter.

use crate::errors;
use buildpack::{Context, Failure, Log};

/// Where the app's packages are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// One or several requirements files.
    Requirements(Vec<String>),
    /// `uv.lock` beside `pyproject.toml`.
    UvLock,
    /// `pyproject.toml` alone.
    Pyproject,
}

impl Source {
    /// The file's name for people.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Requirements(files) => files.join(" and "),
            Self::UvLock => "uv.lock".to_owned(),
            Self::Pyproject => "pyproject.toml".to_owned(),
        }
    }
}

/// What `pyproject.toml` says that matters here.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Pyproject {
    pub(crate) requires_python: Option<String>,
    /// `project.dependencies`; `None` where there is no such list (it may be dynamic).
    pub(crate) dependencies: Option<Vec<String>>,
    pub(crate) has_project: bool,
    tools: Vec<String>,
}

/// Reads `pyproject.toml`; `None` when it is not there.
pub(crate) fn pyproject(context: &Context) -> Result<Option<Pyproject>, Failure> {
    let Some(bytes) = context.read_app("pyproject.toml")? else { return Ok(None) };
    let table: toml::Table = toml::from_str(&String::from_utf8_lossy(&bytes))
        .map_err(|error| errors::not_toml("pyproject.toml", error.to_string().trim_end()))?;
    let project = table.get("project").and_then(toml::Value::as_table);
    let list = |value: &toml::Value| {
        let texts = value.as_array()?.iter().filter_map(|it| it.as_str().map(str::to_owned));
        Some(texts.collect::<Vec<_>>())
    };
    Ok(Some(Pyproject {
        requires_python: project
            .and_then(|it| it.get("requires-python"))
            .and_then(toml::Value::as_str)
            .map(str::to_owned),
        dependencies: project.and_then(|it| it.get("dependencies")).and_then(list),
        has_project: project.is_some(),
        tools: table
            .get("tool")
            .and_then(toml::Value::as_table)
            .map(|it| it.keys().cloned().collect())
            .unwrap_or_default(),
    }))
}

/// Finds the source of the app's packages; `None` when the app is not one in Python.
///
/// Detection is wider than what can be built, so that a user hears why instead of "nothing passed detection".
pub(crate) fn find(context: &Context, pyproject: Option<&Pyproject>) -> Result<Option<Source>, Failure> {
    if let Some(given) = context.var("BP_PIP_REQUIREMENT") {
        return given_requirements(context, given).map(Some);
    }
    let has = |name: &str| context.app.join(name).is_file();
    let (requirements, uv_lock) = (has("requirements.txt"), has("uv.lock"));
    let project = pyproject.is_some_and(|it| it.has_project);
    match (requirements, uv_lock) {
        (true, true) => both_lists(context).map(Some),
        (_, true) if pyproject.is_none() => Err(errors::uv_lock_alone().into()),
        (_, true) => Ok(Some(Source::UvLock)),
        (true, false) => {
            compare_with_pyproject(context, pyproject)?;
            other_managers(context, pyproject, &context.log);
            Ok(Some(Source::Requirements(vec!["requirements.txt".to_owned()])))
        }
        (false, false) => {
            if let Some((manager, file)) = not_yet(context, pyproject) {
                return Err(errors::not_yet(manager, file).into());
            }
            match project {
                true => Ok(Some(Source::Pyproject)),
                false => no_list(context),
            }
        }
    }
}

fn given_requirements(context: &Context, given: &str) -> Result<Source, Failure> {
    let files: Vec<String> = given.split_whitespace().map(str::to_owned).collect();
    match files.iter().find(|it| !context.app.join(it).is_file()) {
        Some(missing) => Err(errors::given_requirements_missing(missing).into()),
        None => Ok(Source::Requirements(files)),
    }
}

/// `requirements.txt` beside `uv.lock` is fine when it says that it was exported from it.
fn both_lists(context: &Context) -> Result<Source, Failure> {
    let text = context.read_app("requirements.txt")?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    if text.lines().take(5).any(|line| line.starts_with('#') && line.contains("uv export")) {
        context.log.step("requirements.txt says that it is exported from uv.lock: uv.lock is used");
        return Ok(Source::UvLock);
    }
    Err(errors::two_lists("requirements.txt", "uv.lock").into())
}

/// A `pyproject.toml` that lists a package which `requirements.txt` lacks: one of them is out of date.
fn compare_with_pyproject(context: &Context, pyproject: Option<&Pyproject>) -> Result<(), Failure> {
    let Some(listed) = pyproject.and_then(|it| it.dependencies.as_ref()) else { return Ok(()) };
    let read = crate::requirements::read(&context.app, &["requirements.txt".to_owned()])?;
    // `.` or `-e .` takes in what pyproject.toml lists.
    if read.installs_app() {
        return Ok(());
    }
    let names = read.names();
    let missing: Vec<&str> = listed
        .iter()
        .filter(|it| !crate::requirements::name_of(it).is_some_and(|name| names.contains(&name)))
        .map(String::as_str)
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(errors::requirements_lack(&missing).into()) }
}

/// What is recognised and cannot be installed yet, with the file that shows it.
const NOT_YET: &[(&str, &str)] = &[
    ("Poetry", "poetry.lock"),
    ("PDM", "pdm.lock"),
    ("Pipenv", "Pipfile.lock"),
    ("Pipenv", "Pipfile"),
    ("conda", "environment.yml"),
    ("conda", "environment.yaml"),
    ("conda", "conda-lock.yml"),
    ("Pixi", "pixi.lock"),
    ("Pixi", "pixi.toml"),
    ("PEP 751", "pylock.toml"),
    ("setuptools", "setup.py"),
];

fn not_yet(context: &Context, pyproject: Option<&Pyproject>) -> Option<(&'static str, &'static str)> {
    let standard = pyproject.is_some_and(|it| it.has_project);
    let by_file = NOT_YET
        .iter()
        .find(|(manager, file)| context.app.join(file).is_file() && !(*manager == "setuptools" && standard));
    // Newer Poetry and PDM can list packages in the standard table, which is enough for us.
    let by_tool = || {
        let pyproject = pyproject.filter(|it| it.dependencies.is_none())?;
        [("Poetry", "poetry"), ("PDM", "pdm")]
            .into_iter()
            .find(|(_, tool)| pyproject.tools.iter().any(|it| it == tool))
            .map(|(manager, _)| (manager, "pyproject.toml"))
    };
    by_file.copied().or_else(by_tool)
}

fn other_managers(context: &Context, pyproject: Option<&Pyproject>, log: &Log) {
    if let Some((manager, file)) = not_yet(context, pyproject).filter(|(manager, _)| *manager != "setuptools")
    {
        log.step(format_args!("{file} ({manager}) is not read; requirements.txt is what is installed"));
    }
}

/// Names that were surely meant to be `requirements.txt`.
/// The first ones are what <https://github.com/heroku/buildpacks-python/blob/f81d0dc/src/detect.rs> has met.
const MISSPELT: &[&str] = &[
    "requirement.txt",
    "requirments.txt",
    "requirments.txt.txt",
    "requeriments.txt",
    "requirements.txt.txt",
    "requirements",
    "requirements.text",
    "requirements.tx",
    "requirement",
    "requiremets.txt",
    "requirments",
    "requirement.text",
    "requriements.txt",
    "requierments.txt",
    "requirements .txt",
    "Requirements",
    "reqs.txt",
    "requirements.py",
];

fn no_list(context: &Context) -> Result<Option<Source>, Failure> {
    let mut scripts = Vec::new();
    for entry in fs_err::read_dir(&context.app)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let misspelt = MISSPELT.contains(&name.as_str()) || name.eq_ignore_ascii_case("requirements.txt");
        if misspelt && context.app.join(&name).is_file() {
            return Err(errors::misspelt(&name).into());
        }
        if name.ends_with(".py") {
            scripts.push(name);
        }
    }
    scripts.sort();
    match scripts.first() {
        // An error and not a mere "no": a platform shows it. In an app of another language that one passes all the same.
        Some(first) => Err(errors::no_marker(first, scripts.len()).into()),
        None => Ok(None),
    }
}
