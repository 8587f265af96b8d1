//! Agents in images that stand already: listed, added, upgraded and removed without the source and without a build of the
//! app. What puts one in is the apm buildpack's own `bin/build`, run on the image's root: there is one way to do it.

mod adopt;
mod papers;
mod room;
mod sign;

use crate::at_once::each;
use crate::build::{BuildError, BuildNetwork};
use crate::event::{Event, Events};
use crate::images::part::PartError;
use crate::images::{self, ImageError, Source, StoreImages};
use crate::isolation::Foreign;
use crate::rebase::Run;
use crate::room::BUILD_USER;
use crate::world::{World, WorldError};
use cnb::labels::LIFECYCLE_METADATA;
use lifecycle::AmendRequest;
use oci::registry::Layers;
use oci::{Image, ImageName, Owner};
use papers::Papers;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The labels in which the buildpack says what it put into the image: this, and the vendor.
const LABEL: &str = "io.packlight.agent.";
/// The layer beside the agents': the launch program, and what is true whichever agent wakes.
const CONFIG_LAYER: &str = "config";

/// What is asked.
#[derive(Debug, Clone)]
pub struct AgentRequest {
    /// The images, and where each is.
    pub images: Vec<(ImageName, Place)>,
    /// What becomes of their agents.
    pub change: Change,
    /// Whether anything is written.
    pub run: Run,
    /// Variables for the buildpack.
    pub env: Vec<(String, String)>,
    /// Whether an image's own programs may run with reduced isolation.
    pub unisolated: Foreign,
    /// What of the network is reached.
    pub network: BuildNetwork,
    /// The command that signs what was written to a registry.
    pub sign: Option<String>,
}

/// Where an image is, and stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the store.
    Store,
    /// In its registry.
    Registry,
    /// In the Docker engine.
    Engine,
}

/// What becomes of the agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These are put in, where they are not there.
    Add(Vec<String>),
    /// These are chosen anew; none named: all that are there.
    Upgrade(Vec<String>),
    /// These go; none named: all that are there.
    Remove(Vec<String>),
}

/// An agent in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Agent {
    /// Whose it is.
    pub vendor: String,
    /// Its version.
    pub version: String,
    /// What of the app it observes.
    pub observes: Vec<String>,
}

/// What became of one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Amended {
    /// Its name.
    pub name: String,
    /// The agents that are in it now.
    pub agents: Vec<Agent>,
    /// What happened.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What happened to an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It has other agents now; with a dry run, it would.
    Amended {
        /// Its digest before.
        from: String,
        /// Its digest now.
        to: String,
    },
    /// There was nothing to do.
    Unchanged,
    /// It stays as it is.
    Refused {
        /// Why.
        reason: String,
    },
}

