//! The image's root as a room, and the apm buildpack's detect and build in it.

use super::{Labels, Papers, Refusal, Site};
use crate::base::{self, Base, Wanted};
use crate::build::BuildError;
use crate::build::handover::{self, Handover, open_to_the_room};
use crate::build::network::Reach;
use crate::builder::own;
use crate::event::Event;
use crate::images::part::variable;
use crate::machine::{self, ROOM_HOME};
use crate::relay::Relay;
use crate::room::{self, BUILD_USER, inside};
use crate::trees::{self, Trees};
use crate::world::World;
use cnb::group::{Chosen, GroupToml};
use cnb::labels::{LIFECYCLE_METADATA, LifecycleMetadata, PROJECT_METADATA};
use cnb::layer::{LayerToml, LayerTypes};
use cnb::order::{Group, Member, Order};
use lifecycle::{Catalogue, Dir, Dirs, ExitStatus, Invocation, Kind, RunError, Semantics, Stream};
use oci::{Image, ImageName};
use sandbox::{Access, Isolation, Mount, Network, Room, Upper};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The variable that names the agents, and the one that says which execution environment the image is for.
const AGENTS: &str = "PACKLIGHT_AGENT";
const EXEC_ENV: &str = "production";

/// What the buildpack made.
pub(super) struct Built {
    pub(super) buildpack: Chosen,
    pub(super) dirs: Dirs,
    pub(super) labels: Labels,
}

impl Built {
    /// Where its bills of materials are.
    pub(super) fn bills(&self) -> PathBuf {
        self.dirs.layers.host.join("sbom/launch")
    }
}

/// Bases whose build packages the buildpack asks for, each obtained once.
#[derive(Default)]
pub(super) struct Tools(Mutex<Vec<(Wanted, Base)>>);

/// The apm buildpack that this Packlight brings along.
pub(super) fn carried(world: &World) -> Result<Chosen, Refusal> {
    let dir = own::carried(world, own::AGENTS)?;
    let known = Catalogue::new().add(Kind::Buildpack, Dir::same(&dir)).map_err(failed)?;
    let (about, api) = (known.about, known.api);
    Ok(Chosen { id: about.id, version: about.version, api, homepage: about.homepage })
}

fn failed(error: impl Into<BuildError>) -> Refusal {
    Refusal::Build(Box::new(error.into()))
}

/// Runs the buildpack on the image's root.
///
/// # Errors
/// When it does not put in all of what it was asked for.
pub(super) fn build(
    site: &Site<'_>,
    name: &ImageName,
    (image, papers): (&Image, &Papers),
    vendors: &[String],
    scratch: &Path,
) -> Result<Built, Refusal> {
    let world = site.world;
    let ground = world.ground().map_err(failed)?;
    ground.admit(&name.short(), site.request.unisolated).map_err(failed)?;
    let place = Place::make(site, name, (image, papers), vendors, scratch)?;
    let order = Order {
        order: vec![Group { group: vec![Member { id: own::AGENTS.to_owned(), ..Member::default() }] }],
        order_extensions: world.order.order_extensions.clone(),
    };
    let detected = lifecycle::detect(
        &lifecycle::DetectRequest {
            dirs: &place.dirs,
            catalogue: &place.catalogue,
            order: &order,
            target: None,
            exec_env: EXEC_ENV,
            env: &place.env,
            semantics: Semantics::SPECIFICATION,
        },
        &place,
        &Relay(site.events),
    )
    .map_err(failed)?;
    let wanted = Wanted::of(&detected.plan, &Default::default()).map_err(failed)?;
    lacks_nothing(&place, &wanted)?;
    let place = place.with_tools(site, &wanted)?;
    let said = Mutex::new(String::new());
    let listen = |event: Event| {
        if let (Event::Output { text, .. }, Ok(mut said)) = (&event, said.lock()) {
            said.push_str(text);
        }
        (site.events)(event);
    };
    let group = GroupToml { group: detected.group.group.clone(), group_extensions: Vec::new() };
    let built = lifecycle::build(
        &lifecycle::BuildRequest {
            dirs: &place.dirs,
            catalogue: &place.catalogue,
            group: &group,
            plan: &detected.plan,
            target: None,
            exec_env: EXEC_ENV,
            env: &place.env,
            semantics: Semantics::SPECIFICATION,
        },
        &place,
        &Relay(&listen),
    )
    .map_err(failed)?;
    let buildpack = group.group.into_iter().next().ok_or_else(|| Refusal::Other(why(&said)))?;
    let layers = place.dirs.layers.host.join(cnb::id::escape(&buildpack.id));
    if !vendors.iter().all(|it| layers.join(it).is_dir()) {
        return Err(Refusal::Other(why(&said)));
    }
    let labels = built.metadata.labels.into_iter().map(|it| (it.key, Some(it.value))).collect();
    Ok(Built { buildpack, dirs: place.dirs, labels })
}

