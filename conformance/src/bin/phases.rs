//! The phases as programs, as far as the cases need them: `phases [--mutant NAME] detector|builder|launcher [ARG...]`.
//!
//! They take their directories and files from the variables of the Platform API and answer with its exit codes, so the
//! same cases can be run against another lifecycle's programs.

use conformance::mutants::{self, Mutant};
use conformance::plain::Plain;
use lifecycle::{
    BuildRequest, Catalogue, DetectError, DetectRequest, Dir, Dirs, Event, Events, Kind, Runner, build,
    detect,
};
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut mutant = mutants::NONE;
    if args.first().is_some_and(|it| it == "--mutant") {
        let name = args.get(1).map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
        match mutants::find(&name) {
            Some(found) => mutant = found,
            None => return fail(3, &format!("there is no mutant `{name}`")),
        }
        args.drain(..2);
    }
    let phase = if args.is_empty() { OsString::new() } else { args.remove(0) };
    match phase.to_str() {
        Some("detector") => answer(detector(&mutant)),
        Some("builder") => answer(builder(&mutant)),
        Some("launcher") => answer(launch(&mutant, &args)),
        _ => fail(3, "which phase? detector, builder or launcher"),
    }
}

type Outcome = Result<(), (u8, String)>;

fn answer(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, text)) => fail(code, &text),
    }
}

fn fail(code: u8, text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "ERROR: {text}");
    ExitCode::from(code)
}

fn generic(code: u8) -> impl Fn(String) -> (u8, String) {
    move |text| (code, text)
}

fn path(variable: &str) -> Result<PathBuf, (u8, String)> {
    std::env::var_os(variable).map(PathBuf::from).ok_or_else(|| (3, format!("{variable} is not set")))
}

/// Shows what programs print, and warnings.
struct Shown;

impl Events for Shown {
    fn event(&self, event: &Event<'_>) {
        let mut out = std::io::stderr().lock();
        let _ = match event {
            Event::Output { bytes, .. } => out.write_all(bytes),
            Event::Warning(text) => writeln!(out, "WARNING: {text}"),
            Event::GroupFailed { members, reason } => writeln!(out, "{}: {reason}", members.join(", ")),
            _ => Ok(()),
        };
    }
}

struct Setup {
    dirs: Dirs,
    catalogue: Catalogue,
    _work: tempfile::TempDir,
}

fn setup() -> Result<Setup, (u8, String)> {
    let work = tempfile::tempdir().map_err(|it| (3, it.to_string()))?;
    let dirs = Dirs {
        app: Dir::same(path("CNB_APP_DIR")?),
        layers: Dir::same(path("CNB_LAYERS_DIR")?),
        platform: Dir::same(path("CNB_PLATFORM_DIR")?),
        build_config: std::env::var_os("CNB_BUILD_CONFIG_DIR").map(|it| Dir::same(PathBuf::from(it))),
        work: Dir::same(work.path()),
        owner: None,
    };
    let mut catalogue = Catalogue::new();
    for (kind, variable) in [(Kind::Buildpack, "CNB_BUILDPACKS_DIR"), (Kind::Extension, "CNB_EXTENSIONS_DIR")]
    {
        catalogue.add_all(kind, &Dir::same(path(variable)?)).map_err(|it| (3, it.to_string()))?;
    }
    Ok(Setup { dirs, catalogue, _work: work })
}

fn read<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T, (u8, String)> {
    let text = fs_err::read_to_string(file).map_err(|it| (3, it.to_string()))?;
    cnb::parse(&file.display().to_string(), &text).map_err(|it| (3, it.to_string()))
}

fn write<T: serde::Serialize>(file: &Path, value: &T) -> Outcome {
    let text = cnb::print(value).map_err(|it| (3, it.to_string()))?;
    fs_err::write(file, text).map_err(|it| (3, it.to_string()))
}

fn detector(mutant: &Mutant) -> Outcome {
    let setup = setup()?;
    let mut order = read(&path("CNB_ORDER_PATH")?)?;
    (mutant.order)(&mut order);
    let env = std::env::vars_os().collect();
    let request = DetectRequest {
        dirs: &setup.dirs,
        catalogue: &setup.catalogue,
        order: &order,
        target: None,
        exec_env: "production",
        env: &env,
        semantics: mutant.semantics,
    };
    let runner: &dyn Runner = &Plain;
    let detected = detect(&request, runner, &Shown).map_err(|error| match &error {
        DetectError::NothingPassed { .. } if error.is_a_buildpacks_fault() => (21, error.to_string()),
        DetectError::NothingPassed { .. } => (20, error.to_string()),
        _ => (22, error.to_string()),
    })?;
    write(&path("CNB_GROUP_PATH")?, &detected.group)?;
    write(&path("CNB_PLAN_PATH")?, &detected.plan)
}

fn builder(mutant: &Mutant) -> Outcome {
    let setup = setup()?;
    let group = read(&path("CNB_GROUP_PATH")?)?;
    let plan = read(&path("CNB_PLAN_PATH")?)?;
    let env = std::env::vars_os().collect();
    let request = BuildRequest {
        dirs: &setup.dirs,
        catalogue: &setup.catalogue,
        group: &group,
        plan: &plan,
        target: None,
        exec_env: "production",
        env: &env,
        semantics: mutant.semantics,
    };
    build(&request, &Plain, &Shown).map(|_| ()).map_err(|error| match error {
        lifecycle::BuildError::Failed { .. } => (51, error.to_string()),
        other => (52, other.to_string()),
    })
}

/// The first argument is the name by which the launcher is called.
fn launch(mutant: &Mutant, argv: &[OsString]) -> Outcome {
    let fail = |error: launcher::LaunchError| (u8::try_from(error.code().0).unwrap_or(82), error.to_string());
    let mut world = launcher::World::from_environment(std::env::vars_os().collect()).map_err(fail)?;
    world.apply_env = mutant.semantics.apply_env;
    std::env::set_current_dir(&world.app).map_err(|it| generic(82)(it.to_string()))?;
    let start = launcher::prepare(&world, argv, &mut launcher::exec_d::run).map_err(fail)?;
    Err(fail(start.exec()))
}
