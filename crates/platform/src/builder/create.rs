//! A builder image and its run image, made of their parts as `pack builder create` makes them: the base, the directories
//! that platforms use, the lifecycle, the buildpacks, and what says in which order to try them and what apps stand on.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#build-image>. The same parts give the same digests.

use super::lifecycle::{Lifecycle, LifecycleError};
use crate::base::Base;
use crate::package::{PackageError, Packed};
use crate::room::{BUILD_USER, inside};
use cnb::builder::{
    BUILDER_METADATA, BuilderLifecycle, BuilderMetadata, BuilderStack, Creator, EXTENSION_LAYERS,
    NamedRunImage, ORDER, ORDER_EXTENSIONS, STACK_ID,
};
use cnb::labels::{RunImageNames, STACK_MIXINS};
use cnb::order::{Group, Member, Order};
use cnb::package::{BUILDPACK_LAYERS, PackageLayers};
use cnb::run::{RunToml, StackToml};
use oci::{Image, ImageConfig, LayerError, LayerRef, LayerSpec, Owner, Store, StoreError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Directories of root's that platforms mount over or write to before a phase starts.
const DIRS: [&str; 7] = [
    "/cnb",
    inside::BUILDPACKS,
    inside::EXTENSIONS,
    inside::PLATFORM,
    "/platform/env",
    "/cnb/build-config",
    "/cnb/build-config/env",
];

/// What a builder is made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// What apps stand on, and the build as well.
    pub base: &'a Base,
    /// A folder with `lifecycle.toml` and, in `lifecycle/`, the programs.
    pub lifecycle: &'a Path,
    /// The folders of the buildpacks.
    pub buildpacks: &'a [PathBuf],
    /// The groups to try.
    pub order: &'a [Group],
    /// Where the run image will be found.
    pub run_image: &'a str,
}

/// A builder image and the run image that goes with it, in the store that they were made in.
#[derive(Debug)]
pub struct Created {
    /// The builder.
    pub builder: Image,
    /// Its run image.
    pub run: Image,
}

