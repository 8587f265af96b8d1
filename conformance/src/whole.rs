//! Cases of whole builds: what a platform lays out, the programs that it starts one after the other, and what is looked
//! at in the image, the layers and the files that they leave.

use crate::case::{self, Difference};
use crate::outcome::{self, Outcome};
use crate::programs::{self, PLATFORM_API, Programs};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::{Command, Output};

/// The name of the image that is made.
pub const APP: &str = "registry.example/team/app:1";

/// One case, as its TOML file says it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whole {
    /// What it shows, in a sentence.
    pub says: String,
    /// Mutants that must fail this case; at least one.
    pub mutants: Vec<String>,
    /// Buildpacks by id; the version of each is 1.0.0.
    #[serde(default)]
    pub buildpack: BTreeMap<String, Buildpack>,
    /// The groups; none: one with every buildpack.
    #[serde(default)]
    pub order: Vec<Vec<String>>,
    /// More files of the room.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// More variables for the programs.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The Platform API; empty: the one that all lifecycles under test speak.
    #[serde(default)]
    pub platform_api: String,
    /// What is done; none: one build.
    #[serde(default)]
    pub steps: Vec<String>,
    /// What must come out.
    pub expect: Expect,
}

/// A buildpack of a whole build.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Buildpack {
    /// Its Buildpack API; empty: 0.10.
    pub api: String,
    /// Lines of `bin/detect`; none: it passes.
    pub detect: String,
    /// Lines of `bin/build`; `@NAME` is the file of that name in `cases/fixtures`.
    pub build: String,
    /// More lines of `buildpack.toml`, in the table `[buildpack]`.
    pub toml: String,
}

/// What must come out. Keys are paths into the outcome: names with ` > ` between them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// The exit code of the last step.
    pub exit: i32,
    /// What has this value; `<any>` stands for any, `<none>` for no value at all.
    pub is: BTreeMap<String, Value>,
    /// Lists, objects or texts that have each of these.
    pub has: BTreeMap<String, Vec<Value>>,
    /// The same that have none of these.
    pub lacks: BTreeMap<String, Vec<Value>>,
    /// What is as it was at the step `keep`.
    pub same: Vec<String>,
    /// What is not.
    pub differs: Vec<String>,
}

/// Runs a case in an empty `room`.
///
/// # Errors
/// When it can't be laid out or run.
pub fn run(case: &Whole, programs: &Programs, room: &Path) -> io::Result<Difference> {
    match play(case, programs, room)? {
        Ok(outcome) => Ok(compare(case, &outcome, room)),
        Err(difference) => Ok(Some(difference)),
    }
}

/// Runs a case up to its end and says what came out, or which step was the last.
///
/// # Errors
/// When it can't be laid out or run.
pub fn play(case: &Whole, programs: &Programs, room: &Path) -> io::Result<Result<Outcome, String>> {
    lay_out(case, room)?;
    programs.place(room)?;
    let default = ["build".to_owned()];
    let steps = if case.steps.is_empty() { &default } else { &case.steps[..] };
    let env = case.env.clone();
    let mut play = Play { case, programs, room, env, outcome: Outcome::default() };
    for (at, step) in steps.iter().enumerate() {
        let last = at + 1 == steps.len();
        let wanted = if last { case.expect.exit } else { 0 };
        if let Some(output) = play.step(step)? {
            play.outcome.exit = output.status.code().unwrap_or(-1);
            if play.outcome.exit != wanted {
                return Ok(Err(format!("`{step}`: {}", case::wrong_exit(&output, wanted))));
            }
        }
    }
    play.outcome.now = outcome::read(room)?;
    Ok(Ok(play.outcome))
}

struct Play<'a> {
    case: &'a Whole,
    programs: &'a Programs,
    room: &'a Path,
    /// Those of the case, and what steps have set since.
    env: BTreeMap<String, String>,
    outcome: Outcome,
}

