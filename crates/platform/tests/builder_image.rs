//! A builder image, and a lifecycle's own image, from their parts; another reader understands both.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cnb::order::Order;
use fs_err as fs;
use oci::{ImageConfig, LayerSpec, Owner, Store};
use platform::base::Base;
use platform::builder::create::{Created, Parts, create};
use platform::lock::DebianLock;
use serde_json::{Value, json};

const PROGRAMS: [&str; 7] = ["analyzer", "builder", "creator", "detector", "exporter", "rebaser", "restorer"];

/// A lifecycle as `tools/lifecycle.sh` lays it out, of scripts.
fn lifecycle(root: &Path) -> PathBuf {
    let folder = root.join("lifecycle");
    fs::create_dir_all(folder.join("lifecycle")).unwrap();
    let text = "[apis.buildpack]\ndeprecated = []\nsupported = [\"0.9\", \"0.10\"]\n[apis.platform]\ndeprecated = []\n\
                supported = [\"0.7\", \"0.8\"]\n[api]\nplatform = \"0.7\"\nbuildpack = \"0.9\"\n[lifecycle]\nversion = \"1.2.3\"\n";
    fs::write(folder.join("lifecycle.toml"), text).unwrap();
    for name in ["lifecycle", "launcher"] {
        let program = folder.join("lifecycle").join(name);
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    }
    for name in PROGRAMS {
        symlink("lifecycle", folder.join("lifecycle").join(name)).unwrap();
    }
    folder
}

fn buildpack(root: &Path, version: &str, api: &str) -> PathBuf {
    let folder = root.join("buildpacks/test_hello").join(version);
    fs::create_dir_all(folder.join("bin")).unwrap();
    let text = format!(
        "api = \"{api}\"\n[buildpack]\nid = \"test/hello\"\nversion = \"{version}\"\nsbom-formats = [\"x\"]\n\
         [[targets]]\nos = \"linux\"\n"
    );
    fs::write(folder.join("buildpack.toml"), text).unwrap();
    fs::write(folder.join("bin/build"), "#!/bin/sh\n").unwrap();
    folder
}

/// What a base says of itself.
const ABOUT: [&str; 4] = ["maintainer", "homepage", "description", "metadata"];

/// A base of one file.
fn base(store: &Store) -> Base {
    let spec = LayerSpec::new("base").file("/etc/base", 0o644, Owner::ROOT, "base");
    let layer = store.add_layer(&spec, None).unwrap().record.layer_ref();
    let mut config = ImageConfig::default();
    "1001:1000".clone_into(&mut config.config.user);
    config.config.env.push("PATH=/bin".to_owned());
    for (name, value) in [("io.buildpacks.base.distro.name", "debian"), ("io.buildpacks.rebasable", "true")] {
        config.config.labels.insert(name.to_owned(), value.to_owned());
    }
    for name in ABOUT {
        config.config.labels.insert(format!("io.buildpacks.base.{name}"), format!("the {name}"));
    }
    let lock = DebianLock {
        release: "trixie".to_owned(),
        wanted_run: vec![],
        wanted_build: vec![],
        run: vec![],
        build: vec![],
    };
    Base {
        lock,
        run_image: store.put_image(config, &[layer]).unwrap(),
        run_tree: PathBuf::new(),
        build_tree: PathBuf::new(),
        target: cnb::analyzed::TargetData { id: "test.base".to_owned(), ..Default::default() },
        name: None,
    }
}

fn made(root: &Path, buildpacks: &[PathBuf], order: &str) -> Result<(Store, Created), String> {
    let store = Store::open(&root.join("store")).unwrap();
    let order: Order = cnb::parse("order.toml", order).unwrap();
    let parts = Parts {
        base: &base(&store),
        lifecycle: &lifecycle(root),
        buildpacks,
        order: &order.order,
        run_image: "registry.example.com/run:1",
    };
    let created = create(&store, &parts).map_err(|error| platform::error::chain(&error))?;
    Ok((store, created))
}

const HELLO: &str = "[[order]]\n[[order.group]]\nid = \"test/hello\"\noptional = true\n";

fn label(image: &oci::Image, name: &str) -> Value {
    serde_json::from_str(&image.config().config.labels[name]).unwrap()
}

