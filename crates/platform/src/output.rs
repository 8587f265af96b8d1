//! Where an image goes besides the store: an engine, a layout, an archive.

use crate::build::BuildRequest;
use crate::event::{Event, Events};
use crate::images::{Progress, Source};
use crate::settings;
use crate::world::{World, WorldError};
use oci::docker::Progress as Sent;
use oci::registry::Layers;
use oci::{Image, ImageName};
use serde::Serialize;
use std::path::PathBuf;

/// One place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Nowhere else.
    Store,
    /// The registry that the name says.
    Registry,
    /// The Docker engine; without one, the build fails.
    Docker,
    /// The Docker engine, when there is one.
    DockerIfThere,
    /// An OCI image layout.
    Layout(PathBuf),
    /// An OCI image layout as one tar.
    OciArchive(PathBuf),
    /// What `docker load` reads.
    DockerArchive(PathBuf),
}

/// An image that went somewhere.
#[derive(Debug, Clone, Serialize)]
pub struct Written {
    /// `registry`, `docker`, `oci`, `oci-archive` or `docker-archive`; `sbom` or `report`: what is told of it.
    pub kind: &'static str,
    /// The engine, or the path.
    pub place: String,
    /// The image's id there, where it has one.
    pub id: Option<String>,
}

/// Why an image did not get where it should go.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The registries' settings are wrong.
    #[error(transparent)]
    World(#[from] Box<WorldError>),
    /// The registry could not take it.
    #[error("the image, which is in the store, could not be pushed")]
    Registry(#[from] oci::registry::Error),
    /// There is no engine.
    #[error(
        "no Docker engine answers at {0}; start it, or leave `--output docker` out: the image is in the store"
    )]
    NoEngine(String),
    /// The engine could not take it.
    #[error("the Docker engine could not take the image, which is in the store")]
    Engine(#[from] oci::docker::DockerError),
    /// The file or folder could not be written.
    #[error("{} could not be written; the image is in the store", place.display())]
    Write {
        /// Where.
        place: PathBuf,
        /// Why.
        source: oci::StoreError,
    },
}

/// Hands an image over to every place that the request names.
///
/// # Errors
/// With the first place that cannot take it.
pub fn hand_over(
    world: &World,
    image: &Image,
    request: &BuildRequest,
    events: Events<'_>,
) -> Result<Vec<Written>, OutputError> {
    let names: Vec<ImageName> = request.names().cloned().collect();
    let mut written = Vec::new();
    for output in &request.outputs {
        match output {
            Output::Store => {}
            Output::Registry => written.push(registry(world, image, request, events)?),
            Output::Docker => written.push(docker(world, image, &names, events)?.ok_or_else(|| {
                OutputError::NoEngine(engine_host(world).unwrap_or_else(|| "its default socket".to_owned()))
            })?),
            Output::DockerIfThere => written.extend(docker(world, image, &names, events)?),
            Output::Layout(path) => {
                names
                    .iter()
                    .try_for_each(|name| oci::layout::write(&world.store, image, name, path))
                    .map_err(|source| OutputError::Write { place: path.clone(), source })?;
                written.push(file("oci", path));
            }
            Output::OciArchive(path) => {
                oci::layout::write_archive(&world.store, image, &names, path)
                    .map_err(|source| OutputError::Write { place: path.clone(), source })?;
                written.push(file("oci-archive", path));
            }
            Output::DockerArchive(path) => {
                oci::docker_archive::write_file(&world.store, image, &names, path)
                    .map_err(|source| OutputError::Write { place: path.clone(), source })?;
                written.push(file("docker-archive", path));
            }
        }
    }
    Ok(written)
}

/// Layers of the run image and of the previous image are looked for where they came from: what the registry has
/// already is not sent.
fn registry(
    world: &World,
    image: &Image,
    request: &BuildRequest,
    events: Events<'_>,
) -> Result<Written, OutputError> {
    let client = world.registries().map_err(Box::new)?;
    let names: Vec<ImageName> = request.names().cloned().collect();
    // Nothing has changed since the last time: one request a name, in place of several.
    let new: Vec<ImageName> =
        names.iter().filter(|it| !client.stands(it, &image.digest())).cloned().collect();
    let named = |it: &Option<Source>| match it {
        Some(Source::Registry(name)) => Some(name.clone()),
        _ => None,
    };
    let repositories: Vec<ImageName> =
        named(&request.builder.run_image).into_iter().chain(request.previous_image.clone()).collect();
    let layers = Layers { store: Some(&world.store), repositories: &repositories };
    let progress = Progress::new("upload");
    let pushed = client.push(image, layers, &new, &|event| progress.tell(event, events))?;
    let place = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Ok(Written { kind: "registry", place, id: Some(pushed.digest.to_string()) })
}

pub(crate) fn file(kind: &'static str, path: &std::path::Path) -> Written {
    Written { kind, place: path.display().to_string(), id: None }
}

fn engine_host(world: &World) -> Option<String> {
    settings::text(&world.env, "DOCKER_HOST")
}

fn docker(
    world: &World,
    image: &Image,
    names: &[ImageName],
    events: Events<'_>,
) -> Result<Option<Written>, OutputError> {
    let Some(engine) = world.engine()? else { return Ok(None) };
    let id = engine.load(&world.store, image, names, &mut |progress| {
        if let Sent::Sending { layers, of, bytes } = progress {
            events(Event::Sending { layers, of, bytes });
        }
    })?;
    Ok(Some(Written { kind: "docker", place: engine.host().to_owned(), id: Some(id) }))
}
