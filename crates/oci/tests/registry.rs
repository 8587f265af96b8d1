//! The registry client against Debian's registry, with skopeo as the other side.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod registries;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use oci::{
    Descriptor, Digest, Image, ImageConfig, ImageName, Index, Platform, Store, media_type,
    registry::{Event, How, Layers, Pushed, Settings},
};
use registries::{
    Fault, Proxy, Registry, Rule, amd64, client, image_of, name_at, quick, server, skopeo, store,
};

/// Everything of an image is in the store, and can be unpacked.
fn assert_whole(store: &Store, image: &Image) {
    assert_eq!(store.check().unwrap(), []);
    assert_eq!(store.image_by_digest(&image.digest()).unwrap(), *image);
    for (diff_id, at) in image.diff_ids().iter().zip(0..) {
        let file = store.unpacked(diff_id).unwrap().join(format!("file-{at}"));
        assert!(file.is_file(), "{}", file.display());
    }
}

fn platform(architecture: &str) -> Platform {
    Platform { architecture: architecture.into(), ..amd64() }
}

fn with(store: &Store) -> Layers<'_> {
    Layers { store: Some(store), ..Layers::default() }
}

#[test]
fn what_is_pushed_can_be_pulled_by_others_and_by_us() {
    let registry = Registry::start();
    let dir = tempfile::tempdir().unwrap();
    let ours = store(dir.path(), "ours");
    let image = image_of(&ours, &[100, 3_000_000, 70_000]);
    let name = registry.name("team/app:1.0");
    let names = [name.clone(), registry.name("team/app:2.0")];
    let bytes = image.size() + image.manifest().config.size;

    let pushed = client(quick()).push(&image, with(&ours), &names, &|_| {}).unwrap();
    assert_eq!(pushed, Pushed { digest: image.digest(), sent: bytes, present: 0, mounted: 0 });
    let url = format!("docker://{name}");
    let seen = skopeo(&["inspect", "--tls-verify=false", "--raw", &url]);
    assert_eq!(seen.as_bytes(), image.manifest_json());
    skopeo(&[
        "copy",
        "-q",
        "--src-tls-verify=false",
        &url,
        &format!("oci:{}:app", dir.path().join("l").display()),
    ]);

    let theirs = store(dir.path(), "theirs");
    let pulled = client(quick()).pull(&names[1], &theirs, &amd64(), &|_| {}).unwrap();
    assert_eq!(pulled, image);
    assert_whole(&theirs, &pulled);

    assert!(client(quick()).stands(&names[0], &image.digest()));
    assert!(!client(quick()).stands(&names[0], &Digest::of("another")));
    assert!(!client(quick()).stands(&registry.name("team/app:3.0"), &image.digest()));
    assert!(!client(quick()).stands(&registry.name("team/none:1.0"), &image.digest()));

    // Once more there is nothing to send but the configuration, which nobody asks for.
    let again = client(quick()).push(&image, with(&ours), &[name], &|_| {}).unwrap();
    assert_eq!((again.sent, again.present), (image.manifest().config.size, 3));
}

