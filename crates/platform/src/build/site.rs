//! Where one build happens, and each phase of it there.

use super::cache::BuildCache;
use super::network::Reach;
use super::{BuildError, BuildRequest, Given, handover};
use crate::app;
use crate::base::{self, Wanted};
use crate::builder::{Builder, Origin, RunImage};
use crate::event::{Event, Events, Phase, in_phase};
use crate::images::StoreImages;
use crate::lock::Lock;
use crate::machine::{self, ROOM_HOME};
use crate::relay::Relay;
use crate::room::{BuildRoom, Changes, inside};
use crate::source::Source;
use crate::world::World;
use lifecycle::{Cache, Catalogue, Detected, Dir, Dirs, Previous, Semantics, Verdict};
use oci::AppDir;
use sandbox::{Identity, Isolation, Mount, Network};

/// Whose layers the app's directory holds.
const BUILDER_FILE: &str = "builder";

/// What the phases before export made.
pub(super) struct Made<'a> {
    pub(super) request: &'a BuildRequest,
    pub(super) source: &'a Source,
    pub(super) detected: &'a Detected,
    pub(super) built: &'a lifecycle::Built,
    pub(super) run_image: &'a RunImage,
}

fn launcher_metadata() -> cnb::labels::LauncherMetadata {
    cnb::labels::LauncherMetadata { version: env!("CARGO_PKG_VERSION").to_owned(), ..Default::default() }
}