/// An image that stays as it is.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Registry(#[from] oci::registry::Error),
    #[error(transparent)]
    World(#[from] WorldError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Store(#[from] oci::StoreError),
    #[error(transparent)]
    Part(#[from] PartError),
    #[error(transparent)]
    Build(#[from] Box<BuildError>),
    #[error(transparent)]
    Amend(#[from] lifecycle::AmendError),
    #[error(transparent)]
    Put(#[from] lifecycle::ImagesError),
    #[error(transparent)]
    Layer(#[from] oci::LayerError),
    #[error(transparent)]
    New(#[from] oci::ImageError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("the store has no such image; --publish changes it in its registry")]
    NotInStore,
    #[error("{0}")]
    Other(String),
}

/// The agents that an image says it has.
#[must_use]
pub fn agents(image: &Image) -> Vec<Agent> {
    let labels = image.config().config.labels.iter();
    let agent = |vendor: &str, text: &str| {
        let (version, observes) = text.split_once(" for ").unwrap_or((text, ""));
        let observes = observes.split(", ").filter(|it| !it.is_empty()).map(str::to_owned).collect();
        Agent { vendor: vendor.to_owned(), version: version.to_owned(), observes }
    };
    // An image may be hostile, and the name is a layer's and a directory's.
    let is_name =
        |it: &str| !it.is_empty() && it.bytes().all(|it| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    let vendors = labels.filter_map(|(name, text)| Some((name.strip_prefix(LABEL)?, text)));
    vendors.filter(|it| is_name(it.0)).map(|(name, text)| agent(name, text)).collect()
}

/// The agents of an image, which is in the store, else in its registry or where else its name says.
///
/// # Errors
/// When it cannot be had.
pub fn list(world: &World, source: &Source) -> Result<Vec<Agent>, ImageError> {
    let image = match source {
        Source::Registry(name) => match world.store.image(name)? {
            Some(image) => image,
            None => world.registries().map_err(Box::new)?.image(name, &images::platform())?,
        },
        other => images::obtain(world, other, images::PullPolicy::Always, &|_| {})?.image,
    };
    Ok(agents(&image))
}

/// Changes the agents of each image. One that cannot be changed is no reason to leave the others.
///
/// # Errors
/// When no registry can be asked at all.
pub fn amend(world: &World, request: &AgentRequest, events: Events<'_>) -> Result<Vec<Amended>, WorldError> {
    if request.images.iter().any(|it| it.1 == Place::Registry) {
        world.registries()?;
    }
    // Building takes a processor each; striking something out is a few small requests.
    let at_once = if matches!(request.change, Change::Remove(_)) { 16 } else { 2 };
    let site = Site { world, request, events, tools: room::Tools::default() };
    Ok(each(&request.images, at_once, |target| {
        let amended = site.one(target);
        events(Event::ImageAmended { amended: amended.clone() });
        amended
    }))
}

struct Site<'a> {
    world: &'a World,
    request: &'a AgentRequest,
    events: Events<'a>,
    tools: room::Tools,
}

/// What one image's change comes to.
enum Task {
    Nothing,
    Put(Vec<String>),
    Take(Vec<String>),
}

impl Site<'_> {
    fn one(&self, target: &Target) -> Amended {
        let (outcome, agents) = self.change(target).unwrap_or_else(|refusal| {
            (Outcome::Refused { reason: crate::error::chain(&refusal) }, Vec::new())
        });
        let name = match target {
            (name, Place::Engine) => Source::Engine(name.clone()).to_string(),
            (name, _) => name.short(),
        };
        Amended { name, agents, outcome }
    }

    fn change(&self, target: &Target) -> Result<(Outcome, Vec<Agent>), Refusal> {
        let old = self.image(target)?;
        let there = agents(&old);
        let new = match self.task(&there)? {
            Task::Nothing => return Ok((Outcome::Unchanged, there)),
            Task::Put(vendors) => self.put(target, &old, &vendors)?,
            Task::Take(vendors) => self.take(target, &old, (&vendors, &there))?,
        };
        let there = agents(&new);
        if new.digest() == old.digest() {
            return Ok((Outcome::Unchanged, there));
        }
        if self.request.run == Run::Real {
            self.write(target, (&old, &new))?;
        }
        Ok((Outcome::Amended { from: old.digest().to_string(), to: new.digest().to_string() }, there))
    }

    fn image(&self, (name, place): &Target) -> Result<Image, Refusal> {
        let world = self.world;
        match (place, &self.request.change) {
            (Place::Store, _) => world.store.image(name)?.ok_or(Refusal::NotInStore),
            (Place::Engine, _) => {
                let source = Source::Engine(name.clone());
                Ok(images::obtain(world, &source, images::PullPolicy::Always, self.events)?.image)
            }
            // Of an image that loses something, two small layers are looked at.
            (Place::Registry, Change::Remove(_)) => {
                Ok(world.registries()?.image(name, &images::platform())?)
            }
            (Place::Registry, _) => Ok(images::pull(world, name, self.events)?),
        }
    }

    fn task(&self, there: &[Agent]) -> Result<Task, Refusal> {
        let has = |vendor: &String| there.iter().any(|it| it.vendor == *vendor);
        let named = |list: &[String]| -> Result<Vec<String>, Refusal> {
            match list.iter().find(|it| !has(it)) {
                Some(it) => Err(Refusal::Other(format!("the image has no agent {it}"))),
                None if list.is_empty() => Ok(there.iter().map(|it| it.vendor.clone()).collect()),
                None => Ok(list.to_vec()),
            }
        };
        let some = |list: Vec<String>, task: fn(Vec<String>) -> Task| {
            if list.is_empty() { Task::Nothing } else { task(list) }
        };
        Ok(match &self.request.change {
            Change::Add(list) => some(list.iter().filter(|it| !has(it)).cloned().collect(), Task::Put),
            Change::Upgrade(list) => some(named(list)?, Task::Put),
            Change::Remove(list) => some(named(list)?, Task::Take),
        })
    }

    /// The image with these agents, new or chosen anew.
    fn put(&self, (name, place): &Target, old: &Image, vendors: &[String]) -> Result<Image, Refusal> {
        let scratch = self.world.store.scratch()?;
        let _swept = Swept(scratch.path());
        let image = match old.config().config.labels.contains_key(LIFECYCLE_METADATA) {
            true => old.clone(),
            false => adopt::adopt(self.world, old)?,
        };
        let papers = Papers::of(self, (&image, None), scratch.path())?;
        let built = room::build(self, name, (&image, &papers), vendors, scratch.path())?;
        papers.replace(&built.buildpack.id, vendors, Some(&built.bills()))?;
        let request = AmendRequest {
            image: &image,
            buildpack: &built.buildpack,
            built: Some(&built.dirs),
            gone: &[],
            labels: &built.labels,
            bills: papers.bills(),
            metadata: &papers.metadata,
            layers_dir: &papers.layers_dir,
            owner: Owner::new(BUILD_USER.uid, BUILD_USER.gid),
        };
        self.amended((name, *place), &request)
    }

    /// The image without these agents; without the last one nothing of ours is left.
    fn take(
        &self,
        (name, place): &Target,
        old: &Image,
        (vendors, there): (&[String], &[Agent]),
    ) -> Result<Image, Refusal> {
        let scratch = self.world.store.scratch()?;
        let registry = (*place == Place::Registry).then_some(name);
        let papers = Papers::of(self, (old, registry), scratch.path())?;
        let buildpack = room::carried(self.world)?;
        papers.replace(&buildpack.id, vendors, None)?;
        let is_last = there.iter().all(|it| vendors.contains(&it.vendor));
        let config = is_last.then(|| CONFIG_LAYER.to_owned());
        let gone: Vec<String> = vendors.iter().cloned().chain(config).collect();
        let labels = vendors.iter().map(|it| (format!("{LABEL}{it}"), None)).collect();
        let request = AmendRequest {
            image: old,
            buildpack: &buildpack,
            built: None,
            gone: &gone,
            labels: &labels,
            bills: papers.bills(),
            metadata: &papers.metadata,
            layers_dir: &papers.layers_dir,
            owner: Owner::new(BUILD_USER.uid, BUILD_USER.gid),
        };
        let new = self.amended((name, *place), &request)?;
        if is_last && adopt::is_adopted(&new) { adopt::release(&new) } else { Ok(new) }
    }

    fn amended(
        &self,
        (name, place): (&ImageName, Place),
        request: &AmendRequest<'_>,
    ) -> Result<Image, Refusal> {
        use lifecycle::Images as _;
        let images = StoreImages::new(&self.world.store, name);
        let amended = lifecycle::amend(request, &images)?;
        if place == Place::Registry {
            // Its other layers may be in the registry alone.
            return Ok(Image::new(amended.config, &amended.layers)?);
        }
        Ok(images.put(&amended.config, &amended.layers)?)
    }

    fn write(&self, (name, place): &Target, (old, new): (&Image, &Image)) -> Result<(), Refusal> {
        let world = self.world;
        match place {
            Place::Store => {
                world.store.add_image(new)?;
                Ok(world.store.tag(name, new)?)
            }
            Place::Engine => {
                world.store.add_image(new)?;
                let engine = world.engine().map_err(ImageError::from)?;
                let engine = engine.ok_or_else(|| ImageError::NoEngine(name.clone()))?;
                engine
                    .load(&world.store, new, std::slice::from_ref(name), &mut |_| {})
                    .map_err(ImageError::from)?;
                Ok(())
            }
            Place::Registry => {
                let client = world.registries()?;
                let layers = Layers { store: Some(&world.store), repositories: std::slice::from_ref(name) };
                client.push(new, layers, std::slice::from_ref(name), &|_| {})?;
                sign::tell(client, name, old, self.events);
                self.request.sign.as_ref().map_or(Ok(()), |command| sign::sign(command, name, new))
            }
        }
    }
}

/// An image, and where it is.
type Target = (ImageName, Place);

/// A room's files belong to others than the caller's user.
struct Swept<'a>(&'a Path);

impl Drop for Swept<'_> {
    fn drop(&mut self) {
        // What stays behind is cleared away when the store is next opened.
        let _ = sandbox::remove_tree(self.0);
    }
}

/// Labels that are set, by name.
type Labels = BTreeMap<String, Option<String>>;

#[cfg(test)]
mod tests {
    use super::*;
    use oci::ImageConfig;

    #[test]
    fn a_label_names_an_agent_and_no_path() {
        let mut config = ImageConfig::default();
        for name in ["datadog", "../../../home", "/etc", "..", ""] {
            config.config.labels.insert(format!("{LABEL}{name}"), "1.2 for flask 3.1, sqlite3".to_owned());
        }
        let there = agents(&Image::new(config, &[]).unwrap());
        assert_eq!(there.len(), 1, "{there:?}");
        assert_eq!((there[0].vendor.as_str(), there[0].version.as_str()), ("datadog", "1.2"));
        assert_eq!(there[0].observes, ["flask 3.1", "sqlite3"]);
    }
}
