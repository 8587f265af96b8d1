//! Which Python the app gets, and who said so.
//!
//! Asked in this order, the first that says something wins: `PACKLIGHT_PYTHON_VERSION`, `BP_CPYTHON_VERSION`,
//! `.python-version`, `runtime.txt`, `requires-python` of `uv.lock`, of `pyproject.toml`; else the default, 3.13.
//! Two files that say different things are an error; a variable is there to overrule files.

use crate::errors;
use crate::inventory::{Debian, Inventory, Standalone, numbers};
use crate::project::Pyproject;
use crate::specifier::Specifier;
use buildpack::{Context, Failure};

/// The Python that was chosen.
#[derive(Debug, Clone)]
pub(crate) struct Python {
    /// `3.13`.
    pub(crate) minor: String,
    /// Where it comes from.
    pub(crate) origin: Origin,
    /// Who asked: `.python-version`, or `nothing asks`.
    pub(crate) because: String,
    /// What to tell the user about a patch level that differs.
    pub(crate) notice: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// From the base; the release's name.
    Debian(String),
    /// A standalone build in a layer.
    Standalone(Standalone),
}

impl Python {
    /// The Debian release of the base.
    pub(crate) fn release<'a>(&'a self, inventory: &'a Inventory) -> &'a str {
        match &self.origin {
            Origin::Debian(release) => release,
            Origin::Standalone(_) => inventory.debian.first().map_or("trixie", |it| it.release.as_str()),
        }
    }

    /// `Python 3.13 from Debian trixie`.
    pub(crate) fn description(&self) -> String {
        match &self.origin {
            Origin::Debian(release) => format!("Python {} from Debian {release}", self.minor),
            Origin::Standalone(it) => format!("Python {}, a standalone build", it.version),
        }
    }

    /// The Debian minor whose interpreter runs pip while the app is built.
    pub(crate) fn build_minor<'a>(&'a self, inventory: &'a Inventory) -> &'a str {
        match &self.origin {
            Origin::Debian(_) => &self.minor,
            Origin::Standalone(_) => inventory.debian.first().map_or("3.13", |it| it.python.as_str()),
        }
    }
}

/// A wish and who has it.
#[derive(Debug, Clone)]
struct Wish {
    from: String,
    specifier: Specifier,
}

/// Chooses the Python.
pub(crate) fn choose(
    context: &Context,
    inventory: &Inventory,
    pyproject: Option<&Pyproject>,
) -> Result<Python, Failure> {
    let variables =
        [variable(context, "PACKLIGHT_PYTHON_VERSION")?, variable(context, "BP_CPYTHON_VERSION")?];
    let files = [python_version_file(context)?, runtime_txt(context)?];
    let mut requires = requires_python(context, pyproject)?;
    let overruled = variables.iter().any(Option::is_some);
    if let ([Some(one), Some(two)], false) = (&files, overruled) {
        agree(inventory, one, two)?;
    }
    let wish = variables.into_iter().chain(files).flatten().next();
    if let (Some(wish), Some(requires)) = (&wish, &requires) {
        agree(inventory, wish, requires)?;
    }
    match wish.or_else(|| requires.take()) {
        Some(wish) => select(inventory, &wish),
        None => Ok(default(inventory)),
    }
}

fn default(inventory: &Inventory) -> Python {
    let first = inventory.debian.first();
    Python {
        minor: first.map_or_else(|| "3.13".to_owned(), |it| it.python.clone()),
        origin: Origin::Debian(first.map_or_else(|| "trixie".to_owned(), |it| it.release.clone())),
        because: "the default, nothing asks for another".to_owned(),
        notice: None,
    }
}

