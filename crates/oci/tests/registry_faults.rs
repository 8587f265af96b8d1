//! A real registry behind a proxy that fails: each failure ends in success or in a clear error, and never in half an
//! image on either side.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod registries;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use oci::{
    Digest, Image, ImageName, Store,
    registry::{Layers, Settings, Timeouts},
};
use registries::{Fault, Proxy, Registry, Rule, amd64, client, image_of, name_at, quick, server, store};
use tempfile::TempDir;

/// A registry, the proxy before it, and an image of a large and a small layer.
struct Scene {
    registry: Registry,
    proxy: Proxy,
    ours: Store,
    image: Image,
    dir: TempDir,
}

const LARGE: usize = 3_000_000;

impl Scene {
    fn new() -> Self {
        let registry = Registry::start();
        let proxy = Proxy::start(registry.address, Vec::new());
        let dir = tempfile::tempdir().unwrap();
        let ours = store(dir.path(), "ours");
        let image = image_of(&ours, &[LARGE, 500]);
        Self { registry, proxy, ours, image, dir }
    }

    /// With the image in the registry.
    fn filled() -> Self {
        let scene = Self::new();
        let layers = Layers { store: Some(&scene.ours), ..Layers::default() };
        client(quick()).push(&scene.image, layers, &[scene.registry.name("app")], &|_| {}).unwrap();
        scene
    }

    fn name(&self) -> ImageName {
        name_at(self.proxy.address, "app")
    }

    /// The path of the large layer.
    fn large(&self) -> String {
        format!("blobs/{}", self.image.manifest().layers[0].digest)
    }

    /// The last request for its upload.
    fn upload(&self) -> String {
        format!("digest=sha256%3A{}", self.image.manifest().layers[0].digest.hex())
    }

    /// Pulls through the proxy; after a failure there is nothing of the image but whole blobs.
    fn pull(&self, settings: Settings, rules: Vec<Rule>) -> Result<(), String> {
        self.proxy.rules(rules);
        self.proxy.log();
        let dir = tempfile::tempdir_in(self.dir.path()).unwrap();
        let theirs = store(dir.path(), "theirs");
        let pulled = client(settings).pull(&self.name(), &theirs, &amd64(), &|_| {});
        assert_eq!(theirs.check().unwrap(), []);
        match pulled {
            Ok(image) => {
                assert_eq!(image, self.image);
                let layers = &image.manifest().layers;
                assert!(layers.iter().all(|layer| theirs.has_blob(&layer.digest, layer.size)));
                Ok(())
            }
            Err(error) => {
                assert!(theirs.image_by_digest(&self.image.digest()).is_err(), "half an image");
                Err(self.words(&error))
            }
        }
    }

    /// Pushes through the proxy; after a failure the registry has no such image.
    fn push(&self, settings: Settings, rules: Vec<Rule>) -> Result<(), String> {
        self.proxy.rules(rules);
        self.proxy.log();
        let layers = Layers { store: Some(&self.ours), ..Layers::default() };
        let pushed = client(settings).push(&self.image, layers, &[self.name()], &|_| {});
        let found = client(quick()).resolve(&self.registry.name("app"));
        match pushed {
            Ok(_) => {
                assert_eq!(found.unwrap().digest, self.image.digest());
                let dir = tempfile::tempdir_in(self.dir.path()).unwrap();
                let theirs = store(dir.path(), "theirs");
                client(quick()).pull(&self.registry.name("app"), &theirs, &amd64(), &|_| {}).unwrap();
                Ok(())
            }
            Err(error) => {
                assert!(found.unwrap_err().to_string().contains("no such thing"), "half an image");
                Err(self.words(&error))
            }
        }
    }

    /// An error without what is another each time.
    fn words(&self, error: &impl ToString) -> String {
        let layer = self.image.manifest().layers[0].digest.to_string();
        error
            .to_string()
            .replace(&self.proxy.address.to_string(), "REGISTRY")
            .replace(&layer, "LARGE")
            .replace(&self.image.manifest().layers[0].size.to_string(), "SIZE")
            .replace(&self.image.id().to_string(), "CONFIG")
    }
}

fn impatient() -> Settings {
    let silence = Duration::from_millis(200);
    Settings { timeouts: Timeouts { silence, upload: silence, ..Timeouts::default() }, ..quick() }
}

