//! One run of one buildpack or extension: arguments, environment, files in and out.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#buildpack-interface>

use crate::beneath::{Beneath, BeneathError};
use crate::catalogue::{Kind, Known};
use crate::dirs::{Dir, Dirs};
use crate::environment::{ClearEnv, Variables};
use crate::events::{Event, Events};
use crate::runner::{ExitStatus, Invocation, Phase, RunError, Runner};
use crate::semantics::{Semantics, Verdict};
use crate::target;
use cnb::analyzed::TargetData;
use cnb::env::Environment;
use cnb::plan::{Alternative, BuildPlan, BuildpackPlan, Require};
use std::path::{Path, PathBuf};

/// What is printed in a detection is kept for the report of a failure, this much of each.
const MOST_OUTPUT: usize = 256 << 10;

/// What all runs of one phase have in common.
#[derive(Clone, Copy)]
pub(crate) struct Room<'a> {
    pub(crate) dirs: &'a Dirs,
    pub(crate) target: Option<&'a TargetData>,
    pub(crate) exec_env: &'a str,
    pub(crate) runner: &'a dyn Runner,
    pub(crate) events: &'a dyn Events,
    pub(crate) semantics: Semantics,
}

/// What a `bin/detect` answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) verdict: Verdict,
    pub(crate) plan: BuildPlan,
    pub(crate) output: Vec<u8>,
}

impl Answer {
    pub(crate) fn without_asking(verdict: Verdict) -> Self {
        Self { verdict, plan: BuildPlan::default(), output: Vec::new() }
    }
}

/// Runs `bin/detect`; whatever goes wrong is the verdict of this buildpack alone.
pub(crate) fn detect(room: Room<'_>, known: &Known, variables: &Variables) -> Answer {
    match try_detect(room, known, variables) {
        Ok(answer) => answer,
        Err(reason) => Answer::without_asking(Verdict::Error(reason)),
    }
}

fn try_detect(room: Room<'_>, known: &Known, variables: &Variables) -> Result<Answer, String> {
    if known.kind == Kind::Extension
        && let Some(plan) = ready_made_plan(known)?
    {
        return Ok(judged(known, Answer { plan, ..Answer::without_asking(Verdict::Pass) }));
    }
    let handed = handed(room.dirs, "detect", known).map_err(|it| it.to_string())?;
    handed.open.write("plan.toml", b"", room.dirs.owner).map_err(|it| it.to_string())?;
    let plan_path = handed.dir.inside.join("plan.toml");
    let mut env = variables.for_program(ClearEnv::from(known.about.clear_env));
    inputs(&mut env, room, known, &[("CNB_BUILD_PLAN_PATH", &plan_path)]);
    let mut output = Vec::new();
    let invocation = Invocation {
        who: known.full_name(),
        phase: Phase::Detect,
        program: known.dir.inside.join("bin/detect"),
        args: vec![room.dirs.platform.inside.clone().into(), plan_path.into()],
        env,
        cwd: room.dirs.app.inside.clone(),
    };
    let status = run(room, &invocation, Some(&mut output)).map_err(|it| format!("bin/detect {it}"))?;
    let verdict = (room.semantics.verdict)(status);
    let plan = match verdict {
        Verdict::Pass => read_plan(&handed.open, "plan.toml"),
        _ => Ok(BuildPlan::default()),
    };
    let _ = handed.parent.remove(&handed.name);
    Ok(match plan {
        Ok(plan) => judged(known, Answer { verdict, plan, output }),
        Err(reason) => Answer { verdict: Verdict::Error(reason), plan: BuildPlan::default(), output },
    })
}

/// An extension without `bin/detect` passes, with the plan that lies in `detect/`.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/image_extension.md#detection>
fn ready_made_plan(known: &Known) -> Result<Option<BuildPlan>, String> {
    let read = || -> Result<Option<Option<Beneath>>, BeneathError> {
        let root = Beneath::open(&known.dir)?;
        let program = match root.dir("bin")? {
            Some(bin) => bin.kind("detect")?.is_some(),
            None => false,
        };
        if program { Ok(None) } else { Ok(Some(root.dir("detect")?)) }
    };
    match read().map_err(|it| it.to_string())? {
        None => Ok(None),
        Some(None) => Ok(Some(BuildPlan::default())),
        Some(Some(detect)) => read_plan(&detect, "plan.toml").map(Some),
    }
}

fn read_plan(dir: &Beneath, file: &str) -> Result<BuildPlan, String> {
    let bytes = dir.read(file).map_err(|it| it.to_string())?.unwrap_or_default();
    let text = String::from_utf8(bytes).map_err(|_| "the build plan is not UTF-8".to_owned())?;
    cnb::parse("the build plan", &text).map_err(|it| it.to_string())
}

/// A plan that breaks a rule is an error of its author.
fn judged(known: &Known, mut answer: Answer) -> Answer {
    let plan = &mut answer.plan;
    let wrong = std::iter::once(&mut plan.first).chain(&mut plan.or).find_map(|it| check(known, it));
    if let Some(reason) = wrong {
        answer.verdict = Verdict::Error(reason);
    }
    answer
}

