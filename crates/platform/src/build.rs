//! A build from its start to its end, each step a call.

mod cache;
mod finished;
pub(crate) mod handover;
pub(crate) mod network;
mod papers;
mod report;
mod request;
mod site;
mod unchanged;

pub use crate::builder::{Added, AddedError, BuilderError, Choice, DownloadError, Named};
pub use cache::{BuildCache, CacheError};
pub use network::BuildNetwork;
pub use report::{BuildError, Built, BuiltLayer, BuiltProcess};
pub use request::{BuildRequest, Conditions, Locking, Papers, Volume, moment};

use crate::builder;
use crate::doctor;
use crate::event::{Event, Events, Phase, in_phase};
use crate::images::StoreImages;
use crate::isolation;
use crate::lock::Lock;
use crate::machine::{self, Machine};
use crate::output;
use crate::source::{self, Source};
use crate::vcs;
use crate::world::World;
use cache::Shared;
use handover::Handover;
use lifecycle::Previous;
use oci::AppDir;
use site::{Made, Site};
use std::sync::atomic::{AtomicBool, Ordering};
use unchanged::Inputs;

/// Builds an image from source and leaves it in the store, and wherever else the request says.
///
/// # Errors
/// With the first step that fails; the store then holds what it held before.
pub fn build(world: &World, request: &BuildRequest, events: Events<'_>) -> Result<Built, BuildError> {
    let source = in_phase(events, Phase::Prepare, || {
        source::read(request.source(), world.store.root(), &|project| request.left_out(project))
    })?;
    for text in &source.notices {
        events(Event::Notice { text: text.clone() });
    }
    let choice = request.builder.with_project(&source, world.settings.registry(), events)?;
    let request = &BuildRequest { builder: choice, ..request.clone() };
    let app_dir = take_turn(world, request, events)?;
    let given = Given::gather(world, request, &source, &app_dir)?;
    let inputs = Inputs::of(world, request, &source, &given.handover, &given.machine)?;
    let last = unchanged::last(world, request, &app_dir, (&inputs, &given.handover.lock))?;
    if let Some((image, built)) = last.filter(|_| request.builder.is_own()) {
        events(Event::Unchanged);
        let outputs = hand_over(world, (&image, &app_dir), request, events)?;
        return Ok(Built { outputs, ..built });
    }
    let warned = AtomicBool::new(false);
    let events: Events<'_> = &|event| {
        warned.fetch_or(matches!(event, Event::Warning { .. }), Ordering::Relaxed);
        events(event);
    };
    unchanged::forget(&app_dir)?;
    let built = through_the_phases(world, request, (&source, given), &app_dir, events)?;
    // What a user was warned of shall not fall silent with the next build.
    if !warned.into_inner() {
        let written =
            Source { lock: source.lock.filter(|_| !request.locking.writes_beside_source()), ..source };
        unchanged::keep(&app_dir, (inputs, &handover::lock_at_hand(&written, &app_dir)?), &built)?;
    }
    Ok(built)
}

/// The long way: every phase.
fn through_the_phases(
    world: &World,
    request: &BuildRequest,
    (source, given): (&Source, Given),
    app_dir: &AppDir,
    events: Events<'_>,
) -> Result<Built, BuildError> {
    // Before anything is downloaded.
    let built_before = app_dir.read(handover::CACHE_FILE)?.is_some();
    let isolation = isolation::of_build(world, built_before, events)?;
    if let Some(builder) = request.builder.foreign() {
        world.ground()?.admit(&builder, request.builder.unisolated)?;
    }
    let ready = || builder::ready(world, &request.builder, request.registry(), events);
    let builder = match request.builder.builder {
        Some(_) => in_phase(events, Phase::Base, ready)?,
        None => ready()?,
    };
    let shared = Shared::open(world, request)?;
    let site = Site::prepare(world, (request, source), (app_dir, isolation), given, builder)?;
    for text in site.notices() {
        events(Event::Notice { text });
    }
    let images = StoreImages::new(&world.store, request.previous());
    let previous = in_phase(events, Phase::Analyze, || analyze(request, &images))?;
    let detected = in_phase(events, Phase::Detect, || site.detect(events))?;
    let (site, run_image) = site.on_run_image(source, &detected, events)?;
    in_phase(events, Phase::Restore, || match &shared {
        Some(shared) => Ok(shared.restore(&site, (request, &detected), &previous, events)?),
        None => site.restore(&detected, &previous, events),
    })?;
    let keep_finished = |error: &BuildError| finished::keep(&site, app_dir, &detected, error, events);
    let built = in_phase(events, Phase::Build, || site.build(&detected, &run_image, events))
        .inspect_err(keep_finished)?;
    let made = Made { request, source, detected: &detected, built: &built, run_image: &run_image };
    let exported = in_phase(events, Phase::Export, || site.export(&made, &previous, &images, events))
        .inspect_err(keep_finished)?;
    let lock = site.lock_after(&run_image)?;
    keep(world, request, app_dir, &exported, &lock)?;
    tell_of_stale_lock(request, source, &lock, events)?;
    let outputs = hand_over(world, (&exported.image, app_dir), request, events)?;
    if let Some(shared) = &shared {
        shared.save(&site, (&detected, &exported), (&images, site.owner()), events);
    }
    Ok(report::built(request, &run_image, &exported, &built.metadata, outputs))
}

