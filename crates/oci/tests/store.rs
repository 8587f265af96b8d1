//! The store: names, what stays and what goes, many at once, kills and damage.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use common::{Place, add, file_layer, image, name, noise as noise_bytes, output, tree_spec};
use oci::{Digest, History, ImageConfig, LayerError, LayerSpec, Modes, Owner, Store, StoreError, TreeRules};

#[test]
fn a_layer_that_a_manifest_calls_its_configuration_does_not_fill_the_memory() {
    let place = Place::new();
    let store = place.store();
    let large = store.add_blob(&vec![b' '; (oci::bounded::BOUND + 1) as usize]).unwrap();
    let error = store.read_blob(&large).unwrap_err().to_string();
    assert!(error.contains("more than 16 MiB"), "{error}");
}

#[test]
fn an_image_is_found_by_its_name_until_the_name_is_taken_away() {
    let place = Place::new();
    let store = place.store();
    let first = image(&store, &[&file_layer(&store, "a", "1")]);
    let second = image(&store, &[&file_layer(&store, "a", "2")]);
    store.tag(&name("my-app"), &first).unwrap();
    store.tag(&name("ghcr.io/acme/web:1"), &first).unwrap();
    store.tag(&name("my-app"), &second).unwrap();
    let store = place.store();
    assert_eq!(store.image(&name("my-app")).unwrap().unwrap(), second);
    let by_digest = name(&format!("my-app@{}", first.digest()));
    assert_eq!(store.image(&by_digest).unwrap().unwrap(), first);
    assert_eq!(store.image(&name("my-app:other")).unwrap(), None);
    let listed: Vec<_> =
        store.images().unwrap().into_iter().map(|l| (l.name.short(), l.image, l.size)).collect();
    assert_eq!(
        listed,
        [
            ("my-app:latest".to_owned(), second.digest(), second.size()),
            ("ghcr.io/acme/web:1".to_owned(), first.digest(), first.size()),
        ]
    );
    assert!(store.untag(&name("my-app")).unwrap());
    assert!(!store.untag(&name("my-app")).unwrap());
    assert_eq!(store.image(&name("my-app")).unwrap(), None);
}

#[test]
fn an_image_keeps_the_keys_and_the_history_it_came_with() {
    let place = Place::new();
    let store = place.store();
    let config = r#"{"architecture":"arm64","os":"linux","variant":"v8","created":"2020-01-01T00:00:00Z",
        "config":{"Cmd":null,"Healthcheck":{"Test":["CMD","true"]},"Env":["A=b"],"Shell":["/bin/sh"]},
        "moby.buildkit.x":1}"#;
    let config: ImageConfig = serde_json::from_str(config).unwrap();
    let mut base = file_layer(&store, "base", "1").layer_ref();
    let note = |words: &str| History { empty_layer: true, ..History::created_by(words) };
    base.history.insert(0, note("ARG x"));
    base.history.push(note("CMD y"));
    let base = store.put_image(config, &[base]).unwrap();
    let mut layers = base.layers();
    layers.push(file_layer(&store, "app", "2").layer_ref());
    let made = store.put_image(base.config().clone(), &layers).unwrap();
    let json = String::from_utf8(store.read_blob(&made.id()).unwrap()).unwrap();
    for key in [r#""variant":"v8""#, r#""Healthcheck":{"Test":["CMD","true"]}"#, r#""moby.buildkit.x":1"#] {
        assert!(json.contains(key), "{json}");
    }
    let words: Vec<_> = made.config().history.iter().map(|h| h.created_by.clone().unwrap()).collect();
    assert_eq!(words, ["ARG x", "a file", "CMD y", "a file"]);
    assert_eq!(made.layers(), layers);
    assert_eq!(made.config().rootfs.diff_ids.len(), 2);
}

#[test]
fn an_image_of_a_missing_layer_is_refused() {
    let place = Place::new();
    let store = place.store();
    let layer = file_layer(&store, "a", "1");
    std::fs::remove_file(store.blob_path(&layer.digest)).unwrap();
    let error = store.put_image(ImageConfig::default(), &[layer.layer_ref()]).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
}

