//! A platform in miniature: the directories that it makes, the run image, and how it starts a program.

use oci::{Image, ImageConfig, ImageName, LayerSpec, Owner, Store};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The name of the run image.
pub const BASE: &str = "registry.example/run:1";
/// The name of the app image.
pub const APP: &str = "registry.example/team/app:1";

pub struct Platform {
    dir: tempfile::TempDir,
    pub api: &'static str,
}

/// What a program said and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn fails_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    #[track_caller]
    pub fn fails(self, code: i32, words: &str) -> Self {
        let all = format!("{}{}", self.out, self.err);
        assert_eq!(self.code, Some(code), "{all}");
        assert!(all.contains(words), "missing {words:?} in\n{all}");
        self
    }
}

/// Who builds: programs that may be privileged start as the tests' own user, the others never as root.
pub fn user() -> (u32, u32) {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    if uid.is_root() { (1000, 1000) } else { (uid.as_raw(), gid.as_raw()) }
}

impl Platform {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "app",
            "layers",
            "platform/env",
            "cache",
            "launch-cache",
            "layouts",
            "buildpacks",
            "bin",
            "build-config/env",
        ] {
            fs_err::create_dir_all(dir.path().join(name)).unwrap();
        }
        let platform = Self { dir, api: "0.15" };
        for name in
            ["analyzer", "detector", "restorer", "builder", "exporter", "creator", "rebaser", "extender"]
        {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lifecycle"), platform.path("bin").join(name))
                .unwrap();
        }
        testing::program(&platform.path("launcher"), "the launcher\n").unwrap();
        platform.write("app/main", "the app\n");
        platform.write("order.toml", "");
        platform.write(
            "run.toml",
            &format!("[[images]]\nimage = \"{BASE}\"\nmirrors = [\"mirror.example/run:1\"]\n"),
        );
        platform
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs_err::read_to_string(self.path(name)).unwrap()
    }

    pub fn toml(&self, name: &str) -> toml::Table {
        toml::from_str(&self.read(name)).unwrap()
    }

    /// A buildpack in the one group, after those before it.
    pub fn buildpack(&self, id: &str, detect: &str, build: &str) {
        self.described(id, "0.10", detect, build);
        let mut order = self.read("order.toml");
        if order.is_empty() {
            order = "[[order]]\n".to_owned();
        }
        order += &format!("[[order.group]]\nid = \"{id}\"\nversion = \"1.0.0\"\n");
        self.write("order.toml", &order);
    }

    pub fn described(&self, id: &str, api: &str, detect: &str, build: &str) {
        let name = format!("buildpacks/{}/1.0.0", id.replace('/', "_"));
        let formats = "[\"application/vnd.cyclonedx+json\"]";
        let toml = format!(
            "api = \"{api}\"\n[buildpack]\nid = \"{id}\"\nversion = \"1.0.0\"\nsbom-formats = {formats}\n"
        );
        self.write(&format!("{name}/buildpack.toml"), &toml);
        for (program, body) in [("detect", detect), ("build", build)] {
            let path = self.path(&name).join("bin").join(program);
            testing::program(&path, format!("#!/bin/sh\nset -e\n{body}\n")).unwrap();
        }
    }

    /// A run image as an OCI layout; `text` makes it differ from another one.
    pub fn run_image(&self, name: &str, text: &str) -> Image {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let image = put_run_image(&store, text);
        let name = ImageName::parse(name, "docker.io").unwrap();
        let to =
            self.path("layouts").join(format!("{}/{}", name.without_tag(), name.tag.as_deref().unwrap()));
        oci::layout::write(&store, &image, &name, &to).unwrap();
        image
    }

    /// The image of this name in the directory of layouts.
    pub fn layout(&self, path: &str) -> Image {
        oci::layout::read(&self.path("layouts").join(path), None).unwrap().unwrap()
    }

    /// A program with the flags of this platform's directories that it takes.
    pub fn call(&self, program: &str, args: &[&str]) -> Said {
        let mut command = self.command(program);
        say(command.args(self.flags_of(program)).args(args))
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.path("bin").join(program));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", "/tmp")
            .env("CNB_PLATFORM_API", self.api);
        command.env("CNB_NO_COLOR", "true").env("CNB_EXPERIMENTAL_MODE", "silent").stdin(Stdio::null());
        let (uid, gid) = user();
        if rustix::process::geteuid().is_root() {
            self.give_to_user();
            if matches!(program, "detector" | "builder") {
                command.uid(uid).gid(gid);
            }
        }
        command
    }

    /// What a platform does with its volumes. What is the user's is left as it is, its change time too.
    fn give_to_user(&self) {
        let (uid, gid) = user();
        let foreign =
            ["!", "-uid", &uid.to_string(), "-exec", "chown", "-h", &format!("{uid}:{gid}"), "{}", "+"];
        assert!(Command::new("find").arg(self.dir.path()).args(foreign).status().unwrap().success());
    }

    pub fn flags_of(&self, program: &str) -> Vec<String> {
        let (uid, gid) = user();
        let at = |name: &str| self.path(name).display().to_string();
        let pair = |flag: &str, value: String| vec![format!("-{flag}"), value];
        let ids = [pair("uid", uid.to_string()), pair("gid", gid.to_string())].concat();
        let layers = pair("layers", at("layers"));
        let app = pair("app", at("app"));
        let place = if matches!(program, "detector" | "builder" | "rebaser") {
            Vec::new()
        } else {
            [vec!["-layout".to_owned()], pair("layout-dir", at("layouts"))].concat()
        };
        let run = pair("run", at("run.toml"));
        let build = [
            pair("buildpacks", at("buildpacks")),
            pair("platform", at("platform")),
            pair("build-config", at("build-config")),
        ]
        .concat();
        let cache = pair("cache-dir", at("cache"));
        let order = pair("order", at("order.toml"));
        let launcher = pair("launcher", at("launcher"));
        let all = match program {
            "analyzer" => [ids, layers, place, run].concat(),
            "detector" => [layers, app, build, order].concat(),
            "restorer" => [ids, layers, place, cache].concat(),
            "builder" => [layers, app, build].concat(),
            "exporter" => [ids, layers, app, place, run, cache, launcher].concat(),
            "creator" => [ids, layers, app, place, run, cache, launcher, build, order].concat(),
            "rebaser" => ids,
            _ => Vec::new(),
        };
        self.without_later_flags(all)
    }

    /// Flags of a later Platform API are not there yet.
    fn without_later_flags(&self, mut flags: Vec<String>) -> Vec<String> {
        let minor: u32 = self.api.split('.').next_back().unwrap().parse().unwrap();
        for (flag, since, count) in
            [("-build-config", 11, 2), ("-run", 12, 2), ("-layout", 12, 1), ("-layout-dir", 12, 2)]
        {
            if let Some(at) = flags.iter().position(|it| it == flag && minor < since) {
                flags.drain(at..at + count);
            }
        }
        flags
    }

    /// The same without those of layouts, for images that are elsewhere.
    pub fn flags_elsewhere(&self, program: &str) -> Vec<String> {
        let mut flags = self.flags_of(program);
        for (flag, count) in [("-layout", 1), ("-layout-dir", 2)] {
            if let Some(at) = flags.iter().position(|it| it == flag) {
                flags.drain(at..at + count);
            }
        }
        flags
    }

    /// A build phase by phase, into layouts.
    pub fn phases(&self) -> [Said; 5] {
        [
            self.call("analyzer", &[APP]).ok(),
            self.call("detector", &[]).ok(),
            self.call("restorer", &[]).ok(),
            self.call("builder", &[]).ok(),
            self.call("exporter", &[APP]).ok(),
        ]
    }

    /// The next build gets a new layers directory, as in containers.
    pub fn forget_layers(&self) {
        fs_err::remove_dir_all(self.path("layers")).unwrap();
        fs_err::create_dir(self.path("layers")).unwrap();
    }
}

