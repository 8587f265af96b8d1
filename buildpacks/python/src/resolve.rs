//! From what the app lists to pins: every package with its version and hashes, kept in `packlight.lock`.

use crate::errors;
use crate::explain::About;
use crate::project::{Pyproject, Source};
use crate::requirements::{self, Editable, Requirements, name_of};
use crate::uv::{Installer, Scratch, explained};
use buildpack::digest::Digest;
use buildpack::lock::Lock;
use buildpack::{Build, Context, Failure};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// This buildpack's part of `packlight.lock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fragment {
    pub(crate) python: Pins,
}

/// `[python]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pins {
    /// `3.13`.
    pub(crate) version: String,
    /// The file that lists the app's packages.
    pub(crate) source: String,
    /// A digest of all that was resolved; where it is the same, so are the pins.
    pub(crate) inputs: String,
    /// What this buildpack added, such as a server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) added: Vec<String>,
    #[serde(default)]
    pub(crate) packages: Vec<Pin>,
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pin {
    /// `flask==3.1.2`, a direct URL at a commit, or a path in the app's folder.
    pub(crate) requirement: String,
    /// `sha256:...`; empty for what has no archive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) hashes: Vec<String>,
}

/// What the app lists.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) source: Source,
    pub(crate) requirements: Requirements,
    /// Normalised names of the packages that it lists (all of them, where there is a lock).
    pub(crate) names: BTreeSet<String>,
    digest: Digest,
}

/// Reads what the app lists, and takes the digest of it.
pub(crate) fn listed(
    build: &Build,
    source: Source,
    pyproject: Option<&Pyproject>,
) -> Result<Listed, Failure> {
    let mut digest = Digest::new();
    let mut all = Requirements::default();
    let mut names = BTreeSet::new();
    match &source {
        Source::Requirements(files) => {
            all = requirements::read(&build.app, files)?;
            names = all.names();
        }
        Source::UvLock => names = locked_names(&read(build, "uv.lock")?),
        Source::Pyproject => {
            let listed = pyproject.and_then(|it| it.dependencies.clone()).unwrap_or_default();
            names.extend(listed.iter().filter_map(|it| name_of(it)));
        }
    }
    for (name, bytes) in &all.files {
        digest = digest.part(name, bytes);
    }
    for name in ["uv.lock", "pyproject.toml"] {
        // A requirements file alone decides, unless it installs the app itself.
        let counts = !matches!(source, Source::Requirements(_)) || all.installs_app();
        if let (true, Some(bytes)) = (counts, build.read_app(name)?) {
            digest = digest.part(name, &bytes);
        }
    }
    Ok(Listed { source, requirements: all, names, digest })
}

fn read(build: &Build, name: &str) -> Result<String, Failure> {
    Ok(String::from_utf8_lossy(&build.read_app(name)?.unwrap_or_default()).into_owned())
}

/// Whether something is fetched with git.
pub(crate) fn uses_git(context: &Context, source: &Source) -> Result<bool, Failure> {
    let files = match source {
        Source::Requirements(files) => requirements::read(&context.app, files)?.files.into_values().collect(),
        Source::UvLock => vec![context.read_app("uv.lock")?.unwrap_or_default()],
        Source::Pyproject => vec![context.read_app("pyproject.toml")?.unwrap_or_default()],
    };
    Ok(files
        .iter()
        .map(|it| String::from_utf8_lossy(it))
        .any(|it| it.contains("git+") || it.contains("{ git = ")))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn locked_names(lock: &str) -> BTreeSet<String> {
    lock.lines()
        .filter_map(|it| it.strip_prefix("name = \"")?.strip_suffix('"'))
        .map(requirements::normalise)
        .collect()
}

/// What is resolved: the app's list, for one Python, with additions.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) listed: &'a Listed,
    /// `3.13`.
    pub(crate) minor: &'a str,
    /// What `uv` asks about versions and platform.
    pub(crate) interpreter: &'a Path,
    pub(crate) added: &'a [String],
    /// What the user's settings say of the packages that are taken; empty by default.
    pub(crate) choice: &'a str,
}

