//! A builder that is an image: unpacked once into the store, never rebuilt.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#build-image>

use super::added::{self, AddedError};
use super::{Builder, Choice, Origin, RunImage};
use crate::base::BaseError;
use crate::event::{Event, Events};
use crate::images::{self, Found, ImageError, PullPolicy, Source};
use crate::run::passwd;
use crate::trees::{self, Trees};
use crate::world::World;
use cnb::analyzed::TargetData;
use cnb::builder::{
    BUILDER_METADATA, BuilderMetadata, NamedRunImage, ORDER_TOML, RUN_TOML, RunToml, STACK_ID, STACK_TOML,
    StackToml,
};
use cnb::buildpack_toml::Distro;
use cnb::env::Environment;
use cnb::labels;
use cnb::order::Order;
use lifecycle::{Catalogue, CatalogueError, Dir};
use oci::{Image, ImageName};
use sandbox::Identity;
use std::path::{Path, PathBuf};

/// What a build that names a builder asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The builder.
    pub(super) builder: &'a Source,
    /// What else the user says.
    pub(super) choice: &'a Choice,
    /// The registry of the image, where it will be pushed: a run image in the same one is preferred.
    pub(super) registry: Option<&'a str>,
}

/// An image that cannot be used as a builder.
#[derive(Debug, thiserror::Error)]
pub enum BuilderError {
    /// It cannot be had.
    #[error("the builder cannot be had")]
    Builder(#[source] ImageError),
    /// Its run image cannot be had.
    #[error("the run image cannot be had")]
    RunImage(#[source] ImageError),
    /// It is an image of another kind.
    #[error("{name} is not a builder: {reason}")]
    NotABuilder {
        /// Its name.
        name: String,
        /// What is missing.
        reason: String,
    },
    /// Nobody says what apps stand on.
    #[error("the builder {0} names no run image; name one with --run-image")]
    NoRunImage(String),
    /// A file of it cannot be understood.
    #[error("in the builder {name}: {source}")]
    File {
        /// The builder.
        name: String,
        /// What is wrong.
        source: cnb::ParseError,
    },
    /// A file of it cannot be read.
    #[error("in the builder {name}: {source}")]
    Unreadable {
        /// The builder.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// A run image is named for a builder that composes its own.
    #[error(
        "--run-image goes with --builder: Packlight's own builder composes a run image of what the app needs"
    )]
    RunImageAlone,
    /// A buildpack that the user adds cannot be added.
    #[error(transparent)]
    Added(#[from] AddedError),
    /// There is no base for it to detect in.
    #[error(transparent)]
    Base(#[from] Box<BaseError>),
    /// A buildpack of it cannot be read.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The store could not do its part.
    #[error(transparent)]
    Store(#[from] oci::StoreError),
}

/// Makes an image ready to build with.
pub(super) fn from_image(
    world: &World,
    asked: &Asked<'_>,
    events: Events<'_>,
) -> Result<Builder, BuilderError> {
    let found = images::obtain(world, asked.builder, asked.choice.pull_policy, events)
        .map_err(BuilderError::Builder)?;
    let trees = trees::unpacked(&world.store, &found.image)?;
    let reader = Reader { name: &found.name, trees: Trees(&trees) };
    let mut order: Order = reader
        .toml(ORDER_TOML)?
        .ok_or_else(|| reader.is_none("it has no /cnb/order.toml, which says which buildpacks to try"))?;
    if !order.order_extensions.is_empty() {
        let text = format!("image extensions are not there yet: those of {} are left out", found.name);
        events(Event::Warning { text });
        order.order_extensions.clear();
    }
    let env = environment(&found.image);
    let user = user(&env).ok_or_else(|| {
        reader.is_none("its environment does not say who builds (CNB_USER_ID, CNB_GROUP_ID)")
    })?;
    let run_image = run_image(world, asked, &found, &reader, events)?;
    let mut catalogue = Catalogue::new();
    added::shelve(&mut catalogue, reader.trees);
    let build_config =
        reader.trees.find(Path::new("cnb/build-config")).map(|(host, _)| Dir::new(host, "/cnb/build-config"));
    Ok(Builder {
        origin: Origin::Image,
        catalogue,
        order,
        env: with_home(env, user, &trees),
        mounts: Vec::new(),
        user,
        build_config,
        run_image: Some(run_image),
        scratch: Vec::new(),
        trees,
    })
}

struct Reader<'a> {
    name: &'a str,
    trees: Trees<'a>,
}

impl Reader<'_> {
    fn is_none(&self, reason: &str) -> BuilderError {
        BuilderError::NotABuilder { name: self.name.to_owned(), reason: reason.to_owned() }
    }

    fn toml<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<Option<T>, BuilderError> {
        let unreadable = |source| BuilderError::Unreadable { name: self.name.to_owned(), source };
        let Some(text) = self.trees.text(path).map_err(unreadable)? else { return Ok(None) };
        let parsed = cnb::parse(&format!("/{path}"), &text);
        parsed.map(Some).map_err(|source| BuilderError::File { name: self.name.to_owned(), source })
    }
}

fn environment(image: &Image) -> Environment {
    let config = &image.config().config;
    let pairs = config.env.iter().map(|it| it.split_once('=').unwrap_or((it, "")));
    let mut env: Environment = pairs.map(|(name, value)| (name.into(), value.into())).collect();
    if let Some(stack) = config.labels.get(STACK_ID) {
        env.entry("CNB_STACK_ID".into()).or_insert_with(|| stack.into());
    }
    env
}

fn user(env: &Environment) -> Option<Identity> {
    let number = |name: &str| env.iter().find(|it| it.0 == name)?.1.to_str()?.parse::<u32>().ok();
    Some(Identity { uid: number("CNB_USER_ID")?, gid: number("CNB_GROUP_ID")? })
}

/// An engine sets `HOME` from the image's `/etc/passwd`.
fn with_home(mut env: Environment, user: Identity, trees: &[PathBuf]) -> Environment {
    let home = passwd::find(&user.uid.to_string(), trees).and_then(|it| it.home);
    env.entry("HOME".into()).or_insert_with(|| home.unwrap_or_else(|| "/".to_owned()).into());
    env
}

fn run_image(
    world: &World,
    asked: &Asked<'_>,
    builder: &Found,
    reader: &Reader<'_>,
    events: Events<'_>,
) -> Result<RunImage, BuilderError> {
    let (in_place, policy) = (asked.choice.run_image.as_ref(), asked.choice.pull_policy);
    let named = match in_place {
        Some(_) => NamedRunImage::default(),
        None => {
            named_by(&builder.image, reader)?.ok_or_else(|| BuilderError::NoRunImage(builder.name.clone()))?
        }
    };
    let found = match in_place {
        Some(source) => images::obtain(world, source, policy, events).map_err(BuilderError::RunImage)?,
        None => nearest(world, &named, (asked.registry.unwrap_or(&builder.registry), policy), events)?,
    };
    let config = found.image.config();
    let stack = config.config.labels.get(STACK_ID).map(|it| format!(", stack {it}"));
    Ok(RunImage {
        words: format!("{}{}", found.name, stack.unwrap_or_default()),
        target: target(&found.image, reader.trees),
        reference: found.reference,
        name: if named.image.is_empty() { found.name } else { named.image },
        mirrors: named.mirrors,
        image: found.image,
        lock: None,
    })
}

/// What the builder says that apps stand on.
fn named_by(builder: &Image, reader: &Reader<'_>) -> Result<Option<NamedRunImage>, BuilderError> {
    let label = builder.config().config.labels.get(BUILDER_METADATA);
    let metadata: BuilderMetadata = label.and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default();
    let of_run: RunToml = reader.toml(RUN_TOML)?.unwrap_or_default();
    let of_stack: StackToml = reader.toml(STACK_TOML)?.unwrap_or_default();
    let mut all = metadata
        .images
        .into_iter()
        .chain([metadata.stack.run_image])
        .chain(of_run.images)
        .chain([of_stack.run_image]);
    Ok(all.find(|it| !it.image.is_empty()))
}

/// The run image under the name that is in the registry where the app's image goes, else under its own; a mirror that
/// does not answer is passed over.
fn nearest(
    world: &World,
    named: &NamedRunImage,
    (registry, policy): (&str, PullPolicy),
    events: Events<'_>,
) -> Result<Found, BuilderError> {
    let default = world.settings.registry();
    let mut names: Vec<ImageName> = std::iter::once(&named.image)
        .chain(&named.mirrors)
        .map(|it| ImageName::parse(it, default))
        .collect::<Result<_, _>>()
        .map_err(|error| BuilderError::RunImage(ImageError::Name(error)))?;
    names.sort_by_key(|it| it.registry != registry);
    let mut failure = None;
    for name in names {
        match images::obtain(world, &Source::Registry(name), policy, events) {
            Ok(found) => return Ok(found),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.map_or_else(|| BuilderError::NoRunImage(named.image.clone()), BuilderError::RunImage))
}

/// What apps on a run image run on; where its labels do not name the distribution, the build image's own file does.
fn target(image: &Image, builder: Trees<'_>) -> TargetData {
    let config = image.config();
    let label = |name: &str| config.config.labels.get(name).cloned().unwrap_or_default();
    let distro =
        Distro { name: label(labels::BASE_DISTRO_NAME), version: label(labels::BASE_DISTRO_VERSION) };
    let distro = if distro.name.is_empty() { os_release(builder) } else { Some(distro) };
    let variant = config.extra.get("variant").and_then(|it| it.as_str()).unwrap_or_default();
    TargetData {
        id: label(labels::BASE_ID),
        os: config.os.clone(),
        arch: config.architecture.clone(),
        arch_variant: variant.to_owned(),
        distro,
    }
}

/// <https://www.freedesktop.org/software/systemd/man/latest/os-release.html>
fn os_release(trees: Trees<'_>) -> Option<Distro> {
    // `/etc/os-release` is a link to the other, nearly everywhere.
    let text = trees.read("etc/os-release").or_else(|| trees.read("usr/lib/os-release"))?;
    let value = |key: &str| {
        let line = text.lines().find_map(|it| it.strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim().trim_matches(['"', '\'']).to_owned())
    };
    Some(Distro { name: value("ID")?, version: value("VERSION_ID").unwrap_or_default() })
}
