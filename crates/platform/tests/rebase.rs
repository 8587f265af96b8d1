//! Rebase against a registry of a few lines, which notes what it is asked and can hold an answer back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use oci::{Digest, Image, ImageConfig, ImageName, LayerRef, media_type};
use platform::event::Event;
use platform::rebase::{Forcing, Outcome, Place, RebaseRequest, Rebased, Run, rebase};
use platform::world::World;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use testing::server::{self, Asked, Reply};

/// What the registry has, by the path under which it is asked for, and what it was asked.
#[derive(Default)]
struct Shelf {
    documents: HashMap<String, (String, Vec<u8>)>,
    asked: Vec<String>,
}

struct Registry {
    shelf: Arc<Mutex<Shelf>>,
    address: SocketAddr,
}

impl Registry {
    /// `gate` is called with each request before it is answered.
    fn start(gate: impl Fn(&Asked) + Send + Sync + 'static) -> Self {
        let shelf: Arc<Mutex<Shelf>> = Arc::default();
        let own = Arc::clone(&shelf);
        let address = server::serve(move |asked| {
            gate(asked);
            answer(&mut own.lock().unwrap(), asked)
        });
        Self { shelf, address }
    }

    fn name(&self, repository: &str) -> String {
        format!("{}/{repository}", self.address)
    }

    fn put(&self, repository: &str, image: &Image) {
        let documents = &mut self.shelf.lock().unwrap().documents;
        let manifest = (image.media_type().to_owned(), image.manifest_json().to_vec());
        documents.insert(format!("/v2/{repository}/manifests/latest"), manifest);
        let config = ("application/octet-stream".to_owned(), image.config_json().to_vec());
        documents.insert(format!("/v2/{repository}/blobs/{}", image.id()), config);
    }

    /// How often something like this was asked.
    fn count(&self, start: &str) -> usize {
        self.shelf.lock().unwrap().asked.iter().filter(|it| it.starts_with(start)).count()
    }
}