fn busy() -> Fault {
    let words = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#;
    Fault::Answer(429, "Retry-After: 1\r\n".to_owned(), words)
}

fn broken() -> Fault {
    Fault::Answer(500, String::new(), "oops")
}

#[test]
fn a_pull_goes_on_where_the_connection_was_reset() {
    let scene = Scene::filled();
    scene.pull(quick(), vec![Rule::once("GET", &scene.large(), Fault::CutAnswer(1_000_000))]).unwrap();
    let log = scene.proxy.log();
    let blobs: Vec<_> = log.iter().filter(|line| line.contains(" 206 ")).collect();
    assert_eq!(blobs.len(), 1, "{log:#?}");
    let from: u64 = blobs[0].split(['=', '-']).nth(1).unwrap().parse().unwrap();
    assert!((1..=1_000_000).contains(&from), "{from}");
}

#[test]
fn a_pull_in_pieces_fetches_again_what_was_lost_of_one() {
    let scene = Scene::filled();
    let pieces = || Settings { piece: 1 << 20, ..quick() };
    scene
        .pull(pieces(), vec![Rule::once("GET", &scene.large(), Fault::CutAnswer(300_000)).after(1)])
        .unwrap();
    let log = scene.proxy.log();
    assert_eq!(log.iter().filter(|line| line.contains(" 206 bytes=")).count(), 4, "{log:#?}");

    let error = scene.pull(pieces(), vec![Rule::once("GET", &scene.large(), Fault::Flip(7)).after(2)]);
    let error = error.unwrap_err();
    assert!(
        error.starts_with(
            "REGISTRY/app: cannot fetch the layers of latest: the layer LARGE has not the digest"
        )
    );

    let size = scene.image.manifest().layers[0].size;
    let other = Fault::Answer(206, format!("Content-Range: bytes 7-9/{size}\r\n"), "abc");
    let error = scene.pull(pieces(), vec![Rule::once("GET", &scene.large(), other)]).unwrap_err();
    assert!(error.ends_with("makes no sense: it sends other bytes than the wanted ones"), "{error}");

    // Not every registry knows pieces.
    let whole = vec![Rule::always("GET", &scene.large(), Fault::DropHeader("range"))];
    scene.pull(pieces(), whole).unwrap();
}

#[test]
fn a_pull_waits_only_so_long_for_the_next_byte() {
    let scene = Scene::filled();
    scene.pull(impatient(), vec![Rule::once("GET", &scene.large(), Fault::Stall(1000))]).unwrap();
    let error = scene.pull(impatient(), vec![Rule::always("GET", &scene.large(), Fault::Stall(0))]);
    assert_eq!(
        error.unwrap_err(),
        "REGISTRY/app: cannot fetch the layers of latest: waited too long for bytes to come, in 5 tries; \
         check the network, or try again later"
    );
    let error = scene.pull(impatient(), vec![Rule::always("GET", "manifests", Fault::Stall(10))]);
    assert_eq!(
        error.unwrap_err(),
        "REGISTRY/app: cannot read the manifest latest: waited too long for bytes to come, in 5 tries; check \
         the network, or try again later"
    );
}

#[test]
fn a_pull_waits_as_long_as_the_registry_asks() {
    let scene = Scene::filled();
    let begun = Instant::now();
    scene.pull(quick(), vec![Rule::once("GET", &scene.large(), busy())]).unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let mut settings = quick();
    settings.retry.longest_asked = Duration::from_millis(900);
    assert_eq!(
        scene.pull(settings, vec![Rule::once("GET", "manifests", busy())]).unwrap_err(),
        "REGISTRY/app: cannot read the manifest latest: the registry allows no more requests for now (TOOMANYREQUESTS: \
         slow down), it asks to wait for 1 s; wait, or log in with `docker login REGISTRY`"
    );
    assert_eq!(scene.proxy.log().len(), 2, "it was asked again");
}

