//! One case: what it lays out, what it runs, and what it expects.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::programs::{PLATFORM_API, Programs};

/// One case, as its TOML file says it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows, in a sentence.
    pub says: String,
    /// Mutants that must fail this case; at least one.
    pub mutants: Vec<String>,
    /// The groups; a member with `?` is optional.
    #[serde(default)]
    pub order: Vec<Vec<String>>,
    /// Groups of extensions.
    #[serde(default)]
    pub extensions: Vec<Vec<String>>,
    /// Buildpacks by id; the version of each is 1.
    #[serde(default)]
    pub buildpack: BTreeMap<String, Buildpack>,
    /// Extensions by id.
    #[serde(default)]
    pub extension: BTreeMap<String, Buildpack>,
    /// Files of `<platform>/env`.
    #[serde(default)]
    pub platform: BTreeMap<String, String>,
    /// Files of `<build-config>/env`.
    #[serde(default)]
    pub operator: BTreeMap<String, String>,
    /// Variables of the image.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The process type that a launch asks for.
    #[serde(default)]
    pub process: String,
    /// What must come out.
    pub expect: Expect,
}

/// A buildpack of a case.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Buildpack {
    /// Its Buildpack API; empty: 0.10.
    pub api: String,
    /// The exit code of its `bin/detect`.
    pub exit: i32,
    /// The plan that it writes.
    pub plan: String,
    /// A composite buildpack's groups.
    pub order: Vec<Vec<String>>,
    /// Whether it wants none of the user's variables.
    pub clear_env: bool,
    /// Files of its layers, for building and launch: `<layer>/<path>` and contents.
    pub layers: BTreeMap<String, String>,
}

/// What must come out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// The phase's exit code.
    pub exit: i32,
    /// Another one that is as good, where group and plan are written all the same; 0: none.
    pub or_exit: i32,
    /// The buildpacks of the group, in order.
    pub group: Vec<String>,
    /// The extensions of the group.
    pub extensions: Vec<String>,
    /// The plan: a requirement's name and who provides it.
    pub providers: BTreeMap<String, Vec<String>>,
    /// Variables that a buildpack saw in its build: `[expect.build.<id>]`.
    pub build: BTreeMap<String, BTreeMap<String, String>>,
    /// Variables that the process saw.
    pub launch: BTreeMap<String, String>,
}

/// Which phase a case is for: the folder it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `cases/detection`.
    Detection,
    /// `cases/build-environment`.
    Build,
    /// `cases/launch-environment`.
    Launch,
}

/// What a run came to: `None` where it is as the case says, else how it differs.
pub type Difference = Option<String>;

/// What runs the phases of a case.
#[derive(Debug, Clone, Copy)]
pub enum Under<'a> {
    /// Our phases as a library, with a wrong rule in front of them.
    Mutant {
        /// The program `phases`.
        phases: &'a Path,
        /// The wrong rule's name.
        name: &'a str,
    },
    /// A lifecycle's programs.
    Programs(&'a Programs),
}

/// Lays a case out in `room`, runs it, and compares.
///
/// # Errors
/// When it can't be laid out or run.
pub fn run(case: &Case, kind: Kind, under: Under<'_>, room: &Path) -> io::Result<Difference> {
    let room = Room { case, root: room.to_owned(), under };
    room.lay_out()?;
    if let Under::Programs(programs) = under {
        programs.place(&room.root)?;
    }
    match kind {
        Kind::Detection => room.detection(),
        Kind::Build => room.build(),
        Kind::Launch => room.launch(),
    }
}

struct Room<'a> {
    case: &'a Case,
    root: PathBuf,
    under: Under<'a>,
}

