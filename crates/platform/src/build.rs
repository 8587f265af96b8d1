//! A build from its start to its end, each step a call.

mod finished;
mod handover;
mod report;
mod request;
mod unchanged;

pub use report::{BuildError, Built, BuiltLayer, BuiltProcess};
pub use request::{BuildRequest, Locking};

use crate::app;
use crate::base::{self, Base, Wanted};
use crate::event::{Event, Events, Phase, in_phase};
use crate::images::StoreImages;
use crate::isolation;
use crate::lock::Lock;
use crate::machine::{self, Machine};
use crate::output;
use crate::relay::Relay;
use crate::room::{BUILD_USER, BuildRoom, Changes, inside};
use crate::source::{self, Source};
use crate::vcs;
use crate::world::World;
use handover::Handover;
use lifecycle::{Cache, Catalogue, Detected, Dir, Dirs, Kind, Previous, Semantics, Verdict};
use oci::AppDir;
use sandbox::Isolation;
use std::sync::atomic::{AtomicBool, Ordering};
use unchanged::Inputs;

/// The execution environment of every build, until the command line can say another.
const EXEC_ENV: &str = "production";

/// Builds an image from source and leaves it in the store, and wherever else the request says.
///
/// # Errors
/// With the first step that fails; the store then holds what it held before.
pub fn build(world: &World, request: &BuildRequest, events: Events<'_>) -> Result<Built, BuildError> {
    let source = in_phase(events, Phase::Prepare, || source::read(&request.path, world.store.root()))?;
    for text in &source.notices {
        events(Event::Notice { text: text.clone() });
    }
    let app_dir = take_turn(world, request, events)?;
    let given = Given::gather(world, request, &source, &app_dir)?;
    let inputs = Inputs::of(world, request, &source, &given.handover, &given.machine)?;
    if let Some((image, built)) = unchanged::last(world, request, &app_dir, (&inputs, &given.handover.lock))?
    {
        events(Event::Unchanged);
        let outputs = in_phase(events, Phase::Output, || output::hand_over(world, &image, request, events))?;
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
    let site = Site::prepare(world, request, source, (app_dir, isolation), given)?;
    let images = StoreImages::new(&world.store, &request.name);
    let previous = in_phase(events, Phase::Analyze, || analyze(request, &images))?;
    let detected = in_phase(events, Phase::Detect, || site.detect(events))?;
    let wanted = Wanted::of(&detected.plan, &source.project.packlight.debian)?;
    let base = in_phase(events, Phase::Base, || {
        base::obtain(world, &wanted, site.given.handover.lock.debian.as_ref(), events)
    })?;
    let site = site.with_base(&base);
    in_phase(events, Phase::Restore, || site.restore(&detected, &previous, events))?;
    let keep_finished = |error: &BuildError| finished::keep(&site, app_dir, &detected, error, events);
    let built =
        in_phase(events, Phase::Build, || site.build(&detected, &base, events)).inspect_err(keep_finished)?;
    let made = Made { request, source, detected: &detected, built: &built, base: &base };
    let exported = in_phase(events, Phase::Export, || site.export(&made, &previous, &images, events))
        .inspect_err(keep_finished)?;
    let lock = site.lock_after(&base)?;
    keep(world, request, app_dir, &exported, &lock)?;
    tell_of_stale_lock(request, source, &lock, events)?;
    let outputs =
        in_phase(events, Phase::Output, || output::hand_over(world, &exported.image, request, events))?;
    Ok(report::built(request, &base, &exported, &built.metadata, outputs))
}

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
        let machine = machine::gather(&world.env, &request.env);
        let handover = Handover::prepare(request, source, app_dir, &vcs, &machine)?;
        Ok(Self { vcs, machine, handover })
    }
}

/// What the phases before export made.
struct Made<'a> {
    request: &'a BuildRequest,
    source: &'a Source,
    detected: &'a Detected,
    built: &'a lifecycle::Built,
    base: &'a Base,
}