/// The image, and what is told of it, to every place that the request names.
fn hand_over(
    world: &World,
    (image, app_dir): (&oci::Image, &AppDir),
    request: &BuildRequest,
    events: Events<'_>,
) -> Result<Vec<output::Written>, BuildError> {
    if let Some(path) = &request.verify {
        in_phase(events, Phase::Verify, || verify(world, (&request.name, image), path, events))?;
    }
    in_phase(events, Phase::Output, || {
        let mut written = output::hand_over(world, image, request, events)?;
        written.extend(papers::write(image, app_dir, request, events)?);
        Ok(written)
    })
}

/// The image is started, and its span of one request has to come.
fn verify(
    world: &World,
    image: (&oci::ImageName, &oci::Image),
    path: &str,
    events: Events<'_>,
) -> Result<(), BuildError> {
    match doctor::verify(world, image, path, VERIFY)? {
        Ok(text) => {
            events(Event::Notice { text });
            Ok(())
        }
        Err(broken) => Err(BuildError::Unverified(broken)),
    }
}

/// How long the app may take to listen, and then its span to come.
const VERIFY: std::time::Duration = std::time::Duration::from_secs(30);

/// What a build is given beside its source.
struct Given {
    vcs: vcs::Vcs,
    machine: Machine,
    handover: Handover,
}

impl Given {
    fn gather(
        world: &World,
        request: &BuildRequest,
        source: &Source,
        app_dir: &AppDir,
    ) -> Result<Self, BuildError> {
        let vcs = vcs::read(&source.dir);
        let machine = match request.builder.builder {
            None => machine::gather(&world.env, &request.env),
            Some(_) => machine::for_others(&world.env),
        };
        let handover = Handover::prepare(request, source, app_dir, &vcs, &machine)?;
        Ok(Self { vcs, machine, handover })
    }
}

fn analyze(request: &BuildRequest, images: &StoreImages<'_>) -> Result<Previous, BuildError> {
    // The run image is not known before detection: what the buildpacks ask for decides it.
    let asked = lifecycle::AnalyzeRequest { run_image: None, exec_env: &request.conditions.exec_env };
    let (_, previous) = lifecycle::analyze(asked, images)?;
    Ok(if request.clear_cache { previous.without_layers() } else { previous })
}

/// A lock beside the source that this build did not quite go by is the user's to refresh.
fn tell_of_stale_lock(
    request: &BuildRequest,
    source: &Source,
    lock: &Lock,
    events: Events<'_>,
) -> Result<(), BuildError> {
    let Some(text) = source.lock.as_ref().filter(|_| request.builder.builder.is_none()) else {
        return Ok(());
    };
    if !request.locking.writes_beside_source() && Lock::parse(handover::LOCK_FILE, text)? != *lock {
        let text = "packlight.lock is not what this build was made of; `--lock` writes the new one beside the source";
        events(Event::Warning { text: text.to_owned() });
    }
    Ok(())
}

/// The app's directory in the store, once no other build of the same app has it.
fn take_turn(world: &World, request: &BuildRequest, events: Events<'_>) -> Result<AppDir, BuildError> {
    if let Some(dir) = world.store.try_app(&request.name)? {
        return Ok(dir);
    }
    events(Event::Notice { text: format!("waiting for another build of {} to end", request.name.short()) });
    Ok(world.store.app(&request.name)?)
}

/// Everything that stays when the build is over. The name comes first: whatever else is missing after a kill is only
/// done again.
fn keep(
    world: &World,
    request: &BuildRequest,
    app_dir: &AppDir,
    exported: &lifecycle::Exported,
    lock: &Lock,
) -> Result<(), BuildError> {
    for name in request.names() {
        world.store.tag(name, &exported.image)?;
    }
    app_dir.write(handover::CACHE_FILE, &exported.cache.print().map_err(std::io::Error::other)?)?;
    if request.builder.builder.is_some() {
        // A lock says what Packlight's own builder took; the one of this app stays as it is.
        return Ok(());
    }
    let text = lock.print()?;
    app_dir.write(handover::LOCK_FILE, text.as_bytes())?;
    if request.locking.writes_beside_source() {
        handover::write_beside(&request.path.join(handover::LOCK_FILE), &text)?;
    }
    Ok(())
}
