//! Where a case plays: a directory of its own, a root file system in it, and short ways to run something.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sandbox::{Access, Exit, Identity, Isolation, Mount, Network, Process, Room, Running, Stdio, Upper};

/// The room's user in every case.
pub(crate) const USER: Identity = Identity { uid: 1000, gid: 1000 };

pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) isolation: Isolation,
}

/// What a program left: how it ended, what it said on both streams.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) said: String,
}

impl Place {
    /// A place whose rooms have full isolation, or with programs given, reduced.
    pub(crate) fn new(toolbox: Option<&Path>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("room-{}-{number}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let place = Self::reopen(dir, toolbox);
        let tree = place.make_dir("tree");
        std::fs::create_dir(tree.join("usr")).unwrap();
        std::fs::create_dir(tree.join("etc")).unwrap();
        for name in ["bin", "lib", "lib64", "sbin"] {
            std::os::unix::fs::symlink(format!("usr/{name}"), tree.join(name)).unwrap();
        }
        if let Some(toolbox) = toolbox {
            std::os::unix::fs::symlink(toolbox, place.dir.join("toolbox")).unwrap();
        }
        place
    }

    /// The same place, seen from another process.
    pub(crate) fn reopen(dir: PathBuf, toolbox: Option<&Path>) -> Self {
        let isolation = match toolbox {
            Some(_) => Isolation::Reduced { below: dir.join("rooms") },
            None => Isolation::Full,
        };
        if let Isolation::Reduced { below } = &isolation {
            std::fs::create_dir_all(below).unwrap();
        }
        Self { dir, isolation }
    }

    pub(crate) fn toolbox(&self) -> Option<PathBuf> {
        std::fs::read_link(self.dir.join("toolbox")).ok()
    }

    pub(crate) fn make_dir(&self, name: &str) -> PathBuf {
        let path = self.dir.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A room with the host's programs, this test's own as /guest, and a /tmp.
    pub(crate) fn room(&self) -> Room {
        let mut room = Room {
            root: vec![self.dir.join("tree")],
            upper: Upper::Tmpfs,
            mounts: vec![
                read_only(std::env::current_exe().unwrap(), "/guest"),
                Mount::Tmpfs { target: "/tmp".into() },
            ],
            user: USER,
            hostname: "room".to_owned(),
            network: Network::Host,
            isolation: self.isolation.clone(),
        };
        match self.toolbox() {
            Some(toolbox) => room.root.push(toolbox),
            None => room.mounts.insert(0, read_only("/usr", "/usr")),
        }
        room
    }

    /// A room whose /workspace is an overlay over `lower`.
    pub(crate) fn workspace(&self, lower: Vec<PathBuf>) -> Room {
        let (upper, work) = (self.make_dir("upper"), self.make_dir("work"));
        let mut room = self.room();
        room.mounts.push(Mount::Overlay { target: "/workspace".into(), lower, upper, work });
        room
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        sandbox::remove_tree(&self.dir).unwrap();
        assert!(!self.dir.exists());
    }
}

pub(crate) fn read_only(source: impl Into<PathBuf>, target: &str) -> Mount {
    Mount::Bind { source: source.into(), target: target.into(), access: Access::ReadOnly }
}

pub(crate) fn writable(source: &Path, target: &str) -> Mount {
    Mount::Bind { source: source.to_owned(), target: target.into(), access: Access::ReadWrite }
}

pub(crate) fn process(argv: &[&str]) -> Process {
    Process {
        argv: argv.iter().map(Into::into).collect(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: "/".into(),
        stdin: Stdio::Null,
        stdout: Stdio::Pipe,
        stderr: Stdio::Pipe,
    }
}

pub(crate) fn start(room: &Room, argv: &[&str]) -> Running {
    room.start(&process(argv)).unwrap()
}

pub(crate) fn run(room: &Room, argv: &[&str]) -> Outcome {
    finish(start(room, argv))
}

/// Runs a script and returns what it said; it must succeed.
pub(crate) fn sh(room: &Room, script: &str) -> String {
    let outcome = run(room, &["/bin/sh", "-ec", script]);
    assert_eq!(outcome.exit, Exit::Code(0), "{script}\n{}", outcome.said);
    outcome.said
}

pub(crate) fn finish(mut running: Running) -> Outcome {
    let mut said = String::new();
    running.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    running.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    Outcome { exit: running.wait().unwrap(), said }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A tree with a few programs of the host and what they need: for rooms into which all is copied or linked.
pub(crate) fn toolbox(into: &Path) {
    const PROGRAMS: &str = "sh bash cat chmod cut echo find grep head id ln ls mkdir mkfifo mv od printf readlink rm setsid \
                            sleep sort stat tail touch true wc";
    let guest = std::env::current_exe().unwrap();
    let programs = PROGRAMS.split_whitespace().map(|name| Path::new("/usr/bin").join(name));
    let all: Vec<PathBuf> = programs.chain([guest.clone()]).collect();
    let listed = std::process::Command::new("ldd").args(&all).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let libraries = listed.split_whitespace().filter(|word| word.starts_with("/lib") && !word.ends_with(':'));
    let libraries = libraries.map(|path| Path::new("/usr").join(path.trim_start_matches('/')));
    for from in all.iter().filter(|path| **path != guest).cloned().chain(libraries) {
        let to = into.join(from.strip_prefix("/").unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(&from, &to).unwrap();
    }
}
