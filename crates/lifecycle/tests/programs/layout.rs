//! Builds into OCI layouts, phase by phase and at once, a second one that restores and reuses.

use crate::platform::{APP, BASE, Platform, files, metadata, owners, say, user};

const OUTPUT: &str = "registry.example/team/app/1";

/// Makes layers of each kind and says what it found of the last build's.
const BUILD: &str = r#"
echo "user $(id -u)"
for it in kept launched built; do
    if [ -e "$CNB_LAYERS_DIR/$it.toml" ]; then echo "found $it.toml"; fi
    if [ -e "$CNB_LAYERS_DIR/$it/file" ]; then echo "found $it/file"; fi
    if [ -e "$CNB_LAYERS_DIR/$it.sbom.cdx.json" ]; then echo "found $it.sbom"; fi
done
if [ -e "$CNB_LAYERS_DIR/store.toml" ]; then echo "found store.toml"; fi
if ! [ -e "$CNB_LAYERS_DIR/kept/file" ]; then mkdir -p "$CNB_LAYERS_DIR/kept"; echo cached >"$CNB_LAYERS_DIR/kept/file"; fi
printf '[types]\ncache = true\n[metadata]\nv = "1"\n' >"$CNB_LAYERS_DIR/kept.toml"
echo '{}' >"$CNB_LAYERS_DIR/kept.sbom.cdx.json"
if ! [ -e "$CNB_LAYERS_DIR/launched.toml" ]; then
    mkdir -p "$CNB_LAYERS_DIR/launched"; date +%N >"$CNB_LAYERS_DIR/launched/file"
fi
printf '[types]\nlaunch = true\n[metadata]\nv = "2"\n' >"$CNB_LAYERS_DIR/launched.toml"
echo '{"a":1}' >"$CNB_LAYERS_DIR/launched.sbom.cdx.json"
mkdir -p "$CNB_LAYERS_DIR/built"; echo built >"$CNB_LAYERS_DIR/built/file"
printf '[types]\nbuild = true\n' >"$CNB_LAYERS_DIR/built.toml"
printf '[metadata]\nseen = 1\n' >"$CNB_LAYERS_DIR/store.toml"
printf '[[processes]]\ntype = "web"\ncommand = ["run", "always"]\nargs = ["default"]\ndefault = true\n' >"$CNB_LAYERS_DIR/launch.toml"
"#;

fn platform() -> Platform {
    let platform = Platform::new();
    platform.run_image(BASE, "one");
    platform.buildpack("test/layers", "exit 0", BUILD);
    platform
}

#[test]
fn a_build_phase_by_phase_makes_an_image_and_the_next_one_reuses_it() {
    let platform = platform();
    let [_, detected, _, built, _] = platform.phases();
    assert_eq!(detected.out, "test/layers 1.0.0\n");
    assert!(built.out.contains(&format!("user {}", user().0)) && !built.out.contains("found"), "{built:?}");
    let first = platform.layout(OUTPUT);
    let config = &first.config().config;
    assert_eq!(config.entrypoint, ["/cnb/process/web"]);
    assert!(config.env.contains(&"PATH=/cnb/process:/cnb/lifecycle:/usr/bin:/bin".to_owned()), "{config:?}");
    assert!(config.env.contains(&"CNB_PLATFORM_API=0.15".to_owned()), "{config:?}");
    let run_image = &metadata(&first)["runImage"];
    assert_eq!(run_image["image"], BASE);
    assert_eq!(run_image["mirrors"][0], "mirror.example/run:1");
    let report = platform.toml("layers/report.toml");
    assert_eq!(report["image"]["digest"].as_str(), Some(&*first.digest().to_string()));
    assert_eq!(report["image"]["tags"][0].as_str(), Some(APP));

    platform.forget_layers();
    let [_, _, restored, built, exported] = platform.phases();
    for found in ["kept.toml", "kept/file", "kept.sbom", "launched.toml", "launched.sbom", "store.toml"] {
        assert!(built.out.contains(&format!("found {found}\n")), "{found}: {built:?}\n{restored:?}");
    }
    for gone in ["launched/file", "built.toml", "built/file"] {
        assert!(!built.out.contains(&format!("found {gone}\n")), "{gone}: {built:?}");
    }
    assert!(exported.out.contains("Reusing layer 'test/layers:launched'"), "{exported:?}");
    assert_eq!(platform.layout(OUTPUT).digest(), first.digest());
}