/// Where one build happens.
pub(super) struct Site<'a> {
    world: &'a World,
    room: BuildRoom,
    pub(super) dirs: Dirs,
    builder: Builder,
    pub(super) cache: Cache,
    given: Given,
    exec_env: String,
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
    pub(super) fn prepare(
        world: &'a World,
        (request, source): (&BuildRequest, &Source),
        (app_dir, isolation): (&AppDir, Isolation),
        given: Given,
        builder: Builder,
    ) -> Result<Self, BuildError> {
        let builder = Builder { user: request.conditions.user(builder.user), ..builder };
        let scratch = world.store.scratch()?;
        let at = |name: &str| scratch.path().join(name);
        let recorded = recorded_cache(app_dir, &builder)?.filter(|_| !request.clear_cache);
        if request.cache != BuildCache::Store {
            // What another build left would be taken for the shared cache's.
            sandbox::remove_tree(&app_dir.layers())?;
        }
        sandbox::own_dir(&at("work"), builder.user, &isolation)?;
        sandbox::own_dir(&app_dir.layers(), builder.user, &isolation)?;
        given.handover.write(&at("platform"), &request.volumes)?;
        let mut lower = vec![source.dir.clone()];
        if !source.left_out.is_empty() {
            let hidden: Vec<_> = source.left_out.iter().cloned().collect();
            fs_err::create_dir(at("left-out"))?;
            sandbox::whiteouts(&at("left-out"), &hidden)?;
            lower.insert(0, at("left-out"));
        }
        let changes = Changes::within(&at("app"), builder.user, &isolation)?;
        let reach = Reach::choose(request.network, request.builder.is_own(), &isolation, &world.env);
        let room = room(
            (request, reach),
            (&builder, &given),
            (lower, isolation),
            scratch.path(),
            (app_dir, changes),
        );
        let dirs = dirs(&room, source, &builder)?;
        let cache = recorded.filter(|_| request.cache == BuildCache::Store);
        let mut cache = cache.map(|it| Cache::parse(&it)).unwrap_or_default();
        if request.locking.forgets() {
            cache.forget(handover::LOCK_LAYER);
        }
        let exec_env = request.conditions.exec_env.clone();
        Ok(Self { world, room, dirs, builder, cache, given, exec_env, scratch })
    }

    /// Who owns the app and its layers in images.
    pub(super) fn owner(&self) -> oci::Owner {
        oci::Owner::new(self.builder.user.uid, self.builder.user.gid)
    }

    /// The execution environment.
    pub(super) fn exec_env(&self) -> &str {
        &self.exec_env
    }

    /// What a user should know of the network, and of what the buildpacks are given.
    pub(super) fn notices(&self) -> Vec<String> {
        let network = self.room.reach.notice.map(str::to_owned);
        network.into_iter().chain(self.given.machine.notices()).collect()
    }

    pub(super) fn catalogue(&self) -> &Catalogue {
        &self.builder.catalogue
    }

    pub(super) fn detect(&self, events: Events<'_>) -> Result<Detected, BuildError> {
        let detected = lifecycle::detect(
            &lifecycle::DetectRequest {
                dirs: &self.dirs,
                catalogue: &self.builder.catalogue,
                order: &self.builder.order,
                target: self.builder.run_image.as_ref().map(|it| &it.target),
                exec_env: self.exec_env(),
                env: &self.builder.env,
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

    /// What apps stand on: the builder's run image, or a base of what the buildpacks want.
    pub(super) fn on_run_image(
        mut self,
        source: &Source,
        detected: &Detected,
        events: Events<'_>,
    ) -> Result<(Self, RunImage), BuildError> {
        if let Some(run_image) = self.builder.run_image.clone() {
            return Ok((self, run_image));
        }
        let wanted = Wanted::of(&detected.plan, &source.project.packlight.debian)?;
        let pins = self.given.handover.lock.debian.as_ref();
        let base = in_phase(events, Phase::Base, || base::obtain(self.world, &wanted, pins, events))?;
        self.room.root = vec![base.build_tree.clone(), base.run_tree.clone()];
        Ok((self, RunImage::from(&base)))
    }

    pub(super) fn restore(
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
            exec_env: self.exec_env(),
        };
        lifecycle::restore(&request, &Relay(events))?;
        Ok(())
    }

    pub(super) fn build(
        &self,
        detected: &Detected,
        run_image: &RunImage,
        events: Events<'_>,
    ) -> Result<lifecycle::Built, BuildError> {
        lifecycle::check_targets(&self.builder.catalogue, &detected.group, &run_image.target)?;
        let built = lifecycle::build(
            &lifecycle::BuildRequest {
                dirs: &self.dirs,
                catalogue: &self.builder.catalogue,
                group: &detected.group,
                plan: &detected.plan,
                target: Some(&run_image.target),
                exec_env: self.exec_env(),
                env: &self.builder.env,
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

    pub(super) fn export(
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
            app: &app::after_build(made.source, &self.room.app_changes.upper, self.modes())?,
            launcher: &lifecycle::Launcher {
                program: self.world.payload_dir.join("launcher"),
                metadata: launcher_metadata(),
            },
            base: &lifecycle::RunBase {
                image: &made.run_image.image,
                reference: made.run_image.reference.clone(),
                name: made.run_image.name.clone(),
                mirrors: made.run_image.mirrors.clone(),
            },
            previous,
            cache: &self.cache,
            process_type: made.request.default_process.as_deref(),
            project: &handover::project_metadata(&self.given.vcs, &made.source.project),
            owner: self.owner(),
            exec_env: self.exec_env(),
            api: cnb::api::OWN_PLATFORM_API,
            created: made.request.conditions.created.as_deref(),
            tags: &made.request.names().map(ToString::to_string).collect::<Vec<_>>(),
        };
        Ok(lifecycle::export(&request, images, &Relay(events))?)
    }

    /// The same input gives the same digest whoever checked it out, with our builder; another one's buildpacks see and
    /// keep the modes as `pack` would give them.
    fn modes(&self) -> oci::Modes {
        match self.builder.origin {
            Origin::Packlight => oci::Modes::Normalise,
            Origin::Image => oci::Modes::Keep,
        }
    }

    /// The lock that this build came from: the base's packages and what the buildpacks settled on.
    pub(super) fn lock_after(&self, run_image: &RunImage) -> Result<Lock, BuildError> {
        let mut lock = Lock { debian: run_image.lock.clone(), parts: toml::Table::new() };
        handover::add_fragments(&mut lock, &self.dirs.layers)?;
        Ok(lock)
    }
}

/// What the last build of the app recorded, where it was made by the same user of the same kind of builder; else its
/// layers are gone: they belong to somebody else.
fn recorded_cache(app_dir: &AppDir, builder: &Builder) -> Result<Option<Vec<u8>>, BuildError> {
    let Identity { uid, gid } = builder.user;
    let who = format!("{:?} {uid}:{gid}\n", builder.origin);
    let before = app_dir.read(BUILDER_FILE)?;
    // There was a time when nothing was noted, and Packlight's own builder alone.
    let same = before.as_deref().map_or(builder.origin == Origin::Packlight, |it| it == who.as_bytes());
    if !same {
        sandbox::remove_tree(&app_dir.layers())?;
        fs_err::create_dir_all(app_dir.layers())?;
    }
    if before.as_deref() != Some(who.as_bytes()) {
        app_dir.write(BUILDER_FILE, who.as_bytes())?;
    }
    Ok(if same { app_dir.read(handover::CACHE_FILE)? } else { None })
}

fn room(
    (request, reach): (&BuildRequest, Reach),
    (builder, given): (&Builder, &Given),
    (source, isolation): (Vec<std::path::PathBuf>, Isolation),
    scratch: &std::path::Path,
    (app_dir, app_changes): (&AppDir, Changes),
) -> BuildRoom {
    let own = builder.origin == Origin::Packlight;
    let mut build_mounts = given.machine.mounts.clone();
    // A setting that names the app's place must not put the machine's in place of the app.
    build_mounts.retain(|it| !request.conditions.workspace.starts_with(machine::target(it)));
    if own {
        build_mounts.insert(0, Mount::Tmpfs { target: ROOM_HOME.into() });
    }
    let volumes = request.volumes.iter().map(super::Volume::mount);
    BuildRoom {
        // Our buildpacks' detect programs are static and need only the source: the base is not known before they have
        // said what they want.
        root: builder.trees.clone(),
        user: builder.user,
        app: request.conditions.workspace.clone(),
        source,
        app_changes,
        detect_changes: scratch.join("detect"),
        layers: app_dir.layers(),
        platform: scratch.join("platform"),
        work: scratch.join("work"),
        mounts: builder.mounts.iter().cloned().chain(volumes).collect(),
        build_mounts,
        // Nothing that our base's programs detect with needs one.
        reach: Reach { detect: if own { Network::None } else { reach.detect }, ..reach },
        isolation,
    }
}

fn dirs(room: &BuildRoom, source: &Source, builder: &Builder) -> Result<Dirs, BuildError> {
    Ok(Dirs {
        app: Dir::new(&source.dir, &room.app),
        layers: Dir::new(&room.layers, inside::LAYERS),
        platform: Dir::new(&room.platform, inside::PLATFORM),
        build_config: builder.build_config.clone(),
        work: Dir::new(&room.work, inside::WORK),
        owner: handover::host_owner(&room.work)?,
    })
}
