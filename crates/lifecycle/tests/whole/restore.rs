//! The table of layer types, and what else decides what a buildpack finds again.

use cnb::group::{Chosen, GroupToml};
use cnb::labels::{BuildpackLayers, LayerMetadata, LifecycleMetadata, StoreMetadata};
use cnb::layer::LayerTypes;
use lifecycle::beneath::Beneath;
use lifecycle::cache::CachedLayer;
use lifecycle::{Cache, Dir, Dirs, Previous, RestoreRequest, Restored, restore};
use oci::{Digest, TreeIndex};

struct Room {
    dir: tempfile::TempDir,
    cache: Cache,
    previous: Previous,
    heard: crate::room::Heard,
}

const FILE: &str = "packlight_x/layer/file";

/// The state after a build that made one layer of these types.
fn built(types: LayerTypes) -> Room {
    let dir = tempfile::tempdir().unwrap();
    let layers = dir.path().join("layers/packlight_x");
    fs_err::create_dir_all(layers.join("layer")).unwrap();
    fs_err::create_dir_all(layers.join("layer.ignore")).unwrap();
    fs_err::write(layers.join("layer/file"), "contents").unwrap();
    fs_err::write(layers.join("layer.toml"), "[types]\n").unwrap();
    fs_err::write(layers.join("launch.toml"), "").unwrap();
    fs_err::write(layers.join("layer.sbom.cdx.json"), "{}").unwrap();
    let data: toml::Table = toml::from_str("version = \"3.13\"\n").unwrap();
    let sha = Digest::of("the layer");
    let open = Beneath::open(&Dir::same(&layers)).unwrap();
    let cached = CachedLayer {
        types,
        data: data.clone(),
        sha: types.launch.then_some(sha),
        record: None,
        tree: types.cache.then(|| TreeIndex::of_tree(&layers.join("layer")).unwrap()),
        sbom: [("layer.sbom.cdx.json".to_owned(), open.stamp("layer.sbom.cdx.json").unwrap().unwrap())]
            .into(),
        ahead: false,
    };
    let mut room = Room {
        dir,
        cache: Cache::default(),
        previous: Previous::default(),
        heard: crate::room::Heard::default(),
    };
    room.cache.exec_env = "production".to_owned();
    let buildpack = room.cache.buildpacks.entry("packlight/x".to_owned()).or_default();
    if types.cache || types.launch {
        buildpack.layers.insert("layer".to_owned(), cached);
    }
    let mut layers = BuildpackLayers { key: "packlight/x".to_owned(), ..BuildpackLayers::default() };
    layers.store = Some(StoreMetadata { metadata: toml::from_str("s = 1\n").unwrap() });
    if types.launch {
        let LayerTypes { build, launch, cache } = types;
        let metadata = LayerMetadata { sha: sha.to_string(), data, build, launch, cache };
        layers.layers.insert("layer".to_owned(), metadata);
    }
    room.previous.metadata = LifecycleMetadata { buildpacks: vec![layers], ..LifecycleMetadata::default() };
    room
}

impl Room {
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("layers").join(name)
    }

    fn restore(&self) -> Restored {
        self.restore_for("production")
    }

    fn restore_for(&self, exec_env: &str) -> Restored {
        self.restore_as(exec_env, "0.10")
    }

    /// For this execution environment, with a buildpack of this API.
    fn restore_as(&self, exec_env: &str, api: &str) -> Restored {
        let dirs = Dirs {
            app: Dir::same("/workspace"),
            layers: Dir::same(self.dir.path().join("layers")),
            platform: Dir::same("/platform"),
            build_config: None,
            work: Dir::same("/nowhere"),
            owner: None,
        };
        let chosen = Chosen {
            id: "packlight/x".to_owned(),
            version: "1".to_owned(),
            api: api.parse().unwrap(),
            homepage: None,
        };
        let group = GroupToml { group: vec![chosen], ..GroupToml::default() };
        let (cache, previous) = (&self.cache, &self.previous);
        restore(&RestoreRequest { dirs: &dirs, group: &group, cache, previous, exec_env }, &self.heard)
            .unwrap()
    }

    /// Whether files, metadata and the bill of materials are there.
    fn there(&self) -> (bool, bool, bool) {
        let is = |name: &str| self.path(name).exists();
        (is(FILE), is("packlight_x/layer.toml"), is("packlight_x/layer.sbom.cdx.json"))
    }
}

const ALL: (bool, bool, bool) = (true, true, true);
const METADATA: (bool, bool, bool) = (false, true, true);
const NOTHING: (bool, bool, bool) = (false, false, false);

#[test]
fn the_table_of_layer_types_is_kept_in_all_eight_rows() {
    for (build, cache, launch, there) in [
        (true, true, true, ALL),
        (true, true, false, ALL),
        (true, false, true, NOTHING),
        (true, false, false, NOTHING),
        (false, true, true, ALL),
        (false, true, false, ALL),
        (false, false, true, METADATA),
        (false, false, false, NOTHING),
    ] {
        let room = built(LayerTypes { build, launch, cache });
        room.restore();
        assert_eq!(room.there(), there, "build {build}, cache {cache}, launch {launch}");
        let store = fs_err::read_to_string(room.path("packlight_x/store.toml")).unwrap();
        assert_eq!(store, "[metadata]\ns = 1\n");
        for gone in ["packlight_x/launch.toml", "packlight_x/layer.ignore"] {
            assert!(!room.path(gone).exists(), "{gone}");
        }
    }
}

