//! Manifests, indexes and configurations: what is read is written back the same, and makes an image or an error.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use oci::{Descriptor, Digest, Image, ImageConfig, Index, Manifest, Platform, chain_ids};
use serde::de::DeserializeOwned;

/// The document, when the text is one; its one spelling reads back as the same.
fn read<T: DeserializeOwned + PartialEq + Debug>(
    text: &[u8],
    print: fn(&T) -> Result<Vec<u8>, serde_json::Error>,
) -> Option<T> {
    let document: T = serde_json::from_slice(text).ok()?;
    let printed = print(&document).expect("what was read can be written");
    let again: T = serde_json::from_slice(&printed).expect("what was written can be read");
    assert_eq!(print(&again).expect("it can be written again"), printed);
    assert_eq!(again, document);
    Some(document)
}

fuzz_target!(|text: &[u8]| {
    if let Some(index) = read(text, Index::to_json) {
        let wanted = Platform {
            os: "linux".to_owned(),
            architecture: "arm64".to_owned(),
            variant: Some("v8".to_owned()),
            extra: Default::default(),
        };
        if let Ok(found) = index.for_platform(&wanted) {
            assert!(index.manifests.contains(found));
        }
    }
    if let Some(manifest) = read(text, Manifest::to_json) {
        let config = ImageConfig::default().to_json().expect("a configuration");
        let manifest =
            Manifest { config: Descriptor { digest: Digest::of(&config), ..manifest.config }, ..manifest };
        if let Ok(image) = Image::of_documents(manifest.to_json().expect("a manifest"), config) {
            assert!(image.layers().is_empty());
        }
    }
    let Some(config) = read(text, ImageConfig::to_json) else { return };
    let layer = |diff_id: &Digest| Descriptor::new("application/x-tar", *diff_id, u64::MAX);
    let manifest = Manifest {
        schema_version: 2,
        media_type: None,
        config: Descriptor::new("application/json", Digest::of(text), text.len() as u64),
        layers: config.rootfs.diff_ids.iter().map(layer).collect(),
        annotations: Default::default(),
        extra: Default::default(),
    };
    let image = Image::of_documents(manifest.to_json().expect("a manifest"), text.to_vec())
        .expect("a configuration and a manifest of its own");
    let _ = (image.size(), chain_ids(image.diff_ids()));
    let layers = image.layers();
    assert_eq!(layers.len(), config.rootfs.diff_ids.len());
    if !layers.is_empty() && config.history.iter().any(|it| !it.empty_layer) {
        let shared: Vec<_> = layers.into_iter().flat_map(|it| it.history).collect();
        assert!(shared.len() <= config.history.len() && shared.iter().all(|it| config.history.contains(it)));
    }
});