/// Parts of which no builder can be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The lifecycle cannot be used.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    /// A buildpack cannot be used.
    #[error(transparent)]
    Buildpack(#[from] PackageError),
    /// The lifecycle does not speak a buildpack's API.
    #[error("buildpack `{id}` has Buildpack API {api}, which the lifecycle {lifecycle} does not speak")]
    Api {
        /// The buildpack.
        id: String,
        /// Its API.
        api: cnb::api::ApiVersion,
        /// The lifecycle's version.
        lifecycle: String,
    },
    /// The order names something that is not there.
    #[error("the order names `{0}`, which is not among the buildpacks: {1}")]
    Missing(String, String),
    /// The order does not say which of several.
    #[error("the order names `{0}` without a version, and there are several: {1}")]
    Ambiguous(String, String),
    /// A file of the builder cannot be written.
    #[error("a file of the builder cannot be written")]
    Toml(#[from] toml::ser::Error),
    /// A label cannot be written.
    #[error("the labels of the builder cannot be written")]
    Label(#[from] serde_json::Error),
    /// A layer cannot be made.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The store could not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the two images in `store`, in which the base is.
///
/// # Errors
/// When the parts do not fit, or something cannot be read or written.
pub fn create(store: &Store, parts: &Parts<'_>) -> Result<Created, CreateError> {
    let lifecycle = Lifecycle::open(parts.lifecycle)?;
    let mut buildpacks = Vec::new();
    for folder in parts.buildpacks {
        let packed = Packed::new(store, folder)?;
        speaks(&lifecycle, &packed)?;
        buildpacks.push(packed);
    }
    let order = Order { order: resolved(parts.order, &buildpacks)?, order_extensions: Vec::new() };

    let mut layers = parts.base.run_image.layers();
    layers.push(add(store, &directories())?);
    layers.push(add(store, &lifecycle.layer())?);
    layers.extend(buildpacks.iter().map(|it| it.layer.clone()));
    layers.push(add(store, &files(&order, parts.run_image)?)?);
    let builder = store.put_image(builder_config(parts, &lifecycle, &buildpacks)?, &layers)?;
    let run = store.put_image(run_config(parts.base), &parts.base.run_image.layers())?;
    Ok(Created { builder, run })
}

fn add(store: &Store, spec: &LayerSpec) -> Result<LayerRef, CreateError> {
    Ok(store.add_layer(spec, None)?.record.layer_ref())
}

fn speaks(lifecycle: &Lifecycle, packed: &Packed) -> Result<(), CreateError> {
    let (apis, api) = (&lifecycle.about.apis.buildpack, packed.buildpack.api);
    if apis.supported.contains(&api) || apis.deprecated.contains(&api) {
        return Ok(());
    }
    let id = packed.buildpack.buildpack.id.clone();
    Err(CreateError::Api { id, api, lifecycle: lifecycle.about.lifecycle.version.clone() })
}

/// The groups with a version for each member.
fn resolved(groups: &[Group], buildpacks: &[Packed]) -> Result<Vec<Group>, CreateError> {
    let version = |member: &Member| {
        let same = buildpacks.iter().map(|it| &it.buildpack.buildpack).filter(|it| it.id == member.id);
        let fits = same.filter(|it| member.version.is_empty() || it.version == member.version);
        let versions: Vec<String> = fits.map(|it| it.version.clone()).collect();
        match versions.as_slice() {
            [only] => Ok(only.clone()),
            [] => {
                let all = buildpacks.iter().map(|it| &it.buildpack.buildpack);
                let all: Vec<String> = all.map(|it| format!("{}@{}", it.id, it.version)).collect();
                let asked = [member.id.as_str(), member.version.as_str()].join("@");
                Err(CreateError::Missing(asked.trim_end_matches('@').to_owned(), all.join(", ")))
            }
            several => Err(CreateError::Ambiguous(member.id.clone(), several.join(", "))),
        }
    };
    let resolve = |group: &Group| -> Result<Group, CreateError> {
        let members = group.group.iter().map(|it| Ok(Member { version: version(it)?, ..it.clone() }));
        Ok(Group { group: members.collect::<Result<_, CreateError>>()? })
    };
    groups.iter().map(resolve).collect()
}

fn directories() -> LayerSpec {
    let builds = Owner::new(BUILD_USER.uid, BUILD_USER.gid);
    let own = LayerSpec::new("Directories of the build").dir(inside::APP, 0o755, builds).dir(
        inside::LAYERS,
        0o755,
        builds,
    );
    DIRS.iter().fold(own, |spec, dir| spec.dir(dir, 0o755, Owner::ROOT))
}

/// What the lifecycle reads: the order, and what apps stand on, in the file of today and in that from before targets.
fn files(order: &Order, run_image: &str) -> Result<LayerSpec, CreateError> {
    let named = || RunImageNames { image: run_image.to_owned(), mirrors: Vec::new() };
    Ok(LayerSpec::new("Order and run image")
        .file("/cnb/order.toml", 0o644, Owner::ROOT, cnb::print(order)?)
        .file("/cnb/run.toml", 0o644, Owner::ROOT, cnb::print(&RunToml { images: vec![named()] })?)
        .file("/cnb/stack.toml", 0o644, Owner::ROOT, cnb::print(&StackToml { run_image: named() })?))
}

fn builder_config(
    parts: &Parts<'_>,
    lifecycle: &Lifecycle,
    buildpacks: &[Packed],
) -> Result<ImageConfig, CreateError> {
    let base = &parts.base.target;
    let mut config = parts.base.run_image.config().clone();
    config.config.user = format!("{}:{}", BUILD_USER.uid, BUILD_USER.gid);
    inside::LAYERS.clone_into(&mut config.config.working_dir);
    // Buildpacks of before targets, and platforms of that time, know a base by the id of a stack alone.
    for (name, value) in [
        ("CNB_USER_ID", BUILD_USER.uid.to_string()),
        ("CNB_GROUP_ID", BUILD_USER.gid.to_string()),
        ("CNB_STACK_ID", base.id.clone()),
    ] {
        config.config.env.push(format!("{name}={value}"));
    }
    let mut placed = PackageLayers::new();
    buildpacks.iter().for_each(|it| it.list_in(&mut placed));
    let labels = &mut config.config.labels;
    labels.remove(cnb::labels::REBASABLE);
    labels.extend(BTreeMap::from([
        (BUILDER_METADATA.to_owned(), serde_json::to_string(&metadata(parts, lifecycle, buildpacks))?),
        (BUILDPACK_LAYERS.to_owned(), serde_json::to_string(&placed)?),
        (ORDER.to_owned(), serde_json::to_string(parts.order)?),
        // Of image extensions it has none; Tekton's task wants to hear that.
        (EXTENSION_LAYERS.to_owned(), "{}".to_owned()),
        (ORDER_EXTENSIONS.to_owned(), "null".to_owned()),
        (STACK_ID.to_owned(), base.id.clone()),
        (STACK_MIXINS.to_owned(), "null".to_owned()),
    ]));
    Ok(config)
}

fn metadata(parts: &Parts<'_>, lifecycle: &Lifecycle, buildpacks: &[Packed]) -> BuilderMetadata {
    let run_image = NamedRunImage { image: parts.run_image.to_owned(), mirrors: Vec::new() };
    let about = &lifecycle.about;
    BuilderMetadata {
        description: format!("Packlight's buildpacks on {}", words(parts.base)),
        buildpacks: buildpacks.iter().map(|it| it.buildpack.buildpack.clone().into()).collect(),
        extensions: Vec::new(),
        stack: BuilderStack { run_image: run_image.clone() },
        lifecycle: BuilderLifecycle {
            version: about.lifecycle.version.clone(),
            api: about.api.clone(),
            apis: about.apis.clone(),
        },
        created_by: Creator { name: "Packlight".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        images: vec![run_image],
    }
}

fn words(base: &Base) -> String {
    format!("Debian {}", base.lock.release)
}

/// The run image: the base as it is, but that it can be told by a stack's id too, which kpack asks every image for.
fn run_config(base: &Base) -> ImageConfig {
    let mut config = base.run_image.config().clone();
    config.config.labels.insert(STACK_ID.to_owned(), base.target.id.clone());
    config
}
