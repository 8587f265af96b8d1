//! What the platform hands to the buildpacks, and takes back: `/platform`, the lock and its fragments.

use super::{BuildError, BuildRequest, Volume};
use crate::lock::Lock;
use crate::machine::Machine;
use crate::room::inside;
use crate::source::Source;
use crate::vcs::Vcs;
use cnb::project::Project;
use lifecycle::beneath::{Beneath, Entry};
use lifecycle::{Dir, HostOwner};
use oci::AppDir;
use rustix::fs::FileType;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

pub(super) use crate::base::update::LOCK_FILE;
/// What a build records for the next.
pub(super) const CACHE_FILE: &str = "cache.json";

/// The name and type of the binding through which the buildpacks get the lock, and of the layer in which each
/// leaves its part.
const LOCK_BINDING: &str = "packlight-lock";
pub(super) const LOCK_LAYER: &str = "lock";

/// What is handed over.
pub(crate) struct Handover {
    /// The lock that this build goes by.
    pub(super) lock: Lock,
    env: BTreeMap<String, String>,
}

impl Handover {
    pub(super) fn prepare(
        request: &BuildRequest,
        source: &Source,
        app_dir: &AppDir,
        vcs: &Vcs,
        machine: &Machine,
    ) -> Result<Self, BuildError> {
        let lock = if request.locking.forgets() { Lock::default() } else { lock_at_hand(source, app_dir)? };
        // Later ones win: what the user says on the command line, over the project's word, over what we know.
        let mut env = machine.env.clone();
        env.extend(identity(request, &source.project, vcs));
        env.extend(source.project.env.iter().cloned());
        env.extend(request.env.iter().cloned());
        Ok(Self { lock, env })
    }

    /// The variables for the buildpacks.
    pub(crate) fn of(env: BTreeMap<String, String>) -> Self {
        Self { lock: Lock::default(), env }
    }

    pub(super) fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// Writes the platform directory.
    ///
    /// Its files may hold a password of the user's own index. They are only for the room: the directory above is not
    /// for other users of this machine.
    pub(crate) fn write(&self, dir: &Path, volumes: &[Volume]) -> Result<(), BuildError> {
        fs_err::create_dir_all(dir.join("env"))?;
        fs_err::create_dir_all(dir.join("bindings"))?;
        for (name, value) in &self.env {
            if name.is_empty() || name.contains('/') || name.contains('\0') {
                continue;
            }
            fs_err::write(dir.join("env").join(name), value)?;
        }
        if self.lock != Lock::default() {
            let binding = dir.join("bindings").join(LOCK_BINDING);
            fs_err::create_dir(&binding)?;
            fs_err::write(binding.join("type"), LOCK_BINDING)?;
            fs_err::write(binding.join(LOCK_FILE), self.lock.print()?)?;
        }
        // What is mounted within this directory, such as a binding, needs something to be mounted upon.
        for volume in volumes {
            let Ok(within) = volume.target.strip_prefix(inside::PLATFORM) else { continue };
            if volume.source.is_dir() {
                fs_err::create_dir_all(dir.join(within))?;
            } else if let Some(parent) = dir.join(within).parent() {
                fs_err::create_dir_all(parent)?;
                fs_err::write(dir.join(within), "")?;
            }
        }
        open_to_the_room(dir)?;
        Ok(())
    }
}

/// The lock beside the source, else the store's, else an empty one.
pub(super) fn lock_at_hand(source: &Source, app_dir: &AppDir) -> Result<Lock, BuildError> {
    Ok(match &source.lock {
        Some(text) => Lock::parse(&source.dir.join(LOCK_FILE).display().to_string(), text)?,
        None => Lock::load(&app_dir.path().join(LOCK_FILE))?.unwrap_or_default(),
    })
}

/// Whatever the caller's umask, the room's user can read the directory.
pub(crate) fn open_to_the_room(path: &Path) -> std::io::Result<()> {
    let is_dir = fs_err::symlink_metadata(path)?.is_dir();
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(if is_dir { 0o755 } else { 0o644 }))?;
    if is_dir {
        for entry in fs_err::read_dir(path)? {
            open_to_the_room(&entry?.path())?;
        }
    }
    Ok(())
}

