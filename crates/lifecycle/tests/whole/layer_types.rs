//! What of the last build's layers comes back, beside the table of the text, written down as plainly as it is told there,
//! for layers that nobody thought of.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#layer-types>

use cnb::group::{Chosen, GroupToml};
use cnb::labels::{BuildpackLayers, LayerMetadata, LifecycleMetadata};
use cnb::layer::LayerTypes;
use lifecycle::cache::CachedLayer;
use lifecycle::{Cache, Dir, Dirs, Previous, RestoreRequest, Silent, restore};
use oci::{Digest, TreeIndex};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeMap;
use std::path::Path;

/// A layer of the last build, and what has become of it since.
#[derive(Debug, Clone, Copy)]
struct Layer {
    build: bool,
    launch: bool,
    cache: bool,
    /// The image of the last build is there, and knows of it.
    in_image: bool,
    /// The image has other contents than the cache.
    another_in_image: bool,
    /// Somebody has changed a file of its directory.
    changed: bool,
    /// The execution environments that it says it is for.
    only_for: Option<&'static str>,
}

/// What is there again: files, and metadata.
type Back = (bool, bool);

const HERE: &str = "production";

// --- the text's table

fn by_the_text(it: Layer, api_has_environments: bool) -> Back {
    let image_knows = it.launch && it.in_image;
    let elsewhere = api_has_environments && it.only_for.is_some_and(|it| it != HERE && it != "*");
    match (it.cache, it.launch, it.build) {
        _ if elsewhere => (false, false),
        // Directory and metadata of a cached layer come back together or not at all; what the image has is the same.
        (true, ..) => {
            let same = !(image_knows && it.another_in_image);
            let whole = same && !it.changed;
            (whole, whole)
        }
        // The metadata of a layer for launch alone.
        (false, true, false) => (false, image_knows),
        // A layer for building that is not cached, and one that is for nothing.
        (false, _, _) => (false, false),
    }
}

// --- ours

fn name(at: usize) -> String {
    format!("layer-{at}")
}

/// Lays the layers out as the last build left them, and says what is known of them.
fn last_build(layers: &[Layer], dir: &Path) -> (Cache, Previous) {
    let mut cache = Cache { exec_env: HERE.to_owned(), ..Cache::default() };
    let mut image = BuildpackLayers { key: "a/b".to_owned(), ..BuildpackLayers::default() };
    let recorded = cache.buildpacks.entry("a/b".to_owned()).or_default();
    for (at, it) in layers.iter().enumerate() {
        let own = dir.join(name(at));
        fs_err::create_dir_all(&own).unwrap();
        fs_err::write(own.join("file"), format!("of layer {at}")).unwrap();
        fs_err::write(dir.join(format!("{}.toml", name(at))), "[types]\n").unwrap();
        let (build, launch, cached) = (it.build, it.launch, it.cache);
        let list = it.only_for.map_or(String::new(), |it| format!("exec-env = [\"{it}\"]\n"));
        let data: toml::Table = toml::from_str(&format!("{list}at = {at}\n")).unwrap();
        let sha = Digest::of(format!("layer {at}"));
        if launch && it.in_image {
            let sha = if it.another_in_image { Digest::of("another") } else { sha };
            let metadata =
                LayerMetadata { sha: sha.to_string(), data: data.clone(), build, launch, cache: cached };
            image.layers.insert(name(at), metadata);
        }
        let layer = CachedLayer {
            types: LayerTypes { build, launch, cache: cached },
            data,
            sha: launch.then_some(sha),
            tree: cached.then(|| TreeIndex::of_tree(&own).unwrap()),
            ..CachedLayer::default()
        };
        recorded.layers.insert(name(at), layer);
        if it.changed {
            fs_err::write(own.join("file"), "changed").unwrap();
        }
    }
    let metadata = LifecycleMetadata { buildpacks: vec![image], ..LifecycleMetadata::default() };
    (cache, Previous { metadata, ..Previous::default() })
}

fn by_ours(layers: &[Layer], api: &str, room: &Path) -> Vec<Back> {
    let _ = fs_err::remove_dir_all(room.join("layers"));
    let dir = room.join("layers/a_b");
    fs_err::create_dir_all(&dir).unwrap();
    let (cache, previous) = last_build(layers, &dir);
    let nowhere = || Dir::same("/nowhere");
    let dirs = Dirs {
        app: nowhere(),
        layers: Dir::same(room.join("layers")),
        platform: nowhere(),
        build_config: None,
        work: nowhere(),
        owner: None,
    };
    let chosen =
        Chosen { id: "a/b".to_owned(), version: "1".to_owned(), api: api.parse().unwrap(), homepage: None };
    let group = GroupToml { group: vec![chosen], ..GroupToml::default() };
    let request =
        RestoreRequest { dirs: &dirs, group: &group, cache: &cache, previous: &previous, exec_env: HERE };
    restore(&request, &Silent).unwrap();
    let back = |at: usize| {
        let toml = dir.join(format!("{}.toml", name(at)));
        if toml.exists() {
            let text = fs_err::read_to_string(&toml).unwrap();
            let table: BTreeMap<String, toml::Table> = toml::from_str(&text).unwrap();
            assert!(!table.contains_key("types"), "types come back: {text}");
            assert_eq!(table["metadata"]["at"].as_integer(), i64::try_from(at).ok(), "{text}");
        }
        (dir.join(name(at)).join("file").exists(), toml.exists())
    };
    (0..layers.len()).map(back).collect()
}

// --- layers

fn layer() -> impl Strategy<Value = Layer> {
    let rarely = || prop_oneof![4 => Just(false), 1 => Just(true)];
    let often = || prop_oneof![1 => Just(false), 4 => Just(true)];
    let only_for = prop_oneof![
        4 => Just(None),
        1 => Just(Some("test")),
        1 => Just(Some(HERE)),
        1 => Just(Some("*")),
    ];
    (any::<(bool, bool, bool)>(), often(), rarely(), rarely(), only_for).prop_map(
        |((build, launch, cache), in_image, another_in_image, changed, only_for)| Layer {
            build,
            launch,
            cache,
            in_image,
            another_in_image,
            changed,
            only_for,
        },
    )
}

#[test]
fn what_comes_back_is_what_the_table_says() {
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let room = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let worlds = (prop::collection::vec(layer(), 1..=5), prop::sample::select(&["0.10", "0.11", "0.12"][..]));
    let result = runner.run(&worlds, |(layers, api)| {
        let text: Vec<Back> = layers.iter().map(|it| by_the_text(*it, api == "0.12")).collect();
        prop_assert_eq!(by_ours(&layers, api, room.path()), text, "{} {:#?}", api, layers);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
