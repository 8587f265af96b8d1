//! What every room has: `/proc` without the host's switches, a small `/dev`, and with the host's network its resolver.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use crate::Access;
use crate::error::{At, Done, Step};
use crate::mounts::Site;
use crate::views::{Look, O_PATH, QUIET, attach, clone_of, clone_tree, new_fs, open, tmpfs};

const NOEXEC: MountAttrFlags = QUIET.union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Where a running kernel is switched: readable, never writable.
const PROC_READ_ONLY: &[&str] = &["sys", "sysrq-trigger", "irq", "bus", "fs"];
/// What tells of the host's memory, keys and timing: hidden. The lists are those of the container engines.
const PROC_HIDDEN_FILES: &[&str] =
    &["kcore", "keys", "timer_list", "timer_stats", "latency_stats", "sched_debug", "interrupts"];
const PROC_HIDDEN_DIRS: &[&str] = &["acpi", "asound", "scsi"];

/// What a program on the host's network reads to find others in it.
pub(crate) const RESOLVER: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

pub(crate) const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];
const DEVICE_LINKS: &[(&str, &str)] = &[
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

impl Site<'_> {
    /// Mounts a new `/proc`, which shows the room's processes only.
    pub(crate) fn make_proc(&self) -> Done<()> {
        let place = self.targets().directory(Path::new("/proc"))?;
        let proc = new_fs("proc", &[], NOEXEC).at(Step::MountProc, "/proc").map_err(|failure| {
            failure.advise(
                &[libc::EPERM],
                "this is a container whose own /proc is masked; start it with --security-opt systempaths=unconfined",
            )
        })?;
        attach(&proc, &place).at(Step::MountProc, "/proc")?;
        for name in PROC_READ_ONLY {
            self.over_proc(&proc, name, |found| clone_tree(found, Access::ReadOnly))?;
        }
        let null = rustix::fs::open("/dev/null", O_PATH, Mode::empty()).at(Step::MountDev, "/dev/null")?;
        for name in PROC_HIDDEN_FILES {
            self.over_proc(&proc, name, |_| Ok(clone_of(&null)?))?;
        }
        for name in PROC_HIDDEN_DIRS {
            let attributes = NOEXEC.union(MountAttrFlags::MOUNT_ATTR_RDONLY);
            self.over_proc(&proc, name, |_| Ok(tmpfs(self.scratch.ids, "0555", attributes)?))?;
        }
        Ok(())
    }

    fn over_proc(
        &self,
        proc: &OwnedFd,
        name: &str,
        cover: impl FnOnce(&OwnedFd) -> std::io::Result<OwnedFd>,
    ) -> Done<()> {
        let found = match rustix::fs::openat(proc, name, O_PATH | OFlags::NOFOLLOW, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(()), // not in this kernel
            found => found.at(Step::MountProc, name)?,
        };
        let cover = cover(&found).at(Step::MountProc, name)?;
        attach(&cover, &found).at(Step::MountProc, name)
    }

    /// Makes `/dev`: the harmless devices of the host, terminals of its own, shared memory.
    pub(crate) fn make_dev(&self) -> Done<()> {
        let place = self.targets().directory(Path::new("/dev"))?;
        let dev = tmpfs(self.scratch.ids, "0755", QUIET).at(Step::MountTmpfs, "/dev")?;
        attach(&dev, &place).at(Step::MountTmpfs, "/dev")?;
        for name in DEVICES {
            device(&dev, name).at(Step::MountDev, Path::new("/dev").join(name))?;
        }
        for (target, name) in DEVICE_LINKS {
            rustix::fs::symlinkat(*target, &dev, *name).at(Step::MountDev, name)?;
        }
        let shm = tmpfs(self.scratch.ids, "1777", NOEXEC).at(Step::MountTmpfs, "/dev/shm")?;
        attach(&shm, &below(&dev, "shm").at(Step::MountDev, "/dev/shm")?).at(Step::MountTmpfs, "/dev/shm")?;
        // Not every kernel has them, and few programs miss them.
        let terminals = [("ptmxmode", "0666"), ("mode", "0620")];
        let noexec_only = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        for (name, fs) in
            [("pts", new_fs("devpts", &terminals, noexec_only)), ("mqueue", new_fs("mqueue", &[], NOEXEC))]
        {
            if let Ok(fs) = fs {
                attach(&fs, &below(&dev, name).at(Step::MountDev, name)?).at(Step::MountDev, name)?;
            }
        }
        Ok(())
    }

    /// Shows the terminal that the program has as `/dev/console`, so that ttyname(3) finds a name for it: its own one is
    /// in the host's /dev/pts.
    pub(crate) fn make_console(&self, streams: &[OwnedFd; 3]) -> Done<()> {
        let Some(terminal) = streams.iter().find(|stream| rustix::termios::isatty(stream)) else {
            return Ok(());
        };
        // By name: the descriptor was opened in the caller's mount namespace, whose mounts cannot be copied from here. A
        // terminal that has no name to us (another container's) has none in the room either.
        let name = std::fs::read_link(format!("/proc/self/fd/{}", terminal.as_raw_fd()));
        let Some(found) = name.ok().and_then(|name| open(&name, OFlags::NOFOLLOW).ok()) else {
            return Ok(());
        };
        if !rustix::fs::fstat(&found)
            .is_ok_and(|status| FileType::from_raw_mode(status.st_mode).is_char_device())
        {
            return Ok(());
        }
        let place = self.targets().file(Path::new("/dev/console"))?;
        clone_of(&found).and_then(|clone| attach(&clone, &place)).at(Step::MountDev, "/dev/console")
    }

    /// Shows the host's resolver configuration, where the host has one.
    pub(crate) fn make_resolver(&self) -> Done<()> {
        for path in RESOLVER.map(Path::new) {
            if path.is_file() {
                self.bind(path, path, Access::ReadOnly, Look::AsIs)?;
            }
        }
        Ok(())
    }
}

fn device(dev: &OwnedFd, name: &str) -> rustix::io::Result<()> {
    let host = rustix::fs::openat(CWD, Path::new("/dev").join(name), O_PATH, Mode::empty())?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    drop(rustix::fs::openat(dev, name, flags, Mode::from_raw_mode(0o666))?);
    let place = rustix::fs::openat(dev, name, O_PATH | OFlags::NOFOLLOW, Mode::empty())?;
    attach(&clone_of(&host)?, &place)
}

fn below(dev: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    rustix::fs::mkdirat(dev, name, Mode::from_raw_mode(0o755))?;
    rustix::fs::openat(dev, name, O_PATH | OFlags::NOFOLLOW, Mode::empty())
}