#[test]
fn what_others_push_can_be_pulled_in_every_form() {
    let registry = Registry::start();
    let dir = tempfile::tempdir().unwrap();
    let ours = store(dir.path(), "ours");
    let image = image_of(&ours, &[200_000, 10]);
    let plain = registry.name("plain");
    client(quick()).push(&image, with(&ours), std::slice::from_ref(&plain), &|_| {}).unwrap();
    // Layers that are not compressed, so that skopeo does it.
    let from = format!("dir:{}", dir.path().join("plain").display());
    skopeo(&[
        "copy",
        "-q",
        "--src-tls-verify=false",
        "--dest-decompress",
        &format!("docker://{plain}"),
        &from,
    ]);
    let manifest = |form: &str| match form {
        "v2s2" => media_type::DOCKER_MANIFEST,
        _ => media_type::MANIFEST,
    };
    for (form, compression, kind) in [
        ("v2s2", "gzip", media_type::DOCKER_LAYER_GZIP),
        ("oci", "zstd", "application/vnd.oci.image.layer.v1.tar+zstd"),
        ("oci", "zstd:chunked", "application/vnd.oci.image.layer.v1.tar+zstd"),
    ] {
        // A registry each: skopeo takes a layer that it finds there, however it is compressed.
        let registry = Registry::start();
        let name = registry.name("other");
        let to = format!("docker://{name}");
        let how = ["--dest-compress-format", compression, "--format", form, &from, &to];
        skopeo(&[&["copy", "-q", "--dest-tls-verify=false"][..], &how].concat());
        let theirs = store(dir.path(), &format!("{form}-{compression}"));
        let pulled = client(quick()).pull(&name, &theirs, &amd64(), &|_| {}).unwrap();
        assert_eq!((pulled.media_type(), pulled.diff_ids()), (manifest(form), image.diff_ids()), "{form}");
        assert!(pulled.manifest().layers.iter().all(|layer| layer.media_type == kind), "{compression}");
        let seen = skopeo(&["inspect", "--tls-verify=false", "--raw", &format!("docker://{name}")]);
        assert_eq!(Digest::of(&seen), pulled.digest());
        assert_whole(&theirs, &pulled);
        // And back, byte for byte.
        let back = registry.name("back");
        client(quick()).push(&pulled, with(&theirs), std::slice::from_ref(&back), &|_| {}).unwrap();
        assert_eq!(client(quick()).resolve(&back).unwrap().digest, pulled.digest());
    }
}

#[test]
fn an_index_is_asked_for_one_platform() {
    let registry = Registry::start();
    let dir = tempfile::tempdir().unwrap();
    let ours = store(dir.path(), "ours");
    let name = registry.name("app");
    let us = client(quick());
    let mut index = Index::default();
    for architecture in ["amd64", "arm64"] {
        let layer = image_of(&ours, &[architecture.len() * 100 + 1]).layers();
        let config =
            ImageConfig { architecture: architecture.into(), os: "linux".into(), ..Default::default() };
        let image = ours.put_image(config, &layer).unwrap();
        let by_digest = ImageName { tag: None, digest: Some(image.digest()), ..name.clone() };
        us.push(&image, with(&ours), &[by_digest], &|_| {}).unwrap();
        index.manifests.push(Descriptor {
            platform: Some(platform(architecture)),
            ..Descriptor::new(image.media_type(), image.digest(), image.manifest_json().len() as u64)
        });
    }
    let digest = us.put_manifest(&name, media_type::INDEX, &index.to_json().unwrap()).unwrap();
    assert_eq!(us.resolve(&name).unwrap().digest, digest);
    for (entry, architecture) in index.manifests.iter().zip(["amd64", "arm64"]) {
        let theirs = store(dir.path(), architecture);
        let pulled = us.pull(&name, &theirs, &platform(architecture), &|_| {}).unwrap();
        assert_eq!(pulled.digest(), entry.digest);
        assert_whole(&theirs, &pulled);
    }
    let seen =
        skopeo(&["inspect", "--tls-verify=false", "--override-arch=arm64", &format!("docker://{name}")]);
    assert!(seen.contains(r#""Architecture": "arm64""#), "{seen}");
    let error = us.image(&name, &platform("riscv64")).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "{}/app: cannot choose an image of latest: the image is not there for linux/riscv64; it is there for \
             linux/amd64, linux/arm64",
            name.registry
        )
    );
}