const CACHED: LayerTypes = LayerTypes { build: false, launch: true, cache: true };

#[test]
fn metadata_comes_back_without_types() {
    let room = built(CACHED);
    room.restore();
    let text = fs_err::read_to_string(room.path("packlight_x/layer.toml")).unwrap();
    assert_eq!(text, "[metadata]\nversion = \"3.13\"\n");
}

#[test]
fn a_layer_with_one_changed_byte_is_thrown_away_even_when_its_size_and_time_are_the_same() {
    let room = built(CACHED);
    let path = room.path(FILE);
    // the clock of change times ticks every few milliseconds
    std::thread::sleep(std::time::Duration::from_millis(20));
    let time = fs_err::metadata(&path).unwrap().modified().unwrap();
    fs_err::write(&path, "Contents").unwrap();
    fs_err::OpenOptions::new().write(true).open(&path).unwrap().set_modified(time).unwrap();
    assert_eq!(room.restore(), Restored::default());
    assert_eq!(room.there(), NOTHING);
}

#[test]
fn what_the_table_leaves_out_is_no_news() {
    for (build, cache) in [(true, false), (false, true)] {
        let mut room = built(LayerTypes { build, launch: true, cache });
        room.cache = Cache::default();
        room.restore();
        assert_eq!(room.heard.0.into_inner().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn a_layer_that_the_image_has_in_another_version_is_thrown_away() {
    let mut room = built(CACHED);
    let layers = &mut room.previous.metadata.buildpacks[0].layers;
    layers.get_mut("layer").unwrap().sha = Digest::of("another").to_string();
    room.restore();
    assert_eq!(room.there(), NOTHING);
}

#[test]
fn bills_of_materials_belong_to_the_layer_that_the_image_has() {
    let mut room = built(LayerTypes { build: false, launch: true, cache: false });
    let layers = &mut room.previous.metadata.buildpacks[0].layers;
    layers.get_mut("layer").unwrap().sha = Digest::of("another").to_string();
    room.restore();
    assert_eq!(room.there(), (false, true, false));
}

#[test]
fn a_bill_of_materials_that_was_changed_is_removed() {
    let room = built(CACHED);
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs_err::write(room.path("packlight_x/layer.sbom.cdx.json"), "[]").unwrap();
    room.restore();
    assert_eq!(room.there(), (true, true, false));
}

#[test]
fn without_the_image_a_cached_layer_comes_from_the_cache_alone() {
    let mut room = built(CACHED);
    room.previous = Previous::default();
    assert_eq!(room.restore().with_files, [("packlight/x".to_owned(), "layer".to_owned())]);
    assert_eq!(room.there(), ALL);
}

#[test]
fn without_a_record_nothing_is_kept_but_what_the_image_says() {
    let mut room = built(LayerTypes { build: false, launch: true, cache: false });
    room.cache = Cache::default();
    assert_eq!(room.restore().metadata_only.len(), 1);
    assert_eq!(room.there(), (false, true, false));
    let mut room = built(CACHED);
    room.cache = Cache::default();
    room.restore();
    assert_eq!(room.there(), NOTHING);
}

#[test]
fn another_execution_environments_layers_are_not_restored() {
    let mut room = built(CACHED);
    room.previous = Previous::default();
    room.restore_for("test");
    assert_eq!(room.there(), NOTHING);
}

/// The state after a build that made one layer of these types for the execution environments of this list.
fn built_for(types: LayerTypes, list: &str) -> Room {
    let mut room = built(types);
    let data: toml::Table = toml::from_str(&format!("exec-env = {list}\n")).unwrap();
    for layer in room.cache.buildpacks.values_mut().flat_map(|it| it.layers.values_mut()) {
        layer.data = data.clone();
    }
    for layer in room.previous.metadata.buildpacks.iter_mut().flat_map(|it| it.layers.values_mut()) {
        layer.data = data.clone();
    }
    room
}

#[test]
fn a_layer_that_is_for_another_execution_environment_is_not_restored() {
    let launched = LayerTypes { build: false, launch: true, cache: false };
    for types in [CACHED, launched] {
        let none = built_for(types, "[\"test\"]").restore_as("production", "0.12");
        assert_eq!(none, Restored::default(), "{types:?}");
        for (list, api) in
            [("[\"*\"]", "0.12"), ("[\"test\", \"production\"]", "0.12"), ("[\"test\"]", "0.11")]
        {
            let some = built_for(types, list).restore_as("production", api);
            assert_eq!(some.with_files.len() + some.metadata_only.len(), 1, "{types:?} {list} {api}");
        }
    }
}

#[test]
fn buildpacks_that_left_the_group_and_links_in_their_place_are_removed() {
    let room = built(CACHED);
    fs_err::create_dir_all(room.path("packlight_old/layer")).unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs_err::write(outside.path().join("keep"), "").unwrap();
    std::os::unix::fs::symlink(outside.path(), room.path("sbom")).unwrap();
    fs_err::remove_dir_all(room.path("packlight_x")).unwrap();
    std::os::unix::fs::symlink(outside.path(), room.path("packlight_x")).unwrap();
    room.restore();
    assert!(!room.path("packlight_old").exists() && !room.path("sbom").exists());
    assert!(!room.path("packlight_x").is_symlink());
    assert!(outside.path().join("keep").exists());
}
