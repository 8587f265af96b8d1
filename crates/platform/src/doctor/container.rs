//! A container of the Docker engine: what it was started with, as a request to start the same here.

use super::patient::SAYS;
use super::{DoctorError, DoctorRequest, Link, Stop, broken};
use crate::images::{self, ImageError, Source};
use crate::run::RunRequest;
use crate::world::World;
use oci::{Image, ImageName};

/// What is started here in its place.
pub(super) struct Found {
    pub(super) image: Image,
    pub(super) run: RunRequest,
}

/// Looks at the container; the startup line in its log is worth more than what a trial here would say.
pub(super) fn find(
    world: &World,
    name: &str,
    request: &DoctorRequest,
    holds: &mut Vec<String>,
) -> Result<Found, Stop> {
    let engine = world.engine().map_err(ImageError::from)?;
    let engine = engine.ok_or_else(|| DoctorError::NoContainer(format!("{name}: no engine answers")))?;
    let container = engine.container(name).map_err(ImageError::from)?;
    let container = container.ok_or_else(|| DoctorError::NoContainer(name.to_owned()))?;
    let registry = world.settings.registry();
    let image_name = ImageName::parse(&container.image, registry).map_err(ImageError::from)?;
    let source = Source::Engine(image_name.clone());
    let image = images::obtain(world, &source, images::PullPolicy::Always, &|_| {})?.image;
    if !container.running {
        let cure = format!("docker logs {name}");
        return Err(broken(Link::App, format!("the container does not run: {}", container.status), cure));
    }
    let logs = engine.container_log(name).map_err(ImageError::from)?;
    if let Some(line) = logs.lines().find_map(|it| it.strip_prefix(SAYS)) {
        holds.push(format!("its log has the agent's line: {line}"));
    }
    let own = image.config().config.entrypoint.clone();
    let entrypoint = container.entrypoint.clone().filter(|it| *it != own);
    let (first, more) = match entrypoint.as_deref() {
        None => (None, &[][..]),
        Some([]) => (container.args.first().cloned(), &[][..]),
        Some([first, more @ ..]) => (Some(first.clone()), more),
    };
    let args = more.iter().chain(&container.args).map(Into::into).collect();
    let image_env = &image.config().config.env;
    let env = container.env.iter().filter(|it| !image_env.contains(it)).filter_map(|it| it.split_once('='));
    let mut env: Vec<(String, String)> =
        env.map(|(name, value)| (name.to_owned(), value.to_owned())).filter(|it| it.0 != "PORT").collect();
    env.extend(request.run.env.iter().cloned());
    let run = RunRequest { name: image_name, entrypoint: first, args, env, ..request.run.clone() };
    Ok(Found { image, run })
}