fn answer(shelf: &mut Shelf, asked: &Asked) -> Reply {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    shelf.asked.push(format!("{} {path}", asked.method));
    match asked.method.as_str() {
        "GET" if path == "/v2/" => server::json(200, "{}"),
        "GET" => match shelf.documents.get(path) {
            Some((kind, bytes)) => (200, vec![format!("Content-Type: {kind}")], bytes.clone()),
            None => server::json(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no"}]}"#),
        },
        "POST" if query.starts_with("mount=") => (201, Vec::new(), Vec::new()),
        "POST" => (202, vec![format!("Location: {path}one")], Vec::new()),
        "PUT" => {
            let kind = asked.header("content-type").unwrap_or_default().to_owned();
            shelf.documents.insert(path.to_owned(), (kind, asked.body.clone()));
            (201, Vec::new(), Vec::new())
        }
        _ => (404, Vec::new(), Vec::new()),
    }
}

fn layer(of: &str) -> LayerRef {
    let digest = Digest::of(of);
    let media_type = media_type::LAYER_GZIP.to_owned();
    LayerRef { diff_id: digest, digest, size: of.len() as u64, media_type, history: Vec::new() }
}

fn run_image(of: &str) -> Image {
    Image::new(ImageConfig::default(), &[layer(of)]).unwrap()
}

/// An image that a build has put on `run_image("old")`, which has these names.
fn app(of: &str, run_image: &str, mirrors: &[String]) -> Image {
    let top = layer("old").diff_id.to_string();
    let metadata = serde_json::json!({
        "runImage": {"topLayer": top, "reference": "", "image": run_image, "mirrors": mirrors},
    });
    let mut config = ImageConfig::default();
    config.config.env.push("CNB_PLATFORM_API=0.15".to_owned());
    config.config.labels.insert("io.buildpacks.lifecycle.metadata".to_owned(), metadata.to_string());
    config.config.labels.insert("io.buildpacks.rebasable".to_owned(), "true".to_owned());
    Image::new(config, &[layer("old"), layer(of)]).unwrap()
}

/// Rebases images in their registries; what became of them, and what was warned of.
fn rebased(names: &[String]) -> (Vec<Rebased>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["payload/buildpacks", "payload/extensions"] {
        fs_err::create_dir_all(dir.path().join(folder)).unwrap();
    }
    for file in ["payload/launcher", "payload/order.toml"] {
        fs_err::write(dir.path().join(file), "").unwrap();
    }
    let payload = ("PACKLIGHT_PAYLOAD".into(), dir.path().join("payload").into());
    let home = ("HOME".into(), dir.path().into());
    let world = World::open([payload, home].into(), Some(&dir.path().join("store"))).unwrap();
    let request = RebaseRequest {
        images: names.iter().map(|it| ImageName::parse(it, "docker.io").unwrap()).collect(),
        place: Place::Registry,
        run_image: None,
        force: Forcing::No,
        run: Run::Real,
    };
    let warnings = Mutex::new(Vec::new());
    let done = rebase(&world, &request, &|event| {
        if let Event::Warning { text } = event {
            warnings.lock().unwrap().push(text);
        }
    });
    (done.unwrap(), warnings.into_inner().unwrap())
}

/// A gate for requests that start like this: each is let through once so many have come. Were they asked one after the
/// other, the first would stand there until the patience of a test is over, and all would be refused.
fn together(start: &'static str, count: usize) -> impl Fn(&Asked) + Send + Sync {
    let (come, all_there) = (Mutex::new(0), Condvar::new());
    move |asked| {
        if format!("{} {}", asked.method, asked.path).starts_with(start) {
            let mut come = come.lock().unwrap();
            *come += 1;
            all_there.notify_all();
            let patience = Duration::from_secs(20);
            let (_come, waited) = all_there.wait_timeout_while(come, patience, |it| *it < count).unwrap();
            assert!(!waited.timed_out(), "the images are asked for one after the other");
        }
    }
}

#[test]
fn many_images_are_rebased_at_the_same_time_and_their_run_image_is_asked_for_once() {
    let registry = Registry::start(together("GET /v2/team/", 8));
    registry.put("base", &run_image("new"));
    let names: Vec<String> = (0..8).map(|it| format!("team/app-{it}")).collect();
    for name in &names {
        registry.put(name, &app(name, &registry.name("base"), &[]));
    }
    let (done, warnings) = rebased(&names.iter().map(|it| registry.name(it)).collect::<Vec<_>>());
    assert!(done.iter().all(|it| matches!(it.outcome, Outcome::Rebased { .. })), "{done:?}");
    assert_eq!(warnings, [""; 0]);
    assert_eq!(registry.count("GET /v2/base/manifests/"), 1, "the run image's manifest");
    assert_eq!(registry.count("GET /v2/base/blobs/"), 1, "the run image's configuration");
    assert_eq!(registry.count("PUT /v2/team/app-3/manifests/"), 1);
    assert_eq!(registry.count("GET /v2/"), 1 + 2 + 8 * 2);
}

#[test]
fn a_run_image_that_cannot_be_had_has_mirrors() {
    let (near, far) = (Registry::start(|_| ()), Registry::start(|_| ()));
    far.put("base", &run_image("new"));
    let blob = format!("/v2/base/blobs/{}", layer("new").digest);
    far.shelf.lock().unwrap().documents.insert(blob.clone(), (String::new(), b"new".to_vec()));
    let (name, mirrors) = (near.name("base"), [far.name("base"), near.name("gone")]);
    let apps: Vec<String> = ["team/one", "team/two"].map(str::to_owned).into();
    for repository in &apps {
        near.put(repository, &app(repository, &name, &mirrors));
    }
    let names: Vec<String> = apps.iter().map(|it| near.name(it)).collect();
    let (done, warnings) = rebased(&names);
    for it in &done {
        assert!(matches!(it.outcome, Outcome::Rebased { .. }), "{done:?}");
        assert_eq!(it.run_image, Some(far.name("base:latest")));
    }
    // The registry's own names first, and each once.
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].contains(&near.name("base")) && warnings[0].contains(&near.name("gone")),
        "{warnings:?}"
    );
    assert!(
        warnings[1].ends_with(&format!("the run image's other name {} is tried", far.name("base:latest")))
    );
    assert_eq!(near.count("GET /v2/gone/"), 1);
    // What the other registry alone has is brought along.
    assert!(far.count(&format!("GET {blob}")) > 0);
}

#[test]
fn where_no_name_of_the_run_image_leads_to_one_each_is_said() {
    let registry = Registry::start(|_| ());
    registry.put("team/app", &app("app", &registry.name("base"), &[registry.name("mirror")]));
    let (done, _) = rebased(&[registry.name("team/app")]);
    let Outcome::Refused { reason } = &done[0].outcome else { panic!("{done:?}") };
    assert!(reason.contains("/base: ") && reason.contains("/mirror: "), "{reason}");
    assert_eq!(registry.count("PUT /"), 0);
}
