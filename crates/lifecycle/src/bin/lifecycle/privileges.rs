//! Root's privileges, which some programs start with: what needs them is done first, then they are gone for good.
//!
//! A program is single-threaded when it gives them up, but for the thread that opens the engine's socket (see
//! `place/daemon.rs`); Linux keeps ids by thread, and threads that start later have the new ones.

use crate::Site;
use crate::exit::{Code, Failure, OrFail as _, fail};
use crate::log::Log;
use rustix::process::{DumpableBehavior, getegid, geteuid};
use rustix::thread;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// No other process of the same user may look into this one.
pub(crate) fn keep_to_itself() {
    // Where the kernel does not know it, nothing is lost but a precaution.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// An image that holds the programs and nothing else has no `/tmp`; as root it can be made, for whom this program becomes.
fn make_temporary_directory() {
    let dir = std::env::temp_dir();
    if !dir.exists() && fs_err::create_dir_all(&dir).is_ok() {
        // As everywhere; where it can't be set, a directory that can't be written says so itself.
        let _ = fs_err::set_permissions(&dir, std::fs::Permissions::from_mode(0o1777));
    }
}

/// Detector and builder run foreign programs, and nothing that they do needs root.
pub(crate) fn refuse_root() -> Result<(), Failure> {
    match geteuid().is_root() {
        false => Ok(()),
        true => Err(fail(Code::Failed, "this runs programs of buildpacks and refuses to do so as root")),
    }
}

/// Gives directories to the user of the build, where that user could not write to them, and becomes that user.
pub(crate) fn drop(site: &Site, directories: &[&str]) -> Result<(), Failure> {
    let (uid, gid) = (site.inputs.number("uid"), site.inputs.number("gid"));
    make_temporary_directory();
    if !geteuid().is_root() {
        // Kubernetes starts everything as the user of the build.
        let ours = ids();
        return match uid == 0 || (uid, gid) == ours {
            true => Ok(()),
            false => {
                let text = format!("this runs as {}:{} and can't become {uid}:{gid}", ours.0, ours.1);
                Err(fail(Code::Failed, text))
            }
        };
    }
    for path in directories.iter().filter_map(|it| site.inputs.some_path(it)) {
        ensure_owner(&path, uid, gid).or_fail(Code::Failed)?;
    }
    become_user(uid, gid)
        .map_err(|error| fail(Code::Failed, format!("can't become the user {uid}:{gid}: {error}")))?;
    warn_of_root(uid, &site.log);
    Ok(())
}

fn warn_of_root(uid: u32, log: &Log) {
    if uid == 0 {
        log.debug("no -uid was given: this goes on as root");
    }
}

fn ensure_owner(path: &Path, uid: u32, gid: u32) -> std::io::Result<()> {
    let Ok(metadata) = fs_err::metadata(path) else { return Ok(()) };
    let mode = metadata.mode();
    let writable = metadata.uid() == uid || (metadata.gid() == gid && mode & 0o020 != 0) || mode & 0o002 != 0;
    if writable { Ok(()) } else { give(path, uid, gid) }
}

/// A link in a volume is given away and not followed.
fn give(path: &Path, uid: u32, gid: u32) -> std::io::Result<()> {
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        std::os::unix::fs::lchown(&path, Some(uid), Some(gid))?;
        if fs_err::symlink_metadata(&path)?.is_dir() {
            for entry in fs_err::read_dir(&path)? {
                open.push(entry?.path());
            }
        }
    }
    Ok(())
}

fn become_user(uid: u32, gid: u32) -> rustix::io::Result<()> {
    if (uid, gid) == ids() {
        return Ok(());
    }
    // Groups that the platform added, such as Kubernetes' for volumes, stay; root's own does not.
    let groups = rustix::process::getgroups()?;
    let kept: Vec<_> = groups.into_iter().filter(|it| !it.is_root()).collect();
    let gid = rustix::process::Gid::from_raw(gid);
    let uid = rustix::process::Uid::from_raw(uid);
    thread::set_thread_groups(&kept)?;
    thread::set_thread_res_gid(gid, gid, gid)?;
    thread::set_thread_res_uid(uid, uid, uid)?;
    // The kernel sets it anew when ids change.
    keep_to_itself();
    Ok(())
}

/// This process's user and group.
pub(crate) fn ids() -> (u32, u32) {
    (geteuid().as_raw(), getegid().as_raw())
}

/// The home directory of this process's user, by `/etc/passwd`.
pub(crate) fn home() -> Option<PathBuf> {
    let uid = geteuid().as_raw().to_string();
    let passwd = fs_err::read_to_string("/etc/passwd").ok()?;
    let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|it| it.get(2) == Some(&uid.as_str()))?;
    line.get(5).filter(|it| !it.is_empty()).map(PathBuf::from)
}