fn analyze(request: &BuildRequest, images: &StoreImages<'_>) -> Result<Previous, BuildError> {
    // The run image is not known before detection: what the buildpacks ask for decides it.
    let asked = lifecycle::AnalyzeRequest { run_image: None, exec_env: EXEC_ENV };
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
    let Some(text) = &source.lock else { return Ok(()) };
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
    let text = lock.print()?;
    app_dir.write(handover::LOCK_FILE, text.as_bytes())?;
    if request.locking.writes_beside_source() {
        handover::write_beside(&request.path.join(handover::LOCK_FILE), &text)?;
    }
    Ok(())
}

fn launcher_metadata() -> cnb::labels::LauncherMetadata {
    cnb::labels::LauncherMetadata { version: env!("CARGO_PKG_VERSION").to_owned(), ..Default::default() }
}

/// Where one build happens.
struct Site<'a> {
    world: &'a World,
    room: BuildRoom,
    dirs: Dirs,
    catalogue: Catalogue,
    cache: Cache,
    given: Given,
    /// The temporary directories of this build.
    scratch: oci::Scratch,
}

impl Drop for Site<'_> {
    /// An overlay's own directory has mode 0000, and started by root the rest belongs to the room's user.
    fn drop(&mut self) {
        // What stays behind is cleared away when the store is next opened.
        let _ = sandbox::remove_tree(self.scratch.path());
    }
}

impl<'a> Site<'a> {
    fn prepare(
        world: &'a World,
        request: &BuildRequest,
        source: &Source,
        (app_dir, isolation): (&AppDir, Isolation),
        given: Given,
    ) -> Result<Self, BuildError> {
        let scratch = world.store.scratch()?;
        let at = |name: &str| scratch.path().join(name);
        sandbox::own_dir(&at("work"), BUILD_USER, &isolation)?;
        sandbox::own_dir(&app_dir.layers(), BUILD_USER, &isolation)?;
        given.handover.write(&at("platform"))?;
        let mut lower = vec![source.dir.clone()];
        if !source.left_out.is_empty() {
            let hidden: Vec<_> = source.left_out.iter().cloned().collect();
            fs_err::create_dir(at("left-out"))?;
            sandbox::whiteouts(&at("left-out"), &hidden)?;
            lower.insert(0, at("left-out"));
        }
        let room = BuildRoom {
            base: Vec::new(),
            source: lower,
            app_changes: Changes::within(&at("app"), &isolation)?,
            detect_changes: at("detect"),
            layers: app_dir.layers(),
            platform: at("platform"),
            work: at("work"),
            buildpacks: world.payload_dir.join("buildpacks"),
            extensions: world.payload_dir.join("extensions"),
            machine: given.machine.clone(),
            network: request.network,
            isolation,
        };
        let dirs = dirs(&room, source)?;
        let mut catalogue = Catalogue::new();
        catalogue.add_all(Kind::Buildpack, &Dir::new(&room.buildpacks, inside::BUILDPACKS))?;
        catalogue.add_all(Kind::Extension, &Dir::new(&room.extensions, inside::EXTENSIONS))?;
        let recorded = app_dir.read(handover::CACHE_FILE)?.filter(|_| !request.clear_cache);
        let mut cache = recorded.map(|it| Cache::parse(&it)).unwrap_or_default();
        if request.locking.forgets() {
            cache.forget(handover::LOCK_LAYER);
        }
        Ok(Self { world, room, dirs, catalogue, cache, given, scratch })
    }

    fn detect(&self, events: Events<'_>) -> Result<Detected, BuildError> {
        let detected = lifecycle::detect(
            &lifecycle::DetectRequest {
                dirs: &self.dirs,
                catalogue: &self.catalogue,
                order: &self.world.order,
                target: None,
                exec_env: EXEC_ENV,
                env: &handover::base_env(),
                semantics: Semantics::SPECIFICATION,
            },
            &self.room,
            &Relay(events),
        )?;
        for chosen in &detected.group.group {
            events(Event::Detected { buildpack: chosen.full_name() });
        }
        // An optional buildpack that failed to say is left out like one that does not want the app: that is no silence.
        for said in &detected.said {
            if let Verdict::Error(reason) = &said.verdict {
                let output = String::from_utf8_lossy(&said.output);
                let text = format!("{} was left out: {reason}\n{}", said.who, output.trim_end());
                events(Event::Warning { text: text.trim_end().to_owned() });
            }
        }
        Ok(detected)
    }

