//! What a build finds of one that failed before it.

use crate::room::Room;

/// Makes two layers where they are not there yet, and fails where the app says so: the second is then half made.
const BUILD: &str = r#"
cd "$CNB_LAYERS_DIR"
make() {
    if [ -e "$1.toml" ]; then echo "kept $1" >> "$CNB_PLATFORM_DIR/log"
    else echo "made $1" >> "$CNB_PLATFORM_DIR/log"; rm -rf "$1"; mkdir "$1"; cat "$CNB_APP_DIR/input" > "$1/file"; fi
}
"#;
const TOOL: &str = r#"
make tool
printf '[types]\nbuild = true\ncache = true\n[metadata]\nv = 1\n' > tool.toml
"#;
const PACKAGES: &str = r#"
grep -q "$(cat "$CNB_APP_DIR/input")" packages/file 2>/dev/null || rm -rf packages.toml packages
make packages
if grep -q fail "$CNB_APP_DIR/input"; then exit 1; fi
printf '[types]\nlaunch = true\ncache = true\n[metadata]\nv = 1\n' > packages.toml
"#;
const FAILS: &str = r#"if grep -q last input; then exit 1; fi"#;

/// Two buildpacks: the first makes the layers, the second may fail after it.
fn room(promise: &str) -> Room {
    let mut room = Room::new();
    let build = format!("CNB_APP_DIR=$PWD\n{BUILD}{TOOL}{PACKAGES}");
    room.buildpack("test/lang", "", &build);
    room.described("test/lang", promise, "", &build);
    room.buildpack("test/last", "", FAILS);
    input(&room, "one");
    room
}

const PROMISE: &str = "[metadata]\nfinished-layers = true\n";

fn input(room: &Room, text: &str) {
    fs_err::write(room.path("app/input"), format!("{text}\n")).unwrap();
}

/// What the buildpack said in this build.
fn said(room: &mut Room, fails: bool) -> String {
    drop(fs_err::remove_file(room.path("platform/log")));
    let ended = room.whole();
    assert_eq!(ended.is_err(), fails, "{:?}", ended.err());
    fs_err::read_to_string(room.path("platform/log")).unwrap()
}

#[test]
fn a_buildpack_that_promises_it_finds_what_it_had_finished_and_not_what_it_had_not() {
    let mut room = room(PROMISE);
    input(&room, "fail");
    assert_eq!(said(&mut room, true), "made tool\nmade packages\n");
    assert_eq!(said(&mut room, true), "kept tool\nmade packages\n");
    input(&room, "one");
    assert_eq!(said(&mut room, false), "kept tool\nmade packages\n");
    assert_eq!(said(&mut room, false), "kept tool\nkept packages\n");
}

#[test]
fn another_that_fails_finds_what_it_had_before() {
    let mut room = room("");
    input(&room, "fail");
    assert_eq!(said(&mut room, true), "made tool\nmade packages\n");
    assert_eq!(said(&mut room, true), "made tool\nmade packages\n");
    input(&room, "one");
    assert_eq!(said(&mut room, false), "made tool\nmade packages\n");
    input(&room, "fail");
    assert_eq!(said(&mut room, true), "kept tool\nmade packages\n");
    input(&room, "one");
    assert_eq!(said(&mut room, false), "kept tool\nmade packages\n");
}

#[test]
fn one_that_had_exited_0_finds_its_layers_also_where_the_image_has_older_ones() {
    let mut room = room("");
    said(&mut room, false);
    let old = room.path("layers/test_lang/packages/file");
    input(&room, "last");
    assert_eq!(said(&mut room, true), "kept tool\nmade packages\n");
    assert_eq!(fs_err::read_to_string(&old).unwrap(), "last\n");
    assert_eq!(said(&mut room, true), "kept tool\nkept packages\n");
    // The one that failed is mended, and nothing of the first is made again: but the image gets the new layer.
    room.described("test/last", "", "", "true");
    let exported = room.whole().unwrap();
    let layer = exported.layers.iter().find(|it| it.name == "test/lang:packages").unwrap();
    assert!(!layer.reused, "{:?}", exported.layers);
    let tree = room.store.unpacked(&layer.diff_id).unwrap();
    let file = tree.join("layers/test_lang/packages/file");
    assert_eq!(fs_err::read_to_string(file).unwrap(), "last\n");
    assert_eq!(said(&mut room, false), "kept tool\nkept packages\n");
}

#[test]
fn what_is_changed_after_the_failure_is_thrown_away() {
    let mut room = room(PROMISE);
    input(&room, "fail");
    said(&mut room, true);
    fs_err::write(room.path("layers/test_lang/tool/file"), "other").unwrap();
    assert_eq!(said(&mut room, true), "made tool\nmade packages\n");
    assert!(room.heard().iter().any(|it| it.contains("discarded test/lang:tool")), "{:?}", room.heard());
}