#[test]
fn a_damaged_image_is_named_and_its_name_can_be_taken_away() {
    let place = Place::new();
    let store = place.store();
    let image = image(&store, &[&file_layer(&store, "a", "1")]);
    store.tag(&name("my-app"), &image).unwrap();
    std::fs::write(store.blob_path(&image.digest()), "").unwrap();
    let error = store.images().unwrap_err().to_string();
    assert!(error.contains("it has the name my-app:latest and can't be read"), "{error}");
    assert!(store.untag(&name("my-app")).unwrap());
    assert_eq!(store.images().unwrap(), []);
}

#[test]
fn a_layer_is_unpacked_once() {
    let place = Place::new();
    let store = place.store();
    let layer = file_layer(&store, "etc/a", "1");
    let dir = store.unpacked(&layer.diff_id).unwrap();
    assert_eq!(std::fs::read_to_string(dir.join("etc/a")).unwrap(), "1");
    assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o7777, 0o755);
    std::fs::write(dir.join("mark"), "").unwrap();
    assert_eq!(place.store().unpacked(&layer.diff_id).unwrap(), dir);
    assert!(dir.join("mark").exists());
    let unknown = Digest::of("unknown");
    assert!(matches!(store.unpacked(&unknown), Err(StoreError::UnknownLayer { .. })));
}

#[test]
fn a_damaged_layer_is_never_unpacked_under_its_name() {
    let place = Place::new();
    let store = place.store();
    let (good, other) = (file_layer(&store, "a", "1"), file_layer(&store, "a", "2"));
    std::fs::copy(store.blob_path(&other.digest), store.blob_path(&good.digest)).unwrap();
    let error = store.unpacked(&good.diff_id).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(!place.path("store/layers").join(good.diff_id.hex()).exists());
}

#[test]
fn prune_removes_what_no_name_and_no_root_needs() {
    let place = Place::new();
    let (kept, rooted, gone, base) = {
        let store = place.store();
        let kept = file_layer(&store, "a", "kept");
        store.tag(&name("my-app"), &image(&store, &[&kept])).unwrap();
        let rooted = file_layer(&store, "a", "rooted");
        let base_layer = file_layer(&store, "a", "base");
        let base = image(&store, &[&base_layer]);
        store.app(&name("my-app")).unwrap().set_roots(&[rooted.digest, base.digest()]).unwrap();
        let gone = file_layer(&store, "a", "gone");
        store.tag(&name("old"), &image(&store, &[&gone])).unwrap();
        drop(store.app(&name("old:v2")).unwrap());
        for layer in [&kept, &rooted, &gone, &base_layer] {
            store.unpacked(&layer.diff_id).unwrap();
        }
        store.untag(&name("old")).unwrap();
        (kept, rooted, gone, base_layer)
    };
    let store = place.store();
    let pruned = store.prune().unwrap();
    // The layer, its configuration and its manifest.
    assert_eq!((pruned.blobs, pruned.layers, pruned.apps), (3, 2, 1));
    assert!(pruned.bytes > 0);
    let unpacked = |layer: &oci::LayerRecord| place.path("store/layers").join(layer.diff_id.hex()).exists();
    for layer in [&kept, &rooted, &base] {
        assert!(store.has_blob(&layer.digest, layer.size));
    }
    assert!(unpacked(&kept) && unpacked(&base) && !unpacked(&gone));
    assert!(!store.has_blob(&gone.digest, gone.size));
    assert_eq!(store.check().unwrap(), []);
    assert_eq!(place.store().prune().unwrap(), oci::Pruned::default());
}

#[test]
fn prune_leaves_what_a_living_process_uses() {
    let place = Place::new();
    let old = {
        let store = place.store();
        file_layer(&store, "a", "made earlier")
    };
    let building = place.store();
    let reused = building
        .add_layer(&LayerSpec::new("a file").file("a", 0o644, Owner::ROOT, "made earlier"), Some(&old))
        .unwrap();
    assert!(reused.reused);
    let made = file_layer(&building, "a", "made now");
    building.unpacked(&made.diff_id).unwrap();
    assert_eq!(place.store().prune().unwrap(), oci::Pruned::default());
    image(&building, &[&old, &made]);
    drop(building);
    assert_eq!(place.store().prune().unwrap().blobs, 4);
}

