//! The app's source: what of a folder goes into a build, and what is left out.
//!
//! Nothing is copied: the folder becomes the read-only lower layer of the app directory, and what is left out is
//! hidden from it.

mod walk;

use cnb::project::Project;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use walk::{Rules, Walk};

/// Left out unless `project.toml` brings it back (`exclude = ["!.env"]`, or `include`). Secrets, histories, and what
/// belongs to the machine it was made on.
pub const LEFT_OUT: &[&str] = &[".git", ".env", ".env.*", ".venv", "__pycache__", "node_modules"];

/// What is left out of a project by default.
pub type LeftOut<'a> = dyn Fn(&Project) -> &'static [&'static str] + 'a;

/// Never part of the app: the lock is an input of the build, handed to the buildpacks in another way, so that an app
/// whose lock lies beside it has the same image as one whose lock is in the store.
const NEVER: &str = "packlight.lock";

/// A source folder that was looked at.
#[derive(Debug, Clone)]
pub struct Source {
    /// The folder, absolute.
    pub dir: PathBuf,
    /// What is left out, relative to the folder; a folder stands for all in it.
    pub left_out: BTreeSet<PathBuf>,
    /// `project.toml`, or the defaults.
    pub project: Project,
    /// The folder that relative paths in it start from.
    pub project_dir: PathBuf,
    /// Text of the `packlight.lock` beside the source.
    pub lock: Option<String>,
    /// Sentences that the user should read.
    pub notices: Vec<String>,
}

/// A source folder that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is nothing at the path.
    #[error("there is no folder {}; give the app's folder with --path", .0.display())]
    Missing(PathBuf),
    /// The path names a file.
    #[error("{} is a file; --path takes the app's folder", .0.display())]
    NotAFolder(PathBuf),
    /// There is nothing in it, or nothing is left of it.
    #[error("{} holds nothing to build{}", dir.display(), if *all_left_out { ": everything in it is left out (see `include` and `exclude` in project.toml)" } else { "" })]
    Empty {
        /// The folder.
        dir: PathBuf,
        /// Whether something is there and is all left out.
        all_left_out: bool,
    },
    /// Something in it cannot be read.
    #[error("the source cannot be read")]
    Read(#[from] std::io::Error),
    /// There is no descriptor where one was said to be.
    #[error("there is no project descriptor {}", .0.display())]
    NoDescriptor(PathBuf),
    /// `project.toml` is wrong.
    #[error(transparent)]
    Project(#[from] cnb::ParseError),
    /// A pattern is wrong.
    #[error("project.toml: the pattern `{pattern}` cannot be understood: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why.
        reason: String,
    },
}

/// A source folder, as a user says it.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The folder.
    pub dir: &'a Path,
    /// The project descriptor; none: `project.toml` in the folder, where there is one.
    pub descriptor: Option<&'a Path>,
}

