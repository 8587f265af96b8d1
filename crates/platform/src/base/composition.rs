//! A base that is not there yet: packages fetched, unpacked, finished by the base's own programs, kept.

use super::{BaseError, Record, downloads, target};
use crate::event::{Event, Events};
use crate::lock::DebianLock;
use crate::room::{self, BUILD_USER};
use crate::world::World;
use cnb::labels;
use debian::{Composed, Finish, LockedPackage, Lower};
use oci::{ImageConfig, ImageName, LayerSpec, Modes, Owner, OwnerRule, Store, TreeRules};
use sandbox::{Isolation, Mount, Network, Process, Room, Stdio, Upper};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Who apps run as: another user than the one that built them, so that an app cannot change its own files.
const RUN_USER: &str = "1001:1000";

pub(super) fn compose(
    world: &World,
    lock: &DebianLock,
    dir: &Path,
    events: Events<'_>,
) -> Result<(), BaseError> {
    let store = &world.store;
    let isolation = world.ground()?.isolation();
    events(Event::Notice {
        text: format!(
            "composing a base of {} packages of Debian {}",
            lock.run.len() + lock.build.len(),
            lock.release
        ),
    });
    let mirrors = world.settings.mirrors(Path::new("/etc/apt"));
    let cache = store.downloads().join("debian");
    let fetch = |packages: &[LockedPackage]| -> Result<Vec<(LockedPackage, PathBuf)>, BaseError> {
        let files = debian::fetch(&mirrors, &cache, packages, &downloads(events))?;
        Ok(packages.iter().cloned().zip(files).collect())
    };
    let run_debs = fetch(&lock.run)?;
    let build_debs = fetch(&lock.build)?;

    let scratch = store.scratch()?;
    let run_tree = scratch.path().join("run");
    let run = debian::compose(&run_debs, None, &run_tree)?;
    finish(&run.finish, &[&run_tree], &scratch.path().join("run-out"), isolation)?;
    let record = keep_run_image(store, lock, &run, &run_tree)?;

    let ready = scratch.path().join("ready");
    let build_tree = ready.join("build");
    fs_err::create_dir(&ready)?;
    let build = debian::compose(&build_debs, Some(Lower { root: &run_tree }), &build_tree)?;
    finish(&build.finish, &[&build_tree, &run_tree], &scratch.path().join("build-out"), isolation)?;
    if *isolation != Isolation::Full {
        // What no room can change, every room can have without a copy.
        give_to_owner_of(&ready, &build_tree)?;
    }

    let text = serde_json::to_vec(&record).map_err(std::io::Error::other)?;
    fs_err::write(ready.join("base.json"), text)?;
    if let Some(parent) = dir.parent() {
        fs_err::create_dir_all(parent)?;
    }
    match fs_err::rename(&ready, dir) {
        // Another build composed the same base meanwhile: one is as good as the other.
        Err(_) if dir.join("base.json").exists() => Ok(()),
        result => Ok(result?),
    }
}

/// Lets the base's own programs make what only they know how to make: the linker's cache, bytecode. `stack` is the new
/// tree with those below it.
fn finish(steps: &[Finish], stack: &[&Path], out: &Path, isolation: &Isolation) -> Result<(), BaseError> {
    let (Some(tree), false) = (stack.first(), steps.is_empty()) else { return Ok(()) };
    let (upper, work) = (out.join("upper"), out.join("work"));
    fs_err::create_dir_all(&work)?;
    sandbox::own_dir(&upper, BUILD_USER, isolation)?;
    give_to_owner_of(&upper, tree)?;
    let room = Room {
        root: stack.iter().map(|it| (*it).to_owned()).collect(),
        upper: Upper::Dir { upper: upper.clone(), work },
        mounts: vec![Mount::Tmpfs { target: "/tmp".into() }],
        user: BUILD_USER,
        hostname: "packlight".to_owned(),
        network: Network::None,
        isolation: isolation.clone(),
    };
    for step in steps {
        let process = Process {
            argv: step.argv.iter().map(Into::into).collect(),
            env: step.env.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            cwd: "/".into(),
            stdin: Stdio::Null,
            stdout: Stdio::Pipe,
            stderr: Stdio::Pipe,
        };
        let mut printed = Vec::new();
        let status = room::run(&room, &process, &mut |_, bytes| printed.extend_from_slice(bytes))?;
        if status != lifecycle::ExitStatus::Code(0) {
            let output = String::from_utf8_lossy(&printed).trim().to_owned();
            return Err(BaseError::Finish { what: step.what, status, output });
        }
        sandbox::remove_tree(&out.join("work/work"))?;
    }
    for path in steps.iter().flat_map(|it| &it.remove) {
        sandbox::remove_tree(&upper.join(path.strip_prefix("/").unwrap_or(path)))?;
    }
    Ok(settle(&upper, tree)?)
}

/// Started by root, the room's user is another user of this machine, and the new tree must be its own to be written.
/// Who owns a file in the image is decided by [`Composed::ownership`], not by the disk.
fn give_to_owner_of(model: &Path, tree: &Path) -> std::io::Result<()> {
    let (model, ours) = (fs_err::metadata(model)?, fs_err::metadata(tree)?);
    if model.uid() == ours.uid() {
        return Ok(());
    }
    give(tree, model.uid(), model.gid())
}

