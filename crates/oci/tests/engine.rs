//! A real Docker engine and a real skopeo take our images. Needs root, for the engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use common::{Place, add, image, name, noise, output};
use oci::{
    Image, ImageConfig, LayerRecord, LayerSpec, Owner, Store, chain_ids,
    docker::{DockerError, Engine, Progress},
    docker_archive, layout,
};

/// An engine of our own, which goes away with this value; one at a time.
struct Dockerd {
    child: Child,
    socket: String,
    dir: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

impl Dockerd {
    fn start() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(
            rustix::process::geteuid().is_root(),
            "the engine's tests need root: sudo cargo test -p oci --test engine"
        );
        // A path of a socket has 107 characters at most.
        let dir = tempfile::Builder::new().prefix("oci-engine-").tempdir_in("/tmp").unwrap();
        let socket = format!("unix://{}/d.sock", dir.path().display());
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new("dockerd")
            .args(["--host", &socket, "--bridge=none", "--iptables=false", "--ip6tables=false"])
            .args(["--ip-forward=false", "--ip-masq=false"])
            .arg("--data-root")
            .arg(dir.path().join("data"))
            .arg("--exec-root")
            .arg(dir.path().join("exec"))
            .arg("--pidfile")
            .arg(dir.path().join("pid"))
            // Another engine than the system's: PATH, and for example --feature=containerd-snapshotter=true here.
            .args(std::env::var("OCI_TEST_DOCKERD_ARGS").unwrap_or_default().split_whitespace())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("no dockerd: apt-get install -y docker.io");
        let engine = Self { child, socket, dir, _turn: turn };
        for _ in 0..300 {
            if Engine::connect(Some(&engine.socket)).is_ok() {
                return engine;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let log = std::fs::read_to_string(engine.dir.path().join("log")).unwrap();
        panic!("dockerd does not answer; its log:\n{log}");
    }

    fn connect(&self) -> Engine {
        Engine::connect(Some(&self.socket)).unwrap().unwrap()
    }

    fn docker(&self, args: &[&str]) -> String {
        output(Command::new("docker").args(["--host", &self.socket]).args(args))
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        // Asked to end, it unmounts what it has mounted and ends its containerd.
        let _ = Command::new("kill").arg(&pid).status();
        let _ = self.child.wait();
    }
}

/// A static program that prints and exits, so that an image of nothing else runs.
fn hello(place: &Place) -> PathBuf {
    let source = place.path("hello.c");
    std::fs::write(
        &source,
        "#include <stdio.h>\nint main(void) { puts(\"hello from the image\"); return 0; }",
    )
    .unwrap();
    let program = place.path("hello");
    output(Command::new("cc").args(["-static", "-o"]).arg(&program).arg(&source));
    program
}

/// A base of two megabytes and a program; and an app's layer of its own.
fn layers(place: &Place, store: &Store, app: &str) -> [LayerRecord; 2] {
    let program = place.path("hello");
    let program = if program.exists() { program } else { hello(place) };
    let base = LayerSpec::new("base").program("/hello", 0o755, Owner::ROOT, program).file(
        "/noise",
        0o644,
        Owner::ROOT,
        noise(2 << 20),
    );
    let app = LayerSpec::new("app").file("/workspace/app.py", 0o644, Owner::new(1001, 1000), app);
    [add(store, &base), add(store, &app)]
}

fn runnable(place: &Place, store: &Store, app: &str) -> Image {
    let layers = layers(place, store, app).map(|layer| layer.layer_ref());
    let mut config = ImageConfig::default();
    config.config.entrypoint = vec!["/hello".to_owned()];
    store.put_image(config, &layers).unwrap()
}

/// What was sent: layers, of how many.
fn load(engine: &Engine, store: &Store, image: &Image, text: &str) -> (usize, usize) {
    let mut sent = (0, 0);
    let mut bytes_sent = 0;
    let mut bytes_promised = 0;
    let id = engine
        .load(store, image, &[name(text)], &mut |progress| match progress {
            Progress::Sending { layers, of, bytes } => (sent, bytes_promised) = ((layers, of), bytes),
            Progress::Sent { bytes } => bytes_sent = bytes,
        })
        .unwrap();
    let expected = if engine.version().containerd_store { image.digest() } else { image.id() };
    assert_eq!(id, expected.to_string());
    assert!(bytes_sent >= bytes_promised);
    sent
}

#[test]
fn the_engine_is_sent_only_what_it_lacks() {
    let dockerd = Dockerd::start();
    let engine = dockerd.connect();
    println!("{:?}", engine.version());
    let place = Place::new();
    let store = place.store();
    let first = runnable(&place, &store, "v1");
    assert_eq!(load(&engine, &store, &first, "my-app"), (2, 2));
    assert_eq!(dockerd.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]), "my-app:latest\n");

