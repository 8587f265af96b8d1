//! The buildpacks and extensions that there are: where each is, and what its descriptor says.

use crate::beneath::{Beneath, BeneathError};
use crate::dirs::Dir;
use cnb::ParseError;
use cnb::api::{self, ApiVersion, BuildpackFeatures};
use cnb::buildpack_toml::{About, ApiOnly, BuildpackToml, Distro, ExtensionToml, Stack, Target};
use cnb::order::Group;
use rustix::fs::FileType;

/// The buildpacks and extensions that there are. A descriptor is read when somebody asks for it.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    shelves: Vec<Shelf>,
}

#[derive(Debug, Clone)]
struct Shelf {
    kind: Kind,
    /// As in a directory name: `/` is `_`.
    id: String,
    version: String,
    dir: Dir,
}

/// One buildpack or extension.
#[derive(Debug, Clone)]
pub struct Known {
    /// Which of the two.
    pub kind: Kind,
    /// Where it is.
    pub dir: Dir,
    /// Its Buildpack API.
    pub api: ApiVersion,
    /// What that API means.
    pub features: BuildpackFeatures,
    /// Who it is.
    pub about: About,
    /// What it runs on; where it says nothing, what can be told from its files.
    pub targets: Vec<Target>,
    /// The groups of a composite buildpack; empty for one with programs.
    pub order: Vec<Group>,
    /// It promises that a layer with a TOML file is whole, also when its build fails (`[metadata] finished-layers`).
    pub finished_layers: bool,
}

/// A buildpack or an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A buildpack.
    Buildpack,
    /// An extension.
    Extension,
}

impl Kind {
    /// The word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Buildpack => "buildpack",
            Self::Extension => "extension",
        }
    }

    fn descriptor(self) -> &'static str {
        match self {
            Self::Buildpack => "buildpack.toml",
            Self::Extension => "extension.toml",
        }
    }
}

/// A buildpack could not be found or understood.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The order names something that is not there.
    #[error("{} `{id}@{version}` is not in this builder{}", kind.word(), hint(others))]
    Missing {
        /// Buildpack or extension.
        kind: Kind,
        /// Which.
        id: String,
        /// Which version; empty where none was said.
        version: String,
        /// The versions that there are.
        others: Vec<String>,
    },
    /// Its API is not spoken.
    #[error(
        "{} `{who}` declares Buildpack API {api}, which this version does not speak (it speaks {})",
        kind.word(),
        range()
    )]
    Api {
        /// Buildpack or extension.
        kind: Kind,
        /// Which.
        who: String,
        /// What it declares.
        api: ApiVersion,
    },
    /// Its API is no version.
    #[error(transparent)]
    NotAnApi(ParseError),
    /// A composite buildpack that contains itself.
    #[error("composite buildpack `{0}` contains itself; take it out of its own order")]
    Cycle(String),
    /// No descriptor where one belongs.
    #[error("{} has no {file}", dir.inside.display())]
    NoDescriptor {
        /// Where.
        dir: Dir,
        /// Which file.
        file: &'static str,
    },
    /// Its id would be a path somewhere else, or collide with a directory of the lifecycle.
    #[error("{}: `{id}` can't be the id of a {}", dir.inside.display(), kind.word())]
    BadId {
        /// Buildpack or extension.
        kind: Kind,
        /// Where.
        dir: Dir,
        /// The id.
        id: String,
    },
    /// Its descriptor can't be read.
    #[error(transparent)]
    Files(#[from] BeneathError),
    /// Its descriptor can't be understood.
    #[error(transparent)]
    Parse(#[from] ParseError),
}

fn hint(others: &[String]) -> String {
    match others {
        [] => String::new(),
        others => format!("; it has version {}", others.join(", ")),
    }
}

fn range() -> String {
    let mut all = api::buildpack_apis();
    match (all.next(), all.last()) {
        (Some(first), Some(last)) => format!("{first} to {last}"),
        _ => String::new(),
    }
}

impl Known {
    /// `id@version`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}@{}", self.about.id, self.about.version)
    }
}