#[test]
fn a_builder_says_what_is_in_it_and_the_order_in_it_has_versions() {
    let room = tempfile::tempdir().unwrap();
    let (store, Created { builder, run }) =
        made(room.path(), &[buildpack(room.path(), "1.0.0", "0.10")], HELLO).unwrap();
    let metadata = label(&builder, "io.buildpacks.builder.metadata");
    assert_eq!(metadata["buildpacks"], json!([{ "id": "test/hello", "version": "1.0.0" }]));
    assert_eq!(metadata["stack"]["runImage"]["image"], "registry.example.com/run:1");
    assert_eq!(metadata["images"][0]["image"], "registry.example.com/run:1");
    assert_eq!(metadata["lifecycle"]["api"], json!({ "buildpack": "0.9", "platform": "0.7" }));
    assert_eq!(metadata["lifecycle"]["apis"]["platform"]["supported"], json!(["0.7", "0.8"]));
    let order = label(&builder, "io.buildpacks.buildpack.order");
    assert_eq!(order, json!([{ "group": [{ "id": "test/hello", "optional": true }] }]));
    let placed = label(&builder, "io.buildpacks.buildpack.layers");
    let diff_id = builder.diff_ids()[3].to_string();
    assert_eq!(placed["test/hello"]["1.0.0"]["layerDiffID"], json!(diff_id));

    let config = &builder.config().config;
    assert_eq!((config.user.as_str(), config.working_dir.as_str()), ("1000:1000", "/layers"));
    assert!(
        ["CNB_USER_ID=1000", "CNB_GROUP_ID=1000", "PATH=/bin"]
            .iter()
            .all(|it| config.env.iter().any(|set| set == it))
    );
    assert_eq!(config.labels["io.buildpacks.base.distro.name"], "debian");
    assert!(!config.labels.contains_key("io.buildpacks.rebasable"), "a builder is no app");
    assert_eq!(run.config().config.labels["io.buildpacks.stack.id"], config.labels["io.buildpacks.stack.id"]);
    assert_eq!((run.config().config.user.as_str(), run.diff_ids()), ("1001:1000", &builder.diff_ids()[..1]));

    let last = store.unpacked(&builder.diff_ids()[4]).unwrap();
    let order: Order =
        cnb::parse("order.toml", &fs::read_to_string(last.join("cnb/order.toml")).unwrap()).unwrap();
    assert_eq!(order.order[0].group[0].version, "1.0.0");
    for file in ["run.toml", "stack.toml"] {
        assert!(
            fs::read_to_string(last.join("cnb").join(file)).unwrap().contains("registry.example.com/run:1")
        );
    }
}

#[test]
fn a_builder_says_of_itself_what_its_base_says_and_both_are_for_one_target() {
    let room = tempfile::tempdir().unwrap();
    let (_, Created { builder, run }) =
        made(room.path(), &[buildpack(room.path(), "1.0.0", "0.10")], HELLO).unwrap();
    for name in ABOUT {
        let label = &builder.config().config.labels[&format!("io.buildpacks.base.{name}")];
        assert_eq!(*label, format!("the {name}"));
    }
    let target = |image: &oci::Image| {
        let config = image.config();
        let labels = config.config.labels.iter().filter(|(name, _)| name.contains(".distro."));
        let labels: Vec<_> = labels.map(|(name, value)| (name.clone(), value.clone())).collect();
        assert!(!labels.is_empty());
        (config.os.clone(), config.architecture.clone(), labels)
    };
    assert_eq!(target(&builder), target(&run));
}

#[test]
fn the_same_parts_give_the_same_builder_and_other_parts_another() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = made(one.path(), &[buildpack(one.path(), "1.0.0", "0.10")], HELLO).unwrap().1;
    let folder = buildpack(two.path(), "1.0.0", "0.10");
    fs::set_permissions(folder.join("buildpack.toml"), PermissionsExt::from_mode(0o600)).unwrap();
    let second = made(two.path(), std::slice::from_ref(&folder), HELLO).unwrap().1;
    assert_eq!((first.builder.digest(), first.run.digest()), (second.builder.digest(), second.run.digest()));
    fs::write(folder.join("bin/build"), "#!/bin/sh\nexit 1\n").unwrap();
    let third = made(tempfile::tempdir().unwrap().path(), &[folder], HELLO).unwrap().1;
    assert_ne!(first.builder.digest(), third.builder.digest());
    assert_eq!(first.run.digest(), third.run.digest());
}

