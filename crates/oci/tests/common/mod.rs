//! What several test programs need.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use oci::{Image, ImageConfig, ImageName, LayerRecord, LayerSpec, Modes, Owner, Store, TreeRules};
use tempfile::TempDir;

pub(crate) const USER: Owner = Owner::new(1001, 1000);

/// A store in a directory that goes away with it.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&self.path("store")).unwrap()
    }

    /// A directory with these files.
    pub(crate) fn tree(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let root = self.path(name);
        std::fs::create_dir_all(&root).unwrap();
        for (path, contents) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, contents).unwrap();
        }
        root
    }
}

pub(crate) fn name(text: &str) -> ImageName {
    ImageName::parse(text, "docker.io").unwrap()
}

pub(crate) fn tree_spec(host: &Path, at: &str) -> LayerSpec {
    LayerSpec::new("a tree").tree(host, at, TreeRules::new(USER, Modes::Normalise))
}

pub(crate) fn add(store: &Store, spec: &LayerSpec) -> LayerRecord {
    store.add_layer(spec, None).unwrap().record
}

/// A layer of one file.
pub(crate) fn file_layer(store: &Store, path: &str, contents: &str) -> LayerRecord {
    add(store, &LayerSpec::new("a file").file(path, 0o644, Owner::ROOT, contents))
}

pub(crate) fn image(store: &Store, layers: &[&LayerRecord]) -> Image {
    let layers: Vec<_> = layers.iter().map(|layer| layer.layer_ref()).collect();
    store.put_image(ImageConfig::default(), &layers).unwrap()
}

/// The layer's tar, uncompressed.
pub(crate) fn tar_of(store: &Store, record: &LayerRecord) -> Vec<u8> {
    let mut tar = Vec::new();
    let blob = std::fs::File::open(store.blob_path(&record.digest)).unwrap();
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(blob), &mut tar).unwrap();
    assert_eq!(oci::Digest::of(&tar), record.diff_id);
    assert_eq!(tar.len() as u64, record.uncompressed_size);
    tar
}

/// What a command prints; fails the test when it fails.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Bytes that no compression makes fewer.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(next).collect()
}
