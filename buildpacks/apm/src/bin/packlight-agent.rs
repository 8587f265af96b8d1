//! exec.d: runs before the app at every launch, as the launcher's child, and answers on file descriptor 3.
//!
//! Whatever goes wrong here is one line on stderr; the app starts in any case.

use buildpack_apm::agent_toml;
use buildpack_apm::attach::python::PATH_DIR;
use buildpack_apm::bound;
use buildpack_apm::launch::{Installed, Launch, PROCESS_DIR, answer, toml_of};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let lines = run().unwrap_or_else(|problem| {
        vec![format!("packlight: the agent stays asleep ({problem}); the app runs without it")]
    });
    let mut stderr = std::io::stderr().lock();
    for line in lines {
        // Nobody reads stderr: nothing to be done about it.
        drop(writeln!(stderr, "{line}"));
    }
    ExitCode::SUCCESS
}

/// The names in the directory of process types, each a link to the launcher.
fn processes() -> Vec<String> {
    let Ok(entries) = fs_err::read_dir(PROCESS_DIR) else { return Vec::new() };
    entries.flatten().filter_map(|it| it.file_name().into_string().ok()).collect()
}

/// What goes in front of PYTHONPATH: the one folder in the layer's `path`, where there is one.
fn path_of(layer: &Path) -> Option<PathBuf> {
    Some(fs_err::read_dir(layer.join(PATH_DIR)).ok()?.next()?.ok()?.path())
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, std::io::Error> {
    toml::from_str(&fs_err::read_to_string(path)?)
        .map_err(|it| std::io::Error::other(format!("{}: {}", path.display(), it.message())))
}

/// The agents of the image: each layer of this buildpack that says it is one.
fn installed(layers: &Path) -> Result<Vec<Installed>, std::io::Error> {
    let mut all = Vec::new();
    for entry in fs_err::read_dir(layers)? {
        let layer = entry?.path();
        let file = layer.join(agent_toml::FILE);
        if file.is_file() {
            all.push(Installed { about: read(&file)?, path: path_of(&layer), layer });
        }
    }
    all.sort_by(|a, b| a.layer.cmp(&b.layer));
    Ok(all)
}

fn run() -> Result<Vec<String>, std::io::Error> {
    // <layers>/<buildpack>/config/exec.d/<this program>
    let exe = fs_err::read_link("/proc/self/exe")?;
    let layer = exe.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    let config = read(&layer.join(agent_toml::CONFIG_FILE))?;
    let agents = installed(layer.parent().unwrap_or(layer))?;
    let pid = std::os::unix::process::parent_id();
    let command = fs_err::read(format!("/proc/{pid}/cmdline"))?;
    let started_as = command.split(|it| *it == 0).next().unwrap_or_default();
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let variables = variables.collect();
    let (bindings, notes) = bound::bindings(&variables);
    let answer = answer(&Launch {
        variables: &variables,
        bindings: &bindings,
        notes: &notes,
        started_as: &String::from_utf8_lossy(started_as),
        processes: &processes(),
        pid,
        agents: &agents,
        config: &config,
    });
    if !answer.set.is_empty() {
        // The launcher's pipe; opening it by its name spares an `unsafe` for the raw descriptor.
        let mut out = fs_err::OpenOptions::new().write(true).open("/proc/self/fd/3")?;
        out.write_all(toml_of(&answer.set).as_bytes())?;
    }
    Ok(answer.lines)
}