#[test]
fn creator_makes_the_same_image_as_the_phases() {
    let (one, two) = (platform(), platform());
    // `launched/file` has the time in it
    for it in [&one, &two] {
        it.described("test/layers", "0.10", "exit 0", &BUILD.replace("date +%N", "echo same"));
    }
    one.phases();
    let said = two.call("creator", &["-tag", "registry.example/team/app:2", APP]).ok();
    for phase in ["ANALYZING", "DETECTING", "RESTORING", "BUILDING", "EXPORTING"] {
        assert!(said.out.contains(&format!("===> {phase}\n")), "{said:?}");
    }
    // Paths of the two platforms differ, and so do the layers that have them; the rest is the same.
    let digests = |it: &Platform| metadata(&it.layout(OUTPUT))["launcher"]["sha"].clone();
    assert_eq!(digests(&one), digests(&two));
    assert_eq!(two.layout("registry.example/team/app/2").digest(), two.layout(OUTPUT).digest());
    let report = two.toml("layers/report.toml");
    assert_eq!(report["image"]["tags"].as_array().unwrap().len(), 2);

    two.forget_layers();
    let again = two.call("creator", &[APP]).ok();
    assert!(again.out.contains("found kept/file"), "{again:?}");
    two.forget_layers();
    let skipped = two.call("creator", &["-skip-restore", APP]).ok();
    assert!(skipped.out.contains("found store.toml") && !skipped.out.contains("found kept"), "{skipped:?}");
}

#[test]
fn the_image_has_the_app_owned_by_the_builds_user_and_links_for_its_processes() {
    let platform = platform();
    platform.phases();
    let image = platform.layout(OUTPUT);
    let layout = platform.path("layouts").join(OUTPUT);
    let all: Vec<Vec<String>> = (0..image.layers().len()).map(|at| files(&layout, &image, at)).collect();
    let at = |suffix: &str| all.iter().position(|it| it.iter().any(|file| file.ends_with(suffix)));
    for file in
        ["app/main", "cnb/process/web", "cnb/lifecycle/launcher", "config/metadata.toml", "launched/file"]
    {
        assert!(at(file).is_some(), "{file} in {all:?}");
    }
    assert!(at("kept/file").is_none() && at("built/file").is_none(), "{all:?}");
    // Nothing but the app changes with the app.
    assert_eq!(at("app/main"), Some(all.len() - 1), "{all:?}");
    let (uid, gid) = user();
    let own = owners(&layout, &image, all.len() - 1);
    assert!(own.iter().any(|it| it.contains(&format!("{uid}/{gid}")) && it.ends_with("app/main")), "{own:?}");
    let launcher = owners(&layout, &image, at("cnb/lifecycle/launcher").unwrap());
    assert!(launcher.iter().all(|it| it.contains("0/0")), "{launcher:?}");
}

#[test]
fn no_group_fits_ends_with_20_and_an_error_with_21() {
    let platform = Platform::new();
    platform.run_image(BASE, "one");
    platform.call("analyzer", &[APP]).ok();
    platform.buildpack("test/no", "echo not mine; exit 100", "true");
    platform.call("detector", &[]).fails(20, "not mine");
    platform.described("test/no", "0.10", "echo broken; exit 1", "true");
    platform.call("detector", &[]).fails(21, "broken");
    platform.described("test/no", "0.99", "exit 0", "true");
    platform.call("detector", &[]).fails(12, "0.99");
}

#[test]
fn a_buildpack_that_fails_ends_with_51() {
    let platform = Platform::new();
    platform.run_image(BASE, "one");
    platform.buildpack("test/fails", "exit 0", "echo no luck; exit 7");
    platform.call("analyzer", &[APP]).ok();
    platform.call("detector", &[]).ok();
    platform.call("restorer", &[]).ok();
    platform.call("builder", &[]).fails(51, "no luck");
    platform.call("creator", &[APP]).fails(51, "exit code 7");
}