fn give(path: &Path, uid: u32, gid: u32) -> std::io::Result<()> {
    std::os::unix::fs::lchown(path, Some(uid), Some(gid))?;
    if fs_err::symlink_metadata(path)?.is_dir() {
        for entry in fs_err::read_dir(path)? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    Ok(())
}

/// Moves what the programs made from the overlay's upper directory into the tree.
fn settle(upper: &Path, tree: &Path) -> std::io::Result<()> {
    for entry in fs_err::read_dir(upper)? {
        let entry = entry?;
        let target = tree.join(entry.file_name());
        if entry.file_type()?.is_dir() && fs_err::symlink_metadata(&target).is_ok_and(|it| it.is_dir()) {
            settle(&entry.path(), &target)?;
        } else {
            fs_err::rename(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// The run base as an image of one layer, kept in the store under a name that people do not see.
fn keep_run_image(
    store: &Store,
    lock: &DebianLock,
    run: &Composed,
    tree: &Path,
) -> Result<Record, BaseError> {
    let rules = TreeRules {
        owner: OwnerRule::Table(run.ownership.clone(), Owner::ROOT),
        modes: Modes::Keep,
        skip: std::collections::BTreeSet::new(),
    };
    let words = format!("Debian {}: {} packages", lock.release, lock.run.len());
    let spec = LayerSpec::new(words).tree(tree, "/", rules);
    let layer = store.add_layer(&spec, None)?.record;
    let image = store.put_image(config(lock), &[layer.layer_ref()])?;
    store.tag(&local_name(&image), &image)?;
    Ok(Record { run_image: image.digest(), run_layer: layer.diff_id, lock: lock.clone() })
}

/// The name of a base that was never pushed.
fn local_name(image: &oci::Image) -> ImageName {
    let digest = image.digest();
    ImageName {
        registry: super::LOCAL_REGISTRY.to_owned(),
        repository: "base".to_owned(),
        tag: Some(digest.hex().chars().take(16).collect()),
        digest: None,
    }
}

/// What a base says of itself. It has no date of release: the same lock makes the same bytes on any day.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#run-image>
fn about(lock: &DebianLock) -> [(String, String); 4] {
    let label = |name: &str| format!("{}{name}", labels::BASE_PREFIX);
    let more = serde_json::json!({
        "release": lock.release,
        "packages": lock.run.len(),
        "wanted": lock.wanted_run,
    });
    [
        (label("maintainer"), "Packlight".to_owned()),
        (label("homepage"), format!("https://www.debian.org/releases/{}/", lock.release)),
        (
            label("description"),
            format!("Debian {}, composed of the packages that an app needs", lock.release),
        ),
        (label("metadata"), more.to_string()),
    ]
}

fn config(lock: &DebianLock) -> ImageConfig {
    let target = target(lock);
    let mut config = ImageConfig { os: target.os, architecture: target.arch, ..ImageConfig::default() };
    config.created = Some(oci::CREATED.to_owned());
    config.config.user = RUN_USER.to_owned();
    config.config.env = vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()];
    let distro = target.distro.unwrap_or_default();
    config.config.labels = BTreeMap::from([
        (labels::BASE_ID.to_owned(), target.id),
        (labels::BASE_DISTRO_NAME.to_owned(), distro.name),
        (labels::BASE_DISTRO_VERSION.to_owned(), distro.version),
        (labels::REBASABLE.to_owned(), "true".to_owned()),
    ]);
    config.config.labels.extend(about(lock));
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(release: &str) -> DebianLock {
        DebianLock {
            release: release.to_owned(),
            wanted_run: vec!["libpq5".to_owned()],
            wanted_build: Vec::new(),
            run: Vec::new(),
            build: Vec::new(),
        }
    }

    #[test]
    fn a_base_says_what_it_is_and_who_runs_on_it() {
        let config = config(&lock("trixie"));
        let label = |name: &str| config.config.labels.get(&format!("io.buildpacks.{name}")).unwrap().as_str();
        assert_eq!((config.os.as_str(), config.architecture.as_str()), ("linux", "amd64"));
        assert_eq!((label("base.distro.name"), label("base.distro.version")), ("debian", "13"));
        assert_eq!(label("rebasable"), "true");
        assert!(config.config.env.iter().any(|it| it.starts_with("PATH=/")), "{:?}", config.config.env);
        let user = config.config.user.split(':').next().unwrap().parse::<u32>().unwrap();
        assert!(user != BUILD_USER.uid && user != 0, "an app must not be able to change its own files");
        assert_eq!(label("base.maintainer"), "Packlight");
        assert_eq!(label("base.homepage"), "https://www.debian.org/releases/trixie/");
        assert!(label("base.description").contains("Debian trixie"));
        let more: serde_json::Value = serde_json::from_str(label("base.metadata")).unwrap();
        assert_eq!(more, serde_json::json!({"release": "trixie", "packages": 0, "wanted": ["libpq5"]}));
    }

    #[test]
    fn a_target_has_an_id_of_its_own_and_all_of_it_is_in_the_labels() {
        let mut ids = std::collections::BTreeSet::new();
        for release in ["bookworm", "trixie"] {
            let id = config(&lock(release)).config.labels[labels::BASE_ID].clone();
            assert!(id.chars().all(|it| it.is_ascii_alphanumeric() || "./-".contains(it)), "{id}");
            assert!(ids.insert(id.to_lowercase()), "{id} is another base's, too");
        }
    }
}
