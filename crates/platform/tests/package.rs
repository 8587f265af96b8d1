//! A buildpack from its folder into a package, which another reader understands.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fs_err as fs;
use serde_json::Value;

const DESCRIPTOR: &str = "api = \"0.10\"\n[buildpack]\nid = \"test/hello\"\nversion = \"1.2.3\"\nname = \"Hello\"\n\
                          [[targets]]\nos = \"linux\"\narch = \"amd64\"\n";

/// A buildpack as `make payload` lays it out: its two programs are one file.
fn buildpack(root: &Path, descriptor: &str) -> PathBuf {
    let folder = root.join("buildpacks/test_hello/1.2.3");
    fs::create_dir_all(folder.join("bin")).unwrap();
    fs::write(folder.join("buildpack.toml"), descriptor).unwrap();
    fs::write(folder.join("bin/detect"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(folder.join("bin/detect"), PermissionsExt::from_mode(0o755)).unwrap();
    fs::hard_link(folder.join("bin/detect"), folder.join("bin/build")).unwrap();
    folder
}

fn package(folder: &Path, into: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_package-buildpack")).args([folder, into]).output().unwrap()
}

/// The package, and what the program says of where it is.
fn packaged(folder: &Path, into: &Path) -> PathBuf {
    let output = package(folder, into);
    assert!(output.status.success(), "{output:?}");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

fn skopeo(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("skopeo").args(arguments).output().unwrap();
    assert!(output.status.success(), "skopeo {arguments:?}: {output:?}");
    output.stdout
}

#[test]
fn skopeo_reads_the_labels_and_a_layer_with_the_buildpack_alone() {
    let room = tempfile::tempdir().unwrap();
    let file = packaged(&buildpack(room.path(), DESCRIPTOR), &room.path().join("out"));
    assert_eq!(file, room.path().join("out/test_hello-1.2.3.cnb"));

    let archive = format!("oci-archive:{}", file.display());
    let config: Value = serde_json::from_slice(&skopeo(&["inspect", "--config", &archive])).unwrap();
    assert_eq!((&config["os"], &config["architecture"]), (&"linux".into(), &"amd64".into()));
    let label = |name: &str| -> Value {
        serde_json::from_str(config["config"]["Labels"][name].as_str().unwrap()).unwrap()
    };
    let about = label("io.buildpacks.buildpackage.metadata");
    assert_eq!((&about["id"], &about["version"]), (&"test/hello".into(), &"1.2.3".into()));
    assert_eq!(about["stacks"], serde_json::json!([{ "id": "*" }]));
    let diff_ids = config["rootfs"]["diff_ids"].as_array().unwrap();
    assert_eq!(diff_ids.len(), 1);
    assert_eq!(
        label("io.buildpacks.buildpack.layers"),
        serde_json::json!({ "test/hello": { "1.2.3": {
            "api": "0.10",
            "name": "Hello",
            "targets": [{ "os": "linux", "arch": "amd64" }],
            "layerDiffID": diff_ids[0],
        } } })
    );

    // A copy checks every digest, and leaves the layer as a file.
    let copy = room.path().join("copy");
    skopeo(&["copy", "--quiet", &archive, &format!("dir:{}", copy.display())]);
    let manifest: Value = serde_json::from_slice(&fs::read(copy.join("manifest.json")).unwrap()).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().trim_start_matches("sha256:");
    let listing =
        Command::new("tar").args(["-tvzf"]).arg(copy.join(layer)).arg("--numeric-owner").output().unwrap();
    let listing = String::from_utf8(listing.stdout).unwrap();
    let entries: Vec<(&str, &str, &str)> = listing
        .lines()
        .map(|line| {
            let mut words = line.split_whitespace();
            let (mode, owner) = (words.next().unwrap(), words.next().unwrap());
            (mode, owner, line.split_once(" cnb/").map_or(line, |(_, path)| path))
        })
        .collect();
    let (folder, program, file) = ("drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--");
    assert_eq!(
        entries,
        [
            (folder, "0/0", ""),
            (folder, "0/0", "buildpacks/"),
            (folder, "0/0", "buildpacks/test_hello/"),
            (folder, "0/0", "buildpacks/test_hello/1.2.3/"),
            (folder, "0/0", "buildpacks/test_hello/1.2.3/bin/"),
            (program, "0/0", "buildpacks/test_hello/1.2.3/bin/build"),
            (program, "0/0", "buildpacks/test_hello/1.2.3/bin/detect"),
            (file, "0/0", "buildpacks/test_hello/1.2.3/buildpack.toml"),
        ]
    );
}

#[test]
fn the_same_buildpack_gives_the_same_bytes_whatever_its_times_and_modes_and_another_gives_others() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = buildpack(one.path(), DESCRIPTOR);
    let bytes = fs::read(packaged(&first, &one.path().join("out"))).unwrap();
    let second = buildpack(two.path(), DESCRIPTOR);
    fs::set_permissions(&second, PermissionsExt::from_mode(0o700)).unwrap();
    fs::set_permissions(second.join("buildpack.toml"), PermissionsExt::from_mode(0o600)).unwrap();
    let touched = Command::new("touch").args(["-d", "2001-01-01"]).arg(second.join("bin/detect")).status();
    assert!(touched.unwrap().success());
    let again = packaged(&second, &two.path().join("out"));
    assert!(bytes == fs::read(&again).unwrap());
    fs::write(second.join("bin/detect"), "#!/bin/sh\nexit 100\n").unwrap();
    assert_eq!(packaged(&second, &two.path().join("out")), again);
    assert!(
        bytes != fs::read(&again).unwrap(),
        "the package of a changed buildpack takes the old one's place"
    );
}

#[test]
fn what_is_no_component_buildpack_is_refused_by_name_and_nothing_is_written() {
    let composite = "api = \"0.10\"\n[buildpack]\nid = \"test/all\"\nversion = \"1\"\n[[order]]\n\
                     [[order.group]]\nid = \"test/hello\"\n";
    let elsewhere = "api = \"0.10\"\n[buildpack]\nid = \"../test\"\nversion = \"1\"\n";
    let version = "api = \"0.10\"\n[buildpack]\nid = \"test/hello\"\nversion = \"../1\"\n";
    for (descriptor, words) in [
        (composite, "`test/all` is a composite of other buildpacks"),
        (elsewhere, "buildpack.toml: `../test` can't be the id of a buildpack"),
        (version, "is not valid"),
        ("api = \"0.10\"\n", "buildpack.toml is not what the specification asks for"),
    ] {
        let room = tempfile::tempdir().unwrap();
        let output = package(&buildpack(room.path(), descriptor), &room.path().join("out"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(words), "{descriptor:?}: {said}");
        assert!(!room.path().join("out").exists());
    }
    let empty = tempfile::tempdir().unwrap();
    let output = package(empty.path(), &empty.path().join("out"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("buildpack.toml"), "{output:?}");
}
