//! Requirements files, read as far as this buildpack must: what they include, name, and take from the app's folder.
//!
//! Versions and markers are uv's business. <https://pip.pypa.io/en/stable/reference/requirements-file-format/>

use crate::errors;
use buildpack::Failure;
use buildpack::context::read_optional;
use buildpack::pip::credentials;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// All requirements files that belong together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requirements {
    /// Each file as it is, included ones too, relative to the app's folder.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// What they list, in order.
    pub(crate) entries: Vec<Entry>,
    /// Lines that say where packages come from and of which kind: they hold for the installation too.
    pub(crate) options: Vec<String>,
    /// `--trusted-host` values.
    pub(crate) trusted: Vec<String>,
}

/// One requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) file: String,
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) what: What,
    /// `--hash=` values, if any.
    pub(crate) hashes: Vec<String>,
}

/// What a requirement names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// A package, its name normalised, with its extras.
    Package { name: String, extras: Vec<String> },
    /// A path in the app's folder.
    Path { path: String, editable: Editable },
    /// A URL or a version control system, without a name in front.
    Url(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Editable {
    Yes,
    No,
}

/// Reads `roots` and all that they include.
pub(crate) fn read(app: &Path, roots: &[String]) -> Result<Requirements, Failure> {
    let mut all = Requirements::default();
    for root in roots {
        read_file(app, root, None, &mut all)?;
    }
    Ok(all)
}

impl Requirements {
    /// Normalised names of all packages that are listed by name.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.entries
            .iter()
            .filter_map(|it| match &it.what {
                What::Package { name, .. } => Some(name.clone()),
                _ => None,
            })
            .collect()
    }

    /// Extras asked of the package `wanted`.
    pub(crate) fn extras(&self, wanted: &str) -> Vec<&str> {
        let of = |it: &'_ Entry| matches!(&it.what, What::Package { name, .. } if name == wanted);
        self.entries
            .iter()
            .filter(|it| of(it))
            .flat_map(|it| match &it.what {
                What::Package { extras, .. } => extras.iter().map(String::as_str).collect(),
                _ => Vec::new(),
            })
            .collect()
    }

    /// Whether the app itself is installed (`.` or `-e .`).
    pub(crate) fn installs_app(&self) -> bool {
        self.entries.iter().any(|it| matches!(&it.what, What::Path { path, .. } if is_here(path)))
    }

    /// Hashes that the files give, by package.
    pub(crate) fn hashes(&self) -> BTreeMap<String, Vec<String>> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for entry in &self.entries {
            if let (What::Package { name, .. }, false) = (&entry.what, entry.hashes.is_empty()) {
                all.entry(name.clone()).or_default().extend(entry.hashes.clone());
            }
        }
        all
    }

    /// Folders or files of the app that are installed from.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (&str, Editable)> {
        self.entries.iter().filter_map(|it| match &it.what {
            What::Path { path, editable } => Some((path.as_str(), *editable)),
            _ => None,
        })
    }
}

fn is_here(path: &str) -> bool {
    let path = path.split('[').next().unwrap_or_default();
    matches!(path, "." | "./")
}

fn read_file(
    app: &Path,
    file: &str,
    from: Option<(&str, usize)>,
    all: &mut Requirements,
) -> Result<(), Failure> {
    let file = normal(file);
    if all.files.contains_key(&file) {
        return Ok(());
    }
    let Some(bytes) = read_optional(&app.join(&file))? else {
        let (from, line) = from.unwrap_or((&file, 1));
        return Err(errors::include_missing(from, line, &file).into());
    };
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(errors::utf16(&file).into());
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    all.files.insert(file.clone(), bytes);
    for (line, text) in logical_lines(&text) {
        read_line(app, (&file, line), &text, all)?;
    }
    Ok(())
}

fn read_line(
    app: &Path,
    (file, line): (&str, usize),
    text: &str,
    all: &mut Requirements,
) -> Result<(), Failure> {
    if let Some(included) = option(text, &["-r", "--requirement", "-c", "--constraint"]) {
        if included.contains("://") {
            return Err(errors::include_by_url(file, line, included).into());
        }
        let beside = Path::new(file).parent().unwrap_or(Path::new("")).join(included);
        return read_constraints_or_requirements(app, (file, line), text, &beside.to_string_lossy(), all);
    }
    refuse_password((file, line), text)?;
    if let Some(path) = option(text, &["-e", "--editable"]) {
        let what = path_or_url(file, path, Editable::Yes);
        all.entries.push(Entry { file: file.to_owned(), line, what, hashes: Vec::new() });
        return Ok(());
    }
    if text.starts_with('-') {
        read_option(app, file, text, all);
        return Ok(());
    }
    let (requirement, hashes) = split_hashes(text);
    let what = match name_of(&requirement) {
        Some(_) if looks_like_path(app, file, &requirement) => path_or_url(file, &requirement, Editable::No),
        Some(name) => What::Package { name, extras: extras_of(&requirement) },
        None => path_or_url(file, &requirement, Editable::No),
    };
    all.entries.push(Entry { file: file.to_owned(), line, what, hashes });
    Ok(())
}