/// Why the buildpack put no agent there, in its own words.
fn why(said: &Mutex<String>) -> String {
    let text = said.lock().map(|it| it.clone()).unwrap_or_default();
    let reason = |line: &str| line.trim().strip_prefix("no agent: ").map(str::to_owned);
    let left_out = || text.lines().map(str::trim).filter(|it| it.starts_with("left out: "));
    let reason = text.lines().find_map(reason).unwrap_or_else(|| left_out().collect::<Vec<_>>().join("; "));
    match reason.as_str() {
        "" => "the app has nothing that the agent observes".to_owned(),
        _ => reason,
    }
}

/// What of Debian the agent needs in the base, which stays as it is here.
fn lacks_nothing(place: &Place, wanted: &Wanted) -> Result<(), Refusal> {
    let Some(status) = Trees(&place.trees).read("var/lib/dpkg/status") else { return Ok(()) };
    let has = |package: &String| status.lines().any(|it| it.strip_prefix("Package: ") == Some(package));
    match wanted.run.iter().find(|it| !has(it)) {
        None => Ok(()),
        Some(it) => Err(Refusal::Other(format!(
            "the agent needs Debian's {it}, which is not in the image's base: build the image with the agent, or add \
             {it} to its base and rebase it"
        ))),
    }
}

/// Where the buildpack runs.
struct Place {
    dirs: Dirs,
    catalogue: Catalogue,
    env: cnb::env::Environment,
    /// The image's layers, topmost first.
    trees: Vec<PathBuf>,
    /// What lies above them, and below.
    notes: PathBuf,
    tools: Vec<PathBuf>,
    mounts: Vec<Mount>,
    reach: Reach,
    isolation: Isolation,
}

impl Place {
    fn make(
        site: &Site<'_>,
        name: &ImageName,
        (image, papers): (&Image, &Papers),
        vendors: &[String],
        scratch: &Path,
    ) -> Result<Self, Refusal> {
        let (world, request) = (site.world, site.request);
        let isolation = world.ground().map_err(failed)?.isolation().clone();
        let at = |dir: &str| scratch.join(dir);
        let own = cnb::id::escape(own::AGENTS);
        for dir in [at("work"), at("layers"), at("layers").join(&own)] {
            sandbox::own_dir(&dir, BUILD_USER, &isolation).map_err(failed)?;
        }
        let machine = machine::gather(&world.env, &request.env);
        // A buildpack sees little of an image's environment; of what the app is started with, this one must see all.
        let mut env = own_variables(image);
        env.extend(machine.env.clone());
        env.extend(identity(name, image));
        env.insert(AGENTS.to_owned(), vendors.join(","));
        env.extend(request.env.iter().cloned());
        Handover::of(env).write(&at("platform"), &[]).map_err(failed)?;
        notes(image, papers, &at("notes"))?;
        let catalogue = catalogue(world)?;
        let dirs = Dirs {
            app: Dir::new(at("nothing"), app_dir(image)),
            layers: Dir::new(at("layers"), &papers.layers_dir),
            platform: Dir::new(at("platform"), inside::PLATFORM),
            build_config: None,
            work: Dir::new(at("work"), inside::WORK),
            owner: handover::host_owner(&at("work")).map_err(failed)?,
        };
        let mut mounts: Vec<Mount> = catalogue
            .dirs(Kind::Buildpack)
            .chain(catalogue.dirs(Kind::Extension))
            .map(|(_, _, dir)| own::mount(dir))
            .collect();
        mounts.extend([
            bind(&dirs.platform, Access::ReadOnly),
            bind(&dirs.work, Access::ReadWrite),
            bind(&dirs.layers.join(&own), Access::ReadWrite),
            Mount::Tmpfs { target: ROOM_HOME.into() },
        ]);
        mounts.extend(machine.mounts);
        let reach = Reach::choose(request.network, false, &isolation, &world.env);
        let trees = trees::unpacked(&world.store, image)?;
        let env = environment(image);
        let (notes, tools) = (at("notes"), Vec::new());
        Ok(Self { dirs, catalogue, env, trees, notes, tools, mounts, reach, isolation })
    }

    /// With what the buildpack wants for building and the image has not, beneath what it has.
    fn with_tools(self, site: &Site<'_>, wanted: &Wanted) -> Result<Self, Refusal> {
        if wanted.build.is_empty() {
            return Ok(self);
        }
        // What it wants to run with is in the image already.
        let wanted = Wanted { run: Vec::new(), ..wanted.clone() };
        let mut known =
            site.tools.0.lock().map_err(|_| Refusal::Other("another thread is gone".to_owned()))?;
        let at = match known.iter().position(|it| it.0 == wanted) {
            Some(at) => at,
            None => {
                let base = base::obtain(site.world, &wanted, None, site.events).map_err(failed)?;
                known.push((wanted, base));
                known.len() - 1
            }
        };
        Ok(Self { tools: vec![known[at].1.build_tree.clone()], ..self })
    }

