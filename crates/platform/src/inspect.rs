//! What an image says of itself, without fetching a layer: how its labels tell it.

use crate::images::{self, ImageError, Source};
use crate::world::World;
use cnb::builder::{BUILDER_METADATA, BuilderMetadata, ORDER};
use cnb::labels::{BUILD_METADATA, LIFECYCLE_METADATA, LifecycleMetadata, REBASABLE};
use cnb::order::Order;
use oci::Image;
use serde::{Deserialize, Serialize};

/// What an image says of itself.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Inspected {
    /// Its name, as asked for.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// Where it was found: `store` or `registry`.
    pub found_in: &'static str,
    /// `linux/amd64`.
    pub platform: String,
    /// Compressed bytes of its layers.
    pub size: u64,
    /// An app's image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<App>,
    /// A builder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub builder: Option<Builder>,
}

/// What an app's image says.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct App {
    /// The name of its run image; none: it is local to the store that it was built in.
    pub run_image: Option<String>,
    /// Exactly which state of it.
    pub run_image_reference: String,
    /// Whether it may be put on another run image.
    pub rebasable: bool,
    /// The buildpacks that made it.
    pub buildpacks: Vec<Buildpack>,
    /// Its processes.
    pub processes: Vec<Process>,
}

/// A buildpack by its name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Buildpack {
    /// Its id.
    pub id: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
}

/// A process type.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Process {
    /// Its name.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its command; a string in images from before lists.
    #[serde(default)]
    pub command: serde_json::Value,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// The buildpack that defined it.
    #[serde(default, rename(deserialize = "buildpackID", serialize = "buildpack"))]
    pub buildpack: String,
}

/// What a builder says.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Builder {
    /// In words.
    pub description: String,
    /// Its run images, the usual one first.
    pub run_images: Vec<String>,
    /// The version of its lifecycle, which Packlight's own takes the place of.
    pub lifecycle: String,
    /// Its buildpacks.
    pub buildpacks: Vec<Buildpack>,
    /// The groups that it tries.
    pub order: Order,
}

/// What of an app's build is looked at.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Build {
    buildpacks: Vec<Buildpack>,
    processes: Vec<Process>,
}

/// Looks at an image: in the store, else in its registry.
///
/// # Errors
/// When it is nowhere.
pub fn inspect(world: &World, source: &Source) -> Result<Inspected, ImageError> {
    let (image, found_in) = match source {
        Source::Registry(name) => match world.store.image(name)? {
            Some(image) => (image, "store"),
            None => {
                let client = world.registries().map_err(Box::new)?;
                (client.image(name, &images::platform())?, "registry")
            }
        },
        other => (images::obtain(world, other, images::PullPolicy::Always, &|_| {})?.image, "store"),
    };
    let config = image.config();
    Ok(Inspected {
        name: source.to_string(),
        digest: image.digest().to_string(),
        found_in,
        platform: format!("{}/{}", config.os, config.architecture),
        size: image.size(),
        app: app(&image),
        builder: builder(&image),
    })
}

fn label<T: for<'a> Deserialize<'a>>(image: &Image, name: &str) -> Option<T> {
    serde_json::from_str(image.config().config.labels.get(name)?).ok()
}

fn app(image: &Image) -> Option<App> {
    let metadata: LifecycleMetadata = label(image, LIFECYCLE_METADATA)?;
    let build: Build = label(image, BUILD_METADATA).unwrap_or_default();
    let names = match metadata.run_image.image.is_empty() {
        true => metadata.stack.unwrap_or_default().run_image.image,
        false => metadata.run_image.image,
    };
    Some(App {
        run_image: Some(names).filter(|it| !it.is_empty()),
        run_image_reference: metadata.run_image.reference,
        rebasable: image.config().config.labels.get(REBASABLE).is_none_or(|it| it != "false"),
        buildpacks: build.buildpacks,
        processes: build.processes,
    })
}

fn builder(image: &Image) -> Option<Builder> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Listed {
        buildpacks: Vec<Buildpack>,
    }
    let metadata: BuilderMetadata = label(image, BUILDER_METADATA)?;
    let listed: Listed = label(image, BUILDER_METADATA).unwrap_or_default();
    let run_images = metadata.images.into_iter().chain([metadata.stack.run_image]).map(|it| it.image);
    let mut run_images: Vec<String> = run_images.filter(|it| !it.is_empty()).collect();
    run_images.dedup();
    Some(Builder {
        description: metadata.description,
        run_images,
        lifecycle: metadata.lifecycle.version,
        buildpacks: listed.buildpacks,
        order: Order { order: label(image, ORDER).unwrap_or_default(), order_extensions: Vec::new() },
    })
}
