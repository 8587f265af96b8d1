//! The image, and the same build again.

use crate::room::Room;

const BUILD: &str = r#"
cd "$CNB_LAYERS_DIR"
if [ ! -d venv ]; then
    mkdir -p venv/bin venv/env.launch && echo program > venv/bin/app && echo built >> "$CNB_PLATFORM_DIR/log"
    printf yes > venv/env.launch/VENV
fi
printf '[types]\nlaunch = true\ncache = true\nbuild = true\n[metadata]\nversion = "3.13"\n' > venv.toml
if [ ! -e agent.toml ]; then
    mkdir -p agent && echo agent > agent/file && echo fetched >> "$CNB_PLATFORM_DIR/log"
    printf '{}' > agent.sbom.cdx.json
fi
printf '[types]\nlaunch = true\n[metadata]\nsha = "x"\n' > agent.toml
printf '[metadata]\nruns = 1\n' > store.toml
cat > launch.toml <<EOF
[[labels]]
key = "maker"
value = "me"
[[processes]]
type = "web"
command = ["app"]
args = ["--port", "80"]
default = true
[[processes]]
type = "worker"
command = ["work"]
[[slices]]
paths = ["static/*"]
EOF
"#;

const SBOM: &str = "sbom-formats = [\"application/vnd.cyclonedx+json\"]\n";

fn room() -> Room {
    let mut room = Room::new();
    room.buildpack("test/lang", "", BUILD);
    room.described("test/lang", SBOM, "", BUILD);
    fs_err::create_dir(room.path("app/static")).unwrap();
    fs_err::write(room.path("app/static/style.css"), "x").unwrap();
    room
}

#[test]
fn the_image_is_configured_as_the_text_says() {
    let mut room = room();
    let exported = room.whole().unwrap();
    let config = exported.image.config().clone();
    let container = &config.config;
    assert_eq!(container.entrypoint, ["/cnb/process/web"]);
    assert!(container.cmd.is_empty());
    assert_eq!((&*container.working_dir, &*container.user), ("/workspace", "1001:1000"));
    assert_eq!(
        container.env,
        [
            "PATH=/cnb/process:/cnb/lifecycle:/usr/bin",
            "LANG=C.UTF-8",
            "CNB_LAYERS_DIR=/layers",
            "CNB_APP_DIR=/workspace",
            "CNB_PLATFORM_API=0.15",
            "CNB_DEPRECATION_MODE=quiet",
        ]
    );
    let words: Vec<_> = config.history.iter().map(|it| it.created_by.clone().unwrap_or_default()).collect();
    assert_eq!(
        words,
        [
            "base",
            "Layer: 'agent', Created by buildpack: test/lang@1",
            "Layer: 'venv', Created by buildpack: test/lang@1",
            "Software Bill-of-Materials",
            "Buildpacks Application Launcher",
            "Buildpacks Launcher Config",
            "Buildpacks Process Types",
            "Application Slice: 1",
            "Application Slice: 2",
        ]
    );
    assert!(config.history.iter().all(|it| it.created.as_deref() == Some("1980-01-01T00:00:01Z")));
    assert_eq!(exported.report.image.tags, ["test-app"]);
    assert_eq!(exported.report.image.digest, exported.image.digest().to_string());
}

#[test]
fn the_labels_say_what_the_next_build_and_rebase_need() {
    let mut room = room();
    let exported = room.whole().unwrap();
    let labels = &exported.image.config().config.labels;
    let json = |name: &str| serde_json::from_str::<serde_json::Value>(&labels[name]).unwrap();
    let lifecycle = json("io.buildpacks.lifecycle.metadata");
    let ids: Vec<String> = exported.image.diff_ids().iter().map(ToString::to_string).collect();
    let venv = &lifecycle["buildpacks"][0]["layers"]["venv"];
    assert_eq!(venv["sha"], *ids[2]);
    assert_eq!(venv["data"], serde_json::json!({"version": "3.13"}));
    assert_eq!((&venv["launch"], &venv["cache"]), (&true.into(), &true.into()));
    assert_eq!(lifecycle["buildpacks"][0]["store"]["metadata"]["runs"], 1);
    assert_eq!(lifecycle["runImage"]["topLayer"], *ids[0]);
    assert_eq!(lifecycle["app"].as_array().unwrap().len(), 2);
    assert_eq!(lifecycle["launcher"]["sha"], *ids[4]);
    assert_eq!(lifecycle["process-types"]["sha"], *ids[6]);
    let build = json("io.buildpacks.build.metadata");
    assert_eq!(build["processes"][0]["buildpackID"], "test/lang");
    assert_eq!(build["buildpack-default-process-type"], "web");
    assert_eq!(build["launcher"]["version"], "1.2.3");
    assert_eq!((&*labels["maker"], &*labels["io.buildpacks.rebasable"]), ("me", "true"));
    assert_eq!(labels["io.buildpacks.base.id"], "packlight/debian");
    let text = serde_json::to_string(exported.image.config()).unwrap();
    assert!(!text.contains(&*room.dir.path().to_string_lossy()), "a path of this machine is in the image");
}