#[test]
fn buildpacks_can_read_no_secret_of_the_program_that_runs_them() {
    let platform = Platform::new();
    platform.run_image(BASE, "one");
    let build = r#"
echo "mine: $(env | grep -c CNB_REGISTRY_AUTH || true)"
cat /proc/$PPID/environ 2>/dev/null && echo LEAK || echo "closed"
"#;
    platform.buildpack("test/spy", "exit 0", build);
    platform.call("analyzer", &[APP]).ok();
    platform.call("detector", &[]).ok();
    // Both ways: started as the build's own user, and by root, whose privileges are given up.
    for (program, args) in [("builder", &[][..]), ("creator", &[APP])] {
        let mut command = platform.command(program);
        command.env("CNB_REGISTRY_AUTH", "{\"registry.example\":\"Basic c2VjcmV0\"}");
        let said = say(command.args(platform.flags_of(program)).args(args)).ok();
        assert!(said.out.contains("mine: 0") && said.out.contains("closed"), "{said:?}");
        assert!(!said.out.contains("LEAK") && !said.out.contains("c2VjcmV0"), "{said:?}");
    }
}

#[test]
fn what_a_buildpack_leaves_running_is_ended_and_delays_nothing() {
    let platform = Platform::new();
    platform.run_image(BASE, "one");
    let mark = platform.path("mark");
    let build = format!("setsid sh -c 'sleep 300; touch {}' & echo done", mark.display());
    platform.buildpack("test/leaves", "exit 0", &build);
    let started = std::time::Instant::now();
    platform.call("creator", &[APP]).ok();
    assert!(started.elapsed().as_secs() < 100);
    let running =
        std::process::Command::new("pgrep").arg("-f").arg(mark.display().to_string()).output().unwrap();
    assert!(running.stdout.is_empty(), "{running:?}");
}

#[test]
fn a_damaged_cache_is_a_warning_and_the_layer_is_made_anew() {
    let platform = platform();
    platform.phases();
    for entry in fs_err::read_dir(platform.path("cache/committed")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "tar") {
            fs_err::write(path, "torn").unwrap();
        }
    }
    platform.forget_layers();
    let [_, _, restored, built, _] = platform.phases();
    assert!(restored.err.contains("test/layers:kept is not restored"), "{restored:?}");
    assert!(!built.out.contains("found kept"), "{built:?}");
    platform.forget_layers();
    let [.., built, _] = platform.phases();
    assert!(built.out.contains("found kept/file"), "{built:?}");
}

#[test]
fn old_platforms_get_a_command_as_one_string() {
    let mut platform = platform();
    platform.api = "0.12";
    platform.phases();
    let new = platform.toml("layers/config/metadata.toml");
    assert_eq!(new["processes"][0]["command"].as_array().unwrap().len(), 2);
    platform.api = "0.9";
    platform.write("stack.toml", "");
    platform.call("builder", &[]).ok();
    let old = platform.toml("layers/config/metadata.toml");
    assert_eq!(old["processes"][0]["command"].as_str(), Some("run"));
    assert_eq!(old["processes"][0]["args"].as_array().unwrap().len(), 2);
}

#[test]
fn the_operators_system_buildpacks_take_part() {
    let platform = platform();
    platform.described("test/system", "0.10", "exit 0", "echo from the system");
    platform.write("system.toml", "[[system.pre.buildpacks]]\nid = \"test/system\"\nversion = \"1.0.0\"\n");
    platform.call("analyzer", &[APP]).ok();
    let system = platform.path("system.toml").display().to_string();
    let said = platform.call("detector", &["-system", &system]).ok();
    assert!(said.out.starts_with("test/system 1.0.0\n"), "{said:?}");
}

#[test]
fn the_time_of_the_image_is_the_platforms_when_it_gives_one() {
    let platform = platform();
    let mut command = platform.command("creator");
    command.env("SOURCE_DATE_EPOCH", "86400").args(platform.flags_of("creator")).arg(APP);
    say(&mut command).ok();
    assert_eq!(platform.layout(OUTPUT).config().created.as_deref(), Some("1970-01-02T00:00:00Z"));
}

#[test]
fn a_link_that_a_buildpack_left_in_place_of_a_file_is_not_followed() {
    let platform = platform();
    platform.call("analyzer", &[APP]).ok();
    platform.call("detector", &[]).ok();
    platform.write("secret", "password of the platform");
    for file in ["group.toml", "analyzed.toml"] {
        let path = platform.path("layers").join(file);
        let own = fs_err::read_to_string(&path).unwrap();
        fs_err::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(platform.path("secret"), &path).unwrap();
        let said = platform.call("restorer", &[]);
        assert!(said.code == Some(1) && said.err.contains("symbolic link"), "{file}: {said:?}");
        assert!(!said.err.contains("password"), "{said:?}");
        fs_err::remove_file(&path).unwrap();
        fs_err::write(&path, own).unwrap();
    }
}

