//! The short way: what is made of the same inputs as the last time is the last image.
//!
//! Packlight's own buildpacks are functions of what they are handed, and keep what they settled on in the lock; so
//! nobody needs asking again. A buildpack of somebody else may look at the clock or the network: it is always asked.

use super::cache::BuildCache;
use super::handover::{Handover, LOCK_FILE};
use super::{BuildError, BuildRequest, Built, Locking};
use crate::lock::Lock;
use crate::machine::Machine;
use crate::source::Source;
use crate::world::World;
use oci::{AppDir, Digest, Image, LayerSpec, Modes, Owner, TreeIndex, TreeRules};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What is kept of the last build, in the app's directory.
const FILE: &str = "finished.json";

/// The format that this version writes and reads; another one counts as none.
const VERSION: u32 = 1;

/// A fingerprint of all that a build depends on, but for the lock, which a build refines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Inputs(TreeIndex);

#[derive(Serialize, Deserialize)]
struct Finished<B> {
    version: u32,
    inputs: Inputs,
    /// Digest of the lock that the next build goes by: this one's work.
    lock: Digest,
    built: B,
}

impl Inputs {
    /// Takes the fingerprint. It holds no value, so no secret: only digests of them.
    pub(super) fn of(
        world: &World,
        request: &BuildRequest,
        source: &Source,
        handover: &Handover,
        machine: &Machine,
    ) -> Result<Self, BuildError> {
        let given = serde_json::json!({
            "payload": world.payload_dir,
            "names": request.names().map(ToString::to_string).collect::<Vec<_>>(),
            "process": request.default_process,
            "conditions": format!("{:?}", request.conditions),
            "network": format!("{:?}", request.network),
            "bases": crate::base::names_of_bases(&world.store)?,
            // The lock appears beside the source with `--lock`; it is compared by itself.
            "left out": source.left_out.iter().filter(|it| **it != Path::new(LOCK_FILE)).collect::<Vec<_>>(),
            "project": format!("{:?}", source.project),
            "platform": handover.env(),
            "machine": machine.mounts,
            "mounted": machine.mounts.iter().filter_map(stamp).collect::<Vec<_>>(),
        });
        let rules = TreeRules { skip: source.left_out.clone(), ..TreeRules::new(Owner::ROOT, Modes::Keep) };
        let spec = LayerSpec::new("").tree(&source.dir, "/source", rules).file(
            "/given",
            0,
            Owner::ROOT,
            given.to_string(),
        );
        Ok(Self(TreeIndex::of(&spec).map_err(std::io::Error::other)?))
    }
}

/// What tells one state of a mounted file, such as the machine's certificates, from another.
fn stamp(mount: &sandbox::Mount) -> Option<(u64, i64, i64, u64)> {
    let sandbox::Mount::Bind { source, .. } = mount else { return None };
    let metadata = fs_err::metadata(source).ok()?;
    Some((metadata.ino(), metadata.ctime(), metadata.ctime_nsec(), metadata.len()))
}

/// The last image and what was said of it, when it was made of the same inputs and still has the name.
pub(super) fn last(
    world: &World,
    request: &BuildRequest,
    app_dir: &AppDir,
    (inputs, lock): (&Inputs, &Lock),
) -> Result<Option<(Image, Built)>, BuildError> {
    if request.clear_cache || request.cache != BuildCache::Store || request.locking != Locking::Keep {
        return Ok(None);
    }
    let Some(json) = app_dir.read(FILE)? else { return Ok(None) };
    // Another version's file, or a torn one, is as good as none.
    let Ok(finished) = serde_json::from_slice::<Finished<Built>>(&json) else { return Ok(None) };
    if finished.version != VERSION || finished.inputs != *inputs || finished.lock != digest(lock)? {
        return Ok(None);
    }
    let Some(image) = world.store.image(&request.name)? else { return Ok(None) };
    let whole = image.layers().iter().all(|it| world.store.has_blob(&it.digest, it.size));
    if !whole || image.digest().to_string() != finished.built.digest {
        return Ok(None);
    }
    Ok(Some((image, finished.built)))
}

/// Keeps what a build made for the next.
pub(super) fn keep(
    app_dir: &AppDir,
    (inputs, lock): (Inputs, &Lock),
    built: &Built,
) -> Result<(), BuildError> {
    let mut built = built.clone();
    for layer in &mut built.layers {
        layer.reused = true;
    }
    let finished = Finished { version: VERSION, inputs, lock: digest(lock)?, built };
    let json = serde_json::to_vec(&finished).map_err(std::io::Error::other)?;
    Ok(app_dir.write(FILE, &json)?)
}

fn digest(lock: &Lock) -> Result<Digest, BuildError> {
    Ok(Digest::of(lock.print()?))
}

/// Forgets the last build: the next takes the long way.
pub(super) fn forget(app_dir: &AppDir) -> Result<(), BuildError> {
    match fs_err::remove_file(app_dir.path().join(FILE)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