impl Play<'_> {
    /// The output of what was started last, as far as it says how the step ended.
    fn step(&mut self, step: &str) -> io::Result<Option<Output>> {
        let step = fill(step, self.room);
        match step.split_once(' ').unwrap_or((&step, "")) {
            ("build", _) => self.phases().map(Some),
            ("next", _) => {
                fs_err::remove_dir_all(self.room.join("layers"))?;
                fs_err::create_dir(self.room.join("layers"))?;
                self.phases().map(Some)
            }
            ("keep", _) => {
                self.outcome.kept = outcome::read(self.room)?;
                Ok(None)
            }
            ("set", variable) => {
                let (name, value) = variable.split_once(' ').unwrap_or((variable, ""));
                self.env.insert(name.to_owned(), value.to_owned());
                Ok(None)
            }
            ("sh", line) => {
                let mut shell = Command::new("/bin/sh");
                let output = shell.args(["-e", "-c", line]).current_dir(self.room).output()?;
                if output.status.success() { Ok(None) } else { Ok(Some(output)) }
            }
            ("launch", words) => self.launch(words).map(Some),
            (program, args) => self.program(program, &split(args)).map(Some),
        }
    }

    fn phases(&self) -> io::Result<Output> {
        let phases: [(&str, &[&str]); 5] = [
            ("analyzer", &[APP]),
            ("detector", &[]),
            ("restorer", &[]),
            ("builder", &[]),
            ("exporter", &[APP]),
        ];
        let mut last = None;
        for (program, args) in phases {
            let output = self.program(program, args)?;
            let failed = !output.status.success();
            last = Some(output);
            if failed {
                break;
            }
        }
        last.ok_or_else(|| io::Error::other("no phase"))
    }

    fn program(&self, program: &str, args: &[&str]) -> io::Result<Output> {
        let mut command = self.programs.command(self.room, program, program)?;
        for (name, path) in [
            ("CNB_APP_DIR", "app"),
            ("CNB_LAYERS_DIR", "layers"),
            ("CNB_PLATFORM_DIR", "platform"),
            ("CNB_BUILD_CONFIG_DIR", "config"),
            ("CNB_BUILDPACKS_DIR", "buildpacks"),
            ("CNB_EXTENSIONS_DIR", "extensions"),
            ("CNB_ORDER_PATH", "order.toml"),
            ("CNB_RUN_PATH", "run.toml"),
            ("CNB_CACHE_DIR", "cache"),
            ("CNB_LAYOUT_DIR", "layouts"),
            ("CNB_PROJECT_METADATA_PATH", "project-metadata.toml"),
        ] {
            command.env(name, self.room.join(path));
        }
        let (uid, gid) = programs::user();
        command.env("CNB_USER_ID", uid.to_string()).env("CNB_GROUP_ID", gid.to_string());
        command.env("CNB_USE_LAYOUT", "true").env("CNB_EXPERIMENTAL_MODE", "warn");
        command.env("CNB_PLATFORM_API", self.api()).env("CNB_NO_COLOR", "true");
        self.variables(&mut command);
        if matches!(program, "exporter" | "creator") {
            command.arg("-launcher").arg(self.room.join("launcher"));
        }
        command.args(args).output()
    }

    fn variables(&self, command: &mut Command) {
        for (name, value) in &self.env {
            command.env(name, fill(value, self.room));
        }
    }

    fn api(&self) -> &str {
        if self.case.platform_api.is_empty() { PLATFORM_API } else { &self.case.platform_api }
    }

    /// Starts the image's launcher in the room, with the image's environment.
    fn launch(&mut self, words: &str) -> io::Result<Output> {
        let words = split(words);
        let (called, args) = words.split_first().unwrap_or((&"launcher", &[]));
        let mut command = self.programs.command(self.room, "launcher", called)?;
        let image = outcome::read(self.room)?;
        let env = image["image"]["config"]["Env"].as_array().cloned().unwrap_or_default();
        for (name, value) in env.iter().filter_map(|it| it.as_str()?.split_once('=')) {
            command.env(name, value);
        }
        self.variables(&mut command);
        let output = command.args(args).current_dir(self.room.join("app")).output()?;
        self.outcome.launched = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(output)
    }
}

/// Words with blanks between them; `'...'` is one word.
fn split(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for (at, part) in text.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part);
        } else {
            words.extend(part.split_whitespace());
        }
    }
    words
}

fn fill(text: &str, room: &Path) -> String {
    let room = room.display().to_string();
    text.replace("{room}", &room).replace("{in}", room.trim_start_matches('/')).replace("{app}", APP)
}

