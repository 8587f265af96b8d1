//! Runs the two programs as a lifecycle does: variables, directories, exit codes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends when its world is not so"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// An app, its layers, and what the platform hands over.
pub(crate) struct Room {
    dir: TempDir,
    pub(crate) minor: &'static str,
    env: Vec<(String, String)>,
}

/// What a program did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) text: String,
}

/// The Python of this machine that is also one of the inventory's.
pub(crate) fn minor() -> &'static str {
    let found = ["3.13", "3.11"].into_iter().find(|it| Path::new(&format!("/usr/bin/python{it}")).exists());
    found.expect("no /usr/bin/python3.13 or python3.11: apt-get install python3 python3-pip-whl")
}

impl Room {
    /// A room with these files in the app's folder; a name with `/` makes folders.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["app", "layers", "platform/env", "platform/bindings", "buildpack/bin"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        fs::copy(own.join("buildpack.toml"), dir.path().join("buildpack/buildpack.toml")).unwrap();
        for name in ["detect", "build"] {
            symlink(env!("CARGO_BIN_EXE_buildpack-python"), dir.path().join("buildpack/bin").join(name))
                .unwrap();
        }
        let room = Self { dir, minor: minor(), env: Vec::new() };
        room.write(".python-version", room.minor);
        files.iter().for_each(|(name, text)| room.write(name, text));
        room
    }

    pub(crate) fn app(&self) -> PathBuf {
        self.dir.path().join("app")
    }

    pub(crate) fn layers(&self) -> PathBuf {
        self.dir.path().join("layers")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.app().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.env.push((name.to_owned(), value.into()));
    }

    pub(crate) fn detect(&self) -> Ran {
        fs::write(self.path("plan.toml"), "").unwrap();
        self.run("detect")
    }

    pub(crate) fn plan(&self) -> String {
        fs::read_to_string(self.path("plan.toml")).unwrap()
    }

    pub(crate) fn build(&self) -> Ran {
        fs::write(self.path("buildpack-plan.toml"), "").unwrap();
        self.run("build")
    }

    /// As `build`, and it must be done.
    pub(crate) fn built(&self) -> String {
        let ran = self.build();
        assert_eq!(ran.code, 0, "{}", ran.text);
        ran.text
    }

    fn run(&self, program: &str) -> Ran {
        let mut command = Command::new(self.path("buildpack/bin").join(program));
        command
            .current_dir(self.app())
            .env("CNB_PLATFORM_DIR", self.path("platform"))
            .env("CNB_BUILDPACK_DIR", self.path("buildpack"))
            .env("CNB_BUILD_PLAN_PATH", self.path("plan.toml"))
            .env("CNB_BP_PLAN_PATH", self.path("buildpack-plan.toml"))
            .env("CNB_LAYERS_DIR", self.layers())
            .env("CNB_TARGET_OS", "linux")
            .env("CNB_TARGET_ARCH", "amd64")
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        let output = command.output().unwrap();
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ran { code: output.status.code().unwrap_or(-1), text }
    }

    /// Puts the layer `uv` there, which is fetched once for all tests.
    pub(crate) fn with_uv(self) -> Self {
        static UV: OnceLock<Room> = OnceLock::new();
        let made = UV.get_or_init(|| {
            let room = Room::new(&[("requirements.txt", ""), ("main.py", "print()\n")]);
            room.built();
            room
        });
        fs::create_dir_all(self.layers().join("uv/bin")).unwrap();
        // A link, since a copy may still be open for writing somewhere when it is started.
        fs::hard_link(made.layers().join("uv/bin/uv"), self.layers().join("uv/bin/uv")).unwrap();
        fs::copy(made.layers().join("uv.toml"), self.layers().join("uv.toml")).unwrap();
        self
    }

    pub(crate) fn python(&self) -> PathBuf {
        self.layers().join("venv/bin/python")
    }

    pub(crate) fn read_layers(&self, name: &str) -> String {
        fs::read_to_string(self.layers().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// Every file and link below `dir`: mode, and contents or target.
pub(crate) fn contents(dir: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    walk(dir, &mut |path, metadata| {
        let bytes = match metadata.is_symlink() {
            true => fs::read_link(path).unwrap().into_os_string().into_encoded_bytes(),
            false => fs::read(path).unwrap(),
        };
        all.insert(path.strip_prefix(dir).unwrap().to_owned(), (metadata.permissions().mode(), bytes));
    });
    all
}

/// What changes when a file is written, replaced or touched: inode and change time.
pub(crate) fn stamps(dir: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut all = BTreeMap::new();
    walk(dir, &mut |path, it| {
        all.insert(path.to_owned(), (it.ino(), it.ctime(), it.ctime_nsec()));
    });
    all
}

fn walk(dir: &Path, visit: &mut impl FnMut(&Path, &fs::Metadata)) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() { walk(&path, visit) } else { visit(&path, &metadata) }
    }
}