#[test]
fn the_files_of_the_image_are_where_the_launcher_looks_for_them() {
    let mut room = room();
    let exported = room.whole().unwrap();
    let find = |name: &str| {
        let layers = exported.image.diff_ids();
        let trees = layers.iter().map(|it| room.store.unpacked(it).unwrap().join(name));
        trees.into_iter().find(|it| it.symlink_metadata().is_ok()).unwrap()
    };
    assert_eq!(fs_err::read(find("cnb/lifecycle/launcher")).unwrap(), b"the launcher");
    assert_eq!(
        fs_err::read_link(find("cnb/process/worker")).unwrap().to_str(),
        Some("/cnb/lifecycle/launcher")
    );
    assert_eq!(fs_err::read(find("layers/test_lang/venv/env.launch/VENV")).unwrap(), b"yes");
    assert_eq!(fs_err::read(find("layers/sbom/launch/test_lang/agent/sbom.cdx.json")).unwrap(), b"{}");
    assert_eq!(fs_err::read(find("workspace/static/style.css")).unwrap(), b"x");
    let metadata: cnb::metadata::BuildMetadata =
        cnb::parse("", &fs_err::read_to_string(find("layers/config/metadata.toml")).unwrap()).unwrap();
    assert_eq!(metadata.buildpack_default_process_type, "web");
}

#[test]
fn a_build_with_nothing_changed_makes_no_new_layer_and_gives_the_same_image() {
    let mut room = room();
    let first = room.whole().unwrap();
    assert!(first.layers.iter().all(|it| !it.reused));
    let second = room.whole().unwrap();
    assert_eq!(second.image.digest(), first.image.digest());
    assert_eq!(room.heard(), ["restored test/lang:agent (metadata)", "restored test/lang:venv"]);
    assert!(second.layers.iter().all(|it| it.reused));
    let third = room.whole().unwrap();
    assert_eq!(third.image.digest(), first.image.digest());
    let log = fs_err::read_to_string(room.path("platform/log")).unwrap();
    assert_eq!(log, "built\nfetched\n", "each layer was made once");
}

#[test]
fn the_same_build_in_another_place_gives_the_same_image() {
    let (mut one, mut two) = (room(), room());
    assert_eq!(one.whole().unwrap().image.digest(), two.whole().unwrap().image.digest());
}

#[test]
fn a_changed_file_of_the_application_is_one_new_layer() {
    let mut room = room();
    let first = room.whole().unwrap();
    fs_err::write(room.path("app/main.py"), "print(1)\n").unwrap();
    let second = room.whole().unwrap();
    let changed: Vec<usize> = (0..first.image.diff_ids().len())
        .filter(|i| first.image.diff_ids()[*i] != second.image.diff_ids()[*i])
        .collect();
    assert_eq!(changed, [first.image.diff_ids().len() - 1], "the topmost, so that engines keep all others");
    let new: Vec<&str> = second.layers.iter().filter(|it| !it.reused).map(|it| &*it.name).collect();
    assert_eq!(new.len(), 1, "{new:?}");
}

#[test]
fn a_layer_that_was_tampered_with_is_made_anew() {
    let mut room = room();
    let first = room.whole().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs_err::write(room.path("layers/test_lang/venv/bin/app"), "PROGRAM\n").unwrap();
    let second = room.whole().unwrap();
    assert_eq!(second.image.digest(), first.image.digest());
    assert!(
        room.heard()
            .contains(&"discarded test/lang:venv: its files are not as the last build left them".to_owned())
    );
}

#[test]
fn a_layer_of_an_image_that_is_gone_is_made_anew() {
    let mut room = room();
    let first = room.whole().unwrap();
    room.store.untag(&room.name).unwrap();
    let second = room.whole().unwrap();
    assert_eq!(second.image.digest(), first.image.digest());
    let log = fs_err::read_to_string(room.path("platform/log")).unwrap();
    assert_eq!(log, "built\nfetched\nfetched\n", "the cache has venv, and only the image had agent");
}

#[test]
fn a_build_that_is_killed_half_way_is_followed_by_a_good_one() {
    let mut room = room();
    let first = room.whole().unwrap();
    // as after a kill in the middle of bin/build: a layer half written, no new record
    let detected = room.detect().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs_err::write(room.path("layers/test_lang/venv/bin/half"), "").unwrap();
    fs_err::write(room.path("layers/test_lang/agent.toml"), "[typ").unwrap();
    fs_err::create_dir_all(room.path("layers/test_lang/new")).unwrap();
    drop(detected);
    assert_eq!(room.whole().unwrap().image.digest(), first.image.digest());
}

#[test]
fn without_a_default_process_the_image_starts_the_launcher() {
    let mut room = Room::new();
    room.buildpack("test/none", "", "true");
    let exported = room.whole().unwrap();
    assert_eq!(exported.image.config().config.entrypoint, ["/cnb/lifecycle/launcher"]);
}

#[test]
fn a_process_type_that_nobody_defines_is_refused_with_those_that_are() {
    let mut room = room();
    room.process_type = Some("worker".to_owned());
    assert_eq!(room.whole().unwrap().image.config().config.entrypoint, ["/cnb/process/worker"]);
    room.process_type = Some("wrker".to_owned());
    let said = room.whole().unwrap_err().to_string();
    assert_eq!(said, "there is no process type `wrker`; the buildpacks define: web, worker");
}
