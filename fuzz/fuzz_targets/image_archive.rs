//! Archives of images, as `docker save` and skopeo write them, whole and damaged.
#![no_main]

use std::path::Path;

use fuzz::{Room, entries, parts, tar_of, with_checksums};
use libfuzzer_sys::fuzz_target;
use oci::import::{self, Wanted};
use oci::{Digest, Platform, Store};

/// Entries of a tar by name.
fn plain(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, contents) in files {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        let size = format!("0000644\x000000000\x000000000\0{:011o}\x0000000000000", contents.len());
        header[100..100 + size.len()].copy_from_slice(size.as_bytes());
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        tar.extend(header);
        tar.extend(contents);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    with_checksums(&tar)
}

fn blob(files: &mut Vec<(String, Vec<u8>)>, contents: Vec<u8>) -> (String, usize) {
    let (digest, size) = (Digest::of(&contents), contents.len());
    files.push((format!("blobs/sha256/{}", digest.hex()), contents));
    (digest.to_string(), size)
}

/// An archive in one of the two formats, without the end of the tar.
fn image(layout: bool, layers: Vec<Vec<u8>>) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|it| Digest::of(it).to_string()).collect();
    let config = serde_json::json!({ "os": "linux", "architecture": "amd64",
        "rootfs": { "type": "layers", "diff_ids": diff_ids } });
    let mut files = Vec::new();
    let named: Vec<_> = layers.into_iter().map(|it| blob(&mut files, it)).collect();
    let (config, size) = blob(&mut files, config.to_string().into_bytes());
    if layout {
        let tar = "application/vnd.oci.image.layer.v1.tar";
        let layer = |(digest, size): &(String, usize)| serde_json::json!({ "mediaType": tar, "digest": digest, "size": size });
        let manifest = serde_json::json!({ "schemaVersion": 2, "layers": named.iter().map(layer).collect::<Vec<_>>(),
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": size } });
        let (digest, size) = blob(&mut files, manifest.to_string().into_bytes());
        let entry = serde_json::json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest, "size": size });
        let index = serde_json::json!({ "schemaVersion": 2, "manifests": [entry] });
        files.push(("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
        files.push(("index.json".to_owned(), index.to_string().into_bytes()));
    } else {
        let path = |digest: &str| digest.replace("sha256:", "blobs/sha256/");
        let layers: Vec<_> = named.iter().map(|(digest, _)| path(digest)).collect();
        let items = serde_json::json!([{ "Config": path(&config), "Layers": layers, "RepoTags": ["a:1"] }]);
        files.push(("manifest.json".to_owned(), items.to_string().into_bytes()));
    }
    plain(&files)
}

fuzz_target!(|input: &[u8]| {
    let Some((format, rest)) = input.split_first() else { return };
    let room = Room::new();
    let outside = room.outside().to_string_lossy().into_owned();
    let tar = |text: &[u8]| tar_of(&entries(text, &outside));
    let (tar, whole) = match format {
        b'b' => (with_checksums(rest), false),
        b'e' => (tar(rest), false),
        // `d` and `l`: what a byte is changed to, where; then the layers.
        format => {
            let (damage, layers) = rest.split_at(rest.len().min(3));
            let mut tar = image(*format == b'l', parts(layers).into_iter().take(3).map(tar).collect());
            let damage = damage.try_into().unwrap_or([b'0'; 3]);
            let at = usize::from(u16::from_le_bytes([damage[1], damage[2]])) % tar.len();
            tar[at] ^= damage[0] ^ b'0';
            tar.extend([0; 1024]);
            (with_checksums(&tar), damage[0] == b'0')
        }
    };
    let store = Store::open(&room.inside()).expect("a store");
    let platform = Platform {
        os: "linux".to_owned(),
        architecture: "amd64".to_owned(),
        variant: None,
        extra: Default::default(),
    };
    let read =
        import::archive(&store, &*tar, Path::new("archive.tar"), &Wanted { tag: None, platform: &platform });
    room.assert_untouched();
    assert!(!whole || read.is_ok(), "{read:?}");
    let Ok(image) = read else { return };
    assert_eq!(store.image_by_digest(&image.digest()).expect("it is in the store"), image);
    for layer in image.layers() {
        assert!(store.has_blob(&layer.digest, layer.size), "{layer:?}");
    }
});