    fn with_base(mut self, base: &Base) -> Self {
        self.room.base = vec![base.build_tree.clone(), base.run_tree.clone()];
        self
    }

    fn restore(
        &self,
        detected: &Detected,
        previous: &Previous,
        events: Events<'_>,
    ) -> Result<(), BuildError> {
        let request = lifecycle::RestoreRequest {
            dirs: &self.dirs,
            group: &detected.group,
            cache: &self.cache,
            previous,
            exec_env: EXEC_ENV,
        };
        lifecycle::restore(&request, &Relay(events))?;
        Ok(())
    }

    fn build(
        &self,
        detected: &Detected,
        base: &Base,
        events: Events<'_>,
    ) -> Result<lifecycle::Built, BuildError> {
        lifecycle::check_targets(&self.catalogue, &detected.group, &base.target)?;
        let built = lifecycle::build(
            &lifecycle::BuildRequest {
                dirs: &self.dirs,
                catalogue: &self.catalogue,
                group: &detected.group,
                plan: &detected.plan,
                target: Some(&base.target),
                exec_env: EXEC_ENV,
                env: &handover::base_env(),
                semantics: Semantics::SPECIFICATION,
            },
            &self.room,
            &Relay(events),
        )?;
        for name in built.unmet.iter().filter(|it| *it != base::PLAN_ENTRY) {
            events(Event::Warning { text: format!("no buildpack met the requirement `{name}`") });
        }
        Ok(built)
    }

    fn export(
        &self,
        made: &Made<'_>,
        previous: &Previous,
        images: &StoreImages<'_>,
        events: Events<'_>,
    ) -> Result<lifecycle::Exported, BuildError> {
        let request = lifecycle::ExportRequest {
            dirs: &self.dirs,
            group: &made.detected.group,
            metadata: &made.built.metadata,
            app: &app::after_build(made.source, &self.room.app_changes.upper)?,
            launcher: &lifecycle::Launcher {
                program: self.world.payload_dir.join("launcher"),
                metadata: launcher_metadata(),
            },
            base: &lifecycle::RunBase {
                image: &made.base.run_image,
                reference: made.base.run_image.digest().to_string(),
                name: String::new(),
                mirrors: Vec::new(),
            },
            previous,
            cache: &self.cache,
            process_type: made.request.default_process.as_deref(),
            project: &handover::project_metadata(&self.given.vcs, &made.source.project),
            owner: oci::Owner::new(BUILD_USER.uid, BUILD_USER.gid),
            exec_env: EXEC_ENV,
            tags: &made.request.names().map(ToString::to_string).collect::<Vec<_>>(),
        };
        Ok(lifecycle::export(&request, images, &Relay(events))?)
    }

    /// The lock that this build came from: the base's packages and what the buildpacks settled on.
    fn lock_after(&self, base: &Base) -> Result<Lock, BuildError> {
        let mut lock = Lock { debian: Some(base.lock.clone()), parts: toml::Table::new() };
        handover::add_fragments(&mut lock, &self.dirs.layers)?;
        Ok(lock)
    }
}

fn dirs(room: &BuildRoom, source: &Source) -> Result<Dirs, BuildError> {
    Ok(Dirs {
        app: Dir::new(&source.dir, inside::APP),
        layers: Dir::new(&room.layers, inside::LAYERS),
        platform: Dir::new(&room.platform, inside::PLATFORM),
        build_config: None,
        work: Dir::new(&room.work, inside::WORK),
        owner: handover::host_owner(&room.work)?,
    })
}