fn lay_out(case: &Whole, room: &Path) -> io::Result<()> {
    for dir in
        ["app", "layers", "platform/env", "config/env", "buildpacks", "extensions", "cache", "layouts", "out"]
    {
        fs_err::create_dir_all(room.join(dir))?;
    }
    fs_err::write(room.join("launcher"), "the launcher\n")?;
    fs_err::write(room.join("app/main"), "the app\n")?;
    for (name, text) in [("run", "one"), ("other-run", "two")] {
        outcome::write_run_image(&room.join("layouts/registry.example").join(name).join("1"), text)?;
    }
    let mirrors = "mirrors = [\"mirror.example/run:1\"]";
    let run = format!("[[images]]\nimage = \"registry.example/run:1\"\n{mirrors}\n");
    fs_err::write(room.join("run.toml"), run)?;
    for (id, it) in &case.buildpack {
        buildpack(room, id, it)?;
    }
    let everybody = vec![case.buildpack.keys().cloned().collect::<Vec<_>>()];
    let order = if case.order.is_empty() { &everybody } else { &case.order };
    fs_err::write(room.join("order.toml"), case::groups("order", order, "1.0.0"))?;
    for (name, text) in &case.files {
        let path = room.join(name);
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent)?;
        }
        fs_err::write(path, fill(text, room))?;
    }
    Ok(())
}

fn buildpack(room: &Path, id: &str, it: &Buildpack) -> io::Result<()> {
    let dir = room.join("buildpacks").join(id.replace('/', "_")).join("1.0.0");
    fs_err::create_dir_all(&dir)?;
    let api = if it.api.is_empty() { "0.10" } else { &it.api };
    let head = format!("api = \"{api}\"\n[buildpack]\nid = \"{id}\"\nversion = \"1.0.0\"\n");
    fs_err::write(dir.join("buildpack.toml"), head + &it.toml)?;
    let build = match it.build.strip_prefix('@') {
        Some(name) => {
            let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/fixtures");
            fs_err::read_to_string(fixtures.join(name.trim()))?
        }
        None => it.build.clone(),
    };
    for (program, lines) in [("detect", &it.detect), ("build", &build)] {
        let text = format!("#!/bin/sh\nset -e\n{}\n", fill(lines, room));
        testing::program(&dir.join("bin").join(program), text)?;
    }
    Ok(())
}

fn compare(case: &Whole, outcome: &Outcome, room: &Path) -> Difference {
    let expect = &case.expect;
    let now = outcome.tree();
    for (path, wanted) in &expect.is {
        let path = fill(path, room);
        let wanted = filled(wanted, room, &now);
        let found = outcome::at(&now, &path);
        let fits = match wanted.as_str() {
            Some("<any>") => found.is_some(),
            Some("<none>") => found.is_none(),
            _ => found == Some(&wanted),
        };
        if !fits {
            return Some(format!("{path}: {} in place of {wanted}", said(found)));
        }
    }
    for (all, wanted) in [(&expect.has, true), (&expect.lacks, false)] {
        for (path, parts) in all {
            let path = fill(path, room);
            let found = outcome::at(&now, &path);
            for part in parts.iter().map(|it| filled(it, room, &now)) {
                if found.is_some_and(|it| outcome::has(it, &part)) != wanted {
                    let word = if wanted { "lacks" } else { "has" };
                    return Some(format!("{path} {word} {part}: {}", said(found)));
                }
            }
        }
    }
    changed(case, outcome, room)
}

fn changed(case: &Whole, outcome: &Outcome, room: &Path) -> Difference {
    for (all, wanted) in [(&case.expect.same, true), (&case.expect.differs, false)] {
        for path in all {
            let path = fill(path, room);
            let (before, after) = (outcome::at(&outcome.kept, &path), outcome::at(&outcome.now, &path));
            if before.is_none() && after.is_none() {
                return Some(format!("{path}: is not there"));
            }
            if (before == after) != wanted {
                return Some(format!("{path}: first {}, then {}", said(before), said(after)));
            }
        }
    }
    None
}

fn said(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

/// `{room}` in texts stands for the room, `<at PATH>` for what is there.
fn filled(value: &Value, room: &Path, tree: &Value) -> Value {
    match value {
        Value::String(text) => {
            let text = fill(text, room);
            let path = text.strip_prefix("<at ").and_then(|it| it.strip_suffix('>'));
            path.and_then(|it| outcome::at(tree, it)).cloned().unwrap_or(Value::String(text))
        }
        Value::Array(all) => Value::Array(all.iter().map(|it| filled(it, room, tree)).collect()),
        Value::Object(all) => {
            all.iter().map(|(name, it)| (fill(name, room), filled(it, room, tree))).collect()
        }
        other => other.clone(),
    }
}
