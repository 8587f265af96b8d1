//! Where a case plays: a directory of its own, a root file system in it, and short ways to run something.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sandbox::{Access, Exit, Identity, Mount, Network, Process, Room, Running, Stdio, Upper};

/// The room's user in every case.
pub(crate) const USER: Identity = Identity { uid: 1000, gid: 1000 };

pub(crate) struct Place {
    pub(crate) dir: PathBuf,
}

/// What a program left: how it ended, what it said on both streams.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) said: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("room-{}-{number}", std::process::id()));
        let place = Self { dir };
        std::fs::create_dir(&place.dir).unwrap();
        let tree = place.make_dir("tree");
        std::fs::create_dir(tree.join("usr")).unwrap();
        std::fs::create_dir(tree.join("etc")).unwrap();
        for name in ["bin", "lib", "lib64", "sbin"] {
            std::os::unix::fs::symlink(format!("usr/{name}"), tree.join(name)).unwrap();
        }
        place
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
        Room {
            root: vec![self.dir.join("tree")],
            upper: Upper::Tmpfs,
            mounts: vec![
                read_only("/usr", "/usr"),
                read_only(std::env::current_exe().unwrap(), "/guest"),
                Mount::Tmpfs { target: "/tmp".into() },
            ],
            user: USER,
            hostname: "room".to_owned(),
            network: Network::Host,
        }
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