impl Question<'_> {
    /// The digest that a lock must have for its pins to be the answer.
    fn inputs(&self) -> String {
        let added = self.added.join("\n");
        let digest =
            self.listed.digest.clone().part("python", self.minor.as_bytes()).part("added", added.as_bytes());
        // Where nothing is set, the digest is everybody's.
        let digest =
            if self.choice.is_empty() { digest } else { digest.part("choice", self.choice.as_bytes()) };
        digest.hex()
    }

    /// The pins: those of the lock where it answers this question, else resolved.
    pub(crate) fn answer(
        &self,
        installer: &Installer,
        build: &Build,
        lock: Option<&Lock>,
    ) -> Result<Pins, Failure> {
        if let (Some(pins), Some(lock)) = (self.answered_by(lock), lock) {
            let count = pins.packages.len();
            let plural = if count == 1 { "" } else { "s" };
            let lock = file_name(&lock.path);
            build.log.step(format_args!("{} as {lock} has it ({count} package{plural})", pins.source));
            return Ok(pins);
        }
        let text = format!(
            "Resolving {}{}",
            self.listed.source.name(),
            if lock.is_some() { ", which has changed" } else { "" }
        );
        let pins = build.log.timed(text, || self.resolve(installer, build, lock))?;
        refuse_secrets(&pins)?;
        Ok(pins)
    }

    /// The pins of a lock, when they answer this very question.
    fn answered_by(&self, lock: Option<&Lock>) -> Option<Pins> {
        lock?.section::<Pins>("python").filter(|it| it.inputs == self.inputs())
    }

    /// Resolves; pins of an old lock are kept where they still fit.
    fn resolve(&self, installer: &Installer, build: &Build, old: Option<&Lock>) -> Result<Pins, Failure> {
        let packages = if self.is_empty() { Vec::new() } else { self.ask(installer, build, old)? };
        Ok(Pins {
            version: self.minor.to_owned(),
            source: self.listed.source.name(),
            inputs: self.inputs(),
            added: self.added.to_vec(),
            packages,
        })
    }

    /// Nothing is asked for, so there is nobody to ask.
    fn is_empty(&self) -> bool {
        let nothing = matches!(self.listed.source, Source::Requirements(_))
            && self.listed.requirements.entries.is_empty();
        nothing && self.added.is_empty()
    }

    fn ask(&self, installer: &Installer, build: &Build, old: Option<&Lock>) -> Result<Vec<Pin>, Failure> {
        let scratch = Scratch::new(build)?;
        let output = scratch.path("output.txt");
        if let Some(pins) = old.and_then(|it| it.section::<Pins>("python")) {
            // uv prefers what an existing output file has.
            scratch.write("output.txt", &requirements_text(&pins.packages))?;
        }
        let mut inputs: Vec<PathBuf> = match &self.listed.source {
            Source::Requirements(files) => files.iter().map(Into::into).collect(),
            Source::Pyproject => vec!["pyproject.toml".into()],
            Source::UvLock => {
                let exported = self.export(installer, build)?;
                if self.added.is_empty() {
                    return Ok(parse_pins(&exported, &build.app));
                }
                vec![scratch.write("exported.txt", &exported)?]
            }
        };
        if !self.added.is_empty() {
            inputs.push(scratch.write("added.in", &self.added.join("\n"))?);
        }
        let compile = |more: &[&str]| {
            installer
                .uv_pip("compile")
                .args(["--generate-hashes", "--no-annotate", "--no-header", "--quiet"])
                .args(["--python".as_ref(), self.interpreter.as_os_str(), "-o".as_ref(), output.as_os_str()])
                .args(more)
                .args(&inputs)
                .run(&build.log)
        };
        let wheels_alone = installer.choice().prefer_binary && compile(&["--only-binary", ":all:"]).is_ok();
        if !wheels_alone {
            if installer.choice().prefer_binary {
                build.log.detail(
                    "not every package has a wheel that fits: uv takes the newest versions, whether with a wheel or not",
                );
            }
            compile(&[]).map_err(|failure| explained(&failure, &self.about(build)))?;
        }
        Ok(self.with_own_hashes(parse_pins(&fs::read_to_string(&output)?, &build.app)))
    }

    /// `uv.lock` is the answer already; it is only said in the form that is installed from.
    fn export(&self, installer: &Installer, build: &Build) -> Result<String, Failure> {
        installer
            .uv()
            // `--locked`: a lock that pyproject.toml has outgrown is an error, and not quietly used.
            .args(["export", "--locked", "--no-dev", "--no-emit-project", "--quiet"])
            .args(["--format", "requirements-txt", "--no-header", "--no-annotate"])
            .args(["--python".as_ref(), self.interpreter.as_os_str()])
            .run(&build.log)
            .map_err(|failure| explained(&failure, &self.about(build)))
    }

    /// Hashes that the app's author wrote are stricter than those of the index, and win.
    fn with_own_hashes(&self, mut pins: Vec<Pin>) -> Vec<Pin> {
        let own = self.listed.requirements.hashes();
        for pin in &mut pins {
            if let Some(hashes) = name_of(&pin.requirement).and_then(|name| own.get(&name)) {
                pin.hashes.clone_from(hashes);
            }
        }
        pins
    }

    pub(crate) fn about<'b>(&'b self, build: &'b Build) -> About<'b> {
        About {
            app: &build.app,
            source: self.listed.source.name(),
            minor: self.minor,
            files: &self.listed.requirements.files,
        }
    }
}