/// Who the app is, in the names that Paketo's image-labels buildpack made known.
fn identity(request: &BuildRequest, project: &Project, vcs: &Vcs) -> BTreeMap<String, String> {
    let title = request.name.repository.rsplit('/').next().map(str::to_owned);
    [
        ("BP_OCI_TITLE", title),
        ("BP_OCI_VERSION", project.version.clone()),
        ("BP_OCI_SOURCE", project.source_url.clone().or_else(|| vcs.url.clone())),
        ("BP_OCI_REVISION", vcs.revision.clone()),
        ("BP_OCI_REF_NAME", vcs.branch.clone()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}

/// The value of `io.buildpacks.project.metadata`.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#project-metadata>
pub(super) fn project_metadata(vcs: &Vcs, project: &Project) -> serde_json::Value {
    let mut source = serde_json::json!({});
    if let Some(commit) = &vcs.revision {
        source["type"] = "git".into();
        source["version"]["commit"] = commit.clone().into();
        source["metadata"] =
            serde_json::json!({"refs": vcs.branch.iter().collect::<Vec<_>>(), "url": vcs.url});
    }
    // What the project declares comes first, as with `pack`; what git says stays beside it.
    if let Some(version) = &project.version {
        source["version"]["declared"] = version.clone().into();
    }
    if let Some(url) = &project.source_url {
        source["metadata"]["url"] = url.clone().into();
    }
    match source.as_object().is_some_and(serde_json::Map::is_empty) {
        true => return source,
        false if project.version.is_some() || project.source_url.is_some() => {
            source["type"] = "project".into();
        }
        false => {}
    }
    serde_json::json!({"source": source})
}

/// Whom the room's directories belong to: this machine's id of the room's user.
pub(crate) fn host_owner(dir: &Path) -> Result<Option<HostOwner>, BuildError> {
    let metadata = fs_err::metadata(dir)?;
    let ours = rustix::process::geteuid().as_raw();
    Ok((metadata.uid() != ours).then(|| HostOwner { uid: metadata.uid(), gid: metadata.gid() }))
}

/// Takes the parts of the lock that the buildpacks left. A buildpack's files may be hostile: they are opened beneath
/// the layers directory, following no link.
pub(super) fn add_fragments(lock: &mut Lock, layers: &Dir) -> Result<(), BuildError> {
    let layers = Beneath::open(layers)?;
    for buildpack in directories(&layers)? {
        let Some(layer) = layers.dir(&buildpack)?.map(|it| it.dir(LOCK_LAYER)).transpose()?.flatten() else {
            continue;
        };
        if let Some(bytes) = layer.read(LOCK_FILE)? {
            let file = layer.name().join(LOCK_FILE);
            lock.add_fragment(&file.display().to_string(), &String::from_utf8_lossy(&bytes))?;
        }
    }
    Ok(())
}

fn directories(layers: &Beneath) -> Result<Vec<OsString>, BuildError> {
    let is_dir = |it: &Entry| it.kind == FileType::Directory;
    Ok(layers.entries()?.into_iter().filter(is_dir).map(|it| it.name).collect())
}

/// Writes the lock beside the source, whole or not at all.
pub(super) fn write_beside(file: &Path, text: &str) -> Result<(), BuildError> {
    Ok(crate::files::write(file, &mut text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_says_what_the_project_declares_and_what_git_knows() {
        let vcs = Vcs { revision: Some("0123".into()), branch: Some("main".into()), url: Some("git".into()) };
        let project = Project { version: Some("1.4".into()), ..Project::default() };
        assert_eq!(project_metadata(&Vcs::default(), &Project::default()), serde_json::json!({}));
        assert_eq!(
            project_metadata(&vcs, &Project::default()),
            serde_json::json!({"source": {
                "type": "git",
                "version": {"commit": "0123"},
                "metadata": {"refs": ["main"], "url": "git"},
            }})
        );
        assert_eq!(
            project_metadata(&vcs, &project),
            serde_json::json!({"source": {
                "type": "project",
                "version": {"commit": "0123", "declared": "1.4"},
                "metadata": {"refs": ["main"], "url": "git"},
            }})
        );
        let project = Project { source_url: Some("https://example.org".into()), ..Project::default() };
        assert_eq!(
            project_metadata(&Vcs::default(), &project),
            serde_json::json!({"source": {"type": "project", "metadata": {"url": "https://example.org"}}})
        );
    }
}
