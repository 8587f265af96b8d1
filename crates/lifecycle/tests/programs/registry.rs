//! Builds that are pushed to a real registry, with a login, and rebased there.

use crate::platform::{Platform, metadata, put_run_image, say};
use oci::registry::{Client, Credentials, Layers, Settings};
use oci::{Image, ImageName, Store};
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// `user:secret` in base64.
const LOGIN: &str = "Basic dXNlcjpzZWNyZXQ=";

/// Debian's registry on a port of this machine, for one user.
struct Registry {
    dir: tempfile::TempDir,
    address: SocketAddr,
    child: Child,
}

impl Registry {
    fn start() -> Self {
        Self::started(tempfile::tempdir().unwrap(), "")
    }

    /// The same registry, which takes nothing more.
    fn read_only(mut self) -> Self {
        let _ = self.child.kill();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        drop(self);
        Self::started(dir, "  maintenance:\n    readonly:\n      enabled: true\n")
    }

    fn started(dir: tempfile::TempDir, storage: &str) -> Self {
        let root = dir.path().display();
        let hashed = Command::new("htpasswd").args(["-nbB", "user", "secret"]).output().unwrap();
        assert!(hashed.status.success(), "Debian's package apache2-utils");
        fs_err::write(dir.path().join("users"), hashed.stdout).unwrap();
        for _ in 0..5 {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let config = format!(
                "version: 0.1\nlog:\n  level: warn\nstorage:\n  filesystem:\n    rootdirectory: {root}/data\n{storage}http:\n  addr: \
                 {address}\nauth:\n  htpasswd:\n    realm: test\n    path: {root}/users\n"
            );
            fs_err::write(dir.path().join("config.yml"), config).unwrap();
            let mut command = Command::new("docker-registry");
            command.arg("serve").arg(dir.path().join("config.yml"));
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().expect("Debian's package docker-registry");
            for _ in 0..200 {
                if TcpStream::connect(address).is_ok() {
                    return Self { dir, address, child };
                }
                if child.try_wait().unwrap().is_some() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        }
        panic!("docker-registry does not start");
    }

    fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }

    fn auth(&self) -> String {
        format!("{{\"{}\":\"{LOGIN}\"}}", self.address)
    }

    fn client(&self) -> Client {
        let credentials = Credentials::default().with_registry_auth(&self.auth()).unwrap();
        Client::new(Settings { credentials, ..Settings::default() }).unwrap()
    }

    fn push_run_image(&self, rest: &str, text: &str) -> Image {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let image = put_run_image(&store, text);
        let layers = Layers { store: Some(&store), repositories: &[] };
        self.client().push(&image, layers, &[parse(&self.name(rest))], &|_| {}).unwrap();
        image
    }