#[test]
fn check_finds_a_flipped_byte_a_missing_layer_and_strangers() {
    let place = Place::new();
    let store = place.store();
    let (flipped, lost) = (file_layer(&store, "a", "1"), file_layer(&store, "a", "2"));
    store.tag(&name("my-app"), &image(&store, &[&flipped, &lost])).unwrap();
    store.app(&name("my-app")).unwrap().set_roots(&[Digest::of("nowhere")]).unwrap();
    assert_eq!(store.check().unwrap().len(), 1);
    let path = store.blob_path(&flipped.digest);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    std::fs::remove_file(store.blob_path(&lost.digest)).unwrap();
    std::fs::create_dir(place.path("store/layers").join(Digest::of("x").hex())).unwrap();
    std::fs::write(place.path("store/tmp/left"), "").unwrap();
    let found: Vec<_> = store.check().unwrap().iter().map(ToString::to_string).collect();
    for expected in [
        "its contents have the digest",
        "is missing or cut short",
        "which is missing",
        "the blob that it names is missing",
        "an unpacked layer of no known blob",
        "left behind by a process that ended",
    ] {
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected}: {found:#?}");
    }
    assert_eq!(found.len(), 6, "{found:#?}");
}

#[test]
fn a_store_of_another_version_and_a_foreign_directory_are_left_alone() {
    let place = Place::new();
    drop(place.store());
    let root = place.path("store");
    std::fs::write(root.join("version"), "2\n").unwrap();
    let error = Store::open(&root).unwrap_err().to_string();
    assert!(
        error.contains("has format \"2\", and this program knows format 1; nothing in it was changed"),
        "{error}"
    );
    let foreign = place.tree("home", &[("letter", "dear")]);
    let error = Store::open(&foreign).unwrap_err().to_string();
    assert!(error.contains("is not a store and not empty"), "{error}");
    assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 1);
}

#[test]
fn many_may_make_the_same_store_at_once() {
    for _ in 0..50 {
        let place = Place::new();
        let root = place.path("store");
        std::fs::create_dir(&root).unwrap();
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    Store::open(&root).unwrap();
                });
            }
        });
    }
}

#[test]
fn a_store_that_was_left_half_made_is_finished() {
    let place = Place::new();
    let root = place.path("store");
    std::fs::create_dir_all(root.join("blobs")).unwrap();
    std::fs::write(root.join("index.json"), "").unwrap();
    let layer = add(&Store::open(&root).unwrap(), &tree_spec(&place.tree("src", &[("a", "a")]), "w"));
    assert!(root.join("blobs/sha256").join(layer.digest.hex()).exists());
}