pub fn put_run_image(store: &Store, text: &str) -> Image {
    let spec =
        LayerSpec::new("base").file("/etc/os-release", 0o644, Owner::ROOT, format!("ID=debian\n# {text}\n"));
    let layer = store.add_layer(&spec, None).unwrap().record.layer_ref();
    let mut config =
        ImageConfig { os: "linux".into(), architecture: "amd64".into(), ..ImageConfig::default() };
    config.config.env = vec!["PATH=/usr/bin:/bin".into(), "LANG=C.UTF-8".into()];
    config.config.labels = [
        ("io.buildpacks.base.distro.name", "debian"),
        ("io.buildpacks.base.distro.version", "13"),
        ("io.buildpacks.base.released", text),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    store.put_image(config, &[layer]).unwrap()
}

pub fn say(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The label of an app image that later builds and rebases read.
pub fn metadata(image: &Image) -> serde_json::Value {
    serde_json::from_str(&image.config().config.labels["io.buildpacks.lifecycle.metadata"]).unwrap()
}

/// The files of a layer, without directories.
pub fn files(layout: &Path, image: &Image, at: usize) -> Vec<String> {
    listed(layout, image, at, &["-t"])
}

/// The same with owner, mode, size and time.
pub fn owners(layout: &Path, image: &Image, at: usize) -> Vec<String> {
    listed(layout, image, at, &["-t", "-v", "--numeric-owner"])
}

fn listed(layout: &Path, image: &Image, at: usize, flags: &[&str]) -> Vec<String> {
    let blob = oci::layout::blob_path(layout, &image.layers()[at].digest);
    let mut tar = oci::layer_tar(std::io::BufReader::new(std::fs::File::open(blob).unwrap())).unwrap();
    let mut command = Command::new("tar");
    let mut child = command.args(flags).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::copy(&mut tar, &mut child.stdin.take().unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|it| !it.ends_with('/')).map(str::to_owned).collect()
}