#[test]
fn a_pull_survives_trouble_at_the_registry_for_a_while() {
    let scene = Scene::filled();
    for path in ["manifests", &scene.large()] {
        let mut twice = vec![Rule::once("GET", path, broken())];
        scene.pull(quick(), twice.clone()).unwrap();
        twice[0] = Rule::always("GET", path, broken());
        let error = scene.pull(quick(), twice).unwrap_err();
        let asked =
            if path == "manifests" { "read the manifest latest" } else { "fetch the layers of latest" };
        assert_eq!(
            error,
            format!(
                "REGISTRY/app: cannot {asked}: the registry is in trouble: status 500 (oops), after 5 tries; try again \
                 later"
            )
        );
    }
}

#[test]
fn nothing_is_kept_that_has_another_digest_or_size() {
    let scene = Scene::filled();
    let flipped = |path: &str| vec![Rule::once("GET", path, Fault::Flip(20))];
    let error = scene.pull(quick(), flipped(&scene.large())).unwrap_err();
    let found = error.rsplit_once("found sha256:").unwrap().0.to_owned();
    assert_eq!(
        found,
        "REGISTRY/app: cannot fetch the layers of latest: the layer LARGE has not the digest that it is named by: \
         expected LARGE, "
    );
    let error = scene.pull(quick(), flipped("manifests")).unwrap_err();
    assert!(
        error.contains(
            "cannot read the manifest latest: the manifest latest has not the digest that it is named by"
        ),
        "{error}"
    );
    let error = scene.pull(quick(), flipped(&format!("blobs/{}", scene.image.id()))).unwrap_err();
    assert!(error.contains("cannot read the blob CONFIG: the blob CONFIG has not the digest"), "{error}");

    let short = vec![Rule::once("GET", &scene.large(), Fault::Shorten(1_000_000))];
    assert_eq!(
        scene.pull(quick(), short).unwrap_err(),
        "REGISTRY/app: cannot fetch the layers of latest: the layer LARGE has another size than it is named with: \
         expected SIZE bytes, found 1000000; nothing was kept of it"
    );
}

#[test]
fn a_push_begins_again_where_the_registry_has_forgotten_the_upload() {
    let scene = Scene::new();
    scene.push(quick(), vec![Rule::once("PUT", &scene.upload(), Fault::CutRequest(1_000_000))]).unwrap();
    let log = scene.proxy.log();
    assert!(log.iter().any(|line| line == "GET app/blobs/uploads/* 404"), "{log:#?}");
    assert_eq!(log.iter().filter(|line| line.starts_with("POST")).count(), 4, "{log:#?}");
}