#[test]
fn an_image_gets_another_base_without_a_layer_being_moved() {
    let registry = Registry::start();
    let proxy = Proxy::start(registry.address, Vec::new());
    let dir = tempfile::tempdir().unwrap();
    let ours = store(dir.path(), "ours");
    let direct = client(quick());
    let (base, other) = (image_of(&ours, &[100_000, 50]), image_of(&ours, &[100_001, 51]));
    let mut layers = base.layers();
    layers.extend(image_of(&ours, &[7, 300_000]).layers().split_off(1));
    let app = ours.put_image(ImageConfig::default(), &layers).unwrap();
    direct.push(&app, with(&ours), &[registry.name("app")], &|_| {}).unwrap();
    direct.push(&other, with(&ours), &[registry.name("base:new")], &|_| {}).unwrap();

    let us = client(Settings { parallel: 1, ..quick() });
    let (app_name, base_name) = (name_at(proxy.address, "app"), name_at(proxy.address, "base:new"));
    let app = us.image(&app_name, &amd64()).unwrap();
    let other = us.image(&base_name, &amd64()).unwrap();
    let mut layers = other.layers();
    layers.extend(app.layers().split_off(2));
    let rebased = Image::new(app.config().clone(), &layers).unwrap();
    let events = Mutex::new(Vec::new());
    let told = |event| events.lock().unwrap().push(event);
    let pushed = us.push(&rebased, Layers::default(), std::slice::from_ref(&app_name), &told).unwrap();
    let config = rebased.manifest().config.size;
    assert_eq!(pushed, Pushed { digest: rebased.digest(), sent: config, present: 1, mounted: 2 });
    assert_eq!(
        proxy.log(),
        [
            "GET  200",
            "GET app/manifests/latest 200",
            "GET app/blobs/sha256:* 200",
            "GET base/manifests/new 200",
            "GET base/blobs/sha256:* 200",
            "POST app/blobs/uploads/?mount=sha256:*&from=base 201",
            "POST app/blobs/uploads/ 202",
            "PUT app/blobs/uploads/* 201",
            "POST app/blobs/uploads/?mount=sha256:*&from=base 201",
            "PUT app/manifests/latest 201",
        ]
    );
    let finished = |how| {
        let is = |event: &&Event| matches!(event, Event::Finished { how: found, .. } if *found == how);
        events.lock().unwrap().iter().filter(is).count()
    };
    assert_eq!((finished(How::Moved), finished(How::Mounted), finished(How::Present)), (1, 2, 1));
    let theirs = store(dir.path(), "theirs");
    assert_eq!(direct.pull(&registry.name("app"), &theirs, &amd64(), &|_| {}).unwrap(), rebased);
}

#[test]
fn what_was_seen_and_is_gone_is_sent_anew() {
    let registry = Registry::start();
    let dir = tempfile::tempdir().unwrap();
    let ours = store(dir.path(), "ours");
    let image = image_of(&ours, &[1000]);
    let us = client(quick());
    let name = registry.name("app");
    us.push(&image, with(&ours), std::slice::from_ref(&name), &|_| {}).unwrap();
    // As after the registry's own cleaning up.
    let layer = image.manifest().layers[0].digest;
    std::fs::remove_dir_all(registry.data().join("repositories/app/_layers/sha256").join(layer.hex()))
        .unwrap();
    let again = us.push(&image, with(&ours), std::slice::from_ref(&name), &|_| {}).unwrap();
    assert_eq!(again.present, 1 + 1, "believed first: {again:?}");
    assert!(client(quick()).has_blob(&name, &layer).unwrap());
}

#[test]
fn layers_of_another_registry_pass_through_the_store() {
    let (from, to) = (Registry::start(), Registry::start());
    let dir = tempfile::tempdir().unwrap();
    let ours = store(dir.path(), "ours");
    let image = image_of(&ours, &[200_000, 10]);
    client(quick()).push(&image, with(&ours), &[from.name("base")], &|_| {}).unwrap();
    let us = client(quick());
    let image = us.image(&from.name("base"), &amd64()).unwrap();
    let layers = image.manifest().layers.clone();

    let name = to.name("app");
    let error =
        us.push(&image, Layers::default(), std::slice::from_ref(&name), &|_| {}).unwrap_err().to_string();
    let one = layers.iter().find(|layer| error.contains(&layer.digest.to_string())).unwrap();
    assert_eq!(
        error,
        format!(
            "{0}/app: cannot push the blob {1}: the layer {1} is neither there nor in any other place, for none was \
             named; pull the image that it is of, or name a repository with it",
            name.registry, one.digest
        )
    );
    let empty = store(dir.path(), "empty");
    let repositories = [to.name("nothing"), from.name("base")];
    let layers = Layers { store: Some(&empty), repositories: &repositories };
    us.push(&image, layers, std::slice::from_ref(&name), &|_| {}).unwrap();
    let theirs = store(dir.path(), "theirs");
    assert_whole(&theirs, &us.pull(&name, &theirs, &amd64(), &|_| {}).unwrap());
}

