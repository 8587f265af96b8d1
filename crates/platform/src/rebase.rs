//! Rebase: app images on a newer run image, in a registry or in the store, without a build and without moving a layer.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#rebaser>

mod run_images;

use crate::at_once::each;
use crate::event::{Event, Events};
use crate::images::{self, ImageError};
use crate::world::{World, WorldError};
use cnb::labels::{LIFECYCLE_METADATA, LifecycleMetadata};
use lifecycle::{Force, RebaseError};
use oci::registry::{Client, Layers};
use oci::{Image, ImageName, NameError};
use run_images::{RunImage, RunImages};
use serde::Serialize;
use std::sync::{Arc, Mutex};

/// So many images are rebased at the same time: each is a few small requests, one after the other.
const AT_ONCE: usize = 16;

/// What is asked.
#[derive(Debug, Clone)]
pub struct RebaseRequest {
    /// The images.
    pub images: Vec<ImageName>,
    /// Where they are.
    pub place: Place,
    /// The run image; none: the one that each image names.
    pub run_image: Option<ImageName>,
    /// Whether what does not fit is done all the same.
    pub force: Forcing,
    /// Whether anything is written.
    pub run: Run,
}

/// Where images are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the store.
    Store,
    /// In their registries.
    Registry,
}

/// Whether what does not fit is done all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forcing {
    /// It is refused.
    No,
    /// It is done, and said.
    Yes,
}

/// Whether anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// Yes.
    Real,
    /// No: it is only said what would be.
    Dry,
}

/// What became of one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rebased {
    /// Its name.
    pub name: String,
    /// The run image that it stands on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_image: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What happened to an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It stands on the new run image; with a dry run, it would.
    Rebased {
        /// Its digest before.
        from: String,
        /// Its digest now.
        to: String,
    },
    /// It stood there already.
    Unchanged,
    /// It stays as it is.
    Refused {
        /// Why.
        reason: String,
    },
}

/// An image that was not rebased.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Registry(#[from] oci::registry::Error),
    #[error(transparent)]
    Rebase(#[from] RebaseError),
    #[error(transparent)]
    Image(#[from] oci::ImageError),
    #[error(transparent)]
    Store(#[from] oci::StoreError),
    #[error(transparent)]
    RunImage(#[from] ImageError),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("{0}")]
    NoRunImage(String),
    #[error("the store has no such image")]
    NotInStore,
    #[error("no buildpacks made it: it has no label {LIFECYCLE_METADATA}")]
    NotBuilt,
    #[error(
        "its run image has no name, since its base was never pushed: build it again, or give the base a name with \
         `packlight base push` before"
    )]
    Nameless,
}

/// Puts each image on its run image of today. One that cannot be is no reason to leave the others.
///
/// # Errors
/// When no registry can be asked at all.
pub fn rebase(
    world: &World,
    request: &RebaseRequest,
    events: Events<'_>,
) -> Result<Vec<Rebased>, WorldError> {
    let client = world.registries()?;
    let run_images = RunImages { world, client, events, place: request.place, known: Mutex::default() };
    let site = Site { world, client, request, events, run_images };
    Ok(each(&request.images, AT_ONCE, |name| {
        let rebased = site.one(name);
        events(Event::ImageRebased { rebased: rebased.clone() });
        rebased
    }))
}

struct Site<'a> {
    world: &'a World,
    client: &'a Client,
    request: &'a RebaseRequest,
    events: Events<'a>,
    run_images: RunImages<'a>,
}

