//! The registry client against Debian's registry, with skopeo as the other side.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod registries;

use oci::registry::{Layers, Pushed};
use registries::{Registry, amd64, client, image_of, quick, skopeo, store};

#[test]
fn what_is_pushed_can_be_pulled_by_others_and_by_us() {
    let registry = Registry::start();
    let dir = tempfile::tempdir().unwrap();
    let ours = store(dir.path(), "ours");
    let image = image_of(&ours, &[100, 3_000_000, 70_000]);
    let name = registry.name("team/app:1.0");
    let layers = Layers { store: Some(&ours), ..Layers::default() };
    let bytes: u64 = image.size() + image.manifest().config.size;

    let pushed = client(quick())
        .push(&image, layers, &[name.clone(), registry.name("team/app:2.0")], &|_| {})
        .unwrap();
    assert_eq!(pushed, Pushed { digest: image.digest(), sent: bytes, present: 0, mounted: 0 });
    let seen = skopeo(&["inspect", "--tls-verify=false", "--raw", &format!("docker://{name}")]);
    assert_eq!(seen.as_bytes(), image.manifest_json());
    let layout = format!("oci:{}:app", dir.path().join("layout").display());
    skopeo(&["copy", "-q", "--src-tls-verify=false", &format!("docker://{name}"), &layout]);

    let theirs = store(dir.path(), "theirs");
    let pulled = client(quick()).pull(&registry.name("team/app:2.0"), &theirs, &amd64(), &|_| {}).unwrap();
    assert_eq!(pulled, image);
    assert_eq!(theirs.check().unwrap(), []);
    for diff_id in pulled.diff_ids() {
        assert!(theirs.unpacked(diff_id).unwrap().is_dir());
    }

    // Once more there is nothing to send but the configuration, which nobody asks for.
    let again = client(quick()).push(&image, layers, &[name], &|_| {}).unwrap();
    assert_eq!((again.sent, again.present), (image.manifest().config.size, 3));
}