    let second = runnable(&place, &store, "v2");
    assert_eq!(load(&engine, &store, &second, "my-app"), (1, 2));
    assert_eq!(load(&engine, &store, &second, "ghcr.io:443/acme/web:1"), (0, 2));
    let third = runnable(&place, &store, "v3");
    // Another name: the base is found among the engine's other images.
    assert_eq!(load(&engine, &store, &third, "another:1.0"), (1, 2));
    let have = engine.known_chains(&store, &second, &[name("another:1.0")]).unwrap();
    assert_eq!(have, HashSet::from([chain_ids(second.diff_ids())[0]]));

    let names = dockerd.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    for expected in ["my-app:latest", "ghcr.io:443/acme/web:1", "another:1.0"] {
        assert!(names.lines().any(|line| line == expected), "{names}");
    }
    // What arrived is what was made.
    let saved = dockerd.dir.path().join("saved");
    std::fs::create_dir(&saved).unwrap();
    dockerd.docker(&["save", "-o", saved.join("s.tar").to_str().unwrap(), "my-app"]);
    output(Command::new("tar").arg("-xf").arg(saved.join("s.tar")).arg("-C").arg(&saved));
    let script = "for f in $(find . -type f); do tar -xOf $f workspace/app.py 2>/dev/null; done; true";
    assert_eq!(output(Command::new("sh").arg("-c").arg(script).current_dir(&saved)), "v2");
}

#[test]
fn what_the_engine_lost_in_between_is_sent_after_all() {
    let dockerd = Dockerd::start();
    let engine = dockerd.connect();
    let place = Place::new();
    let store = place.store();
    let first = runnable(&place, &store, "v1");
    load(&engine, &store, &first, "my-app");
    let second = runnable(&place, &store, "v2");
    let mut sent = Vec::new();
    engine
        .load(&store, &second, &[name("my-app")], &mut |progress| {
            if let Progress::Sending { layers, .. } = progress {
                sent.push(layers);
                // Between the question what the engine has and the load.
                if sent.len() == 1 {
                    dockerd.docker(&["rmi", "-f", "my-app"]);
                }
            }
        })
        .unwrap();
    assert_eq!(sent, [1, 2]);
    assert_eq!(dockerd.docker(&["run", "--rm", "--network=none", "my-app"]), "hello from the image\n");
}

#[test]
fn a_loaded_image_runs() {
    let dockerd = Dockerd::start();
    let place = Place::new();
    let store = place.store();
    load(&dockerd.connect(), &store, &runnable(&place, &store, "v1"), "my-app");
    assert_eq!(dockerd.docker(&["run", "--rm", "--network=none", "my-app"]), "hello from the image\n");
}

#[test]
fn an_image_that_lost_a_layer_is_an_error_until_it_is_whole() {
    let dockerd = Dockerd::start();
    let engine = dockerd.connect();
    let place = Place::new();
    let store = place.store();
    let image = runnable(&place, &store, "v1");
    let layer = image.manifest().layers[1].digest;
    let blob = std::fs::read(store.blob_path(&layer)).unwrap();
    std::fs::remove_file(store.blob_path(&layer)).unwrap();
    let result = engine.load(&store, &image, &[name("my-app")], &mut |_| {});
    assert!(matches!(result, Err(DockerError::Store(_))), "{result:?}");
    // Other bytes under the right name: the engine finds out.
    let mut other = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&blob[..]), &mut other).unwrap();
    other[600] ^= 1;
    other.resize(blob.len().max(other.len()), 0);
    std::fs::write(store.blob_path(&layer), &other[..blob.len()]).unwrap();
    let result = engine.load(&store, &image, &[name("my-app")], &mut |_| {});
    assert!(matches!(result, Err(DockerError::Engine { .. })), "{result:?}");
    if !engine.version().containerd_store {
        assert_eq!(dockerd.docker(&["images", "-q"]), "");
    }
    // Whole again, it is loaded in spite of what the engine may have kept of it.
    std::fs::write(store.blob_path(&layer), &blob).unwrap();
    load(&engine, &store, &image, "my-app");
    assert_eq!(dockerd.docker(&["run", "--rm", "--network=none", "my-app"]), "hello from the image\n");
}