/// Options that uv understands in a requirements file. <https://docs.astral.sh/uv/pip/compatibility/>
const OPTIONS: &[&str] = &[
    "--extra-index-url",
    "--find-links",
    "--index-url",
    "--no-binary",
    "--no-index",
    "--only-binary",
    "-f",
    "-i",
];

fn read_option(app: &Path, file: &str, text: &str, all: &mut Requirements) {
    if let Some(links) = option(text, &["-f", "--find-links"]).filter(|it| !it.contains("://")) {
        // Relative to the file that says it, and from now on to nothing.
        let folder = app.join(file).parent().unwrap_or(app).join(links);
        all.options.push(format!("--find-links {}", folder.display()));
    } else if let Some(host) = option(text, &["--trusted-host"]) {
        all.trusted.push(host.to_owned());
    } else if OPTIONS.iter().any(|it| text == *it || option(text, &[it]).is_some()) {
        all.options.push(text.to_owned());
    }
}

/// An index may have a password, which is nowhere kept; a package's own address is kept in the lock.
fn refuse_password((file, line): (&str, usize), text: &str) -> Result<(), Failure> {
    let is_requirement = !text.starts_with('-') || option(text, &["-e", "--editable"]).is_some();
    let found = text.split_once("://").and_then(|(_, rest)| credentials(rest)).filter(|_| is_requirement);
    match found {
        Some((user, _)) => {
            let name = name_of(text).unwrap_or_else(|| user.to_owned());
            Err(errors::password_in_requirement(file, line, &name).into())
        }
        None => Ok(()),
    }
}

/// What a constraints file lists is not wanted by it: its contents count, its entries do not.
fn read_constraints_or_requirements(
    app: &Path,
    from: (&str, usize),
    text: &str,
    included: &str,
    all: &mut Requirements,
) -> Result<(), Failure> {
    let before = all.entries.len();
    read_file(app, included, Some(from), all)?;
    if option(text, &["-c", "--constraint"]).is_some() {
        all.entries.truncate(before);
    }
    Ok(())
}

/// The value of an option written as `-r x`, `-rx`, `--requirement x` or `--requirement=x`.
fn option<'a>(text: &'a str, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| {
        let rest = text.strip_prefix(name)?;
        let value = match rest.strip_prefix('=') {
            Some(value) => value,
            None if rest.starts_with(char::is_whitespace) => rest,
            None if !name.starts_with("--") => rest,
            None => return None,
        };
        Some(value.trim()).filter(|it| !it.is_empty())
    })
}

fn split_hashes(text: &str) -> (String, Vec<String>) {
    let mut parts = text.split("--hash");
    let requirement = parts.next().unwrap_or_default().trim().to_owned();
    let hashes = parts.map(|it| it.trim_start_matches(['=', ' ']).trim().to_owned()).collect();
    (requirement, hashes)
}

fn path_or_url(file: &str, text: &str, editable: Editable) -> What {
    let bare = text.split(';').next().unwrap_or_default().trim();
    if bare.contains("://") || bare.starts_with("git+") {
        return match bare.strip_prefix("file://") {
            Some(path) => What::Path { path: path.to_owned(), editable },
            None => What::Url(bare.to_owned()),
        };
    }
    let beside = Path::new(file).parent().unwrap_or(Path::new("")).join(bare);
    What::Path { path: normal(&beside.to_string_lossy()), editable }
}

fn looks_like_path(app: &Path, file: &str, text: &str) -> bool {
    let bare = text.split([';', '[', ' ']).next().unwrap_or_default();
    let archive = [".whl", ".tar.gz", ".zip"].iter().any(|it| bare.ends_with(it));
    let beside = app.join(file).parent().unwrap_or(app).join(bare);
    !bare.contains("://") && ((bare.contains('/') && beside.exists()) || (archive && !text.contains('@')))
}

/// The normalised name at the head of a requirement; `None` when it does not begin with a name.
pub(crate) fn name_of(requirement: &str) -> Option<String> {
    let end = requirement
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
        .unwrap_or(requirement.len());
    let (name, rest) = requirement.split_at(end);
    let rest = rest.trim_start();
    let ends_well =
        rest.is_empty() || rest.starts_with(['[', '=', '<', '>', '!', '~', ';', '@', '(', ',', '/']);
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    (begins_well && ends_well).then(|| normalise(name))
}

