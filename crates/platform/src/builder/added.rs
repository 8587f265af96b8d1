//! Buildpacks that a user adds to a builder: folders, packages, or others of the builder itself.
//!
//! Nothing is rebuilt: a folder is mounted, and the layers of a package are laid over the builder's.

use super::download::{self, DownloadError};
use super::own::{self, mount};
use super::{Builder, Choice, Origin, described};
use crate::event::Events;
use crate::images::{self, ImageError, PullPolicy, Source};
use crate::room::inside;
use crate::trees::{self, Trees};
use crate::world::World;
use cnb::order::{Group, Member};
use cnb::package::{PACKAGE_METADATA, PackageMetadata};
use cnb::project::Script;
use lifecycle::{Catalogue, CatalogueError, Dir, Kind};
use oci::import::ImportError;
use oci::{Image, NameError};
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A buildpack that a user names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// A folder with a `buildpack.toml`.
    Folder(PathBuf),
    /// A package: an image or a `.cnb` file.
    Package(Source),
    /// A file: a package, or a folder in a tar.
    File(PathBuf),
    /// The address of such a file.
    Url(String),
    /// One that the builder has: its id, and a version or none.
    InBuilder(String, String),
    /// The builder's own order.
    Order,
    /// One that `project.toml` has in line.
    Inline {
        /// Its id.
        id: String,
        /// Its version; empty: none was given.
        version: String,
        /// What it does.
        script: Script,
    },
}

/// A buildpack that cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum AddedError {
    /// It is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It is of a kind that is not there yet.
    #[error(
        "not yet: {1} ({0}); give a folder, a .cnb file, its URL, an image or the id of one in the builder"
    )]
    NotYet(String, &'static str),
    /// There is nothing at the path.
    #[error("there is no buildpack at {}: neither a folder nor a .cnb or .tgz file", .0.display())]
    NoSuchPath(PathBuf),
    /// The package cannot be had.
    #[error("the buildpack {name} cannot be had")]
    Package {
        /// Its name.
        name: String,
        /// Why.
        source: ImageError,
    },
    /// Its file cannot be had.
    #[error("the buildpack cannot be downloaded")]
    Download(#[from] DownloadError),
    /// The file is neither a package nor a buildpack in a tar.
    #[error("{0} is neither a buildpack package nor a tar with a buildpack.toml at its top")]
    NoBuildpack(String),
    /// The tar cannot be unpacked.
    #[error("the buildpack {name} cannot be unpacked")]
    Unpack {
        /// Its name.
        name: String,
        /// Why.
        source: oci::UnpackError,
    },
    /// The image is no package.
    #[error("{0} is no buildpack package: its label {PACKAGE_METADATA} names no buildpack")]
    NoPackage(String),
    /// The folder's descriptor cannot be read.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The store could not do its part.
    #[error(transparent)]
    Store(#[from] oci::StoreError),
    /// An inline buildpack cannot be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Added {
    /// Reads what a user says: a folder, a `.cnb` or `.tgz` file or its URL, `docker://IMAGE`, an image's name, `ID@VERSION`,
    /// `urn:cnb:builder:ID[@VERSION]` or `from=builder`.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str, default_registry: &str) -> Result<Self, AddedError> {
        if let Some(id) = text.strip_prefix("urn:cnb:builder:").or_else(|| text.strip_prefix("from=builder:"))
        {
            let (id, version) = id.split_once('@').unwrap_or((id, ""));
            return Ok(Self::InBuilder(id.to_owned(), version.to_owned()));
        }
        if text == "from=builder" {
            return Ok(Self::Order);
        }
        if text.starts_with("urn:cnb:registry:") {
            return Err(AddedError::NotYet(text.to_owned(), "buildpacks of the public index"));
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Self::Url(text.to_owned()));
        }
        let path = Path::new(text.strip_prefix("file://").unwrap_or(text));
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        if path.is_file() {
            return Ok(Self::File(path.to_owned()));
        }
        let means_a_path = text.starts_with(['/', '.', '~']) || text.starts_with("file:");
        if means_a_path || path.extension().is_some_and(|it| it == "cnb" || it == "tgz") {
            return Err(AddedError::NoSuchPath(path.to_owned()));
        }
        match text.split_once('@') {
            Some((id, version)) if !version.contains(':') => {
                Ok(Self::InBuilder(id.to_owned(), version.to_owned()))
            }
            _ => Ok(Self::Package(Source::parse(text, default_registry)?)),
        }
    }
}