#[test]
fn lists_are_read_to_their_end() {
    let registry = Registry::start();
    let dir = tempfile::tempdir().unwrap();
    let ours = store(dir.path(), "ours");
    let image = image_of(&ours, &[100]);
    let us = client(quick());
    // The registry gives a hundred repositories at a time.
    let names: Vec<_> = (0..105).map(|at| registry.name(&format!("fleet/app-{at:03}:t{at}"))).collect();
    let pushed = us.push(&image, with(&ours), &names, &|_| {}).unwrap();
    assert_eq!(pushed.mounted, 104);
    let host = &names[0].registry;
    let found = us.repositories(host).unwrap();
    assert_eq!(found, names.iter().map(|name| name.repository.clone()).collect::<Vec<_>>());
    us.push(&image, with(&ours), &[registry.name("fleet/app-003:other")], &|_| {}).unwrap();
    let tags: BTreeSet<String> = us.tags(&names[3]).unwrap().into_iter().collect();
    assert_eq!(tags, ["other", "t3"].map(str::to_owned).into());
    assert_eq!(
        us.tags(&registry.name("none")).unwrap_err().to_string(),
        format!(
            "{host}/none: cannot list the tags: there is no such thing (NAME_UNKNOWN: repository name not known to \
             registry); check the name, the tag and the spelling; a private registry may say so too when it wants a login"
        )
    );

    // In pages, as short as they may be.
    let pages = server::serve(|asked| match asked.path.as_str() {
        "/v2/app/tags/list" => {
            let next = "Link: </v2/app/tags/list?last=b&n=2>; rel=\"next\"".to_owned();
            (200, vec![next], br#"{"tags":["a","b"]}"#.to_vec())
        }
        "/v2/app/tags/list?last=b&n=2" => server::json(200, r#"{"tags":["c"]}"#),
        "/v2/loop/tags/list" => {
            (200, vec!["Link: </v2/loop/tags/list>; rel=next".to_owned()], b"{}".to_vec())
        }
        _ => server::json(200, "{}"),
    });
    assert_eq!(us.tags(&name_at(pages, "app")).unwrap(), ["a", "b", "c"]);
    let error = us.tags(&name_at(pages, "loop")).unwrap_err().to_string();
    assert!(error.ends_with("the registry's answer makes no sense: its list has no end"), "{error}");
}

#[test]
fn what_refers_to_an_image_is_found() {
    let registry = Registry::start();
    let dir = tempfile::tempdir().unwrap();
    let ours = store(dir.path(), "ours");
    let image = image_of(&ours, &[100]);
    let us = client(quick());
    let name = registry.name("app");
    us.push(&image, with(&ours), std::slice::from_ref(&name), &|_| {}).unwrap();
    assert_eq!(us.referrers(&name, &image.digest(), None).unwrap(), []);
    // Debian's registry keeps no such list, so there is one under a tag.
    let config = us.put_blob(&name, "application/vnd.oci.empty.v1+json", b"{}").unwrap();
    let subject = serde_json::json!({
        "mediaType": image.media_type(), "digest": image.digest(), "size": image.manifest_json().len()
    });
    let refer = |kind: &str| {
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": media_type::MANIFEST, "artifactType": kind, "config": config,
            "layers": [], "subject": subject, "annotations": {"kind": kind},
        });
        let json = serde_json::to_vec(&manifest).unwrap();
        let by_digest = ImageName { tag: None, digest: Some(Digest::of(&json)), ..name.clone() };
        us.put_manifest(&by_digest, media_type::MANIFEST, &json).unwrap()
    };
    let (signature, list) = (refer("a/signature"), refer("a/list"));
    refer("a/list");
    let found = us.referrers(&name, &image.digest(), None).unwrap();
    assert_eq!(found.iter().map(|it| it.digest).collect::<Vec<_>>(), [signature, list]);
    let found = us.referrers(&name, &image.digest(), Some("a/list")).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].digest, found[0].annotations["kind"].as_str()), (list, "a/list"));

    // One that keeps it is asked for it.
    let entry = Descriptor {
        extra: [("artifactType".to_owned(), "a/list".into())].into_iter().collect(),
        ..Descriptor::new(media_type::MANIFEST, list, 7)
    };
    let index = Index { manifests: vec![entry.clone()], ..Index::default() }.to_json().unwrap();
    let place = format!("/v2/app/referrers/{}", image.digest());
    let knowing = server::serve(move |asked| match asked.path.strip_prefix(&place) {
        Some(rest) if rest.is_empty() || rest == "?artifactType=a%2Flist" => (200, Vec::new(), index.clone()),
        _ => server::json(200, "{}"),
    });
    let found = us.referrers(&name_at(knowing, "app"), &image.digest(), Some("a/list")).unwrap();
    assert_eq!(found, [entry]);
}