    fn image(&self, rest: &str) -> Image {
        let platform = oci::Platform {
            architecture: "amd64".into(),
            os: "linux".into(),
            variant: None,
            extra: Default::default(),
        };
        self.client().image(&parse(&self.name(rest)), &platform).unwrap()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse(name: &str) -> ImageName {
    ImageName::parse(name, "docker.io").unwrap()
}

const BUILD: &str = r#"
for it in kept launched; do
    if [ -e "$CNB_LAYERS_DIR/$it/file" ]; then echo "found $it/file"; fi
    if [ -e "$CNB_LAYERS_DIR/$it.toml" ]; then echo "found $it.toml"; fi
done
mkdir -p "$CNB_LAYERS_DIR/kept"; echo cached >"$CNB_LAYERS_DIR/kept/file"
printf '[types]\ncache = true\n' >"$CNB_LAYERS_DIR/kept.toml"
if ! [ -e "$CNB_LAYERS_DIR/launched.toml" ]; then
    mkdir -p "$CNB_LAYERS_DIR/launched"; date +%N >"$CNB_LAYERS_DIR/launched/file"
fi
printf '[types]\nlaunch = true\n' >"$CNB_LAYERS_DIR/launched.toml"
echo '{"a":1}' >"$CNB_LAYERS_DIR/launched.sbom.cdx.json"
"#;

/// A platform whose images are in a registry: the same flags, without those of layouts, and with a cache image.
fn call(platform: &Platform, registry: &Registry, program: &str, args: &[&str]) -> crate::platform::Said {
    let mut flags = platform.flags_elsewhere(program);
    if let Some(at) = flags.iter().position(|it| it == "-cache-dir") {
        flags.drain(at..at + 2);
    }
    let mut command = platform.command(program);
    if !matches!(program, "detector" | "builder") {
        command.env("CNB_REGISTRY_AUTH", registry.auth());
        command.env("CNB_CACHE_IMAGE", registry.name("cache"));
    }
    say(command.args(flags).args(args))
}

fn platform(registry: &Registry) -> Platform {
    let platform = Platform::new();
    let mirrors = format!("mirrors = [\"{}\"]", registry.name("run"));
    platform.write("run.toml", &format!("[[images]]\nimage = \"nowhere.invalid/run\"\n{mirrors}\n"));
    platform.buildpack("test/layers", "exit 0", BUILD);
    platform
}

#[test]
fn a_build_is_pushed_with_its_cache_and_the_next_one_sends_what_changed() {
    let registry = Registry::start();
    registry.push_run_image("run", "one");
    let platform = platform(&registry);
    let app = registry.name("team/app");
    for (program, args) in [
        ("analyzer", &["-tag", &registry.name("team/app:two"), &app][..]),
        ("detector", &[]),
        ("restorer", &[]),
        ("builder", &[]),
        ("exporter", &[&app, &registry.name("team/app:two")]),
    ] {
        call(&platform, &registry, program, args).ok();
    }
    let first = registry.image("team/app");
    assert_eq!(registry.image("team/app:two").digest(), first.digest());
    let label = &metadata(&first)["runImage"];
    assert_eq!(label["image"], "nowhere.invalid/run");
    assert!(label["reference"].as_str().unwrap().starts_with(&format!("{}/run@sha256:", registry.address)));
    let report = platform.toml("layers/report.toml");
    assert_eq!(report["image"]["digest"].as_str(), Some(&*first.digest().to_string()));
    let size = report["image"]["manifest-size"].as_integer().unwrap();
    assert_eq!(usize::try_from(size).unwrap(), first.manifest_json().len());
    let cache = registry.image("cache");
    assert!(cache.config().config.labels["io.buildpacks.lifecycle.cache.metadata"].contains("test/layers"));

    platform.forget_layers();
    let again = call(&platform, &registry, "creator", &[&app]).ok();
    for words in ["found kept/file", "found launched.toml", "Reusing layer 'test/layers:launched'"] {
        assert!(again.out.contains(words), "{words}: {again:?}");
    }
    assert!(!again.out.contains("found launched/file"), "{again:?}");
    assert_eq!(registry.image("team/app").digest(), first.digest());
}

/// One registry by two names is two of them for who goes by names.
#[test]
fn a_run_image_in_another_registry_than_the_app_image_is_warned_of() {
    let registry = Registry::start();
    registry.push_run_image("run", "one");
    let platform = platform(&registry);
    let other = format!("localhost:{}", registry.address.port());
    let auth = format!("{{\"{}\":\"{LOGIN}\",\"{other}\":\"{LOGIN}\"}}", registry.address);
    let create = |run_image: &str| {
        let mut command = platform.command("creator");
        command.env("CNB_REGISTRY_AUTH", &auth).args(platform.flags_elsewhere("creator"));
        say(command.args(["-run-image", run_image, &registry.name("team/app")])).ok().err
    };
    assert!(!create(&registry.name("run")).contains("another registry"));
    let said = create(&format!("{other}/run"));
    let words = format!("another registry ({other}) than the app image ({})", registry.address);
    assert!(said.contains(&words), "{said}");
}

#[test]
fn a_registry_that_takes_nothing_is_noticed_before_anything_is_built() {
    let registry = Registry::start();
    registry.push_run_image("run", "one");
    let registry = registry.read_only();
    let platform = platform(&registry);
    let mut command = platform.command("analyzer");
    command.env("CNB_REGISTRY_AUTH", registry.auth()).args(platform.flags_elsewhere("analyzer"));
    say(command.args(["-run-image", &registry.name("run"), &registry.name("team/app")])).fails_with(32);
    assert!(!platform.path("layers/analyzed.toml").exists());
}

#[test]
fn who_may_not_write_is_told_before_anything_is_built() {
    let registry = Registry::start();
    registry.push_run_image("run", "one");
    let platform = platform(&registry);
    let app = registry.name("team/app");
    let analyze = |auth: &str| {
        let mut command = platform.command("analyzer");
        let run_image = registry.name("run");
        let layers = platform.path("layers").display().to_string();
        command.env("CNB_REGISTRY_AUTH", auth);
        say(command.args(["-layers", &layers, "-run-image", &run_image, &app]))
    };
    let said = analyze(&registry.auth().replace(LOGIN, "Basic dXNlcjp3cm9uZw==")).fails_with(32);
    assert!(!format!("{said:?}").contains("dXNlcjp3cm9uZw"), "{said:?}");
    analyze("{}").fails_with(32);
    analyze("no json").fails(1, "CNB_REGISTRY_AUTH");
    analyze(&registry.auth()).ok();
}

#[test]
fn an_image_is_rebased_where_it_is() {
    let registry = Registry::start();
    let old = registry.push_run_image("run", "one");
    let platform = platform(&registry);
    let app = registry.name("team/app");
    call(&platform, &registry, "creator", &[&app]).ok();
    let before = registry.image("team/app");
    let new = registry.push_run_image("run", "two");
    let report = platform.path("rebased.toml").display().to_string();
    call(&platform, &registry, "rebaser", &["-report", &report, &app]).ok();
    let after = registry.image("team/app");
    let own = |image: &Image| image.diff_ids()[1..].to_vec();
    assert_eq!(own(&after), own(&before));
    assert_eq!((before.diff_ids()[0], after.diff_ids()[0]), (old.diff_ids()[0], new.diff_ids()[0]));
    assert_eq!(after.config().config.labels["io.buildpacks.base.released"], "two");
    assert_eq!(metadata(&after)["runImage"]["topLayer"], new.diff_ids()[0].to_string());
    let digest = platform.toml("rebased.toml")["image"]["digest"].as_str().unwrap().to_owned();
    assert_eq!(digest, after.digest().to_string());

    registry.push_run_image("other", "three");
    let other = registry.name("other");
    let said = call(&platform, &registry, "rebaser", &["-run-image", &other, &app]);
    said.fails(72, "-force");
    let said = call(&platform, &registry, "rebaser", &["-force", "-run-image", &other, &app]).ok();
    assert!(said.err.contains("is not one of them"), "{said:?}");
    assert_eq!(metadata(&registry.image("team/app"))["runImage"]["image"], other);
}

#[test]
fn an_image_is_rebased_to_another_name_and_keeps_its_own() {
    let registry = Registry::start();
    registry.push_run_image("run", "one");
    let platform = platform(&registry);
    let app = registry.name("team/app");
    call(&platform, &registry, "creator", &[&app]).ok();
    let before = registry.image("team/app").digest();
    registry.push_run_image("run", "two");
    let to = registry.name("team/app:rebased");
    call(&platform, &registry, "rebaser", &["-previous-image", &app, &to]).ok();
    assert_eq!(registry.image("team/app").digest(), before);
    assert_eq!(
        registry.image("team/app:rebased").config().config.labels["io.buildpacks.base.released"],
        "two"
    );
}

/// What kpack speaks.
#[test]
fn a_platform_from_before_targets_builds_with_a_stack() {
    let registry = Registry::start();
    registry.push_run_image("run", "one");
    for api in ["0.7", "0.9", "0.11"] {
        let mut platform = platform(&registry);
        platform.api = api;
        let stack = format!("[run-image]\nimage = \"{}\"\n", registry.name("run"));
        platform.write("layers/stack.toml", &stack);
        let app = registry.name(&format!("team/app-{}", api.replace('.', "-")));
        let stack = platform.path("layers/stack.toml").display().to_string();
        for (program, args) in [
            ("analyzer", &["-stack", &stack, &app][..]),
            ("detector", &[]),
            ("restorer", &[]),
            ("builder", &[]),
            ("exporter", &["-stack", &stack, &app]),
        ] {
            call(&platform, &registry, program, args).ok();
        }
        let client = registry.client();
        let here = oci::Platform {
            architecture: "amd64".into(),
            os: "linux".into(),
            variant: None,
            extra: Default::default(),
        };
        let image = client.image(&parse(&app), &here).unwrap();
        let label = metadata(&image);
        assert_eq!(label["stack"]["runImage"]["image"], registry.name("run"), "{api}");
        assert!(label["runImage"].get("image").is_none(), "{api}");
        assert_eq!(label.get("sbom").is_some(), api != "0.7", "{api}");
        assert!(image.config().config.env.contains(&format!("CNB_PLATFORM_API={api}")), "{api}");
        let analyzed = platform.toml("layers/analyzed.toml");
        assert!(analyzed["run-image"].get("target").is_none(), "{api}");
    }
}

/// A way to a registry on which nothing more goes through once so many bytes went up on one connection.
struct Narrow {
    address: SocketAddr,
    is_stuck: Arc<AtomicBool>,
}

impl Narrow {
    fn to(registry: SocketAddr, bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_stuck = Arc::new(AtomicBool::new(false));
        let stuck = is_stuck.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let far = TcpStream::connect(registry).unwrap();
                let (mut from, mut to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                let stuck = stuck.clone();
                std::thread::spawn(move || {
                    if std::io::copy(&mut (&near).take(bytes as u64), &mut &far).unwrap_or(0) == bytes as u64
                    {
                        stuck.store(true, Ordering::SeqCst);
                        // Held open: nobody is told that anything is wrong.
                        loop {
                            std::thread::park();
                        }
                    }
                    let _ = far.shutdown(std::net::Shutdown::Write);
                });
            }
        });
        Self { address, is_stuck }
    }
}