/// Adds what the user names, and puts it into the order.
pub(super) fn add(
    world: &World,
    mut builder: Builder,
    choice: &Choice,
    events: Events<'_>,
) -> Result<Builder, super::BuilderError> {
    let mut groups = |list: &[Added]| -> Result<Vec<Vec<Member>>, AddedError> {
        let mut alternatives: Vec<Vec<Member>> = vec![Vec::new()];
        for added in list {
            let members: Vec<Vec<Member>> = match added {
                Added::Order => builder.order.order.iter().map(|it| it.group.clone()).collect(),
                other => vec![vec![place(world, &mut builder, (other, choice), events)?]],
            };
            let joined = |before: &Vec<Member>| {
                let before = before.clone();
                members.iter().map(move |it| [before.clone(), it.clone()].concat()).collect::<Vec<_>>()
            };
            alternatives = alternatives.iter().flat_map(joined).collect();
        }
        Ok(alternatives)
    };
    let (chosen, pre, post) = (groups(&choice.buildpacks)?, groups(&choice.pre)?, groups(&choice.post)?);
    if !choice.buildpacks.is_empty() {
        builder.order.order = chosen.into_iter().map(|group| Group { group }).collect();
    }
    let (pre, post) = (pre.concat(), post.concat());
    for group in &mut builder.order.order {
        group.group = [pre.as_slice(), &group.group, &post].concat();
    }
    if choice.agents && builder.origin == Origin::Image {
        add_agents(world, &mut builder)?;
    }
    Ok(builder)
}

/// Puts Packlight's buildpack for agents at the end of each group that has none. It is optional: an app that it can do
/// nothing for is built as without it.
fn add_agents(world: &World, builder: &mut Builder) -> Result<(), AddedError> {
    let lacks_it = |it: &Group| !it.group.iter().any(|member| member.id == own::AGENTS);
    if !builder.order.order.iter().any(lacks_it) {
        return Ok(());
    }
    let member = put_folder(builder, &own::carried(world, own::AGENTS)?)?;
    for group in builder.order.order.iter_mut().filter(|it| lacks_it(it)) {
        group.group.push(Member { optional: true, ..member.clone() });
    }
    Ok(())
}

/// Makes one buildpack available, and says how the order names it.
fn place(
    world: &World,
    builder: &mut Builder,
    (added, choice): (&Added, &Choice),
    events: Events<'_>,
) -> Result<Member, AddedError> {
    let member = |id: String, version: String| Member { id, version, optional: false };
    match added {
        Added::InBuilder(id, version) => Ok(member(id.clone(), version.clone())),
        Added::Folder(path) => put_folder(builder, path),
        Added::Inline { id, version, script } => {
            let version = if version.is_empty() { "0.0.0" } else { version.as_str() };
            let (scratch, dir) = described::written(&world.store, (id, version), script)?;
            builder.scratch.push(scratch);
            put_folder(builder, &dir)
        }
        Added::Url(url) => {
            let (file, name) = download::file(world, url, choice.pull_policy, events)?;
            put_file(world, builder, (&file, &name), events)
        }
        Added::File(path) => put_file(world, builder, (path, &path.display().to_string()), events),
        Added::Package(source) => {
            let name = source.to_string();
            let found = images::obtain(world, source, choice.pull_policy, events)
                .map_err(|source| AddedError::Package { name: name.clone(), source })?;
            put_package(world, builder, (&found.image, name))
        }
        Added::Order => Ok(Member::default()),
    }
}

