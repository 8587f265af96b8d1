//! The programs of a base that have to run in it before it is complete: `ldconfig`, and Python's compiler.
//!
//! They are only named here; whoever has a sandbox runs them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use crate::compose::{ComposeError, Lower};
use crate::effects::at;
use crate::tree::Tree;
use crate::unpack::Unpacked;

/// A program of the base to be run in it: network, time and machine must not matter to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    /// What it is for, for messages.
    pub what: &'static str,
    /// Program and arguments, absolute in the base.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Paths in the base to remove afterwards, with all below them, if they are there.
    pub remove: Vec<PathBuf>,
}

/// The programs to run. A tree without `ldconfig` or Python, in it or below it, needs none of theirs.
pub(crate) fn finish(
    tree: &Tree,
    unpacked: &[Unpacked],
    lower: Option<Lower<'_>>,
) -> Result<Vec<Finish>, ComposeError> {
    let there = |path: &str| {
        tree.kind(Path::new(path)).is_some()
            || lower.is_some_and(|lower| lower.root.join(path).symlink_metadata().is_ok())
    };
    let mut all = Vec::new();
    if unpacked.iter().any(Unpacked::has_library) && there("usr/sbin/ldconfig") {
        all.push(Finish {
            what: "the linker's cache",
            argv: vec!["/usr/sbin/ldconfig".to_owned()],
            env: environment(&[]),
            remove: vec!["var/cache/ldconfig/aux-cache".into()],
        });
    }
    for python in pythons(tree, lower)? {
        let modules = modules(tree, lower, &python)?;
        if modules.is_empty() {
            continue;
        }
        // Unchecked hashes: the file's time, which images change, does not matter, and nothing is compared at start.
        // One process: what a process compiled before shows in the bytes (marshal writes references by count), so
        // several would share the work, and write the bytes, differently each time.
        let mut argv: Vec<String> = [
            &format!("/usr/bin/{python}"),
            // Isolated from user and folder, but not (`-I`) from the environment, which fixes the hash seed.
            "-P",
            "-s",
            // Else the modules that compileall itself imports are written with a time stamp, and taken for done.
            "-B",
            "-m",
            "compileall",
            "-q",
            "--invalidation-mode",
            "unchecked-hash",
        ]
        .map(str::to_owned)
        .to_vec();
        argv.extend(modules);
        let env = environment(&[("PYTHONHASHSEED", "0")]);
        all.push(Finish { what: "the bytecode of Python's modules", argv, env, remove: Vec::new() });
    }
    Ok(all)
}

fn environment(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    [("PATH", "/usr/sbin:/usr/bin"), ("LC_ALL", "C.UTF-8"), ("HOME", "/nonexistent")]
        .iter()
        .chain(more)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Debian's interpreters, by the names of their programs: `python3.13`.
fn pythons(tree: &Tree, lower: Option<Lower<'_>>) -> Result<BTreeSet<String>, ComposeError> {
    let mut names = tree.names(Path::new("usr/bin")).map_err(at("usr/bin"))?;
    if let Some(lower) = lower {
        let below = Tree::open(lower.root)
            .and_then(|below| below.names(Path::new("usr/bin")))
            .map_err(at("usr/bin"))?;
        names.extend(below);
    }
    let is_python = |name: &str| {
        name.strip_prefix("python3.")
            .is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|it| it.is_ascii_digit()))
    };
    Ok(names
        .iter()
        .filter_map(|name| name.to_str())
        .filter(|name| is_python(name))
        .map(str::to_owned)
        .collect())
}

/// What of this tree is to be compiled: whole directories where the tree below has none of that name, else files.
fn modules(tree: &Tree, lower: Option<Lower<'_>>, python: &str) -> Result<Vec<String>, ComposeError> {
    let mut found = Vec::new();
    for root in [format!("usr/lib/{python}"), "usr/lib/python3/dist-packages".to_owned()] {
        let root = PathBuf::from(root);
        if tree.kind(&root) == Some(FileType::Directory) {
            walk(tree, lower, &root, &mut found)?;
        }
    }
    Ok(found.into_iter().map(|path| format!("/{}", path.display())).collect())
}

fn walk(
    tree: &Tree,
    lower: Option<Lower<'_>>,
    dir: &Path,
    found: &mut Vec<PathBuf>,
) -> Result<(), ComposeError> {
    if lower.is_none_or(|lower| lower.root.join(dir).symlink_metadata().is_err()) {
        found.push(dir.to_owned());
        return Ok(());
    }
    for name in tree.names(dir).map_err(|source| ComposeError::Effect { path: dir.to_owned(), source })? {
        let path = dir.join(name);
        match tree.kind(&path) {
            Some(FileType::Directory) => walk(tree, lower, &path, found)?,
            Some(FileType::RegularFile) if path.extension().is_some_and(|it| it == "py") => found.push(path),
            _ => {}
        }
    }
    Ok(())
}
