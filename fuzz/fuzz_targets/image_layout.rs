//! OCI layouts in folders: each part of the input is a blob, and the last one the index. `@0` stands for the digest of
//! the first blob and `#0` for its size, so that documents can name each other.
#![no_main]

use fuzz::{Room, parts};
use libfuzzer_sys::fuzz_target;
use oci::import::{self, Wanted};
use oci::{Digest, Platform, Store};

fuzz_target!(|input: &[u8]| {
    let room = Room::new();
    let dir = room.inside().join("layout");
    let blobs = dir.join("blobs/sha256");
    fs_err::create_dir_all(&blobs).expect("a folder");
    fs_err::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a file");
    let mut known: Vec<(String, String)> = Vec::new();
    let parts = parts(input);
    for (at, part) in parts.iter().enumerate() {
        let mut part = part.to_vec();
        if let Ok(text) = std::str::from_utf8(&part) {
            let mut text = text.to_owned();
            for (at, (digest, size)) in known.iter().enumerate().take(10) {
                text = text.replace(&format!("@{at}"), digest).replace(&format!("\"#{at}\""), size);
            }
            part = text.into_bytes();
        }
        if at + 1 == parts.len() {
            fs_err::write(dir.join("index.json"), &part).expect("a file");
        } else {
            let digest = Digest::of(&part);
            known.push((digest.to_string(), part.len().to_string()));
            fs_err::write(blobs.join(digest.hex()), part).expect("a file");
        }
    }
    let store = Store::open(&room.inside().join("store")).expect("a store");
    let platform = Platform {
        os: "linux".to_owned(),
        architecture: "amd64".to_owned(),
        variant: None,
        extra: Default::default(),
    };
    let read = import::layout(&store, &dir, &Wanted { tag: None, platform: &platform });
    let _ = oci::layout::read(&dir, None);
    room.assert_untouched();
    let Ok(image) = read else { return };
    assert_eq!(store.image_by_digest(&image.digest()).expect("it is in the store"), image);
    for layer in image.layers() {
        assert!(store.has_blob(&layer.digest, layer.size), "{layer:?}");
    }
});