#[test]
fn parts_that_do_not_fit_are_named() {
    let room = tempfile::tempdir().unwrap();
    let hello = buildpack(room.path(), "1.0.0", "0.10");
    let several = [hello.clone(), buildpack(room.path(), "2.0.0", "0.10")];
    let other = HELLO.replace("hello", "other");
    for (buildpacks, order, words) in [
        (std::slice::from_ref(&hello), other.as_str(), "the order names `test/other`, which is not among"),
        (&several, HELLO, "without a version, and there are several: 1.0.0, 2.0.0"),
        (
            &[buildpack(room.path(), "3.0.0", "0.11")],
            HELLO,
            "`test/hello` has Buildpack API 0.11, which the lifecycle 1.2.3 does not speak",
        ),
    ] {
        let scratch = tempfile::tempdir().unwrap();
        let error = made(scratch.path(), buildpacks, order).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

fn lifecycle_image(folder: &Path, file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lifecycle-image")).args([folder, file]).output().unwrap()
}

#[test]
fn skopeo_reads_the_lifecycles_image_and_it_has_what_pack_runs_in_it() {
    let room = tempfile::tempdir().unwrap();
    let (folder, file) = (lifecycle(room.path()), room.path().join("lifecycle.oci.tar"));
    let output = lifecycle_image(&folder, &file);
    assert!(output.status.success(), "{output:?}");
    let skopeo = |arguments: &[&str]| {
        let output = Command::new("skopeo").args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let archive = format!("oci-archive:{}", file.display());
    let config: Value = serde_json::from_slice(&skopeo(&["inspect", "--config", &archive])).unwrap();
    let labels = &config["config"]["Labels"];
    assert_eq!(labels["io.buildpacks.lifecycle.version"], "1.2.3");
    let parsed = |name: &str| -> Value { serde_json::from_str(labels[name].as_str().unwrap()).unwrap() };
    assert_eq!(parsed("io.buildpacks.lifecycle.apis")["buildpack"]["supported"], json!(["0.9", "0.10"]));
    assert_eq!(
        parsed("io.buildpacks.builder.metadata"),
        json!({ "lifecycle": { "version": "1.2.3" }, "api": { "buildpack": "0.9", "platform": "0.7" } })
    );
    assert_eq!(config["config"]["WorkingDir"], "/layers");

    let copy = room.path().join("copy");
    skopeo(&["copy", "--quiet", &archive, &format!("dir:{}", copy.display())]);
    let manifest: Value = serde_json::from_slice(&fs::read(copy.join("manifest.json")).unwrap()).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().trim_start_matches("sha256:");
    let listing = Command::new("tar").arg("-tvzf").arg(copy.join(layer)).output().unwrap();
    let listing = String::from_utf8(listing.stdout).unwrap();
    let has = |mode: &str, path: &str| listing.lines().any(|it| it.starts_with(mode) && it.ends_with(path));
    assert!(has("drwxrwxrwt", " tmp/") && has("-rw-r--r--", " etc/passwd"), "{listing}");
    assert!(has("lrwxrwxrwx", " cnb/lifecycle/analyzer -> lifecycle"), "{listing}");
    assert!(has("-rwxr-xr-x", " cnb/lifecycle/launcher"), "{listing}");
}

#[test]
fn the_lifecycles_image_has_the_same_bytes_again_and_a_folder_without_a_program_gives_none() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bytes = |room: &Path| {
        let file = room.join("lifecycle.oci.tar");
        assert!(lifecycle_image(&lifecycle(room), &file).status.success());
        fs::read(file).unwrap()
    };
    assert!(bytes(one.path()) == bytes(two.path()));
    let room = tempfile::tempdir().unwrap();
    let (folder, file) = (lifecycle(room.path()), room.path().join("lifecycle.oci.tar"));
    fs::remove_file(folder.join("lifecycle/restorer")).unwrap();
    let output = lifecycle_image(&folder, &file);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("lifecycle/restorer is missing"), "{said}");
    assert!(!file.exists());
}