fn check(known: &Known, plan: &mut Alternative) -> Option<String> {
    if known.kind == Kind::Extension && !plan.requires.is_empty() {
        return Some("the build plan has `requires`, which an extension may not have".to_owned());
    }
    let unnamed = plan.provides.iter().any(|it| it.name.is_empty())
        || plan.requires.iter().any(|it| it.name.is_empty());
    if unnamed {
        return Some("the build plan has an entry without a name".to_owned());
    }
    plan.requires.iter_mut().find_map(|it| move_version(known, it))
}

/// `version` beside `name` is how old buildpacks said `metadata.version`.
fn move_version(known: &Known, require: &mut Require) -> Option<String> {
    if require.version.is_empty() {
        return None;
    }
    let name = &require.name;
    if !known.features.requires_version {
        return Some(format!(
            "the build plan requires `{name}` with a `version`, which Buildpack API {} does not have; write it as \
             `metadata.version`",
            known.api
        ));
    }
    if require.metadata.contains_key("version") {
        return Some(format!(
            "the build plan requires `{name}` with both `version` and `metadata.version`; keep the latter"
        ));
    }
    let version = toml::Value::String(std::mem::take(&mut require.version));
    require.metadata.insert("version".to_owned(), version);
    None
}

/// Runs `bin/build`; the layers directory of the buildpack is there already.
pub(crate) fn build(
    room: Room<'_>,
    known: &Known,
    variables: &Variables,
    plan: &BuildpackPlan,
) -> Result<Result<ExitStatus, RunError>, BeneathError> {
    let handed = handed(room.dirs, "build", known)?;
    let text = cnb::print(plan).map_err(|error| BeneathError::Io {
        path: handed.dir.inside.join("plan.toml"),
        source: std::io::Error::other(error),
    })?;
    handed.open.write("plan.toml", text.as_bytes(), room.dirs.owner)?;
    let plan_path = handed.dir.inside.join("plan.toml");
    let layers = room.dirs.layers.inside.join(cnb::id::escape(&known.about.id));
    let mut env = variables.for_program(ClearEnv::from(known.about.clear_env));
    inputs(&mut env, room, known, &[("CNB_BP_PLAN_PATH", &plan_path), ("CNB_LAYERS_DIR", &layers)]);
    let invocation = Invocation {
        who: known.full_name(),
        phase: Phase::Build,
        program: known.dir.inside.join("bin/build"),
        args: vec![layers.into(), room.dirs.platform.inside.clone().into(), plan_path.into()],
        env,
        cwd: room.dirs.app.inside.clone(),
    };
    let status = run(room, &invocation, None);
    let _ = handed.parent.remove(&handed.name);
    Ok(status)
}

/// Arguments go to every API, since published buildpacks read them; variables to those that have them.
fn inputs(env: &mut Environment, room: Room<'_>, known: &Known, own: &[(&str, &PathBuf)]) {
    let root = match known.kind {
        Kind::Buildpack => "CNB_BUILDPACK_DIR",
        Kind::Extension => "CNB_EXTENSION_DIR",
    };
    env.insert(root.into(), known.dir.inside.clone().into());
    if known.features.inputs_as_variables {
        env.insert("CNB_PLATFORM_DIR".into(), room.dirs.platform.inside.clone().into());
        for (name, path) in own {
            env.insert((*name).into(), (*path).into());
        }
    }
    if known.features.target_variables
        && let Some(target) = room.target
    {
        target::variables(env, target);
    }
    if known.features.exec_env && !room.exec_env.is_empty() {
        env.insert("CNB_EXEC_ENV".into(), room.exec_env.into());
    }
}

fn run(
    room: Room<'_>,
    invocation: &Invocation,
    mut kept: Option<&mut Vec<u8>>,
) -> Result<ExitStatus, RunError> {
    let (who, phase) = (invocation.who.as_str(), invocation.phase);
    room.events.event(&Event::Started { who, phase });
    let result = room.runner.run(invocation, &mut |stream, bytes| {
        if let Some(kept) = &mut kept {
            let space = MOST_OUTPUT.saturating_sub(kept.len()).min(bytes.len());
            kept.extend_from_slice(&bytes[..space]);
        }
        room.events.event(&Event::Output { who, phase, stream, bytes });
    });
    room.events.event(&Event::Finished { who, phase });
    result
}

/// A directory of its own through which a program is handed files.
struct Handed {
    parent: Beneath,
    name: String,
    open: Beneath,
    dir: Dir,
}

fn handed(dirs: &Dirs, phase: &str, known: &Known) -> Result<Handed, BeneathError> {
    let parent = Beneath::open(&dirs.work)?;
    let about = &known.about;
    let kind = known.kind.word();
    let name = format!("{phase}-{kind}-{}@{}", cnb::id::escape(&about.id), about.version);
    parent.remove(&name)?;
    let open = parent.make_dir(&name, dirs.owner)?;
    let dir = dirs.work.join(Path::new(&name));
    Ok(Handed { parent, name, open, dir })
}
