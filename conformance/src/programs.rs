//! The programs under test: a folder with `detector`, `builder`, `launcher` and the others of `/cnb/lifecycle`, ours or
//! another lifecycle's, and wrong lifecycles that are made of a right one by a few lines of shell around a program.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Programs of a lifecycle that a platform starts.
pub const ALL: &[&str] =
    &["analyzer", "detector", "restorer", "builder", "exporter", "creator", "rebaser", "launcher"];

/// Spoken by our programs and by the reference, so that both are given the same input.
pub const PLATFORM_API: &str = "0.14";

/// A wrong lifecycle: `mutants.toml` has them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrapped {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub does: String,
    /// By program, the lines that stand in its place; `run "$@"` is the real one.
    pub instead: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct File {
    mutant: Vec<Wrapped>,
}

/// Every wrong lifecycle that is made by wrapping.
///
/// # Errors
/// When `mutants.toml` can't be read.
pub fn wrapped() -> io::Result<Vec<Wrapped>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("mutants.toml");
    let text = fs_err::read_to_string(&path)?;
    let file: File = cnb::parse(&path.display().to_string(), &text).map_err(io::Error::other)?;
    Ok(file.mutant)
}

/// The folder of the lifecycle under test: the variable `CNB_LIFECYCLE_DIR` names it, else our own is built.
///
/// # Errors
/// When it can't be built.
pub fn under_test() -> io::Result<PathBuf> {
    match std::env::var_os("CNB_LIFECYCLE_DIR") {
        Some(dir) => fs_err::canonicalize(PathBuf::from(dir)),
        None => ours(),
    }
}

/// Our own programs as development builds them.
///
/// # Errors
/// When they can't be built.
pub fn ours() -> io::Result<PathBuf> {
    let exe = std::env::current_exe()?;
    // target/debug/deps/<test> or target/debug/<program>
    let debug = exe.ancestors().find(|it| it.ends_with("debug")).ok_or_else(|| {
        io::Error::other("this is no development build: name a lifecycle's folder in CNB_LIFECYCLE_DIR")
    })?;
    let target = debug.parent().unwrap_or(debug);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--locked", "--quiet", "-p", "lifecycle", "-p", "launcher", "--bins"]);
    command.arg("--target-dir").arg(target).current_dir(env!("CARGO_MANIFEST_DIR"));
    // What cargo tells a test about its crate would make build scripts run again, and their crates be compiled again.
    let about = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
    for (name, _) in std::env::vars_os() {
        if about.iter().any(|it| name.to_string_lossy().starts_with(it)) {
            command.env_remove(name);
        }
    }
    if !command.status()?.success() {
        return Err(io::Error::other("the lifecycle's programs were not built"));
    }
    let dir = debug.join("conformance");
    fs_err::create_dir_all(&dir)?;
    for name in ALL {
        let real = if *name == "launcher" { "launcher" } else { "lifecycle" };
        match fs_err::os::unix::fs::symlink(debug.join(real), dir.join(name)) {
            // Another test was here before.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
    }
    Ok(dir)
}

/// The programs of one lifecycle, each as itself or wrapped.
#[derive(Debug, Clone)]
pub struct Programs {
    dir: PathBuf,
    mutant: Option<Wrapped>,
}

impl Programs {
    /// Those of a folder.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), mutant: None }
    }

    /// A wrong lifecycle that is made of these.
    #[must_use]
    pub fn wrong(&self, mutant: &Wrapped) -> Self {
        Self { mutant: Some(mutant.clone()), ..self.clone() }
    }

    /// Puts the programs into a room, as a platform has them in `/cnb/lifecycle`.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn place(&self, room: &Path) -> io::Result<()> {
        let bin = room.join("bin");
        fs_err::create_dir_all(&bin)?;
        for name in ALL {
            let real = self.dir.join(name);
            match self.mutant.as_ref().and_then(|it| it.instead.get(*name)) {
                None => fs_err::os::unix::fs::symlink(&real, bin.join(name))?,
                Some(lines) => {
                    let head = format!("#!/bin/bash\nreal='{}'\nname=${{CALLED_AS:-$0}}\n", real.display());
                    let run = "unset CALLED_AS\nrun() { (exec -a \"$name\" \"$real\" \"$@\"); }\n";
                    testing::program(&bin.join(name), format!("{head}{run}{lines}\n"))?;
                }
            }
        }
        Ok(())
    }

    /// One program, started as a platform starts it: those that run buildpacks never as root.
    ///
    /// # Errors
    /// When the room can't be given to the user of the build.
    pub fn command(&self, room: &Path, name: &str, called: &str) -> io::Result<Command> {
        let mut command = Command::new(room.join("bin").join(name));
        command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).current_dir(room);
        if name == "launcher" {
            command.arg0(called);
            if self.mutant.as_ref().is_some_and(|it| it.instead.contains_key(name)) {
                command.env("CALLED_AS", called);
            }
        }
        if is_root() {
            give(room)?;
            if matches!(name, "detector" | "builder" | "launcher") {
                command.uid(USER).gid(USER);
            }
        }
        Ok(command)
    }
}

/// The user of a build that root starts.
const USER: u32 = 1000;

/// The ids of who builds.
#[must_use]
pub fn user() -> (u32, u32) {
    if is_root() {
        return (USER, USER);
    }
    fs_err::metadata("/proc/self").map_or((USER, USER), |it| (it.uid(), it.gid()))
}

fn is_root() -> bool {
    fs_err::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

/// What a platform does with its volumes; links are given and not followed.
fn give(room: &Path) -> io::Result<()> {
    if let Some(parent) = room.parent() {
        fs_err::set_permissions(parent, std::fs::Permissions::from_mode(0o755))?;
    }
    let mut open = vec![room.to_owned()];
    while let Some(path) = open.pop() {
        let metadata = fs_err::symlink_metadata(&path)?;
        std::os::unix::fs::lchown(&path, Some(USER), Some(USER))?;
        if metadata.is_dir() {
            for entry in fs_err::read_dir(&path)? {
                open.push(entry?.path());
            }
        }
    }
    Ok(())
}