fn put_package(
    world: &World,
    builder: &mut Builder,
    (image, name): (&Image, String),
) -> Result<Member, AddedError> {
    let label = image.config().config.labels.get(PACKAGE_METADATA);
    let metadata: Option<PackageMetadata> = label.and_then(|it| serde_json::from_str(it).ok());
    let metadata = metadata.ok_or(AddedError::NoPackage(name))?;
    let trees = trees::unpacked(&world.store, image)?;
    shelve(&mut builder.catalogue, Trees(&trees));
    match builder.origin {
        Origin::Image => {
            builder.trees = trees::each_once([trees, std::mem::take(&mut builder.trees)].concat());
        }
        Origin::Packlight => {
            builder.mounts.extend(buildpack_dirs(Trees(&trees)).map(|it| mount(&it.2)));
        }
    }
    Ok(Member { id: metadata.id, version: metadata.version, optional: false })
}

/// A package; or a buildpack's folder in a tar, which is gone with the build.
fn put_file(
    world: &World,
    builder: &mut Builder,
    (path, name): (&Path, &str),
    events: Events<'_>,
) -> Result<Member, AddedError> {
    let source = Source::Archive(path.to_owned(), None);
    let failed = |source| AddedError::Package { name: name.to_owned(), source };
    match images::obtain(world, &source, PullPolicy::Always, events) {
        Ok(found) => return put_package(world, builder, (&found.image, name.to_owned())),
        Err(ImageError::Import(ImportError::NoImage { .. })) => {}
        Err(error) => return Err(failed(error)),
    }
    let scratch = world.store.scratch()?;
    let into = scratch.path().join("buildpack");
    fs_err::create_dir(&into)?;
    for dir in [scratch.path(), &into] {
        fs_err::set_permissions(dir, std::fs::Permissions::from_mode(0o755))?;
    }
    let tar = oci::layer_tar(BufReader::with_capacity(1 << 16, fs_err::File::open(path)?))?;
    let rules = oci::UnpackRules { ids: oci::Ids::Caller, whiteouts: oci::Whiteouts::Keep };
    oci::unpack_tar(tar, &into, rules)
        .map_err(|source| AddedError::Unpack { name: name.to_owned(), source })?;
    // Not followed: the tar may be hostile.
    let descriptor = fs_err::symlink_metadata(into.join("buildpack.toml"));
    if !descriptor.is_ok_and(|it| it.is_file()) {
        return Err(AddedError::NoBuildpack(name.to_owned()));
    }
    let member = put_folder(builder, &into)?;
    builder.scratch.push(scratch);
    Ok(member)
}

fn put_folder(builder: &mut Builder, path: &Path) -> Result<Member, AddedError> {
    let (dir, id, version) = folder(path)?;
    builder.mounts.push(mount(&dir));
    builder.catalogue.put_first(Kind::Buildpack, &cnb::id::escape(&id), &version, dir);
    Ok(Member { id, version, optional: false })
}

/// A folder with a buildpack: where it is seen, its id and its version.
fn folder(path: &Path) -> Result<(Dir, String, String), AddedError> {
    let host = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let known = Catalogue::new().add(Kind::Buildpack, Dir::same(&host))?;
    let (id, version) = (known.about.id.clone(), known.about.version.clone());
    let inside = Path::new(inside::BUILDPACKS).join(cnb::id::escape(&id)).join(&version);
    Ok((Dir::new(host, inside), id, version))
}

/// Every `/cnb/buildpacks/<id>/<version>` of an image's layers.
pub(super) fn buildpack_dirs(trees: Trees<'_>) -> impl Iterator<Item = (String, String, Dir)> {
    of_kind(trees, inside::BUILDPACKS)
}

fn of_kind(trees: Trees<'_>, place: &'static str) -> impl Iterator<Item = (String, String, Dir)> {
    let at = Path::new(place.trim_start_matches('/'));
    trees.directories(at).into_keys().flat_map(move |id| {
        let versions = trees.directories(&at.join(&id)).into_iter();
        versions
            .filter_map(move |(version, host)| {
                let (id, version) = (id.to_str()?.to_owned(), version.to_str()?.to_owned());
                let inside = Path::new(place).join(&id).join(&version);
                Some((id, version, Dir::new(host, inside)))
            })
            .collect::<Vec<_>>()
    })
}

