//! The last step: which program becomes this process.

use crate::World;
use crate::environment::entries;
use crate::error::LaunchError;
use crate::select::Process;
use cnb::env::Environment;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const BASH: &str = "/bin/bash";

/// What is to be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The process, for messages.
    pub who: String,
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments, its name first.
    pub argv: Vec<OsString>,
    /// All of its environment.
    pub env: Environment,
    /// Where.
    pub cwd: PathBuf,
}

impl Start {
    /// Becomes that program; returns only when that fails.
    #[must_use]
    pub fn exec(&self) -> LaunchError {
        let mut command = Command::new(&self.program);
        if let [name, args @ ..] = &*self.argv {
            command.arg0(name).args(args);
        }
        let source = command.env_clear().envs(&self.env).current_dir(&self.cwd).exec();
        LaunchError::Exec { who: self.who.clone(), path: self.program.clone(), source }
    }
}

pub(crate) fn start(
    world: &World,
    argv: &[OsString],
    process: Process,
    layers: &[Vec<PathBuf>],
    env: Environment,
) -> Result<Start, LaunchError> {
    let who = process.who();
    let cwd = match &process.working_dir {
        Some(dir) => world.app.join(dir),
        None => world.app.clone(),
    };
    if let Err(source) = std::fs::metadata(&cwd).and_then(is_directory) {
        return Err(LaunchError::WorkingDir { who, dir: cwd, source });
    }
    if process.direct {
        let program = find(&who, &process.command, &env, &cwd)?;
        let argv = std::iter::once(process.command).chain(process.args).collect();
        return Ok(Start { who, program, argv, env, cwd });
    }
    if !Path::new(BASH).exists() {
        return Err(LaunchError::NoShell { who });
    }
    let script = script(&profiles(world, layers, process.kind.as_deref())?, &cwd, process.args.len());
    let caller = argv.first().cloned().unwrap_or_else(|| OsString::from("launcher"));
    let mut argv: Vec<OsString> = vec!["bash".into(), "-c".into(), script, caller, process.command];
    argv.extend(process.args);
    // profiles are sourced in the application's directory, and only then is the directory changed
    Ok(Start { who, program: PathBuf::from(BASH), argv, env, cwd: world.app.clone() })
}

#[expect(clippy::needless_pass_by_value, reason = "it stands at the end of a chain of values")]
fn is_directory(metadata: std::fs::Metadata) -> std::io::Result<()> {
    if metadata.is_dir() { Ok(()) } else { Err(std::io::ErrorKind::NotADirectory.into()) }
}

/// A name without a slash is looked for in the PATH that the process will have.
fn find(who: &str, program: &OsStr, env: &Environment, cwd: &Path) -> Result<PathBuf, LaunchError> {
    let name = || program.to_string_lossy().into_owned();
    if program.as_bytes().contains(&b'/') {
        let path = cwd.join(program);
        return match is_program(&path) {
            Some(true) => Ok(path),
            Some(false) => Err(LaunchError::NotExecutable { who: who.to_owned(), path }),
            None => Err(LaunchError::NoFile { who: who.to_owned(), program: name(), dir: cwd.to_owned() }),
        };
    }
    let search = env.get(OsStr::new("PATH")).cloned().unwrap_or_default();
    let mut not_executable = None;
    for dir in std::env::split_paths(&search).filter(|it| !program.is_empty() && !it.as_os_str().is_empty()) {
        let path = cwd.join(dir).join(program);
        match is_program(&path) {
            Some(true) => return Ok(path),
            Some(false) => {
                not_executable.get_or_insert(path);
            }
            None => {}
        }
    }
    match not_executable {
        Some(path) => Err(LaunchError::NotExecutable { who: who.to_owned(), path }),
        None => {
            let path = search.to_string_lossy().into_owned();
            Err(LaunchError::NotFound { who: who.to_owned(), program: name(), path })
        }
    }
}

/// Whether a file may be executed; `None` when there is none.
fn is_program(path: &Path) -> Option<bool> {
    let metadata = std::fs::metadata(path).ok().filter(|it| !it.is_dir())?;
    Some(metadata.permissions().mode() & 0o111 != 0)
}

/// The scripts that a shell process starts with: the layers', then the application's own.
fn profiles(
    world: &World,
    buildpacks: &[Vec<PathBuf>],
    process: Option<&str>,
) -> Result<Vec<PathBuf>, LaunchError> {
    let mut all = Vec::new();
    for layer in buildpacks.iter().flatten() {
        let dir = layer.join("profile.d");
        let own = process.map(|it| dir.join(it));
        for dir in std::iter::once(&dir).chain(&own) {
            all.extend(entries(dir)?.into_iter().map(|it| it.path).filter(|it| !it.is_dir()));
        }
    }
    let own = world.app.join(".profile");
    if own.is_file() {
        all.push(own);
    }
    Ok(all)
}

/// What the outer shell does. The inner one is the process: a command without arguments is a script of its own; of a
/// command with arguments each word is expanded (`$PORT`) and stays one word. As the reference has it, since images
/// rely on it.
fn script(profiles: &[PathBuf], cwd: &Path, args: usize) -> OsString {
    let mut script = OsString::new();
    for profile in profiles {
        script.push("source ");
        script.push(quoted(profile.as_os_str()));
        script.push("\n");
    }
    script.push("cd ");
    script.push(quoted(cwd.as_os_str()));
    script.push(" || exit 82\n");
    if args == 0 {
        script.push("exec bash -c \"$@\"");
        return script;
    }
    let mut words = String::from(r#""$(eval echo \"$0\")""#);
    for i in 1..=args {
        let _ = write!(words, r#" "$(eval echo \"${{{i}}}\")""#);
    }
    script.push(format!("exec bash -c '{words}' \"${{@:1}}\""));
    script
}

fn quoted(text: &OsStr) -> OsString {
    let mut bytes = vec![b'\''];
    for byte in text.as_bytes() {
        match byte {
            b'\'' => bytes.extend_from_slice(br"'\''"),
            byte => bytes.push(*byte),
        }
    }
    bytes.push(b'\'');
    OsStr::from_bytes(&bytes).to_owned()
}
