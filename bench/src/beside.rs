//! What the figures against `pack` stand on, made by bench/beside-pack.sh: programs, a registry, builders, images.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::ground::Ground;
use crate::stopwatch::output;

/// The peers, and where they are.
pub(crate) struct Beside {
    /// `pack` and the reference lifecycle.
    pub(crate) bin: PathBuf,
    /// The directory of the registry, of builders' descriptions and of everything else that is removed afterwards.
    pub(crate) room: PathBuf,
    /// `localhost:PORT`.
    pub(crate) registry: String,
    /// The run image of every builder, in that registry.
    pub(crate) run_image: String,
    /// The engine that both use.
    engine: String,
}

impl Beside {
    pub(crate) fn prepare() -> Result<Self> {
        let variable = |name: &str| {
            env::var(name).map_err(|_| format!("{name} is not set; run this with `bench/run.sh vs-pack`"))
        };
        Ok(Self {
            bin: variable("BENCH_BIN")?.into(),
            room: variable("BENCH_ROOM")?.into(),
            registry: variable("BENCH_REGISTRY")?,
            run_image: variable("BENCH_RUN_IMAGE")?,
            engine: variable("DOCKER_HOST")?,
        })
    }

    pub(crate) fn pack(&self, arguments: &[&str]) -> Command {
        let mut pack = Command::new(self.bin.join("pack"));
        pack.args(arguments);
        pack
    }

    /// A build of `app` as `image` by pack, with images that are here already.
    pub(crate) fn pack_build(&self, image: &str, app: &Path, more: &[&str]) -> Command {
        let mut build = self.pack(&["build", image, "--pull-policy", "never", "--docker-host", "inherit"]);
        if !more.contains(&"--builder") {
            build.args(["--builder", "test/builder:reference"]);
        }
        build.arg("--path").arg(app).args(more);
        build
    }

    /// The same by packlight, from a store of this run.
    pub(crate) fn our_build(&self, ground: &Ground, image: &str, app: &Path, more: &[&str]) -> Command {
        let mut build = ground.packlight("beside", &[&["--quiet", "build", image][..], more].concat());
        if !more.contains(&"--builder") {
            build.args(["--builder", "docker:test/builder:reference"]);
        }
        build.arg("--path").arg(app).env("DOCKER_HOST", &self.engine);
        build
    }

    /// A folder with so many megabytes in files of 16, the same bytes each time; made once.
    pub(crate) fn data(&self, megabytes: usize) -> Result<PathBuf> {
        let folder = self.room.join(format!("data-{megabytes}"));
        if !folder.exists() {
            fs::create_dir_all(&folder)?;
            let mut noise = Noise(megabytes as u64 + 1);
            for (at, begin) in (0..megabytes).step_by(16).enumerate() {
                let size = 16.min(megabytes - begin) << 20;
                fs::write(folder.join(format!("file-{at:03}")), noise.half_compressible(size))?;
            }
        }
        Ok(folder)
    }

    /// A small app.
    pub(crate) fn app(&self, figure: &str) -> Result<PathBuf> {
        let folder = self.room.join(format!("app-{figure}"));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("main"), "the app\n")?;
        Ok(folder)
    }
}

/// Fast numbers that are the same each time.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Bytes of which every second page is noise and every other text of a few words, so that about half of them go
    /// when they are compressed.
    pub(crate) fn half_compressible(&mut self, size: usize) -> Vec<u8> {
        const PAGE: usize = 4096;
        const WORDS: [&[u8; 8]; 8] = [
            b"function",
            b" return ",
            b"(value, ",
            b"import *",
            b"    self",
            b".append(",
            b" = None\n",
            b"# words ",
        ];
        let mut bytes = Vec::with_capacity(size);
        while bytes.len() < size {
            let text = (bytes.len() / PAGE) % 2 == 1;
            let number = self.next();
            if text {
                bytes.extend_from_slice(WORDS[(number >> 40) as usize % WORDS.len()]);
            } else {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        bytes.truncate(size);
        bytes
    }
}

/// What an image in the engine consists of, for people and for comparing: each file of the app and of its layers with
/// its owner, mode and digest, and what the app's process says.
fn contents(image: &str) -> Result<String> {
    // Not the folders above: whose they are is the platform's choice.
    const LIST: &str = "cd /; \
        what() { busybox find workspace layers/*/* ! -path 'layers/sbom*' ! -path 'layers/config*' ! -path workspace \"$@\"; }; \
        what -exec busybox stat -c '%A %u:%g %n' {} \\; | busybox sort; \
        what -type f -exec busybox sha256sum {} + | busybox sort -k2";
    let list = output(Command::new("docker").args(["run", "--rm", "--entrypoint", "sh", image, "-c", LIST]))?;
    if !list.contains("workspace/main") {
        return Err(format!("{image} has no app: {list}").into());
    }
    Ok(format!("{list}{}", output(Command::new("docker").args(["run", "--rm", image]))?))
}

/// What two images of the engine consist of; an error when that is not the same.
pub(crate) fn must_be_equal(ours: &str, theirs: &str) -> Result<String> {
    let (our, their) = (contents(ours)?, contents(theirs)?);
    if our == their {
        return Ok(our);
    }
    let only = |one: &str, other: &str| {
        let lines = one.lines().filter(|line| !other.lines().any(|it| it == *line)).take(10);
        lines.map(|line| format!("\n     {line}")).collect::<String>()
    };
    Err(format!(
        "the images differ; only in {ours}:{}\n   only in {theirs}:{}",
        only(&our, &their),
        only(&their, &our)
    )
    .into())
}