/// Looks at a source folder. `store` is left out when it lies in the folder: it grows while the app is built; and
/// `defaults` is what is left out unless `project.toml` brings it back.
///
/// # Errors
/// When it is missing, empty or unreadable, or its `project.toml` is wrong.
pub fn read(place: Place<'_>, store: &Path, defaults: &LeftOut<'_>) -> Result<Source, SourceError> {
    let path = place.dir;
    let metadata = match fs_err::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(SourceError::Missing(path.to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    if !metadata.is_dir() {
        return Err(SourceError::NotAFolder(path.to_owned()));
    }
    let dir = fs_err::canonicalize(path)?;
    let (project, project_dir) = project(&dir, place.descriptor)?;
    let rules = Rules::new(&dir, &project, defaults(&project))?;
    let store = fs_err::canonicalize(store).unwrap_or_else(|_| store.to_owned());
    let mut walk =
        Walk { rules: &rules, store: &store, left_out: BTreeSet::new(), kept: 0, links: Vec::new() };
    walk.folder(&dir, Path::new(""))?;
    if walk.kept == 0 {
        return Err(SourceError::Empty { dir, all_left_out: !walk.left_out.is_empty() });
    }
    let lock = optional(&dir.join(NEVER))?;
    let mut notices = say(walk.links);
    notices.extend(say_left_out(&walk.left_out, defaults(&project)));
    let left_out = walk.left_out;
    notices.extend(say_unknown(&project));
    Ok(Source { dir, left_out, project, project_dir, lock, notices })
}

fn project(dir: &Path, descriptor: Option<&Path>) -> Result<(Project, PathBuf), SourceError> {
    let Some(file) = descriptor else {
        let text = optional(&dir.join("project.toml"))?;
        let project = text.map(|it| cnb::project::parse("project.toml", &it)).transpose()?;
        return Ok((project.unwrap_or_default(), dir.to_owned()));
    };
    let text = optional(file)?.ok_or_else(|| SourceError::NoDescriptor(file.to_owned()))?;
    let folder = fs_err::canonicalize(file)?.parent().map_or_else(|| dir.to_owned(), Path::to_owned);
    Ok((cnb::project::parse(&file.display().to_string(), &text)?, folder))
}

/// Keys that nobody reads are named: one of them may be misspelt.
fn say_unknown(project: &Project) -> Option<String> {
    let keys = project.unknown.join(", ");
    (!keys.is_empty())
        .then(|| format!("the project descriptor's version does not know {keys}: without effect"))
}

/// What is left out unasked, by name; not how often.
fn say_left_out(left_out: &BTreeSet<PathBuf>, defaults: &[&str]) -> Option<String> {
    let by_default = |name: &str| {
        defaults.iter().any(|it| name == *it || it.strip_suffix('*').is_some_and(|it| name.starts_with(it)))
    };
    let names: BTreeSet<&str> =
        left_out.iter().filter_map(|it| it.file_name()?.to_str()).filter(|it| by_default(it)).collect();
    let names: Vec<&str> = names.into_iter().collect();
    (!names.is_empty()).then(|| {
        format!(
            "left out of the app: {} (`exclude = [\"!{}\"]` in project.toml would bring it back)",
            names.join(", "),
            names[0]
        )
    })
}

/// So many links that lead out are named; a folder of thousands is told with one more line.
const LINKS_NAMED: usize = 5;

fn say(mut links: Vec<String>) -> Vec<String> {
    if links.len() > LINKS_NAMED {
        let more = links.len() - LINKS_NAMED;
        links.truncate(LINKS_NAMED);
        links.push(format!("{more} more links lead out of the app's folder"));
    }
    links
}

fn optional(file: &Path) -> std::io::Result<Option<String>> {
    match oci::bounded::read_text(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        dir
    }

    fn look(dir: &Path, store: &Path) -> Result<Source, SourceError> {
        read(Place { dir, descriptor: None }, store, &|_| LEFT_OUT)
    }

    fn left_out(source: &Source) -> Vec<&str> {
        source.left_out.iter().map(|it| it.to_str().unwrap()).collect()
    }

    #[test]
    fn secrets_histories_and_machine_made_folders_are_left_out() {
        let dir = folder(&[
            ("app.py", ""),
            (".git/HEAD", ""),
            (".env", ""),
            (".env.local", ""),
            ("a/__pycache__/x.pyc", ""),
            ("packlight.lock", "version = 1"),
        ]);
        let source = look(dir.path(), Path::new("/nowhere")).unwrap();
        assert_eq!(left_out(&source), [".env", ".env.local", ".git", "a/__pycache__", "packlight.lock"]);
        assert_eq!(
            source.notices,
            [
                "left out of the app: .env, .env.local, .git, __pycache__ (`exclude = [\"!.env\"]` in project.toml would bring it back)"
            ]
        );
        assert_eq!(source.lock.as_deref(), Some("version = 1"));
    }

    #[test]
    fn project_toml_leaves_more_out_and_brings_back() {
        let dir = folder(&[
            ("app.py", ""),
            (".env", ""),
            ("notes.md", ""),
            ("project.toml", "[build]\nexclude = [\"*.md\", \"!.env\"]\n"),
        ]);
        assert_eq!(left_out(&look(dir.path(), Path::new("/nowhere")).unwrap()), ["notes.md"]);
    }

    #[test]
    fn a_descriptor_elsewhere_is_read_in_place_of_the_folders_own() {
        let app = folder(&[("app.py", ""), ("notes.md", ""), ("project.toml", "not TOML")]);
        let other = folder(&[("a/descriptor.toml", "[build]\nexclude = [\"*.md\"]\nexcludes = []\n")]);
        let file = other.path().join("a/descriptor.toml");
        let read = |file: &Path| {
            let place = Place { dir: app.path(), descriptor: Some(file) };
            read(place, Path::new("/nowhere"), &|_| LEFT_OUT)
        };
        let source = read(&file).unwrap();
        assert_eq!(left_out(&source), ["notes.md"]);
        assert_eq!(source.project_dir, fs_err::canonicalize(other.path()).unwrap().join("a"));
        assert!(source.notices[0].contains("does not know build.excludes"), "{:?}", source.notices);
        let said = read(&other.path().join("none.toml")).unwrap_err().to_string();
        assert!(said.contains("there is no project descriptor") && said.contains("none.toml"), "{said}");
    }

    #[test]
    fn a_store_in_the_folder_is_no_source() {
        let dir = folder(&[("app.py", ""), ("home/store/blob", "")]);
        let source = look(dir.path(), &dir.path().join("home/store")).unwrap();
        assert_eq!(left_out(&source), ["home/store"]);
    }

    #[test]
    fn include_keeps_only_what_it_names() {
        let dir = folder(&[
            ("app.py", ""),
            ("lib/x.py", ""),
            ("lib/x.md", ""),
            ("docs/deep/y.md", ""),
            ("project.toml", "[build]\ninclude = [\"app.py\", \"lib/*.py\"]\n"),
        ]);
        assert_eq!(
            left_out(&look(dir.path(), Path::new("/nowhere")).unwrap()),
            ["docs", "lib/x.md", "project.toml"]
        );
    }

    #[test]
    fn a_folder_that_cannot_be_built_says_why() {
        let dir = folder(&[("file", "")]);
        let say = |path: &Path| look(path, Path::new("/nowhere")).unwrap_err().to_string();
        assert!(say(&dir.path().join("nowhere")).contains("there is no folder"));
        assert!(say(&dir.path().join("file")).contains("is a file"));
        assert!(say(folder(&[]).path()).ends_with("holds nothing to build"));
        assert!(say(folder(&[(".env", "")]).path()).contains("everything in it is left out"));
    }

    #[test]
    fn a_link_out_of_the_folder_is_a_notice() {
        let dir = folder(&[("a/b.py", "")]);
        std::os::unix::fs::symlink("../a/b.py", dir.path().join("a/inside")).unwrap();
        std::os::unix::fs::symlink("../../secret", dir.path().join("a/outside")).unwrap();
        let notices = look(dir.path(), Path::new("/nowhere")).unwrap().notices;
        assert_eq!(notices.len(), 1);
        assert!(notices[0].contains("a/outside"), "{notices:?}");
    }
}