#[test]
fn mirrors_come_first_and_are_not_believed() {
    let (registry, mirror) = (Registry::start(), Registry::start());
    let dir = tempfile::tempdir().unwrap();
    let ours = store(dir.path(), "ours");
    let image = image_of(&ours, &[200_000]);
    let layer = format!("blobs/{}", image.manifest().layers[0].digest);
    client(quick()).push(&image, with(&ours), &[registry.name("team/app")], &|_| {}).unwrap();
    client(quick()).push(&image, with(&ours), &[mirror.name("copy/team/app")], &|_| {}).unwrap();
    let (own, mirrored) =
        (Proxy::start(registry.address, Vec::new()), Proxy::start(mirror.address, Vec::new()));
    // Names of a registry whose API is elsewhere, as Docker's own has it.
    let settings = |mirror: String| Settings {
        api_hosts: [("registry.example".to_owned(), own.address.to_string())].into(),
        mirrors: BTreeMap::from([("registry.example".to_owned(), vec![mirror])]),
        ..quick()
    };
    let name = ImageName::parse("registry.example/team/app", "docker.io").unwrap();
    let pull = |settings: Settings, dir: &str| {
        let theirs = store(&ours.root().join("../"), dir);
        assert_eq!(client(settings).pull(&name, &theirs, &amd64(), &|_| {}).unwrap(), image);
        assert_whole(&theirs, &image);
    };
    let good = format!("http://{}/copy/", mirrored.address);
    pull(settings(good.clone()), "good");
    assert_eq!(own.log(), [""; 0]);
    assert_eq!(mirrored.log().len(), 4);

    mirrored.rules(vec![Rule::once("GET", &layer, Fault::Flip(9))]);
    pull(settings(good.clone()), "flipped");
    assert_eq!(own.log(), ["GET  200", "GET team/app/blobs/sha256:* 200"]);
    mirrored.rules(vec![Rule::once("GET", &layer, Fault::Flip(9))]);
    pull(Settings { piece: 1 << 16, ..settings(good.clone()) }, "pieces");
    mirrored.rules(vec![Rule::always("GET", "manifests", Fault::Answer(500, String::new(), ""))]);
    pull(settings(good), "broken");
    // A dead one, and one that has nothing.
    pull(settings("127.0.0.1:1".to_owned()), "dead");
    pull(settings(mirrored.address.to_string()), "empty");
}

#[test]
fn layers_that_may_not_be_given_away_stay_where_they_are() {
    let registry =
        Registry::start_with("validation:\n  manifests:\n    urls:\n      allow:\n        - ^http\n");
    let dir = tempfile::tempdir().unwrap();
    let ours = store(dir.path(), "ours");
    let image = image_of(&ours, &[30_000, 10]);
    let layer = image.manifest().layers[0].clone();
    let bytes = std::fs::read(ours.blob_path(&layer.digest)).unwrap();
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let maker = server::serve(move |_| {
        *count.lock().unwrap() += 1;
        (200, Vec::new(), bytes.clone())
    });
    let mut manifest = image.manifest().clone();
    manifest.layers[0].media_type = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip".into();
    manifest.layers[0].extra.insert("urls".into(), vec![format!("http://{maker}/layer")].into());
    let image = Image::of_documents(manifest.to_json().unwrap(), image.config_json().to_vec()).unwrap();
    let name = registry.name("app");
    client(quick()).push(&image, with(&ours), std::slice::from_ref(&name), &|_| {}).unwrap();
    assert!(!client(quick()).has_blob(&name, &layer.digest).unwrap());
    let theirs = store(dir.path(), "theirs");
    let pulled = client(quick()).pull(&name, &theirs, &amd64(), &|_| {}).unwrap();
    assert_whole(&theirs, &pulled);
    assert_eq!(*asked.lock().unwrap(), 1);
}