impl Pins {
    /// A digest of what is installed: pins, and the contents of folders of the app that are installed from.
    pub(crate) fn digest(&self, app: &Path, listed: &Listed) -> Result<Digest, Failure> {
        let options = listed.requirements.options.join("\n");
        let mut digest = Digest::new()
            .part("packages", requirements_text(&self.packages).as_bytes())
            .part("options", options.as_bytes());
        for (path, editable) in listed.requirements.paths() {
            digest = match editable {
                // Only its metadata goes into the environment, its modules stay where they are.
                Editable::Yes => metadata_digest(digest, app, path)?,
                Editable::No => tree_digest(digest, &app.join(path))?,
            };
        }
        Ok(digest)
    }

    /// Those with hashes, and those without.
    pub(crate) fn split(&self) -> (Vec<Pin>, Vec<Pin>) {
        self.packages.iter().cloned().partition(|it| !it.hashes.is_empty())
    }
}

fn metadata_digest(mut digest: Digest, app: &Path, path: &str) -> Result<Digest, Failure> {
    for name in ["pyproject.toml", "setup.py", "setup.cfg"] {
        let file = app.join(path.split('[').next().unwrap_or_default()).join(name);
        if let Some(bytes) = buildpack::context::read_optional(&file)? {
            digest = digest.part(&file.to_string_lossy(), &bytes);
        }
    }
    Ok(digest)
}

fn tree_digest(mut digest: Digest, path: &Path) -> Result<Digest, Failure> {
    if !path.is_dir() {
        let bytes = buildpack::context::read_optional(path)?.unwrap_or_default();
        return Ok(digest.part(&path.to_string_lossy(), &bytes));
    }
    let mut entries: Vec<_> = fs::read_dir(path)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let kind = entry.file_type()?;
        if !hidden && entry.file_name() != "__pycache__" && (kind.is_dir() || kind.is_file()) {
            digest = tree_digest(digest, &entry.path())?;
        }
    }
    Ok(digest)
}

/// Pins as a requirements file.
pub(crate) fn requirements_text(pins: &[Pin]) -> String {
    let mut text = String::new();
    for pin in pins {
        text.push_str(&pin.requirement);
        for hash in &pin.hashes {
            text.push_str(" \\\n    --hash=");
            text.push_str(hash);
        }
        text.push('\n');
    }
    text
}

/// What uv wrote; paths of the app's folder become relative to it, so that a lock is the same for everybody.
fn parse_pins(text: &str, app: &Path) -> Vec<Pin> {
    let joined = text.replace("\\\n", " ");
    let app = format!("file://{}/", app.display());
    joined
        .lines()
        .map(str::trim)
        .filter(|it| !it.is_empty() && !it.starts_with('#'))
        .filter(|it| it.starts_with("-e ") || !it.starts_with('-'))
        .map(|line| {
            let mut parts = line.split("--hash=");
            let requirement = parts.next().unwrap_or_default().trim().replace(&app, "./");
            Pin { requirement, hashes: parts.map(|it| it.trim().to_owned()).collect() }
        })
        .collect()
}

/// Refuses a pin that would put a password into the lock and into a layer.
fn refuse_secrets(pins: &Pins) -> Result<(), Failure> {
    for pin in &pins.packages {
        let secret =
            pin.requirement.split_once("://").and_then(|(_, rest)| buildpack::pip::credentials(rest));
        if secret.is_some() {
            let name = name_of(&pin.requirement).unwrap_or_default();
            return Err(errors::password_in_requirement(&pins.source, 1, &name).into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_uv_writes_is_read_and_written_back() {
        let text = "-e .\nflask==3.1.2 \\\n    --hash=sha256:01 \\\n    --hash=sha256:02\nmine @ file:///workspace/libs/mine\n# via x\n";
        let pins = parse_pins(text, Path::new("/workspace"));
        assert_eq!(
            pins[1],
            Pin { requirement: "flask==3.1.2".into(), hashes: vec!["sha256:01".into(), "sha256:02".into()] }
        );
        assert_eq!(pins[2].requirement, "mine @ ./libs/mine");
        assert!(
            requirements_text(&pins)
                .contains("flask==3.1.2 \\\n    --hash=sha256:01 \\\n    --hash=sha256:02\n")
        );
    }

    #[test]
    fn names_are_found_in_a_lock_of_uv() {
        let names = locked_names("version = 1\n[[package]]\nname = \"Flask\"\nversion = \"1\"\n");
        assert!(names.contains("flask"));
    }
}