fn extras_of(requirement: &str) -> Vec<String> {
    let inside = requirement.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    inside.map(|(list, _)| list.split(',').map(|it| it.trim().to_lowercase()).collect()).unwrap_or_default()
}

/// PEP 503: runs of `-`, `_` and `.` are one `-`, in lower case.
pub(crate) fn normalise(name: &str) -> String {
    let mut all = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if all.ends_with('-') => {}
            '-' | '_' | '.' => all.push('-'),
            _ => all.push(c.to_ascii_lowercase()),
        }
    }
    all
}

/// `./a/../b` is `b`: one name for one file.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." if parts.last().is_some_and(|it| *it != "..") => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    let joined = parts.join("/");
    match (path.starts_with('/'), joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// Lines without comments, joined where they end with a backslash, with the number of their first line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, raw) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let bare = without_comment(raw);
        let (number, mut line) = open.take().unwrap_or((index + 1, String::new()));
        match bare.trim_end().strip_suffix('\\') {
            Some(begun) => {
                line.push_str(begun);
                open = Some((number, line));
            }
            None => {
                line.push_str(bare);
                lines.push((number, line));
            }
        }
    }
    lines.extend(open);
    lines
        .into_iter()
        .map(|(number, line)| (number, line.trim().to_owned()))
        .filter(|(_, line)| !line.is_empty())
        .collect()
}

fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with('#') {
        return "";
    }
    match line.find(" #").or_else(|| line.find("\t#")) {
        Some(at) => &line[..at],
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err as fs;

    fn read_text(text: &str) -> Result<Requirements, Failure> {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("libs/mine")).unwrap();
        fs::write(dir.path().join("requirements.txt"), text).unwrap();
        fs::write(dir.path().join("more.txt"), "requests\n").unwrap();
        fs::write(dir.path().join("limits.txt"), "click<9\n").unwrap();
        read(dir.path(), &["requirements.txt".to_owned()])
    }

    #[test]
    fn names_extras_hashes_and_paths_are_found() {
        let it = read_text(
            "\u{feff}Flask_Thing.x==1  # why\r\n\r\nuvicorn[standard, x] >= 0.3; python_version > '3'\n\
             a==1 \\\n  --hash=sha256:01 \\\n  --hash=sha256:02\n./libs/mine\n-e .\nb @ git+https://host/x@1\n",
        )
        .unwrap();
        assert_eq!(it.names().into_iter().collect::<Vec<_>>(), ["a", "b", "flask-thing-x", "uvicorn"]);
        assert_eq!(it.extras("uvicorn"), ["standard", "x"]);
        assert_eq!(it.hashes()["a"], ["sha256:01", "sha256:02"]);
        let paths: Vec<_> = it.paths().collect();
        assert_eq!(paths, [("libs/mine", Editable::No), (".", Editable::Yes)]);
        assert!(it.installs_app());
        assert_eq!(it.entries[2].line, 4);
    }

    #[test]
    fn an_included_file_is_listed_and_a_constraint_is_only_read() {
        let it = read_text("-r more.txt\n-climits.txt\n--requirement=./more.txt\n").unwrap();
        assert_eq!(it.names().into_iter().collect::<Vec<_>>(), ["requests"]);
        assert_eq!(it.files.keys().collect::<Vec<_>>(), ["limits.txt", "more.txt", "requirements.txt"]);
    }

    #[test]
    fn options_that_hold_for_the_installation_are_kept_and_others_are_not() {
        let it = read_text("-i https://a/\n--extra-index-url=https://b/\n-f wheels\n--no-binary x\n--pre\n--trusted-host h\n").unwrap();
        let [index, extra, links, binary] = it.options.as_slice() else { panic!("{:?}", it.options) };
        assert_eq!(
            [index, extra, binary],
            ["-i https://a/", "--extra-index-url=https://b/", "--no-binary x"]
        );
        assert!(links.starts_with("--find-links /") && links.ends_with("/wheels"), "{links}");
        assert_eq!(it.trusted, ["h"]);
    }

    #[test]
    fn a_missing_include_names_the_line_that_asks_for_it() {
        let error = read_text("flask\n-r nothing.txt\n").unwrap_err().to_string();
        assert!(error.contains("requirements.txt:2"), "{error}");
    }

    #[test]
    fn a_password_in_a_requirement_is_refused_without_repeating_it() {
        let error = read_text("mine @ https://me:hunter2@host/mine.whl\n").unwrap_err().to_string();
        assert!(error.contains("requirements.txt:1"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        assert!(read_text("-e git+https://me:hunter2@host/mine.git\n").is_err());
        assert!(read_text("-i https://me:hunter2@host/simple\n").is_ok());
    }
}