#[test]
fn a_layer_that_is_not_what_the_configuration_says_is_not_believed() {
    let registry = Registry::start();
    let dir = tempfile::tempdir().unwrap();
    let ours = store(dir.path(), "ours");
    let (good, bad) = (image_of(&ours, &[1000]), image_of(&ours, &[2000]));
    // The layer of one under the diff id of the other, which the store knows.
    let mut layers = bad.layers();
    layers[0].diff_id = good.diff_ids()[0];
    let evil = Image::new(ImageConfig::default(), &layers).unwrap();
    let name = registry.name("evil");
    client(quick()).push(&evil, with(&ours), std::slice::from_ref(&name), &|_| {}).unwrap();
    let error = client(quick()).pull(&name, &ours, &amd64(), &|_| {}).unwrap_err().to_string();
    assert!(
        error.contains(&format!("expected {}, found {}", good.diff_ids()[0], bad.diff_ids()[0])),
        "{error}"
    );
    assert_whole(&ours, &good);

    // Who does not know it finds out when it is unpacked.
    let theirs = store(dir.path(), "theirs");
    let pulled = client(quick()).pull(&name, &theirs, &amd64(), &|_| {}).unwrap();
    let error = theirs.unpacked(&pulled.diff_ids()[0]).unwrap_err().to_string();
    assert!(error.contains("found sha256:"), "{error}");
    // And the right one is believed when it comes.
    client(quick()).push(&good, with(&ours), &[registry.name("good")], &|_| {}).unwrap();
    let pulled = client(quick()).pull(&registry.name("good"), &theirs, &amd64(), &|_| {}).unwrap();
    assert_whole(&theirs, &pulled);
}

#[test]
fn what_is_no_image_is_refused_in_words() {
    let us = client(quick());
    let refused = |answer: &'static str, path: &str| {
        let place = server::serve(move |asked| match asked.path.as_str() {
            "/v2/" => server::json(200, "{}"),
            _ => server::json(200, answer),
        });
        us.image(&name_at(place, path), &amd64()).unwrap_err().problem.to_string()
    };
    assert_eq!(
        refused(r#"{"schemaVersion":1,"name":"a","fsLayers":[]}"#, "a"),
        "the image is in Docker's schema 1, which has not been written since 2016; pull and push it again with a current \
         Docker"
    );
    assert_eq!(refused("[]", "a"), "the registry's answer makes no sense: what it sends is no manifest");
    let deep: &'static str = Box::leak("[".repeat(100_000).into_boxed_str());
    assert_eq!(refused(deep, "a"), "the registry's answer makes no sense: what it sends is no manifest");
    let long: &'static str = Box::leak(" ".repeat(5 << 20).into_boxed_str());
    assert_eq!(
        refused(long, "a"),
        "the manifest latest is larger than 4194304 bytes; that is no image to work with"
    );
    let nobody = server::serve(|_| (404, Vec::new(), b"<html>".to_vec()));
    let error = us.image(&name_at(nobody, "app"), &amd64()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{nobody}/app: cannot read the manifest latest: {nobody} does not answer as a registry (status 404 for \
             /v2/); check the registry's name in the image's name"
        )
    );
    // Of a registry that is not there.
    let error = us.image(&name_at("127.0.0.1:1".parse().unwrap(), "app"), &amd64()).unwrap_err();
    assert!(error.to_string().contains("efused") && error.to_string().contains("after 5 tries"), "{error}");
}