#[test]
fn a_push_in_chunks_begins_again_or_goes_on_as_the_registry_can() {
    let scene = Scene::new();
    let chunks = || Settings { chunk: 1 << 20, parallel: 1, ..quick() };
    let cut = || vec![Rule::once("PATCH", "blobs/uploads", Fault::CutRequest(400_000)).after(1)];
    scene.push(chunks(), cut()).unwrap();
    let ranges = |log: Vec<String>| {
        let patches = log.into_iter().filter(|line| line.starts_with("PATCH"));
        patches.map(|line| line.rsplit_once(' ').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    let last = scene.image.manifest().layers[0].size - 1;
    let last = format!("2097152-{last}");
    // Debian's registry forgets an upload that broke off.
    let (one, two) = ("0-1048575", "1048576-2097151");
    assert_eq!(ranges(scene.proxy.log()), [one, two, one, two, last.as_str()]);

    // Another one keeps what it has.
    let uploaded = Arc::new(Mutex::new(Vec::new()));
    let proxy = Proxy::start(keeping_uploads(Arc::clone(&uploaded)), cut());
    let layers = Layers { store: Some(&scene.ours), ..Layers::default() };
    client(chunks()).push(&scene.image, layers, &[name_at(proxy.address, "app")], &|_| {}).unwrap();
    let ranges = ranges(proxy.log());
    assert_eq!(ranges[..2], [one, two]);
    assert!(ranges[2].starts_with("1448576-"), "{ranges:?}");
    let large = &scene.image.manifest().layers[0].digest;
    assert!(uploaded.lock().unwrap().contains(large));
}

/// A registry that knows nothing but uploads, and keeps what it has of each; the digests of those that were whole.
fn keeping_uploads(uploaded: Arc<Mutex<Vec<Digest>>>) -> SocketAddr {
    let open: Mutex<HashMap<String, Vec<u8>>> = Mutex::default();
    server::serve(move |asked| {
        let path = asked.path.split('?').next().unwrap().to_owned();
        let mut open = open.lock().unwrap();
        let number = open.len();
        let held = |bytes: &[u8]| {
            vec![format!("Location: {path}"), format!("Range: 0-{}", bytes.len().saturating_sub(1))]
        };
        match asked.method.as_str() {
            "POST" => {
                let path = format!("{path}{number}");
                open.insert(path.clone(), Vec::new());
                (202, vec![format!("Location: {path}")], Vec::new())
            }
            "PATCH" | "PUT" if path.contains("/uploads/") => {
                let bytes = open.get_mut(&path).unwrap();
                bytes.extend_from_slice(&asked.body);
                if asked.method == "PATCH" {
                    return (202, held(bytes), Vec::new());
                }
                let digest = Digest::of(&*bytes);
                assert!(asked.path.ends_with(digest.hex().as_str()));
                uploaded.lock().unwrap().push(digest);
                (201, Vec::new(), Vec::new())
            }
            "GET" if path.contains("/uploads/") => (204, held(&open[&path]), Vec::new()),
            "GET" => server::json(200, "{}"),
            "PUT" => (201, Vec::new(), Vec::new()),
            _ => (404, Vec::new(), Vec::new()),
        }
    })
}

#[test]
fn a_push_finds_out_what_became_of_an_upload_whose_answer_was_lost() {
    let scene = Scene::new();
    scene.push(quick(), vec![Rule::once("PUT", "blobs/uploads", Fault::LoseAnswer)]).unwrap();
    let log = scene.proxy.log();
    // Three blobs, each sent once.
    assert_eq!(log.iter().filter(|line| line.starts_with("PUT app/blobs")).count(), 3, "{log:#?}");
    assert!(log.iter().any(|line| line == "GET app/blobs/uploads/* 404"), "{log:#?}");

    let scene = Scene::new();
    scene.push(quick(), vec![Rule::once("PUT", "manifests", Fault::LoseAnswer)]).unwrap();
    let scene = Scene::new();
    let chunks = Settings { chunk: 1 << 20, ..quick() };
    scene.push(chunks, vec![Rule::once("PATCH", "blobs/uploads", Fault::LoseAnswer)]).unwrap();
}

#[test]
fn a_push_waits_and_tries_again() {
    let scene = Scene::new();
    let begun = Instant::now();
    let rules = vec![
        Rule::once("POST", "blobs/uploads", busy()),
        Rule::once("PUT", "blobs/uploads", broken()),
        Rule::once("PUT", "manifests", broken()),
    ];
    scene.push(quick(), rules).unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let scene = Scene::new();
    let stalled = Rule::once("PUT", "blobs/uploads", Fault::Wait(Duration::from_millis(600)));
    scene.push(impatient(), vec![stalled]).unwrap();
}

#[test]
fn what_is_too_large_for_a_proxy_goes_in_chunks() {
    let scene = Scene::new();
    let refused = Fault::Answer(413, String::new(), "<html>too large</html>");
    scene.push(quick(), vec![Rule::once("PUT", &scene.upload(), refused)]).unwrap();
    let log = scene.proxy.log();
    assert!(log.iter().any(|line| line.starts_with("PATCH")), "{log:#?}");
}

#[test]
fn a_push_that_fails_leaves_no_image_and_says_why() {
    let scene = Scene::new();
    let cut = vec![Rule::always("PUT", "blobs/uploads", Fault::CutRequest(0))];
    let error = scene.push(quick(), cut).unwrap_err();
    assert!(
        error.starts_with("REGISTRY/app: cannot push the blob ")
            && error.contains(", after 5 tries; check the"),
        "{error}"
    );
    // The registry is told that no more will come.
    let log = scene.proxy.log();
    assert!(log.iter().any(|line| line.starts_with("DELETE app/blobs/uploads/*")), "{log:#?}");

    // Other bytes than those that the image was made of.
    let path = scene.ours.blob_path(&scene.image.manifest().layers[0].digest);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(
        scene.push(quick(), Vec::new()).unwrap_err(),
        "REGISTRY/app: cannot push the blob LARGE: the registry refused it with status 400 (DIGEST_INVALID: provided \
         digest did not match uploaded content)"
    );
}
