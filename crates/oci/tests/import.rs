//! Images that come from layouts and archives.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use oci::import::{self, ImportError, Wanted};
use oci::{Digest, Image, ImageName, LayerSpec, Owner, Platform, Store};
use std::{fs, path::Path, process::Command};

fn amd64() -> Platform {
    Platform { os: "linux".into(), architecture: "amd64".into(), variant: None, extra: Default::default() }
}

fn wanted<'a>(platform: &'a Platform, tag: Option<&'a str>) -> Wanted<'a> {
    Wanted { tag, platform }
}

fn name(text: &str) -> ImageName {
    ImageName::parse(text, "docker.io").unwrap()
}

/// A store with an image of two layers in it.
fn made(dir: &Path) -> (Store, Image) {
    let store = Store::open(&dir.join("from")).unwrap();
    let layer = |id: &str, text: &str| {
        store
            .add_layer(&LayerSpec::new(id).file("file", 0o644, Owner::ROOT, text.repeat(9000)), None)
            .unwrap()
    };
    let layers = [layer("one", "below").record, layer("two", "above").record];
    let image = common::image(&store, &[&layers[0], &layers[1]]);
    (store, image)
}

fn archive(store: &Store, file: &Path, tag: Option<&str>) -> Result<Image, ImportError> {
    import::archive(store, fs::File::open(file).unwrap(), file, &wanted(&amd64(), tag))
}

#[test]
fn a_layout_and_its_archive_come_back_as_the_same_image() {
    let dir = tempfile::tempdir().unwrap();
    let (from, image) = made(dir.path());
    let (layout, file) = (dir.path().join("layout"), dir.path().join("image.tar"));
    oci::layout::write(&from, &image, &name("app:1"), &layout).unwrap();
    oci::layout::write_archive(&from, &image, &[name("app:1")], &file).unwrap();
    for take in ["layout", "archive"] {
        let store = Store::open(&dir.path().join(format!("store-{take}"))).unwrap();
        let found = match take {
            "layout" => import::layout(&store, &layout, &wanted(&amd64(), Some("1"))).unwrap(),
            _ => archive(&store, &file, None).unwrap(),
        };
        assert_eq!(found, image);
        assert!(image.diff_ids().iter().all(|it| store.unpacked(it).is_ok()));
        store.tag(&name("app"), &found).unwrap();
        assert_eq!(store.check().unwrap(), []);
    }
}

#[test]
fn a_layout_whose_writing_was_interrupted_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let (from, image) = made(dir.path());
    let layout = dir.path().join("layout");
    fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    fs::write(layout.join("blobs/sha256/.packlight-x"), "half").unwrap();
    fs::write(layout.join(".packlight-y"), "half").unwrap();
    oci::layout::write(&from, &image, &name("app:1"), &layout).unwrap();
    let store = Store::open(&dir.path().join("to")).unwrap();
    assert_eq!(import::layout(&store, &layout, &wanted(&amd64(), None)).unwrap(), image);
}

#[test]
fn what_docker_saves_comes_back_as_the_same_files() {
    let dir = tempfile::tempdir().unwrap();
    let (from, image) = made(dir.path());
    let file = dir.path().join("image.tar");
    oci::docker_archive::write_file(&from, &image, &[name("app:1"), name("other:2")], &file).unwrap();
    // As engines before 25 wrote it: layers that are not compressed, one of them a link to where it was first written.
    let old = dir.path().join("old");
    let sh = "mkdir -p $2/x $2/y && tar -xf $1 -C $2 && cd $2 && for it in blobs/sha256/*; do
        if gzip -t $it 2>/dev/null; then gzip -dc <$it >x/$(basename $it).tar; ln -s ../x/$(basename $it).tar y/; fi; done
        sed -i 's#blobs/sha256/\\([0-9a-f]*\\)\"\\([],]\\)#y/\\1.tar\"\\2#g; s#y/\\([0-9a-f]*\\).tar\",\"Layers#blobs/sha256/\\1\",\"Layers#' manifest.json
        sed -i 's#\"Config\":\"y/\\([0-9a-f]*\\).tar#\"Config\":\"blobs/sha256/\\1#' manifest.json
        tar -cf $1.old blobs x y manifest.json";
    let status = Command::new("sh").args(["-ec", sh, "sh"]).arg(&file).arg(&old).status().unwrap();
    assert!(status.success());
    for (file, tag) in [(file.clone(), Some("1")), (dir.path().join("image.tar.old"), Some("other:2"))] {
        let store = Store::open(&dir.path().join("to")).unwrap();
        let found = archive(&store, &file, tag).unwrap();
        assert_eq!(found.diff_ids(), image.diff_ids());
        assert_eq!(found.config().config, image.config().config);
        assert_eq!(
            fs::read_to_string(store.unpacked(&found.diff_ids()[1]).unwrap().join("file")).unwrap().len(),
            45000
        );
    }
    let store = Store::open(&dir.path().join("to")).unwrap();
    let error = archive(&store, &file, Some("3")).unwrap_err().to_string();
    assert!(error.ends_with("image.tar has no image `3`; it has app:1, other:2"), "{error}");
}

#[test]
fn other_bytes_than_the_digest_says_are_refused_and_the_store_stays_right() {
    let dir = tempfile::tempdir().unwrap();
    let (from, image) = made(dir.path());
    let layout = dir.path().join("layout");
    oci::layout::write(&from, &image, &name("app:1"), &layout).unwrap();
    let hex = |it: &Digest| it.to_string().replace("sha256:", "");
    let blob = layout.join("blobs/sha256").join(hex(&image.manifest().layers[1].digest));
    let mut bytes = fs::read(&blob).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&blob, bytes).unwrap();
    let store = Store::open(&dir.path().join("to")).unwrap();
    let error = import::layout(&store, &layout, &wanted(&amd64(), None)).unwrap_err();
    assert!(error.to_string().contains(": expected sha256:"), "{error}");
    assert_eq!(store.check().unwrap(), []);
}

#[test]
fn what_is_no_image_or_none_for_this_machine_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("to")).unwrap();
    let say = |error: ImportError| error.to_string().replace(dir.path().to_str().unwrap(), "DIR");
    fs::create_dir(dir.path().join("empty")).unwrap();
    let error = import::layout(&store, &dir.path().join("empty"), &wanted(&amd64(), None)).unwrap_err();
    assert_eq!(
        say(error),
        "DIR/empty is neither an OCI layout nor an archive of an image: it has no file `oci-layout`"
    );
    let index = r#"{"schemaVersion":2,"manifests":[
        {"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:DIGEST","size":2,
         "platform":{"os":"linux","architecture":"arm64"}},
        {"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:DIGEST","size":2,
         "platform":{"os":"unknown","architecture":"unknown"}}]}"#;
    fs::write(dir.path().join("empty/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    fs::write(dir.path().join("empty/index.json"), index.replace("DIGEST", &"0".repeat(64))).unwrap();
    let error = import::layout(&store, &dir.path().join("empty"), &wanted(&amd64(), None)).unwrap_err();
    assert_eq!(say(error), "DIR/empty has no image for linux/amd64; it has linux/arm64");
    let tar = dir.path().join("other.tar");
    let made = Command::new("tar").arg("-cf").arg(&tar).args(["-C", "/", "etc/hostname"]).status().unwrap();
    assert!(made.success());
    let error = archive(&store, &tar, None).unwrap_err();
    assert!(say(error).ends_with("it has neither `oci-layout` nor `manifest.json`"));
    fs::write(&tar, "no tar at all").unwrap();
    assert!(say(archive(&store, &tar, None).unwrap_err()).contains("DIR/other.tar"));
}