impl Catalogue {
    /// A catalogue with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds every `<id>/<version>` beneath a directory laid out as `/cnb/buildpacks`.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn add_all(&mut self, kind: Kind, dir: &Dir) -> Result<(), CatalogueError> {
        let root = Beneath::open(dir)?;
        for id in root.entries()? {
            let (Some(name), FileType::Directory) = (id.name.to_str(), id.kind) else { continue };
            let Some(versions) = root.dir(name)? else { continue };
            for version in versions.entries()? {
                let (Some(version), FileType::Directory) = (version.name.to_str(), version.kind) else {
                    continue;
                };
                let dir = dir.join(name).join(version);
                self.shelves.push(Shelf { kind, id: name.to_owned(), version: version.to_owned(), dir });
            }
        }
        Ok(())
    }

    /// Adds what is in a directory that was found in some other way, in place of what has the same id and version; `id`
    /// as in a directory name. Its descriptor is read when somebody asks for it.
    pub fn put_first(&mut self, kind: Kind, id: &str, version: &str, dir: Dir) {
        self.shelves.retain(|it| !(it.kind == kind && it.id == id && it.version == version));
        self.shelves.push(Shelf { kind, id: id.to_owned(), version: version.to_owned(), dir });
    }

    /// Adds the buildpack or extension in one directory.
    ///
    /// # Errors
    /// When its descriptor can't be read.
    pub fn add(&mut self, kind: Kind, dir: Dir) -> Result<Known, CatalogueError> {
        let known = read(kind, &dir)?;
        let id = cnb::id::escape(&known.about.id);
        self.shelves.push(Shelf { kind, id, version: known.about.version.clone(), dir });
        Ok(known)
    }

    /// All directories of a kind, each with `id` (`/` written as `_`) and version.
    pub fn dirs(&self, kind: Kind) -> impl Iterator<Item = (&str, &str, &Dir)> {
        self.shelves.iter().filter(move |it| it.kind == kind).map(|it| (&*it.id, &*it.version, &it.dir))
    }

    /// The one with this id and version; without a version, the only one with this id.
    ///
    /// # Errors
    /// When it is not there, or its descriptor can't be read.
    pub fn get(&self, kind: Kind, id: &str, version: &str) -> Result<Known, CatalogueError> {
        let escaped = cnb::id::escape(id);
        let same: Vec<&Shelf> =
            self.shelves.iter().filter(|it| it.kind == kind && it.id == escaped).collect();
        let found = match (version, &*same) {
            ("", [only]) => Some(*only),
            (version, same) => same.iter().copied().find(|it| it.version == version),
        };
        match found {
            Some(shelf) => read(kind, &shelf.dir),
            None => Err(CatalogueError::Missing {
                kind,
                id: id.to_owned(),
                version: version.to_owned(),
                others: same.iter().map(|it| it.version.clone()).collect(),
            }),
        }
    }
}

fn has_an_api(text: &str) -> bool {
    text.parse::<toml::Table>().is_ok_and(|it| it.contains_key("api"))
}

fn read(kind: Kind, dir: &Dir) -> Result<Known, CatalogueError> {
    let file = kind.descriptor();
    let open = Beneath::open(dir)?;
    let Some(bytes) = open.read(file)? else {
        return Err(CatalogueError::NoDescriptor { dir: dir.clone(), file });
    };
    let path = dir.inside.join(file).display().to_string();
    let text = String::from_utf8_lossy(&bytes);
    let ApiOnly { api } = cnb::parse(&path, &text).map_err(|error| match has_an_api(&text) {
        true => CatalogueError::NotAnApi(error),
        false => CatalogueError::Parse(error),
    })?;
    let Some(features) = api::buildpack_features(api) else {
        return Err(CatalogueError::Api { kind, who: dir.inside.display().to_string(), api });
    };
    let known = match kind {
        Kind::Buildpack => {
            let it: BuildpackToml = cnb::parse(&path, &text)?;
            let targets = targets(&open, it.targets, &it.stacks)?;
            let finished_layers = it.metadata.get("finished-layers").and_then(toml::Value::as_bool);
            Known {
                kind,
                dir: dir.clone(),
                api,
                features,
                about: it.buildpack,
                targets,
                order: it.order,
                finished_layers: finished_layers.unwrap_or_default(),
            }
        }
        Kind::Extension => {
            let it: ExtensionToml = cnb::parse(&path, &text)?;
            let (about, targets) = (it.extension, it.targets);
            let order = Vec::new();
            Known { kind, dir: dir.clone(), api, features, about, targets, order, finished_layers: false }
        }
    };
    let id = &known.about.id;
    if !is_safe(&cnb::id::escape(id)) || known.about.version.contains(['/', '\0']) {
        return Err(CatalogueError::BadId { kind, dir: dir.clone(), id: id.clone() });
    }
    Ok(known)
}

/// The id becomes a directory of the layers directory. Published buildpacks have ids that the specification forbids
/// (underscores), so no more is asked than safety needs.
fn is_safe(directory: &str) -> bool {
    !matches!(directory, "" | "." | ".." | "app" | "config" | "generated" | "sbom")
        && !directory.contains(['\0', '\n'])
}

/// What a buildpack without `[[targets]]` runs on.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#targets-1>; the text says arm64 for bionic in one
/// place and amd64 in another, the stack had amd64 only.
fn targets(dir: &Beneath, said: Vec<Target>, stacks: &[Stack]) -> Result<Vec<Target>, BeneathError> {
    if !said.is_empty() {
        return Ok(said);
    }
    let mut found: Vec<Target> = stacks.iter().filter_map(of_stack).collect();
    if found.is_empty()
        && let Some(bin) = dir.dir("bin")?
    {
        for (program, os) in [("build", "linux"), ("build.exe", "windows"), ("build.bat", "windows")] {
            if bin.kind(program)?.is_some() {
                found.push(Target { os: os.to_owned(), ..Target::default() });
            }
        }
    }
    Ok(found)
}

fn of_stack(stack: &Stack) -> Option<Target> {
    match &*stack.id {
        "*" => Some(Target::default()),
        "io.buildpacks.stacks.bionic" => Some(Target {
            os: "linux".to_owned(),
            arch: "amd64".to_owned(),
            variant: String::new(),
            distros: vec![Distro { name: "ubuntu".to_owned(), version: "18.04".to_owned() }],
        }),
        _ => None,
    }
}