/// Debian's Python where one fits, the inventory's order deciding; else the newest standalone build that does.
fn select(inventory: &Inventory, wish: &Wish) -> Result<Python, Failure> {
    let because = format!("{} asks for {}", wish.from, wish.specifier);
    if let Some(found) = inventory.debian.iter().find(|it| fits(wish, it)) {
        let notice = wish.specifier.exact().map(|[major, minor, patch]| {
            format!(
                "{} asks for Python {major}.{minor}.{patch}; Debian's {} is used, which has its own patch level with the \
                 security fixes. Write {major}.{minor} to say just that",
                wish.from, found.python
            )
        });
        let origin = Origin::Debian(found.release.clone());
        return Ok(Python { minor: found.python.clone(), origin, because, notice });
    }
    match newest(&inventory.preferred, wish).or_else(|| newest(&inventory.standalone, wish)) {
        Some(([major, minor, _], it)) => Ok(Python {
            minor: format!("{major}.{minor}"),
            origin: Origin::Standalone(it.clone()),
            because,
            notice: None,
        }),
        None => {
            Err(errors::no_such_python(&wish.from, &wish.specifier.to_string(), &known(inventory)).into())
        }
    }
}

fn newest<'a>(builds: &'a [Standalone], wish: &Wish) -> Option<([u32; 3], &'a Standalone)> {
    let numbered = builds.iter().filter_map(|it| Some((numbers(&it.version)?, it)));
    numbered.filter(|(version, _)| wish.specifier.accepts(*version)).max_by_key(|(version, _)| *version)
}

fn fits(wish: &Wish, debian: &Debian) -> bool {
    numbers(&debian.python).is_some_and(|[major, minor, _]| wish.specifier.accepts_minor((major, minor)))
}

fn known(inventory: &Inventory) -> Vec<String> {
    let debian = inventory.debian.iter().map(|it| it.python.clone());
    let standalone = inventory.preferred.iter().chain(&inventory.standalone);
    debian.chain(standalone.map(|it| it.version.clone())).collect()
}

/// Whether some Python satisfies both.
fn agree(inventory: &Inventory, one: &Wish, two: &Wish) -> Result<(), Failure> {
    let both = |minor| one.specifier.accepts_minor(minor) && two.specifier.accepts_minor(minor);
    let ours =
        inventory.debian.iter().filter_map(|it| numbers(&it.python)).map(|[major, minor, _]| (major, minor));
    let any = (7..=30).map(|minor| (3, minor));
    if ours.chain(any).any(both) {
        return Ok(());
    }
    let wish = |it: &Wish| (it.from.clone(), it.specifier.to_string());
    Err(errors::versions_disagree(&wish(one), &wish(two)).into())
}

fn parse(from: &str, text: &str) -> Result<Wish, Failure> {
    match text.parse() {
        Ok(specifier) => Ok(Wish { from: from.to_owned(), specifier }),
        Err(()) => Err(errors::not_a_python_version(from, text).into()),
    }
}

fn variable(context: &Context, name: &str) -> Result<Option<Wish>, Failure> {
    context.var(name).map(|it| parse(name, it.trim())).transpose()
}

/// The first line that is not a comment: pyenv allows more, for other interpreters.
fn first_line(context: &Context, file: &str) -> Result<Option<Wish>, Failure> {
    let Some(bytes) = context.read_app(file)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let line = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .find(|it| !it.is_empty() && !it.starts_with('#'));
    match line {
        Some(line) => parse(file, line).map(Some),
        None => Err(errors::not_a_python_version(file, "").into()),
    }
}

fn python_version_file(context: &Context) -> Result<Option<Wish>, Failure> {
    first_line(context, ".python-version")
}

fn runtime_txt(context: &Context) -> Result<Option<Wish>, Failure> {
    first_line(context, "runtime.txt")
}

fn requires_python(context: &Context, pyproject: Option<&Pyproject>) -> Result<Option<Wish>, Failure> {
    if let Some(bytes) = context.read_app("uv.lock")? {
        let text = String::from_utf8_lossy(&bytes);
        // Only the head is parsed: a lock can have megabytes of packages after it.
        let head = text.split("\n[").next().unwrap_or_default();
        let table: toml::Table = toml::from_str(head).unwrap_or_default();
        if let Some(it) = table.get("requires-python").and_then(toml::Value::as_str) {
            return parse("uv.lock (requires-python)", it).map(Some);
        }
    }
    match pyproject.and_then(|it| it.requires_python.as_deref()) {
        Some(it) => parse("pyproject.toml (requires-python)", it).map(Some),
        None => Ok(None),
    }
}