    fn room(&self, network: Network) -> Room {
        let root = std::iter::once(&self.notes).chain(&self.trees).chain(&self.tools);
        let mut mounts = vec![Mount::Tmpfs { target: "/tmp".into() }];
        mounts.extend(self.mounts.iter().cloned());
        if network == Network::Outward {
            mounts.extend(self.reach.mounts());
        }
        Room {
            root: trees::each_once(root.cloned().collect()),
            upper: Upper::Tmpfs,
            mounts,
            user: BUILD_USER,
            hostname: "packlight".to_owned(),
            network,
            isolation: self.isolation.clone(),
        }
    }
}

impl lifecycle::Runner for Place {
    fn run(
        &self,
        invocation: &Invocation,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<ExitStatus, RunError> {
        let network = match invocation.phase {
            // Its detect is static, and looks at files.
            lifecycle::Phase::Detect => Network::None,
            _ => self.reach.build,
        };
        let process = room::process_of(invocation);
        room::run_outward(&self.room(network), &process, self.reach.tool.as_ref(), output)
    }
}

fn bind(dir: &Dir, access: Access) -> Mount {
    Mount::Bind { source: dir.host.clone(), target: dir.inside.clone(), access }
}

/// Packlight's own buildpacks and extensions, where they are mounted.
fn catalogue(world: &World) -> Result<Catalogue, Refusal> {
    let mut catalogue = Catalogue::new();
    for (kind, name, target) in [
        (Kind::Buildpack, "buildpacks", inside::BUILDPACKS),
        (Kind::Extension, "extensions", inside::EXTENSIONS),
    ] {
        catalogue.add_all(kind, &Dir::new(world.payload_dir.join(name), target)).map_err(failed)?;
    }
    Ok(catalogue)
}

/// Beside each launch layer of the others its TOML file, as the buildpack would find it in a build: an image has the
/// layers alone.
fn notes(image: &Image, papers: &Papers, into: &Path) -> Result<(), Refusal> {
    let label = image.config().config.labels.get(LIFECYCLE_METADATA);
    let metadata: Option<LifecycleMetadata> = label.and_then(|it| serde_json::from_str(it).ok());
    let beneath = papers.layers_dir.strip_prefix("/").unwrap_or(&papers.layers_dir);
    for buildpack in metadata.into_iter().flat_map(|it| it.buildpacks) {
        let escaped = cnb::id::escape(&buildpack.key);
        if buildpack.key == own::AGENTS || escaped.contains(['/', '\0']) || escaped.starts_with('.') {
            continue;
        }
        let dir = into.join(beneath).join(escaped);
        fs_err::create_dir_all(&dir)?;
        for (name, layer) in buildpack.layers {
            if cnb::id::is_valid_layer(&name) {
                let types = LayerTypes { launch: layer.launch, build: layer.build, cache: layer.cache };
                let toml = LayerToml { types, metadata: layer.data };
                let text = cnb::print(&toml).map_err(|it| Refusal::Other(it.to_string()))?;
                fs_err::write(dir.join(format!("{name}.toml")), text)?;
            }
        }
    }
    fs_err::create_dir_all(into)?;
    Ok(open_to_the_room(into)?)
}

/// Where the app is: what the image says, else where its program starts.
fn app_dir(image: &Image) -> PathBuf {
    let start = Some(image.config().config.working_dir.as_str()).filter(|it| !it.is_empty());
    variable(image, "CNB_APP_DIR").or(start).unwrap_or("/").into()
}

fn own_variables(image: &Image) -> BTreeMap<String, String> {
    let own = image.config().config.env.iter().filter_map(|it| it.split_once('='));
    let is_left_out = |name: &str| name.starts_with("CNB_") || name == "PATH" || name == "HOME";
    own.filter(|it| !is_left_out(it.0)).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn environment(image: &Image) -> cnb::env::Environment {
    let own = image.config().config.env.iter().filter_map(|it| it.split_once('='));
    let all = own.map(|(name, value)| (name.into(), value.into()));
    all.chain([("HOME".into(), ROOM_HOME.into())]).collect()
}

/// Who the app is, as far as the image says: what a build would have been told. A name of the build's own does not change
/// when the image is renamed, so its labels come first.
fn identity(name: &ImageName, image: &Image) -> BTreeMap<String, String> {
    let labels = &image.config().config.labels;
    let project = labels.get(PROJECT_METADATA).and_then(|it| serde_json::from_str(it).ok());
    let source = project.map(|it: serde_json::Value| it["source"].clone()).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let label = |name: &str| labels.get(&format!("org.opencontainers.image.{name}")).cloned();
    let title = || name.repository.rsplit('/').next().map(str::to_owned);
    let (version, metadata) = (&source["version"], &source["metadata"]);
    [
        ("BP_OCI_TITLE", label("title").or_else(title)),
        ("BP_OCI_VERSION", text(&version["declared"]).or_else(|| label("version"))),
        ("BP_OCI_SOURCE", text(&metadata["url"]).or_else(|| label("source"))),
        ("BP_OCI_REVISION", text(&version["commit"]).or_else(|| label("revision"))),
        ("BP_OCI_REF_NAME", text(&metadata["refs"][0]).or_else(|| label("ref.name"))),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}
