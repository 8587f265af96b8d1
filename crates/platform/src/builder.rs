//! The builder of one build: which buildpacks there are, in what they run, and what apps stand on.
//!
//! Packlight's own (`builder/own.rs`) brings the buildpacks along and learns from the build plan what to stand on;
//! any other (`builder/image.rs`) is an image that has it all. To either a user may add buildpacks
//! (`builder/added.rs`). `builder/create.rs` makes such an image of its parts.

mod added;
pub mod create;
mod described;
mod download;
mod image;
pub mod lifecycle;
pub(crate) mod own;

use crate::base::Base;
use crate::event::Events;
use crate::images::{PullPolicy, Source};
use crate::isolation::Foreign;
use crate::lock::DebianLock;
use crate::world::World;
use ::lifecycle::{Catalogue, Dir};
use cnb::analyzed::TargetData;
use cnb::env::Environment;
use cnb::order::Order;
use oci::{Image, ImageName, Scratch};
use sandbox::{Identity, Mount};
use std::path::PathBuf;

pub use added::{Added, AddedError};
pub use described::Named;
pub use download::DownloadError;
pub use image::BuilderError;

/// What a user says of the builder.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Whether the user said which builder.
    pub named: Named,
    /// The builder; none: Packlight's own.
    pub builder: Option<Source>,
    /// The run image, in place of the builder's.
    pub run_image: Option<Source>,
    /// The buildpacks, in place of the builder's order.
    pub buildpacks: Vec<Added>,
    /// Buildpacks before each group of the order.
    pub pre: Vec<Added>,
    /// Buildpacks after each group of the order.
    pub post: Vec<Added>,
    /// When registries are asked.
    pub pull_policy: PullPolicy,
    /// Whether an agent was asked for: then another builder's groups get the buildpack that puts it in.
    pub agents: bool,
    /// Whether somebody else's buildpacks may run where isolation is reduced.
    pub unisolated: Foreign,
}

impl Choice {
    /// Whether nothing but Packlight's own parts is used.
    pub(crate) fn is_own(&self) -> bool {
        self.builder.is_none() && self.run_image.is_none() && self.added().next().is_none()
    }

    /// Whose buildpacks will run that are not Packlight's own; none: nobody's.
    pub(crate) fn foreign(&self) -> Option<String> {
        let added = |it: &Added| !matches!(it, Added::InBuilder(..) | Added::Order);
        match &self.builder {
            Some(builder) => Some(builder.to_string()),
            None => self.added().any(added).then(|| "somebody else".to_owned()),
        }
    }

    fn added(&self) -> impl Iterator<Item = &Added> {
        self.buildpacks.iter().chain(&self.pre).chain(&self.post)
    }
}

/// The builder of one build.
#[derive(Debug)]
pub(crate) struct Builder {
    /// Whose it is.
    pub(crate) origin: Origin,
    /// The buildpacks and extensions that there are.
    pub(crate) catalogue: Catalogue,
    /// The groups to try.
    pub(crate) order: Order,
    /// The build image, topmost layer first; empty while the build plan decides.
    pub(crate) trees: Vec<PathBuf>,
    /// Buildpacks that are not in the build image.
    pub(crate) mounts: Vec<Mount>,
    /// `CNB_USER_ID` and `CNB_GROUP_ID`.
    pub(crate) user: Identity,
    /// The build image's environment.
    pub(crate) env: Environment,
    /// What the operator says to buildpacks: `/cnb/build-config`.
    pub(crate) build_config: Option<Dir>,
    /// What apps stand on; none while the build plan decides.
    pub(crate) run_image: Option<RunImage>,
    /// Inline buildpacks lie in these.
    pub(crate) scratch: Vec<Scratch>,
}

/// Whose a builder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Packlight's own.
    Packlight,
    /// Somebody's image.
    Image,
}

/// What apps stand on.
#[derive(Debug, Clone)]
pub(crate) struct RunImage {
    /// The image.
    pub(crate) image: Image,
    /// A digest reference or an image id.
    pub(crate) reference: String,
    /// The name by which it can be found; empty: local to this store.
    pub(crate) name: String,
    /// Other names of it.
    pub(crate) mirrors: Vec<String>,
    /// What apps run on.
    pub(crate) target: TargetData,
    /// The same for people.
    pub(crate) words: String,
    /// Its packages, where it is a base of ours.
    pub(crate) lock: Option<DebianLock>,
}

impl From<&Base> for RunImage {
    fn from(base: &Base) -> Self {
        let digest = base.run_image.digest();
        let exact = |name: &ImageName| ImageName { tag: None, digest: Some(digest), ..name.clone() };
        Self {
            image: base.run_image.clone(),
            reference: base.name.as_ref().map_or_else(|| digest.to_string(), |it| exact(it).to_string()),
            name: base.name.as_ref().map(ImageName::short).unwrap_or_default(),
            mirrors: Vec::new(),
            target: base.target.clone(),
            words: format!("Debian {}, {} packages", base.lock.release, base.lock.run.len()),
            lock: Some(base.lock.clone()),
        }
    }
}

/// Makes the builder of a build ready; `registry` is the one that the image will be pushed to.
pub(crate) fn ready(
    world: &World,
    choice: &Choice,
    registry: Option<&str>,
    events: Events<'_>,
) -> Result<Builder, BuilderError> {
    match &choice.builder {
        Some(source) => {
            let asked = image::Asked { builder: source, choice, registry };
            added::add(world, image::from_image(world, &asked, events)?, choice, events)
        }
        None if choice.run_image.is_some() => Err(BuilderError::RunImageAlone),
        None => {
            // The user's words first: a wrong one must not be noticed only once a base was composed for nothing.
            let builder = added::add(world, own::own(world)?, choice, events)?;
            if choice.foreign().is_some() { own::with_a_root(world, builder, events) } else { Ok(builder) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testing::server;

    #[test]
    fn a_buildpack_that_is_not_there_is_noticed_before_anything_is_downloaded() {
        let dir = tempfile::tempdir().unwrap();
        let (say, said) = std::sync::mpsc::channel();
        let address = server::serve(move |asked| {
            say.send(asked.path.clone()).unwrap();
            server::json(404, "{}")
        });
        let mirror = format!("http://{address}/debian");
        let env =
            ["PACKLIGHT_DEBIAN_MIRROR", "PACKLIGHT_DEBIAN_SECURITY_MIRROR"].map(|it| (it, mirror.as_str()));
        let world = crate::world::tests::empty(dir.path(), &env);
        let added = Added::Url(format!("http://{address}/buildpack.tgz"));
        let choice = Choice { buildpacks: vec![added], ..Choice::default() };
        let error = ready(&world, &choice, None, &|_| ()).unwrap_err();
        assert!(matches!(error, BuilderError::Added(AddedError::Download(_))), "{error:?}");
        assert_eq!(said.try_iter().collect::<Vec<_>>(), ["/buildpack.tgz"]);
    }
}
