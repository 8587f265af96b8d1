//! What the app's modules hold: which files are read, `scan.py`'s answer as values, and a digest of it all.

use crate::errors;
use buildpack::digest::{Digest, sha256};
use buildpack::{Build, Failure, Tool};
use fs_err as fs;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

const SCAN: &str = include_str!("scan.py");

/// One Python file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Scanned {
    pub(crate) path: String,
    pub(crate) error: Option<SyntaxError>,
    /// Top-level names of absolute imports.
    pub(crate) imports: Vec<String>,
    /// `app = Flask(...)`.
    pub(crate) objects: Vec<Found>,
    /// Functions that return such an object.
    pub(crate) factories: Vec<Found>,
    /// `app = something(...)`.
    pub(crate) calls: Vec<Call>,
    /// `WSGI_APPLICATION` and `ASGI_APPLICATION`.
    pub(crate) settings: BTreeMap<String, String>,
    /// `if __name__ == "__main__":`.
    pub(crate) main_guard: bool,
    /// It does something when it is run, and not only defines.
    pub(crate) acts: bool,
    /// What `DJANGO_SETTINGS_MODULE` is set to.
    pub(crate) django_settings: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct SyntaxError {
    pub(crate) line: u32,
    pub(crate) text: String,
}

/// An object, or a function that makes one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) framework: String,
    pub(crate) interface: Interface,
    pub(crate) line: u32,
    #[serde(default)]
    pub(crate) needs_arguments: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// With imported names filled in; begins with a dot where the import was relative.
    pub(crate) called: String,
    pub(crate) line: u32,
}

/// How a server talks to the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Interface {
    /// PEP 3333.
    Wsgi,
    /// <https://asgi.readthedocs.io/>
    Asgi,
}

/// The app's Python files.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    /// Relative paths, sorted.
    pub(crate) paths: Vec<String>,
    digest: Digest,
}

/// Folders whose modules are not the app.
const NOT_THE_APP: &[&str] = &[
    "__pycache__",
    "build",
    "dist",
    "docs",
    "env",
    "examples",
    "migrations",
    "node_modules",
    "site-packages",
    "test",
    "tests",
    "venv",
];

impl Files {
    /// Finds and reads them.
    pub(crate) fn find(app: &Path) -> Result<Self, Failure> {
        let mut paths = Vec::new();
        walk(app, "", &mut paths)?;
        paths.sort();
        let mut digest = Digest::new().part("scan.py", SCAN.as_bytes());
        for path in &paths {
            digest = digest.part(path, sha256(&fs::read(app.join(path))?).as_bytes());
        }
        Ok(Self { paths, digest })
    }

    /// A digest of names and contents, and of `scan.py`.
    pub(crate) fn digest(&self) -> Digest {
        self.digest.clone()
    }

    /// Parses them all, in one start of the interpreter.
    pub(crate) fn scan(&self, build: &Build, python: &Path) -> Result<Vec<Scanned>, Failure> {
        let output = Tool::new(python, &build.env)
            // Isolated: no variable and no module of the app can change what the scan does.
            .args(["-I", "-S", "-X", "utf8", "-W", "ignore", "-c", SCAN])
            .input(self.paths.join("\0").into_bytes())
            .in_dir(&build.app)
            .run(&build.log)
            .map_err(|failure| errors::tool_failed(&failure, "read the app's modules"))?;
        serde_json::from_str(&output).map_err(|error| {
            let failure = buildpack::ToolFailure {
                name: "scan.py".into(),
                why: "answered with something else than JSON".into(),
                stdout: output,
                stderr: error.to_string(),
            };
            errors::tool_failed(&failure, "read the app's modules").into()
        })
    }
}

fn walk(dir: &Path, prefix: &str, paths: &mut Vec<String>) -> Result<(), Failure> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        // A name that is not UTF-8 cannot be that of a module.
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if name.starts_with('.') || name.contains('\n') {
            continue;
        }
        // Links are not followed: what they lead to is found under its own name, or is not the app's.
        let kind = entry.file_type()?;
        let path = format!("{prefix}{name}");
        if kind.is_dir() && !NOT_THE_APP.contains(&name.as_str()) && !entry.path().join("pyvenv.cfg").exists()
        {
            walk(&entry.path(), &format!("{path}/"), paths)?;
        } else if kind.is_file() && name.ends_with(".py") && !is_tooling(&name) {
            paths.push(path);
        }
    }
    Ok(())
}

fn is_tooling(name: &str) -> bool {
    name.starts_with("test_")
        || name.ends_with("_test.py")
        || matches!(name, "conftest.py" | "setup.py" | "noxfile.py" | "gunicorn.conf.py" | "fabfile.py")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_environments_and_links_are_not_the_app() {
        let dir = tempfile::tempdir().unwrap();
        for path in [
            "app.py",
            "pkg/a.py",
            "tests/b.py",
            "mine/pyvenv.cfg",
            "mine/c.py",
            ".x/d.py",
            "test_e.py",
            "f.txt",
        ] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs_err::os::unix::fs::symlink("/etc", dir.path().join("link")).unwrap();
        fs_err::os::unix::fs::symlink("app.py", dir.path().join("alias.py")).unwrap();
        let files = Files::find(dir.path()).unwrap();
        assert_eq!(files.paths, ["app.py", "pkg/a.py"]);
        let before = files.digest().hex();
        fs::write(dir.path().join("app.py"), "x = 1\n").unwrap();
        assert_ne!(Files::find(dir.path()).unwrap().digest().hex(), before);
    }
}