#[test]
fn where_nothing_listens_is_none_unless_it_was_asked_for() {
    if !Path::new("/var/run/docker.sock").exists() {
        assert!(Engine::connect(None).unwrap().is_none());
    }
    let error = Engine::connect(Some("unix:///nowhere/docker.sock")).unwrap_err().to_string();
    assert!(error.starts_with("the Docker engine at unix:///nowhere/docker.sock: No such file"), "{error}");
    let error = Engine::connect(Some("ssh://me@host")).unwrap_err().to_string();
    assert!(error.contains("is not supported: use unix://"), "{error}");
}

fn skopeo(args: &[&str]) -> String {
    let version = Command::new("skopeo").arg("--version").output();
    assert!(version.is_ok(), "no skopeo: apt-get install -y skopeo");
    output(Command::new("skopeo").args(args))
}

#[test]
fn skopeo_reads_the_store_the_layout_and_the_archives() {
    let place = Place::new();
    let store = place.store();
    let image = runnable(&place, &store, "v1");
    store.tag(&name("my-app"), &image).unwrap();
    let (dir, tar, docker) = (place.path("layout"), place.path("oci.tar"), place.path("docker.tar"));
    layout::write(&store, &image, &name("my-app:1"), &dir).unwrap();
    layout::write_archive(&store, &image, &[name("my-app:1")], &tar).unwrap();
    docker_archive::write_file(&store, &image, &[name("my-app:1"), name("my-app:2")], &docker).unwrap();
    let digest = image.digest().to_string();
    for source in [
        format!("oci:{}:docker.io/library/my-app:latest", place.path("store").display()),
        format!("oci:{}:1", dir.display()),
        format!("oci-archive:{}:1", tar.display()),
    ] {
        assert_eq!(skopeo(&["inspect", "--format", "{{.Digest}}", &source]).trim(), digest, "{source}");
        let copy = place.path("copy");
        let _ = std::fs::remove_dir_all(&copy);
        // Reads every blob and compares its digest.
        skopeo(&["--insecure-policy", "copy", "-q", &source, &format!("oci:{}:x", copy.display())]);
    }
    let source = format!("docker-archive:{}:my-app:2", docker.display());
    let config = skopeo(&["inspect", "--config", "--raw", &source]);
    assert_eq!(config.as_bytes(), store.read_blob(&image.id()).unwrap());
    skopeo(&["--insecure-policy", "copy", "-q", &source, &format!("oci:{}:y", place.path("copy").display())]);
}

#[test]
fn the_archives_have_the_same_bytes_from_two_stores() {
    let make = || {
        let place = Place::new();
        let store = place.store();
        let layer = common::file_layer(&store, "a", "1");
        let image = image(&store, &[&layer, &layer]);
        layout::write_archive(&store, &image, &[name("my-app")], &place.path("oci.tar")).unwrap();
        docker_archive::write_file(&store, &image, &[name("my-app")], &place.path("docker.tar")).unwrap();
        (std::fs::read(place.path("oci.tar")).unwrap(), std::fs::read(place.path("docker.tar")).unwrap())
    };
    assert!(make() == make());
}

#[test]
fn a_layout_takes_a_second_image_and_a_directory_with_other_things_is_refused() {
    let place = Place::new();
    let store = place.store();
    let (one, two) = (runnable(&place, &store, "v1"), runnable(&place, &store, "v2"));
    let dir = place.path("layout");
    layout::write(&store, &one, &name("my-app:1"), &dir).unwrap();
    layout::write(&store, &one, &name("my-app:2"), &dir).unwrap();
    layout::write(&store, &two, &name("my-app:2"), &dir).unwrap();
    for (tag, image) in [("1", &one), ("2", &two)] {
        let source = format!("oci:{}:{tag}", dir.display());
        assert_eq!(
            skopeo(&["inspect", "--format", "{{.Digest}}", &source]).trim(),
            image.digest().to_string()
        );
    }
    let foreign = place.tree("home", &[("letter", "dear")]);
    let error = layout::write(&store, &one, &name("x"), &foreign).unwrap_err().to_string();
    assert!(error.ends_with("is not empty and no OCI layout; choose another directory"), "{error}");
    assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 1);
}
