//! Packlight's own builder: the buildpacks that it brings along.

use super::{Builder, BuilderError, Origin};
use crate::base::{self, Wanted};
use crate::event::Events;
use crate::machine::ROOM_HOME;
use crate::room::{BUILD_USER, inside};
use crate::world::World;
use cnb::env::Environment;
use cnb::plan::Plan;
use cnb::project::DebianPackages;
use lifecycle::{Catalogue, CatalogueError, Dir, Kind};
use sandbox::{Access, Mount};
use std::path::PathBuf;

/// Packlight's own builder.
pub(super) fn own(world: &World) -> Result<Builder, CatalogueError> {
    let mut catalogue = Catalogue::new();
    for (kind, name, target) in [
        (Kind::Buildpack, "buildpacks", inside::BUILDPACKS),
        (Kind::Extension, "extensions", inside::EXTENSIONS),
    ] {
        catalogue.add_all(kind, &Dir::new(world.payload_dir.join(name), target))?;
    }
    // One by one, so that others can be mounted beside them.
    let mounts = [Kind::Buildpack, Kind::Extension].into_iter().flat_map(|kind| catalogue.dirs(kind));
    let mounts = mounts.map(|(_, _, dir)| mount(dir)).collect();
    Ok(Builder {
        origin: Origin::Packlight,
        catalogue,
        order: world.order.clone(),
        trees: Vec::new(),
        mounts,
        user: BUILD_USER,
        env: base_env(),
        build_config: None,
        run_image: None,
        scratch: Vec::new(),
    })
}

/// The builder for buildpacks of somebody else beside ours: their bin/detect may be a script, which needs a root to run
/// in before anybody has said what the app needs.
pub(super) fn with_a_root(
    world: &World,
    builder: Builder,
    events: Events<'_>,
) -> Result<Builder, BuilderError> {
    let wanted = Wanted::of(&Plan::default(), &DebianPackages::default()).map_err(Box::new)?;
    let base = base::obtain(world, &wanted, None, events).map_err(Box::new)?;
    Ok(Builder { trees: vec![base.build_tree, base.run_tree], ..builder })
}

/// The buildpack that puts agents beside apps.
pub(crate) const AGENTS: &str = "packlight/apm";

/// The folder of a buildpack that Packlight brings along.
pub(crate) fn carried(world: &World, id: &str) -> std::io::Result<PathBuf> {
    let versions = world.payload_dir.join("buildpacks").join(cnb::id::escape(id));
    let version = fs_err::read_dir(&versions)?.next().transpose()?.map(|it| it.path());
    version.ok_or_else(|| std::io::Error::other(format!("{} is empty", versions.display())))
}

/// A buildpack that is not in the build image.
pub(crate) fn mount(dir: &Dir) -> Mount {
    Mount::Bind { source: dir.host.clone(), target: dir.inside.clone(), access: Access::ReadOnly }
}

/// The environment of the build image.
fn base_env() -> Environment {
    [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", ROOM_HOME)]
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}