/// <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#layer-types>: launch and cache, and no app image.
#[test]
fn a_layer_for_launch_and_cache_comes_from_the_cache_alone_since_platform_api_0_14() {
    let build = "for it in both.toml both/file; do if [ -e \"$CNB_LAYERS_DIR/$it\" ]; then echo \"found $it\"; fi; done\n\
        mkdir -p \"$CNB_LAYERS_DIR/both\"; echo x >\"$CNB_LAYERS_DIR/both/file\"\n\
        printf '[types]\\nlaunch = true\\ncache = true\\n' >\"$CNB_LAYERS_DIR/both.toml\"";
    for (api, found) in [("0.13", false), ("0.14", true)] {
        let mut platform = Platform::new();
        platform.api = api;
        platform.run_image(BASE, "one");
        platform.buildpack("test/both", "exit 0", build);
        platform.call("creator", &[APP]).ok();
        platform.forget_layers();
        let said = platform.call("creator", &["registry.example/team/other"]).ok();
        for file in ["both.toml", "both/file"] {
            assert_eq!(said.out.contains(&format!("found {file}\n")), found, "{api} {file}: {said:?}");
        }
        platform.forget_layers();
        let said = platform.call("creator", &[APP]).ok();
        assert!(said.out.contains("found both/file\n"), "{api}: {said:?}");
    }
}

/// Two layers for launch and cache, made once.
const TWO: &str = r#"
for it in a b; do
    if ! [ -e "$CNB_LAYERS_DIR/$it/file" ]; then mkdir -p "$CNB_LAYERS_DIR/$it"; echo "$it" >"$CNB_LAYERS_DIR/$it/file"; fi
    printf '[types]\nlaunch = true\ncache = true\n' >"$CNB_LAYERS_DIR/$it.toml"
done
if [ -e "$CNB_PLATFORM_DIR/change" ]; then echo "b" >"$CNB_LAYERS_DIR/a/file"; fi
"#;

fn shas(image: &oci::Image) -> [String; 2] {
    let metadata = metadata(image);
    ["a", "b"].map(|it| metadata["buildpacks"][0]["layers"][it]["sha"].as_str().unwrap().to_owned())
}

#[test]
fn a_restored_layer_that_nobody_touched_is_not_read_and_one_that_was_changed_is() {
    let platform = Platform::new();
    platform.run_image(BASE, "one");
    platform.buildpack("test/two", "exit 0", TWO);
    platform.phases();
    let first = platform.layout(OUTPUT);
    let [a, b] = shas(&first);

    // What restore noted is believed: with the notes of the two exchanged, the image has the one for the other.
    platform.forget_layers();
    platform.call("analyzer", &[APP]).ok();
    platform.call("detector", &[]).ok();
    platform.call("restorer", &[]).ok();
    let mut notes: serde_json::Value = serde_json::from_str(&platform.read("cache/packlight.json")).unwrap();
    notes["restored"]["test/two:a"]["diff_id"] = b.clone().into();
    notes["restored"]["test/two:b"]["diff_id"] = a.clone().into();
    platform.write("cache/packlight.json", &notes.to_string());
    platform.call("builder", &[]).ok();
    platform.call("exporter", &[APP]).ok();
    assert_eq!(shas(&platform.layout(OUTPUT)), [b.clone(), a.clone()]);

    // Of the same length, so that only the change time tells.
    platform.forget_layers();
    fs_err::remove_dir_all(platform.path("cache")).unwrap();
    fs_err::create_dir(platform.path("cache")).unwrap();
    platform.phases();
    assert_eq!(shas(&platform.layout(OUTPUT)), [a.clone(), b.clone()]);
    platform.forget_layers();
    platform.write("platform/change", "");
    platform.phases();
    let changed = platform.layout(OUTPUT);
    let [now, other] = shas(&changed);
    assert!(now != a && other == b, "{now} {other}");
    let metadata: serde_json::Value =
        serde_json::from_str(&platform.read("cache/committed/io.buildpacks.lifecycle.cache.metadata"))
            .unwrap();
    assert_eq!(metadata["buildpacks"][0]["layers"]["a"]["sha"], now.as_str());
    assert!(platform.path(&format!("cache/committed/{now}.tar")).exists());
}

#[test]
fn an_image_without_a_temporary_directory_gets_one() {
    let platform = platform();
    let mut command = platform.command("creator");
    command.env("TMPDIR", platform.path("layers/not/there"));
    say(command.args(platform.flags_of("creator")).arg(APP)).ok();
}