impl Site<'_> {
    fn one(&self, name: &ImageName) -> Rebased {
        let mut run_image = None;
        let outcome = self
            .put(name, &mut run_image)
            .unwrap_or_else(|refusal| Outcome::Refused { reason: crate::error::chain(&refusal) });
        Rebased { name: name.short(), run_image, outcome }
    }

    fn put(&self, name: &ImageName, stands_on: &mut Option<String>) -> Result<Outcome, Refusal> {
        let app = match self.request.place {
            Place::Registry => self.client.image(name, &images::platform())?,
            Place::Store => self.world.store.image(name)?.ok_or(Refusal::NotInStore)?,
        };
        let metadata = metadata(&app)?;
        let run_image = self.run_image(name, &metadata)?;
        *stands_on = Some(run_image.name.short());
        let top = run_image.image.diff_ids().last().map(ToString::to_string).unwrap_or_default();
        let exact = ImageName { tag: None, digest: Some(run_image.image.digest()), ..run_image.name.clone() };
        if metadata.run_image.top_layer == top && starts_with(&app, &run_image.image) {
            return Ok(Outcome::Unchanged);
        }
        let rebased = lifecycle::rebase(&lifecycle::RebaseRequest {
            app: &app,
            base: &run_image.image,
            base_reference: &exact.to_string(),
            base_name: &run_image.name.short(),
            same_name,
            features: cnb::api::platform_features(cnb::api::OWN_PLATFORM_API).unwrap_or_default(),
            force: if self.request.force == Forcing::Yes { Force::Yes } else { Force::No },
        })?;
        for text in rebased.warnings {
            (self.events)(Event::Warning { text: format!("{}: {text}", name.short()) });
        }
        let new = Image::new(rebased.config, &rebased.layers)?;
        if self.request.run == Run::Real {
            self.write(name, &new, &run_image)?;
        }
        Ok(Outcome::Rebased { from: app.digest().to_string(), to: new.digest().to_string() })
    }

    fn write(&self, name: &ImageName, new: &Image, run_image: &RunImage) -> Result<(), Refusal> {
        match self.request.place {
            Place::Registry => {
                let layers = Layers {
                    // Within a registry layers are mounted; those of another one have to come by here.
                    store: (run_image.name.registry != name.registry).then_some(&self.world.store),
                    repositories: std::slice::from_ref(&run_image.name),
                };
                self.client.push(new, layers, std::slice::from_ref(name), &|_| {})?;
            }
            Place::Store => {
                self.world.store.add_image(new)?;
                self.world.store.tag(name, new)?;
            }
        }
        Ok(())
    }

    /// The run image that was asked for, else the one that the app's image names, by preference in the same registry.
    fn run_image(&self, app: &ImageName, metadata: &LifecycleMetadata) -> Result<Arc<RunImage>, Refusal> {
        match &self.request.run_image {
            Some(name) => self.run_images.first(std::slice::from_ref(name)),
            None => {
                self.run_images.first(&run_images::names_of(app, metadata, self.world.settings.registry())?)
            }
        }
    }
}

fn metadata(app: &Image) -> Result<LifecycleMetadata, Refusal> {
    let label = app.config().config.labels.get(LIFECYCLE_METADATA).ok_or(Refusal::NotBuilt)?;
    serde_json::from_str(label).map_err(|_| Refusal::NotBuilt)
}

fn starts_with(app: &Image, run_image: &Image) -> bool {
    app.diff_ids().starts_with(run_image.diff_ids())
}

/// One spelling of each name, without its tag: another tag is another state of the same run image.
fn same_name(name: &str) -> String {
    ImageName::parse(name, crate::settings::DEFAULT_REGISTRY)
        .map_or_else(|_| name.to_owned(), |it| it.without_tag())
}

/// The images of a registry whose names match, such as `registry.example.com/team/*`; `*` stands for anything. Without a
/// tag in it, every tag counts.
///
/// # Errors
/// When the pattern names no registry, or the registry does not list what it has.
pub fn matching(world: &World, pattern: &str) -> Result<Vec<ImageName>, MatchError> {
    let (registry, rest) = pattern.split_once('/').ok_or_else(|| MatchError::Pattern(pattern.to_owned()))?;
    if registry.contains('*') || !(registry.contains(['.', ':']) || registry == "localhost") {
        return Err(MatchError::Pattern(pattern.to_owned()));
    }
    let (repositories, tags) = rest.rsplit_once(':').unwrap_or((rest, "*"));
    let client = world.registries().map_err(Box::new)?;
    let mut found = Vec::new();
    for repository in client.repositories(registry)? {
        if !glob(repositories, &repository) {
            continue;
        }
        let name = ImageName { registry: registry.to_owned(), repository, tag: None, digest: None };
        let tags = client.tags(&name)?.into_iter().filter(|it| glob(tags, it));
        found.extend(tags.map(|tag| ImageName { tag: Some(tag), ..name.clone() }));
    }
    Ok(found)
}

/// Why images could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum MatchError {
    /// It names no registry.
    #[error("`{0}` is no pattern: it begins with a registry's name, as in 'registry.example.com/team/*'")]
    Pattern(String),
    /// The settings are wrong.
    #[error(transparent)]
    World(#[from] Box<WorldError>),
    /// The registry does not tell.
    #[error(transparent)]
    Registry(#[from] oci::registry::Error),
}

fn glob(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(before) else { return false };
    (0..=rest.len()).filter(|it| rest.is_char_boundary(*it)).any(|at| glob(after, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, fits) in [
            ("team/*", "team/a/b", true),
            ("team/*", "teams/a", false),
            ("*/app-*", "x/app-1", true),
            ("*/app-*", "x/ap", false),
            ("team/app", "team/app", true),
            ("*", "", true),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn another_tag_is_the_same_run_image() {
        assert_eq!(same_name("base:1"), same_name("docker.io/library/base:2"));
        assert_ne!(same_name("base"), same_name("other/base"));
    }
}
