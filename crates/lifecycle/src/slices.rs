//! The application's layers: one for each slice that a buildpack asked for, and one for the rest.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#slice-layers>

use crate::images::{AppSource, AppTree};
use cnb::launch::Slice;
use oci::{LayerSpec, Modes, Owner, TreeRules};
use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

/// What slices make of an application.
pub(crate) struct AppLayers {
    pub(crate) specs: Vec<LayerSpec>,
    pub(crate) warnings: Vec<String>,
}

/// Divides the application, which is at `at` in the image. A file that one slice has is not there for the next.
///
/// # Errors
/// When a directory can't be read, or a pattern leaves the application: in words.
pub(crate) fn divide(
    app: &AppSource,
    at: &Path,
    owner: Owner,
    slices: &[Slice],
) -> Result<AppLayers, String> {
    let mut taken: BTreeSet<PathBuf> = BTreeSet::new();
    let mut layers = AppLayers { specs: Vec::new(), warnings: Vec::new() };
    for (i, slice) in slices.iter().enumerate() {
        let mut found = BTreeSet::new();
        for pattern in &slice.paths {
            for path in glob(app, &components(pattern, at)?).map_err(|it| it.to_string())? {
                if !taken.iter().any(|it| path.starts_with(it)) {
                    found.insert(path);
                }
            }
        }
        if found.is_empty() {
            layers.warnings.push(format!("no file matches the slice {}", slice.paths.join(", ")));
            continue;
        }
        let mut spec = LayerSpec::new(format!("Application Slice: {}", i + 1)).dir(at, 0o755, owner);
        for path in outermost(&found) {
            spec = add(spec, app, (at, path), owner, &taken).map_err(|it| it.to_string())?;
        }
        layers.specs.push(spec);
        taken.extend(found);
    }
    let words = match slices.len() {
        0 => "Application Layer".to_owned(),
        n => format!("Application Slice: {}", n + 1),
    };
    let mut rest = LayerSpec::new(words);
    for tree in &app.trees {
        let skip = tree.skip.union(&taken).cloned().collect();
        rest = rest.tree(&tree.host, at, rules(owner, app.modes, skip));
    }
    if let Some(mode) = app.root {
        rest = rest.dir(at, mode, owner);
    }
    layers.specs.push(rest);
    Ok(layers)
}

fn rules(owner: Owner, modes: Modes, skip: BTreeSet<PathBuf>) -> TreeRules {
    TreeRules { skip, ..TreeRules::new(owner, modes) }
}

/// Paths that are in no other of them.
fn outermost(paths: &BTreeSet<PathBuf>) -> Vec<&PathBuf> {
    let mut out: Vec<&PathBuf> = Vec::new();
    for path in paths {
        if !out.last().is_some_and(|it| path.starts_with(it)) {
            out.push(path);
        }
    }
    out
}

fn add(
    mut spec: LayerSpec,
    app: &AppSource,
    (at, path): (&Path, &Path),
    owner: Owner,
    taken: &BTreeSet<PathBuf>,
) -> io::Result<LayerSpec> {
    let inside = at.join(path);
    // directories on the way belong to the application's owner too
    for parent in path.ancestors().skip(1).filter(|it| !it.as_os_str().is_empty()) {
        spec = spec.dir(at.join(parent), 0o755, owner);
    }
    for tree in &app.trees {
        let host = tree.host.join(path);
        let Ok(metadata) = fs_err::symlink_metadata(&host) else { continue };
        if metadata.is_symlink() {
            spec = spec.symlink(&inside, fs_err::read_link(&host)?, owner);
        } else if metadata.is_dir() {
            let beneath = |it: &PathBuf| it.strip_prefix(path).ok().map(Path::to_owned);
            let skip = tree.skip.iter().chain(taken).filter_map(beneath).collect();
            spec = spec.tree(host, &inside, rules(owner, app.modes, skip));
        } else if metadata.is_file() {
            let mode = match (app.modes, metadata.permissions().mode() & 0o7777) {
                (Modes::Keep, mode) => mode,
                (Modes::Normalise, mode) if mode & 0o111 != 0 => 0o755,
                (Modes::Normalise, _) => 0o644,
            };
            spec = spec.program(&inside, mode, owner, host);
        }
    }
    Ok(spec)
}

/// The components of a pattern, relative to the application.
fn components(pattern: &str, at: &Path) -> Result<Vec<Vec<u8>>, String> {
    let path = Path::new(pattern);
    let relative = match path.strip_prefix(at) {
        Ok(relative) => relative,
        Err(_) if path.is_absolute() => return Err(leaves(pattern, at)),
        Err(_) => path,
    };
    let mut parts = Vec::new();
    for component in relative.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => parts.push(name.as_bytes().to_vec()),
            _ => return Err(leaves(pattern, at)),
        }
    }
    Ok(parts)
}

fn leaves(pattern: &str, at: &Path) -> String {
    format!(
        "the slice `{pattern}` leaves the application's directory {}; write it relative to it",
        at.display()
    )
}

/// Everything that a pattern matches; a directory stands for all in it. No link is followed.
fn glob(app: &AppSource, pattern: &[Vec<u8>]) -> io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for tree in &app.trees {
        beneath(tree, Path::new(""), pattern, &mut found)?;
    }
    Ok(found)
}

