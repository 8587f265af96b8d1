//! The Python buildpack: finds out what the app needs, installs it with uv, and says how the app is started.
//! It does not fetch interpreters that Debian has (the base does), knows no agent, and never imports the app.
//! Open the two functions below next: they are the story; each line of them is a file.

mod candidates;
mod cpython;
mod errors;
mod explain;
mod inventory;
mod paketo;
mod project;
mod requirements;
mod resolve;
mod scan;
mod servers;
mod specifier;
mod start;
mod traces;
mod uv;
mod venv;
mod version;

use buildpack::program::require;
use buildpack::{Build, Built, Detect, Detected, Failure, LaunchToml, Program, lock};
use inventory::Inventory;
use std::process::ExitCode;
use version::Origin;

fn main() -> ExitCode {
    buildpack::run(&Program { detect, build })
}

/// Passes where the app lists its packages, and asks the base for the interpreter. Recognises more than can be built,
/// so that the user hears why not.
fn detect(context: &Detect) -> Result<Detected, Failure> {
    let pyproject = project::pyproject(context)?;
    let Some(source) = project::find(context, pyproject.as_ref())? else {
        context.log.step("no requirements.txt, uv.lock, pyproject.toml or other sign of a Python app");
        return Ok(Detected::Fail);
    };
    let inventory = Inventory::of(context)?;
    let python = version::choose(context, &inventory, pyproject.as_ref())?;
    let debian = debian_packages(context, &source, &python, &inventory)?;
    let mut wish = toml::Table::new();
    wish.insert("version".to_owned(), python.minor.clone().into());
    Ok(Detected::with(&["python"], vec![require("python", wish), require("debian", debian)]))
}

/// What the base must have: the interpreter, and pip while the app is built.
fn debian_packages(
    context: &Detect,
    source: &project::Source,
    python: &version::Python,
    inventory: &Inventory,
) -> Result<toml::Table, Failure> {
    let minor = python.build_minor(inventory);
    // The two that `python3.13` consists of: it adds 0.7 MB of news, and nothing else.
    let interpreter = [format!("libpython{minor}-stdlib"), format!("python{minor}-minimal")];
    let run = match python.origin {
        Origin::Debian(_) => interpreter.to_vec(),
        Origin::Standalone(_) => Vec::new(),
    };
    let mut build = [&interpreter[..], &["python3-pip-whl".to_owned()]].concat();
    if resolve::uses_git(context, source)? {
        build.push("git".to_owned());
    }
    let mut metadata = toml::Table::new();
    metadata.insert("release".to_owned(), python.release(inventory).into());
    metadata.insert("build".to_owned(), build.into());
    metadata.insert("run".to_owned(), run.into());
    Ok(metadata)
}

fn build(build: &Build) -> Result<Built, Failure> {
    build.log.heading("Python");
    paketo::tell(build);
    let inventory = Inventory::of(build)?;
    let pyproject = project::pyproject(build)?;
    let Some(source) = project::find(build, pyproject.as_ref())? else {
        return Ok(Built::default());
    };
    let python = version::choose(build, &inventory, pyproject.as_ref())?;
    build.log.step(format_args!("{} ({})", python.description(), python.because));
    python.notice.iter().for_each(|it| build.log.warning(it));

    let debian = uv::debian_python(build, python.build_minor(&inventory));
    venv::check_interpreter(&debian, python.build_minor(&inventory))?;
    let interpreter = match &python.origin {
        Origin::Debian(_) => debian.clone(),
        Origin::Standalone(it) => cpython::open(build, it, inventory.mirror(build), &debian)?,
    };
    let listed = resolve::listed(build, source, pyproject.as_ref())?;
    let start = start::find(build, &listed, &interpreter, &python.minor)?;
    start.log(build);
    let mut installer = uv::Installer::open(build, debian)?;
    installer.adopt(&listed.requirements);

    let traces = traces::Traces::before(&build.app, &listed)?;
    let question = resolve::Question {
        listed: &listed,
        minor: &python.minor,
        interpreter: &interpreter,
        added: &start.added,
        choice: &installer.choice().key,
    };
    let pins = question.answer(&installer, build, lock::effective_in_build(build)?.as_ref())?;
    let wanted = venv::Wanted {
        python: &python,
        interpreter: &interpreter,
        pins: &pins,
        listed: &listed,
        question: &question,
    };
    venv::open(build, &installer, &wanted)?;
    traces.remove_new()?;
    lock::write_fragment(&build.layers, &resolve::Fragment { python: pins })?;
    buildpack::paketo::environment(build)?;
    let labels = buildpack::paketo::labels(build)?;
    Ok(Built {
        launch: LaunchToml { processes: start.processes(), labels, ..LaunchToml::default() },
        ..Built::default()
    })
}