/// Adds the buildpacks and extensions of an image's layers to a catalogue.
pub(super) fn shelve(catalogue: &mut Catalogue, trees: Trees<'_>) {
    for (kind, place) in [(Kind::Buildpack, inside::BUILDPACKS), (Kind::Extension, inside::EXTENSIONS)] {
        for (id, version, dir) in of_kind(trees, place) {
            catalogue.put_first(kind, &id, &version, dir);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_may_name_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("a.cnb"), "").unwrap();
        let parse = |text: &str| Added::parse(text, "docker.io");
        let path = |name: &str| dir.path().join(name).display().to_string();
        assert_eq!(parse(&path("")).unwrap(), Added::Folder(path("").into()));
        assert_eq!(parse(&path("a.cnb")).unwrap(), Added::File(path("a.cnb").into()));
        assert_eq!(parse("a/b@1.2").unwrap(), Added::InBuilder("a/b".into(), "1.2".into()));
        assert_eq!(parse("urn:cnb:builder:a/b").unwrap(), Added::InBuilder("a/b".into(), String::new()));
        assert_eq!(parse("from=builder").unwrap(), Added::Order);
        assert!(matches!(parse("docker://team/pack:1").unwrap(), Added::Package(Source::Registry(_))));
        let pinned = format!("team/pack@sha256:{}", "0".repeat(64));
        assert!(matches!(parse(&pinned).unwrap(), Added::Package(Source::Registry(_))));
        let url = "https://example.com/a.tgz";
        assert_eq!(parse(url).unwrap(), Added::Url(url.to_owned()));
        for nowhere in ["/nowhere/x", "./nowhere", "../nowhere", "file:///nowhere", "nowhere.cnb"] {
            let error = parse(nowhere).unwrap_err().to_string();
            assert!(error.contains("there is no buildpack at") && error.contains("nowhere"), "{error}");
        }
        assert!(parse("urn:cnb:registry:a/b").unwrap_err().to_string().starts_with("not yet: "));
    }

    #[test]
    fn a_buildpack_is_the_same_from_its_folder_and_from_the_package_that_is_made_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let text = "api = \"0.10\"\n[buildpack]\nid = \"test/hello\"\nversion = \"1.2.3\"\n[[targets]]\nos = \"linux\"\n";
        let folder = dir.path().join("payload/buildpacks/test_hello/1.2.3");
        for (name, text) in [("buildpack.toml", text), ("bin/detect", "detects"), ("bin/build", "builds")] {
            fs_err::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
            fs_err::write(folder.join(name), text).unwrap();
        }
        let world = crate::world::tests::empty(dir.path(), &[]);

        let package = crate::package::write(&folder, &dir.path().join("out")).unwrap();
        let with = |named: &Path| {
            let added = Added::parse(named.to_str().unwrap(), "docker.io").unwrap();
            let choice = Choice { buildpacks: vec![added], ..Choice::default() };
            let own = own::own(&world).unwrap();
            let builder = add(&world, Builder { mounts: Vec::new(), ..own }, &choice, &|_| ()).unwrap();
            let known = builder.catalogue.get(Kind::Buildpack, "test/hello", "1.2.3").unwrap();
            (builder, known)
        };
        let (of_folder, known) = with(&folder);
        let (of_package, unpacked) = with(&package);
        assert_eq!(of_package.order, of_folder.order);
        assert_eq!(of_package.order.order[0].group[0].id, "test/hello");
        assert_eq!((&unpacked.about, &unpacked.targets), (&known.about, &known.targets));
        assert_eq!(unpacked.dir.inside, Path::new("/cnb/buildpacks/test_hello/1.2.3"));
        assert!(unpacked.dir.host.starts_with(dir.path().join("store/layers")), "{:?}", unpacked.dir);
        assert!(of_package.mounts.contains(&mount(&unpacked.dir)));
        for name in ["buildpack.toml", "bin/detect", "bin/build"] {
            let read = |dir: &Dir| fs_err::read(dir.host.join(name)).unwrap();
            assert_eq!(read(&unpacked.dir), read(&known.dir), "{name}");
        }
    }
}