#[test]
fn an_exporter_that_is_killed_in_the_middle_of_an_upload_leaves_the_image_as_it_was() {
    let registry = Registry::start();
    registry.push_run_image("run", "one");
    let platform = platform(&registry);
    let large = "mkdir -p \"$CNB_LAYERS_DIR/l\"; head -c 8000000 /dev/urandom >\"$CNB_LAYERS_DIR/l/file\"\n\
                 printf '[types]\\nlaunch = true\\n' >\"$CNB_LAYERS_DIR/l.toml\"";
    platform.buildpack("test/large", "exit 0", large);
    let (app, run_image) = (registry.name("team/app"), registry.name("run"));
    let direct = ["-skip-restore", "-run-image", &run_image, &app];
    call(&platform, &registry, "creator", &direct).ok();
    let before = registry.image("team/app");

    let narrow = Narrow::to(registry.address, 1_000_000);
    let auth = format!("{{\"{}\":\"{LOGIN}\",\"{}\":\"{LOGIN}\"}}", registry.address, narrow.address);
    let mut command = platform.command("creator");
    command.env("CNB_REGISTRY_AUTH", auth).args(platform.flags_elsewhere("creator"));
    command.args(["-skip-restore", "-run-image", &run_image, &format!("{}/team/app", narrow.address)]);
    let mut creator = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !narrow.is_stuck.load(Ordering::SeqCst) {
        assert!(creator.try_wait().unwrap().is_none(), "it ended before it was killed");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    creator.kill().unwrap();
    creator.wait().unwrap();
    assert_eq!(registry.image("team/app").digest(), before.digest());

    call(&platform, &registry, "creator", &direct).ok();
    let after = registry.image("team/app");
    assert_ne!(after.digest(), before.digest());
    for layer in &after.manifest().layers {
        assert!(registry.client().has_blob(&parse(&app), &layer.digest).unwrap(), "{}", layer.digest);
    }
}