fn beneath(tree: &AppTree, dir: &Path, pattern: &[Vec<u8>], found: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    let Some((first, rest)) = pattern.split_first() else { return Ok(()) };
    let host = tree.host.join(dir);
    if !fs_err::symlink_metadata(&host).is_ok_and(|it| it.is_dir()) {
        return Ok(());
    }
    for entry in fs_err::read_dir(&host)? {
        let entry = entry?;
        let path = dir.join(entry.file_name());
        if tree.skip.contains(&path) || !matches(first, entry.file_name().as_bytes()) {
            continue;
        }
        if rest.is_empty() {
            found.insert(path);
        } else {
            beneath(tree, &path, rest, found)?;
        }
    }
    Ok(())
}

/// One component by Go's rules: `*`, `?`, `[a-z]`, `[^a-z]`, `\`.
///
/// <https://pkg.go.dev/path/filepath#Match>
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return name.is_empty() };
    match first {
        b'*' => (0..=name.len()).any(|at| matches(rest, &name[at..])),
        b'?' => one_char(name).is_some_and(|name| matches(rest, name)),
        b'[' => class(rest, name).is_some_and(|(rest, name)| matches(rest, name)),
        b'\\' => match (rest.split_first(), name.split_first()) {
            (Some((a, rest)), Some((b, name))) => a == b && matches(rest, name),
            _ => false,
        },
        plain => name.split_first().is_some_and(|(b, name)| plain == b && matches(rest, name)),
    }
}

/// The name after its first character, which may have several bytes.
fn one_char(name: &[u8]) -> Option<&[u8]> {
    let text = String::from_utf8_lossy(name);
    let length = match text.chars().next()? {
        char::REPLACEMENT_CHARACTER => 1,
        char => char.len_utf8(),
    };
    name.get(length..)
}

/// A class after its `[`: what follows in the pattern and in the name when it matches.
fn class<'a>(pattern: &'a [u8], name: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (is_in, mut pattern) = match pattern.split_first()? {
        (b'^', rest) => (false, rest),
        _ => (true, pattern),
    };
    let (char, name) = name.split_first()?;
    let mut found = false;
    loop {
        let (low, rest) = literal(pattern)?;
        let (high, rest) = match rest.split_first()? {
            (b'-', rest) => literal(rest)?,
            _ => (low, rest),
        };
        found |= (low..=high).contains(char);
        pattern = rest;
        if let Some((b']', rest)) = pattern.split_first() {
            return (found == is_in).then_some((rest, name));
        }
    }
}

fn literal(pattern: &[u8]) -> Option<(u8, &[u8])> {
    match pattern.split_first()? {
        (b'\\', rest) => rest.split_first().map(|(char, rest)| (*char, rest)),
        (char, rest) => Some((*char, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_component_matches_as_in_go() {
        for (pattern, name, is) in [
            ("*", "a.b", true),
            ("a*b", "ab", true),
            ("a*b", "axxb", true),
            ("a*b", "axxc", false),
            ("?", "ä", true),
            ("?", "", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[]", "]", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), is, "{pattern} {name}");
        }
    }

    fn app(files: &[&str]) -> (tempfile::TempDir, AppSource) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, file).unwrap();
        }
        let tree = AppTree { host: dir.path().to_owned(), skip: BTreeSet::new() };
        (dir, AppSource { trees: vec![tree], modes: Modes::Normalise, root: None })
    }

    fn words(app: &AppSource, slices: &[&[&str]]) -> Result<Vec<String>, String> {
        let slices: Vec<Slice> =
            slices.iter().map(|it| Slice { paths: it.iter().map(|it| (*it).to_owned()).collect() }).collect();
        let layers = divide(app, Path::new("/workspace"), Owner::new(1000, 1000), &slices)?;
        Ok(layers.specs.iter().map(|it| it.created_by().to_owned()).collect())
    }

    #[test]
    fn without_slices_there_is_one_layer_and_empty_slices_make_none() {
        let (_dir, app) = app(&["a"]);
        assert_eq!(words(&app, &[]).unwrap(), ["Application Layer"]);
        assert_eq!(
            words(&app, &[&["nothing"], &["a"]]).unwrap(),
            ["Application Slice: 2", "Application Slice: 3"]
        );
    }

    #[test]
    fn a_pattern_finds_files_and_directories_and_may_be_absolute_within_the_application() {
        let (_dir, app) = app(&["static/css/a.css", "static/js/b.js", "x.py"]);
        let found = |pattern: &str| {
            let parts = components(pattern, Path::new("/workspace")).unwrap();
            glob(&app, &parts).unwrap().into_iter().map(|it| it.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found("static/*"), ["static/css", "static/js"]);
        assert_eq!(found("/workspace/static/*/*.css"), ["static/css/a.css"]);
        assert_eq!(found("*.py"), ["x.py"]);
    }

    #[test]
    fn a_pattern_that_leaves_the_application_is_refused() {
        let (_dir, app) = app(&["a"]);
        for pattern in ["../x", "/etc/passwd", "a/../../b"] {
            let said = words(&app, &[&[pattern]]).unwrap_err();
            assert!(said.contains(pattern) && said.contains("leaves the application's directory"), "{said}");
        }
    }

    #[test]
    fn a_link_to_a_directory_outside_is_not_entered() {
        let (dir, app) = app(&["a"]);
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).unwrap();
        assert_eq!(words(&app, &[&["link/passwd"]]).unwrap(), ["Application Slice: 2"]);
    }
}