#[test]
fn many_may_add_the_same_at_once() {
    let place = Place::new();
    let tree = place.tree("src", &[("a", "a")]);
    std::fs::write(tree.join("big"), "text ".repeat(1 << 20)).unwrap();
    let digests: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|i| {
                let (place, tree) = (&place, &tree);
                scope.spawn(move || {
                    let store = place.store();
                    let layer = add(&store, &tree_spec(tree, "w"));
                    let image = image(&store, &[&layer]);
                    store.tag(&name(&format!("app-{i}")), &image).unwrap();
                    store.unpacked(&layer.diff_id).unwrap();
                    image.digest()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(digests.iter().all(|digest| *digest == digests[0]));
    let store = place.store();
    assert_eq!(store.images().unwrap().len(), 8);
    assert_eq!(store.check().unwrap(), []);
}

#[test]
fn one_build_of_an_application_at_a_time() {
    let place = Place::new();
    let store = place.store();
    let app = store.app(&name("my-app:1")).unwrap();
    assert!(app.layers().is_dir());
    app.write("record.json", b"{}").unwrap();
    assert!(store.try_app(&name("my-app:2")).unwrap().is_none());
    assert!(store.try_app(&name("acme/my-app")).unwrap().is_some());
    let path = app.path().to_owned();
    drop(app);
    let again = store.try_app(&name("my-app")).unwrap().unwrap();
    assert_eq!(again.path(), path);
    assert_eq!(again.read("record.json").unwrap().unwrap(), b"{}");
    assert_eq!(again.read("none").unwrap(), None);
}

#[test]
fn names_that_look_alike_have_different_directories() {
    let place = Place::new();
    let store = place.store();
    let names = ["a/b_c", "a_b/c", "reg.io/a_b", "reg.io/a/b", "reg.io:80/a/b"];
    let paths: std::collections::BTreeSet<_> =
        names.iter().map(|text| store.app(&name(text)).unwrap().path().to_owned()).collect();
    assert_eq!(paths.len(), names.len());
}

/// Run by `a_kill_leaves_nothing_but_what_the_next_clears`: adds layers until it is killed.
#[test]
fn helper_that_adds_until_it_is_killed() {
    let Some(root) = std::env::var_os("OCI_TEST_STORE") else { return };
    let root = Path::new(&root);
    let noise = root.with_file_name("noise");
    for round in 0.. {
        let store = Store::open(root).unwrap();
        let rules = TreeRules::new(Owner::ROOT, Modes::Normalise);
        let spec =
            LayerSpec::new("x").tree(&noise, "w", rules).file("n", 0o644, Owner::ROOT, format!("{round}"));
        let layer = add(&store, &spec);
        let image = image(&store, &[&layer]);
        store.tag(&name("victim"), &image).unwrap();
        store.unpacked(&layer.diff_id).unwrap();
        if round % 3 == 2 {
            store.prune().unwrap();
        }
    }
}

#[test]
fn a_kill_leaves_nothing_but_what_the_next_clears() {
    let place = Place::new();
    let noise = place.tree("noise", &[]);
    std::fs::write(noise.join("noise"), noise_bytes(6 << 20)).unwrap();
    drop(place.store());
    let mut seen_leftovers = false;
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "helper_that_adds_until_it_is_killed"])
            .env("OCI_TEST_STORE", place.path("store"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(120 + 37 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        seen_leftovers |= std::fs::read_dir(place.path("store/tmp")).unwrap().count() > 0;
        let store = place.store();
        assert_eq!(store.check().unwrap(), [], "round {round}");
        let own = std::fs::read_dir(place.path("store/tmp")).unwrap().count();
        assert_eq!(own, 2, "round {round}");
        drop(store);
        assert_eq!(std::fs::read_dir(place.path("store/tmp")).unwrap().count(), 0);
    }
    assert!(seen_leftovers, "no kill hit anything");
}

#[test]
fn a_full_disk_is_said_and_leaves_nothing_behind() {
    // Root mounts a small file system; another user does it in namespaces of its own.
    let place = Place::new();
    let tree = place.tree("src", &[]);
    std::fs::write(tree.join("noise"), noise_bytes(16 << 20)).unwrap();
    std::fs::create_dir(place.path("small")).unwrap();
    let script =
        "mount -t tmpfs -o size=4m none small && exec \"$0\" --exact helper_that_fills_a_disk --nocapture";
    let text = output(
        Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", script])
            .arg(std::env::current_exe().unwrap())
            .current_dir(place.dir.path())
            .env("OCI_TEST_FULL", place.dir.path()),
    );
    assert!(text.contains("full as it should be"), "{text}");
}

/// Run by `a_full_disk_is_said_and_leaves_nothing_behind`.
#[test]
fn helper_that_fills_a_disk() {
    let Some(place) = std::env::var_os("OCI_TEST_FULL") else { return };
    let place = Path::new(&place);
    let root = place.join("small/store");
    let store = Store::open(&root).unwrap();
    let error = store.add_layer(&tree_spec(&place.join("src"), "w"), None).unwrap_err();
    let expected = format!("no space left on {}: needs 17 MB for a layer", root.display());
    assert_eq!(error.to_string(), expected);
    assert!(matches!(error, LayerError::Store(StoreError::NoSpace { .. })));
    let session =
        std::fs::read_dir(root.join("tmp")).unwrap().map(|e| e.unwrap().path()).find(|p| p.is_dir());
    assert_eq!(std::fs::read_dir(session.unwrap()).unwrap().count(), 0);
    assert_eq!(store.check().unwrap(), []);
    let small = add(&store, &LayerSpec::new("x").file("small", 0o644, Owner::new(12, 34), "fits"));
    // Here the user 12 has no number.
    store.unpacked(&small.diff_id).unwrap();
    println!("full as it should be");
}