impl Room<'_> {
    fn lay_out(&self) -> io::Result<()> {
        for dir in ["app", "layers", "platform/env", "config/env", "buildpacks", "extensions"] {
            fs_err::create_dir_all(self.root.join(dir))?;
        }
        for (name, contents) in &self.case.platform {
            fs_err::write(self.root.join("platform/env").join(name), contents)?;
        }
        for (name, contents) in &self.case.operator {
            fs_err::write(self.root.join("config/env").join(name), contents)?;
        }
        for (id, it) in &self.case.buildpack {
            self.module("buildpacks", "buildpack", id, it)?;
        }
        for (id, it) in &self.case.extension {
            self.module("extensions", "extension", id, it)?;
        }
        let groups =
            groups("order", &self.case.order, "1") + &groups("order-extensions", &self.case.extensions, "1");
        fs_err::write(self.root.join("order.toml"), groups)
    }

    fn module(&self, folder: &str, word: &str, id: &str, it: &Buildpack) -> io::Result<()> {
        let dir = self.root.join(folder).join(id.replace('/', "_")).join("1");
        fs_err::create_dir_all(dir.join("bin"))?;
        let api = if it.api.is_empty() { "0.10" } else { &it.api };
        let clear = it.clear_env;
        let mut toml = format!("api = \"{api}\"\n[{word}]\nid = \"{id}\"\nversion = \"1\"\n");
        if clear {
            toml += "clear-env = true\n";
        }
        fs_err::write(dir.join(format!("{word}.toml")), toml + &groups("order", &it.order, "1"))?;
        if !it.order.is_empty() {
            return Ok(());
        }
        fs_err::write(dir.join("plan.toml"), &it.plan)?;
        let here = dir.display();
        script(&dir.join("bin/detect"), &format!("cat '{here}/plan.toml' > \"$2\"\nexit {}\n", it.exit))?;
        let out = self.root.join(format!("env.{}", id.replace('/', "_")));
        let copy = format!("env -0 > '{}'\ncp -R '{here}/layers/.' \"$1\"\n", out.display());
        script(&dir.join("bin/build"), &copy)?;
        write_layers(&dir.join("layers"), &it.layers)
    }

    /// A phase; `called` is the name by which the launcher is started.
    fn phase(&self, name: &str, called: &str, args: &[&str]) -> io::Result<Output> {
        let mut command = match self.under {
            Under::Programs(programs) => programs.command(&self.root, name, called)?,
            Under::Mutant { phases, name: mutant } => {
                let mut command = Command::new(phases);
                command.env_clear().env("PATH", "/usr/bin:/bin").args(["--mutant", mutant, name]);
                if name == "launcher" {
                    command.arg(called);
                }
                command
            }
        };
        command.envs(&self.case.env);
        for (name, path) in [
            ("CNB_APP_DIR", "app"),
            ("CNB_LAYERS_DIR", "layers"),
            ("CNB_PLATFORM_DIR", "platform"),
            ("CNB_BUILD_CONFIG_DIR", "config"),
            ("CNB_BUILDPACKS_DIR", "buildpacks"),
            ("CNB_EXTENSIONS_DIR", "extensions"),
            ("CNB_ORDER_PATH", "order.toml"),
            ("CNB_GROUP_PATH", "group.toml"),
            ("CNB_PLAN_PATH", "plan.toml"),
        ] {
            command.env(name, self.root.join(path));
        }
        command.env("CNB_PLATFORM_API", PLATFORM_API).env("CNB_NO_COLOR", "true").args(args).output()
    }

    fn detection(&self) -> io::Result<Difference> {
        let expect = &self.case.expect;
        let output = self.phase("detector", "detector", &[])?;
        let late = expect.or_exit != 0 && output.status.code() == Some(expect.or_exit);
        if !late && output.status.code() != Some(expect.exit) {
            return Ok(Some(wrong_exit(&output, expect.exit)));
        }
        if expect.exit != 0 {
            return Ok(None);
        }
        let group: cnb::group::GroupToml = read(&self.root.join("group.toml"))?;
        let plan: cnb::plan::Plan = read(&self.root.join("plan.toml"))?;
        let ids = |list: &[cnb::group::Chosen]| list.iter().map(|it| it.id.clone()).collect::<Vec<_>>();
        let mut providers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for entry in &plan.entries {
            let names = entry.providers.iter().map(|it| it.id.clone());
            let name = entry.requires.first().map(|it| it.name.clone()).unwrap_or_default();
            providers.entry(name).or_default().extend(names);
        }
        Ok(differ("group", &ids(&group.group), &expect.group)
            .or_else(|| differ("extensions", &ids(&group.group_extensions), &expect.extensions))
            .or_else(|| differ("providers", &providers, &expect.providers)))
    }

    fn build(&self) -> io::Result<Difference> {
        let mut group = String::new();
        for id in self.case.order.iter().flatten() {
            let api = self.case.buildpack.get(id).map_or("", |it| &it.api);
            let api = if api.is_empty() { "0.10" } else { api };
            group += &format!("[[group]]\nid = \"{id}\"\nversion = \"1\"\napi = \"{api}\"\n");
        }
        fs_err::write(self.root.join("group.toml"), group)?;
        fs_err::write(self.root.join("plan.toml"), "")?;
        let output = self.phase("builder", "builder", &[])?;
        if output.status.code() != Some(self.case.expect.exit) {
            return Ok(Some(wrong_exit(&output, self.case.expect.exit)));
        }
        for (id, expected) in &self.case.expect.build {
            let bytes = fs_err::read(self.root.join(format!("env.{}", id.replace('/', "_"))))?;
            if let Some(difference) = self.variables(&bytes, expected) {
                return Ok(Some(format!("{id}: {difference}")));
            }
        }
        Ok(None)
    }

    fn launch(&self) -> io::Result<Difference> {
        let mut metadata = String::new();
        for id in self.case.order.iter().flatten() {
            metadata += &format!("[[buildpacks]]\nid = \"{id}\"\nversion = \"1\"\napi = \"0.10\"\n");
            if let Some(it) = self.case.buildpack.get(id) {
                write_layers(&self.root.join("layers").join(id.replace('/', "_")), &it.layers)?;
            }
        }
        metadata += "[[processes]]\ntype = \"web\"\ncommand = [\"/usr/bin/env\", \"-0\"]\ndirect = true\n";
        fs_err::create_dir_all(self.root.join("layers/config"))?;
        fs_err::write(self.root.join("layers/config/metadata.toml"), metadata)?;
        let output = match &*self.case.process {
            "" => self.phase("launcher", "launcher", &["--", "/usr/bin/env", "-0"])?,
            process => self.phase("launcher", process, &[])?,
        };
        if output.status.code() != Some(self.case.expect.exit) {
            return Ok(Some(wrong_exit(&output, self.case.expect.exit)));
        }
        Ok(self.variables(&output.stdout, &self.case.expect.launch))
    }

    /// `{layers}` in what is expected stands for the layers directory, `<unset>` for no variable at all.
    fn variables(&self, env: &[u8], expected: &BTreeMap<String, String>) -> Difference {
        let layers = self.root.join("layers").display().to_string();
        let text = String::from_utf8_lossy(env);
        let seen: BTreeMap<&str, &str> = text.split('\0').filter_map(|it| it.split_once('=')).collect();
        expected.iter().find_map(|(name, value)| {
            let seen = seen.get(&**name).copied().unwrap_or("<unset>").to_owned();
            differ(name, &seen, &value.replace("{layers}", &layers))
        })
    }
}

