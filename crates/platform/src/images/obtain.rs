//! An image from wherever it is into the store.

use super::Source;
use crate::base::LOCAL_REGISTRY;
use crate::event::{Event, Events};
use crate::world::{World, WorldError};
use oci::import::{self, ImportError, Wanted};
use oci::registry::{Event as Moved, How};
use oci::{Digest, Image, ImageName, NameError, Platform};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

/// When a registry is asked for an image that is in the store already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PullPolicy {
    /// Each time; what it has already is not sent again.
    #[default]
    Always,
    /// When the store has no image of that name.
    IfNotPresent,
    /// Not at all.
    Never,
}

/// An image that is in the store.
#[derive(Debug, Clone)]
pub struct Found {
    /// The image.
    pub image: Image,
    /// Where it came from, for people.
    pub name: String,
    /// What names exactly this image: `repository@digest`, or its digest where it is in no registry.
    pub reference: String,
    /// Its registry; empty where it is in none.
    pub registry: String,
}

/// An image that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The registry's settings are wrong.
    #[error(transparent)]
    World(#[from] Box<WorldError>),
    /// The registry does not give it.
    #[error(transparent)]
    Registry(#[from] oci::registry::Error),
    /// It is in no store, and no registry may be asked.
    #[error("{} is not in the store, and no registry is asked with --pull-policy never", .0.short())]
    NotInStore(ImageName),
    /// The engine does not answer.
    #[error(transparent)]
    Engine(#[from] oci::docker::DockerError),
    /// There is no engine.
    #[error("no Docker engine answers, so {} cannot be taken from it", .0.short())]
    NoEngine(ImageName),
    /// The engine has no such image.
    #[error("the Docker engine has no image {}", .0.short())]
    NotInEngine(ImageName),
    /// The layout or archive does not give it.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A file cannot be opened.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The store could not do its part.
    #[error(transparent)]
    Store(#[from] oci::StoreError),
}

/// The machine that images are for.
pub(crate) fn platform() -> Platform {
    Platform {
        os: "linux".to_owned(),
        architecture: "amd64".to_owned(),
        variant: None,
        extra: Default::default(),
    }
}

/// Brings an image into the store, as far as it is not there.
pub(crate) fn obtain(
    world: &World,
    source: &Source,
    policy: PullPolicy,
    events: Events<'_>,
) -> Result<Found, ImageError> {
    let wanted = |tag: &Option<String>| -> (Option<String>, Platform) { (tag.clone(), platform()) };
    let image = match source {
        Source::Registry(name) => return from_registry(world, name, policy, events),
        Source::Engine(name) => from_engine(world, name)?,
        Source::Layout(path, tag) => {
            let (tag, platform) = wanted(tag);
            import::layout(&world.store, path, &Wanted { tag: tag.as_deref(), platform: &platform })?
        }
        Source::Archive(path, tag) => {
            let (tag, platform) = wanted(tag);
            let wanted = Wanted { tag: tag.as_deref(), platform: &platform };
            import::archive(&world.store, fs_err::File::open(path)?, path, &wanted)?
        }
    };
    keep(world, &image)?;
    Ok(Found {
        name: source.to_string(),
        reference: image.digest().to_string(),
        registry: String::new(),
        image,
    })
}

fn from_registry(
    world: &World,
    name: &ImageName,
    policy: PullPolicy,
    events: Events<'_>,
) -> Result<Found, ImageError> {
    let kept = world.store.image(name)?;
    let image = match (policy, kept) {
        (PullPolicy::Never, None) => return Err(ImageError::NotInStore(name.clone())),
        (PullPolicy::Never | PullPolicy::IfNotPresent, Some(image)) => image,
        (_, kept) => match pull(world, name, events) {
            Ok(image) => image,
            Err(error) => instead(world, (name, kept), error, events)?,
        },
    };
    world.store.tag(name, &image)?;
    let exact = ImageName { tag: None, digest: Some(image.digest()), ..name.clone() };
    Ok(Found { name: name.short(), reference: exact.to_string(), registry: name.registry.clone(), image })
}

/// A registry that does not answer is no reason to stop where the image is at hand; it is said aloud, since it may be
/// an old one.
fn instead(
    world: &World,
    (name, kept): (&ImageName, Option<Image>),
    error: ImageError,
    events: Events<'_>,
) -> Result<Image, ImageError> {
    let reason = crate::error::chain(&error);
    let say = |place: &str| {
        events(Event::Warning { text: format!("{reason}; the {place}'s own {} is taken", name.short()) });
    };
    if let Some(image) = kept {
        say("store");
        return Ok(image);
    }
    match from_engine(world, name) {
        Ok(image) => {
            say("Docker engine");
            Ok(image)
        }
        Err(_) => Err(error),
    }
}

/// An image of a registry, brought into the store without a name there.
pub(crate) fn pull(world: &World, name: &ImageName, events: Events<'_>) -> Result<Image, ImageError> {
    let client = world.registries().map_err(Box::new)?;
    let progress = Progress::new("layer");
    let image = client.pull(name, &world.store, &platform(), &|event| progress.tell(event, events))?;
    Ok(image)
}

/// Sums of what has moved, by layer.
pub(crate) struct Progress {
    kind: &'static str,
    /// Bytes so far, and in all.
    sums: Mutex<BTreeMap<Digest, (u64, u64)>>,
}

impl Progress {
    pub(crate) fn new(kind: &'static str) -> Self {
        Self { kind, sums: Mutex::default() }
    }

    pub(crate) fn tell(&self, event: Moved, events: Events<'_>) {
        let mut sums = self.sums.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let short = |blob: Digest| format!("layer {}", &blob.hex()[..12]);
        match event {
            Moved::Started { blob, size } => drop(sums.insert(blob, (0, size))),
            Moved::Moved { blob, bytes } => {
                let sum = sums.entry(blob).or_default();
                sum.0 += bytes;
                let (kind, name, (received, size)) = (self.kind, short(blob), *sum);
                events(Event::Downloading { kind, name, received, size: Some(size) });
            }
            Moved::Lost { blob, bytes } => {
                let sum = sums.entry(blob).or_default();
                sum.0 = sum.0.saturating_sub(bytes);
            }
            Moved::Finished { blob, size, how: How::Moved } => {
                events(Event::Downloaded { kind: self.kind, name: short(blob), bytes: size });
            }
            Moved::Finished { .. } => {}
        }
    }
}

/// An image of the engine; one that was taken before is not taken again.
fn from_engine(world: &World, name: &ImageName) -> Result<Image, ImageError> {
    let engine = world.engine()?.ok_or_else(|| ImageError::NoEngine(name.clone()))?;
    let id = engine.image_id(name)?.ok_or_else(|| ImageError::NotInEngine(name.clone()))?;
    let kept = local(&format!("engine/{}", id.hex()));
    if let Some(image) = world.store.image(&kept)? {
        return Ok(image);
    }
    let place = PathBuf::from(format!("docker:{}", name.short()));
    let wanted = Wanted { tag: None, platform: &platform() };
    let mut image = None;
    engine.save(name, |tar| -> Result<(), ImageError> {
        image = Some(import::archive(&world.store, tar, &place, &wanted)?);
        Ok(())
    })?;
    let image = image.ok_or_else(|| ImageError::NotInEngine(name.clone()))?;
    world.store.tag(&kept, &image)?;
    Ok(image)
}

/// A name for what came from no registry, so that it is not pruned while it is in use.
fn keep(world: &World, image: &Image) -> Result<(), ImageError> {
    Ok(world.store.tag(&local(&format!("file/{}", image.digest().hex())), image)?)
}

fn local(repository: &str) -> ImageName {
    ImageName {
        registry: LOCAL_REGISTRY.to_owned(),
        repository: repository.to_owned(),
        tag: Some("latest".to_owned()),
        digest: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testing::server;

    #[test]
    fn an_engine_says_once_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (say, said) = std::sync::mpsc::channel();
        let address = server::serve(move |asked| {
            say.send(asked.path.clone()).unwrap();
            match asked.path.as_str() {
                "/version" => server::json(200, r#"{"Version":"1","ApiVersion":"1.41"}"#),
                "/info" => server::json(200, "{}"),
                _ => server::json(404, "{}"),
            }
        });
        let host = format!("tcp://{address}");
        let world = crate::world::tests::empty(dir.path(), &[("DOCKER_HOST", &host)]);
        for name in ["builder", "run"] {
            let source = Source::Engine(ImageName::parse(name, "docker.io").unwrap());
            let error = obtain(&world, &source, PullPolicy::Always, &|_| ()).unwrap_err();
            assert!(matches!(error, ImageError::NotInEngine(_)), "{error}");
        }
        let asked = said.try_iter().collect::<Vec<_>>();
        assert_eq!(asked[..2], ["/version", "/info"]);
        assert!(asked[2..].iter().all(|it| it.starts_with("/images/")), "{asked:?}");
        assert_eq!(asked.len(), 4, "{asked:?}");
    }
}
