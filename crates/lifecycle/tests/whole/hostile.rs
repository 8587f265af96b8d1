//! What a buildpack may leave to get at the host, and what its author is told.

use crate::room::Room;

fn refused(build: &str) -> String {
    let mut room = Room::new();
    room.buildpack("test/bad", "", build);
    let layers = room.path("layers").display().to_string();
    room.whole().unwrap_err().to_string().replace(&layers, "/layers")
}

#[test]
fn links_in_place_of_files_are_refused_by_name() {
    for (file, kind) in
        [("launch.toml", "file"), ("build.toml", "file"), ("store.toml", "file"), ("venv.toml", "file")]
    {
        let said = refused(&format!("ln -s /etc/passwd $1/{file}"));
        let wanted =
            format!("test/bad@1: /layers/test_bad/{file} is a symbolic link; write a {kind} there instead");
        assert_eq!(said, wanted);
    }
}

#[test]
fn a_layer_that_is_a_link_is_refused_by_name() {
    let said = refused("printf '[types]\\nlaunch = true\\n' > $1/venv.toml; ln -s /etc $1/venv");
    assert_eq!(said, "test/bad@1: /layers/test_bad/venv is a symbolic link; write a directory there instead");
    let said = refused("rmdir $1; ln -s /etc $1");
    assert_eq!(said, "test/bad@1: /layers/test_bad is a symbolic link; write a directory there instead");
}

#[test]
fn environment_files_that_lead_out_are_refused_by_name() {
    let types = "printf '[types]\\nbuild = true\\n' > $1/l.toml; mkdir -p $1/l";
    let said = refused(&format!("{types}/env; ln -s /etc/shadow $1/l/env/STOLEN"));
    assert!(said.contains("/layers/test_bad/l/env/STOLEN is a symbolic link"), "{said}");
    let said = refused(&format!("{types}; ln -s /etc $1/l/env.build"));
    assert!(said.contains("/layers/test_bad/l/env.build is a symbolic link"), "{said}");
}

#[test]
fn a_fifo_does_not_hold_up_a_build() {
    assert_eq!(refused("mkfifo $1/launch.toml"), "test/bad@1: /layers/test_bad/launch.toml is no file");
}

#[test]
fn what_the_lifecycle_writes_goes_nowhere_else() {
    let mut room = Room::new();
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().display();
    room.buildpack("test/bad", "", &format!("ln -s {target} $1/../config; ln -s {target} $1/../sbom"));
    room.described(
        "test/bad",
        "sbom-formats = [\"application/spdx+json\"]\n",
        "",
        &format!(
            "ln -s {target} $1/../config; ln -s {target} $1/../sbom; echo '{{}}' > $1/launch.sbom.spdx.json"
        ),
    );
    let said = room.whole().unwrap_err().to_string();
    assert!(said.contains("sbom is a symbolic link"), "{said}");
    let mut room = Room::new();
    room.buildpack("test/bad", "", &format!("ln -s {target} $1/../config"));
    room.built().unwrap();
    assert_eq!(fs_err::read_dir(outside.path()).unwrap().count(), 0);
    assert!(room.path("layers/config/metadata.toml").is_file());
}

#[test]
fn a_link_in_a_layer_stays_a_link_in_the_image() {
    let mut room = Room::new();
    let types = "printf '[types]\\nlaunch = true\\n' > $1/l.toml";
    room.buildpack("test/bad", "", &format!("mkdir $1/l; ln -s /etc/passwd $1/l/link; {types}"));
    let exported = room.whole().unwrap();
    let tree = room.store.unpacked(&exported.layers[0].diff_id).unwrap();
    let link = fs_err::read_link(tree.join("layers/test_bad/l/link")).unwrap();
    assert_eq!(link.to_str(), Some("/etc/passwd"));
}

#[test]
fn bills_of_materials_must_be_declared_and_known() {
    let said = refused("echo '{}' > $1/launch.sbom.cdx.json");
    assert_eq!(
        said,
        "test/bad@1: /layers/test_bad/launch.sbom.cdx.json is written, but buildpack.toml does not declare it; add \
         \"application/vnd.cyclonedx+json\" to `sbom-formats`"
    );
    let said = refused("echo '{}' > $1/launch.sbom.xml");
    assert!(said.contains("launch.sbom.xml is in a format that is not known"), "{said}");
}

#[test]
fn a_layer_to_be_reused_must_be_there() {
    let said = refused("printf '[types]\\nlaunch = true\\n' > $1/venv.toml");
    assert_eq!(
        said,
        "test/bad@1 wants to keep its layer `venv` of the previous image, which does not have it; build again with \
         an empty cache"
    );
    let said = refused("printf '[types]\\nlaunch = true\\ncache = true\\n' > $1/venv.toml");
    assert_eq!(said, "test/bad@1: layer `venv` has `cache = true`, but there is no directory of that name");
}

#[test]
fn a_failed_build_says_who_and_how() {
    assert_eq!(refused("exit 7"), "test/bad@1: bin/build ended with exit code 7");
    let mut room = Room::new();
    room.buildpack("test/bad", "", "");
    fs_err::remove_file(room.path("buildpacks/test_bad/1/bin/build")).unwrap();
    let said = room.built().unwrap_err().to_string();
    assert!(said.starts_with("test/bad@1: bin/build could not be run: "), "{said}");
}