fn differ<T: PartialEq + std::fmt::Debug>(what: &str, seen: &T, expected: &T) -> Difference {
    (seen != expected).then(|| format!("{what}: {seen:?} in place of {expected:?}"))
}

pub(crate) fn wrong_exit(output: &Output, expected: i32) -> String {
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(12)..].join("\n    ");
    format!("it ended with {} in place of {expected}:\n    {last}", output.status)
}

/// Names that a member of a group is written with: `id`, and `id?` for an optional one.
pub(crate) fn groups(key: &str, groups: &[Vec<String>], version: &str) -> String {
    let mut text = String::new();
    for group in groups {
        text += &format!("[[{key}]]\n");
        for member in group {
            let id = member.trim_end_matches('?');
            text += &format!("[[{key}.group]]\nid = \"{id}\"\nversion = \"{version}\"\n");
            if member.ends_with('?') {
                text += "optional = true\n";
            }
        }
    }
    text
}

fn write_layers(dir: &Path, files: &BTreeMap<String, String>) -> io::Result<()> {
    fs_err::create_dir_all(dir)?;
    for (file, contents) in files {
        let path = dir.join(file);
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent)?;
        }
        fs_err::write(path, contents)?;
        let layer = file.split('/').next().unwrap_or_default();
        fs_err::write(dir.join(format!("{layer}.toml")), "[types]\nbuild = true\nlaunch = true\n")?;
    }
    Ok(())
}

fn script(path: &Path, body: &str) -> io::Result<()> {
    testing::program(path, format!("#!/bin/sh\n{body}"))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<T> {
    let text = fs_err::read_to_string(path)?;
    cnb::parse(&path.display().to_string(), &text).map_err(io::Error::other)
}
