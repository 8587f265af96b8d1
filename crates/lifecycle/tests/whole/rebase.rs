//! When an image may be put on another run image, and when not.

use lifecycle::{Force, RebaseError, RebaseRequest, Rebased, rebase};
use oci::{Digest, Image, ImageConfig, LayerRef};
use serde_json::json;

fn layer(name: &str) -> LayerRef {
    let digest = Digest::of(name);
    let media_type = oci::media_type::LAYER_GZIP.to_owned();
    LayerRef { diff_id: digest, digest, size: 1, media_type, history: Vec::new() }
}

fn image(layers: &[&str], labels: &[(&str, String)], api: &str) -> Image {
    let mut config =
        ImageConfig { os: "linux".into(), architecture: "amd64".into(), ..ImageConfig::default() };
    config.config.labels = labels.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    config.config.env = vec![format!("CNB_PLATFORM_API={api}")];
    config.created = Some(format!("1980-01-0{}T00:00:00Z", layers.len()));
    let layers: Vec<LayerRef> = layers.iter().map(|it| layer(it)).collect();
    Image::new(config, &layers).unwrap()
}

fn metadata(image: &str) -> (&'static str, String) {
    let run_image =
        json!({"topLayer": Digest::of("old-top"), "reference": "old", "image": image, "mirrors": ["mirror"]});
    ("io.buildpacks.lifecycle.metadata", json!({"app": [], "kept": 1, "runImage": run_image}).to_string())
}

fn app(more: &[(&'static str, &str)], api: &str) -> Image {
    let mut labels = vec![metadata("base"), ("io.buildpacks.base.distro.name", "debian".to_owned())];
    labels.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    image(&["old", "old-top", "app"], &labels, api)
}

fn base(labels: &[(&'static str, &str)]) -> Image {
    let labels: Vec<_> = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    image(&["new", "new-middle", "new-top"], &labels, "")
}

const DEBIAN: (&str, &str) = ("io.buildpacks.base.distro.name", "debian");

fn rebased(app: &Image, base: &Image, name: &str, force: Force) -> Result<Rebased, RebaseError> {
    rebase(&RebaseRequest {
        app,
        base,
        base_reference: "new-reference",
        base_name: name,
        same_name: str::to_owned,
        features: cnb::api::platform_features("0.12".parse().unwrap()).unwrap(),
        force,
    })
}

#[test]
fn the_layers_up_to_the_recorded_one_are_replaced_and_the_label_says_so() {
    let base = base(&[DEBIAN, ("io.buildpacks.base.id", "new"), ("other", "stays")]);
    let done =
        rebased(&app(&[("io.buildpacks.base.id", "old"), ("own", "1")], "0.12"), &base, "mirror", Force::No);
    let done = done.unwrap();
    let names: Vec<Digest> = done.layers.iter().map(|it| it.diff_id).collect();
    assert_eq!(names, ["new", "new-middle", "new-top", "app"].map(Digest::of));
    let labels = &done.config.config.labels;
    let metadata: serde_json::Value =
        serde_json::from_str(&labels["io.buildpacks.lifecycle.metadata"]).unwrap();
    assert_eq!(metadata["runImage"]["topLayer"], Digest::of("new-top").to_string());
    assert_eq!(metadata["runImage"]["reference"], "new-reference");
    assert_eq!(metadata["runImage"]["image"], "base");
    assert_eq!(metadata["kept"], 1);
    assert_eq!(labels["io.buildpacks.base.id"], "new");
    assert_eq!(labels["own"], "1");
    assert!(!labels.contains_key("other") && done.warnings.is_empty());
    assert_eq!(done.config.created.as_deref(), Some("1980-01-03T00:00:00Z"), "the app's time, not today's");
}

#[test]
fn what_does_not_fit_is_refused_by_name_and_can_be_forced() {
    let fits = base(&[DEBIAN]);
    let other = base(&[("io.buildpacks.base.distro.name", "alpine")]);
    for (app, base, name, words) in [
        (app(&[("io.buildpacks.rebasable", "false")], "0.12"), &fits, "base", "can't be rebased"),
        (app(&[], "0.12"), &other, "base", "alpine"),
        (app(&[], "0.15"), &fits, "unknown", "unknown is not one of them"),
    ] {
        let refused = rebased(&app, base, name, Force::No).unwrap_err().to_string();
        assert!(refused.contains(words) && refused.contains("-force"), "{refused}");
        let forced = rebased(&app, base, name, Force::Yes).unwrap();
        assert!(forced.warnings.len() == 1 && forced.warnings[0].contains(words), "{:?}", forced.warnings);
    }
}

#[test]
fn a_forced_run_image_becomes_the_one_of_the_label() {
    let forced = rebased(&app(&[], "0.12"), &base(&[DEBIAN]), "unknown", Force::Yes).unwrap();
    let label = &forced.config.config.labels["io.buildpacks.lifecycle.metadata"];
    let metadata: serde_json::Value = serde_json::from_str(label).unwrap();
    assert_eq!(metadata["runImage"]["image"], "unknown");
    assert!(metadata["runImage"].get("mirrors").is_none());
    assert_eq!(metadata["stack"]["runImage"]["image"], "unknown");
}

#[test]
fn images_from_before_targets_go_by_stack_and_mixins() {
    let stack = |id: &'static str| ("io.buildpacks.stack.id", id);
    let mixins = |list: &'static str| ("io.buildpacks.stack.mixins", list);
    let app = app(&[stack("one"), mixins("[\"a\", \"run:b\"]")], "0.11");
    let try_on = |labels: &[(&'static str, &str)]| rebased(&app, &base(labels), "base", Force::No);
    try_on(&[stack("one"), mixins("[\"a\", \"b\", \"c\"]")]).unwrap();
    for (labels, words) in [
        (&[stack("two"), mixins("[\"a\", \"b\"]")][..], "the stack two"),
        (&[stack("one"), mixins("[\"a\"]")], "lacks the mixins b"),
        (&[][..], "names no stack"),
    ] {
        let refused = try_on(labels).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn an_image_that_no_lifecycle_made_is_refused() {
    let plain = image(&["old"], &[], "0.12");
    assert!(matches!(rebased(&plain, &base(&[]), "base", Force::Yes), Err(RebaseError::Metadata(_))));
    let elsewhere = image(&["old"], &[metadata("base")], "0.12");
    assert!(matches!(rebased(&elsewhere, &base(&[]), "base", Force::Yes), Err(RebaseError::TopLayer(_))));
}
