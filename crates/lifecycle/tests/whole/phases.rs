//! Detection and build in detail.

use crate::room::Room;
use lifecycle::{DetectError, Verdict, check_targets};

fn plan(provides: &str, requires: &str) -> String {
    let mut text = String::new();
    for name in provides.split_whitespace() {
        text += &format!("[[provides]]\nname = \"{name}\"\n");
    }
    for name in requires.split_whitespace() {
        text += &format!("[[requires]]\nname = \"{name}\"\n[requires.metadata]\nby = \"{name}\"\n");
    }
    format!("cat > $2 <<'EOF'\n{text}\nEOF")
}

fn order(room: &mut Room, toml: &str) {
    room.order = toml.to_owned();
}

#[test]
fn everybodys_verdict_and_output_is_kept_when_nothing_passes() {
    let mut room = Room::new();
    room.buildpack("test/a", "echo no requirements.txt; exit 100", "").buildpack(
        "test/b",
        "echo boom >&2; exit 3",
        "",
    );
    let error = room.detect().unwrap_err();
    assert!(error.is_a_buildpacks_fault());
    let DetectError::NothingPassed { said, groups } = error else { panic!() };
    let all: Vec<_> =
        said.iter().map(|it| (&*it.who, it.verdict.clone(), String::from_utf8_lossy(&it.output))).collect();
    assert_eq!(all[0], ("test/a@1", Verdict::Fail, "no requirements.txt\n".into()));
    assert_eq!(all[1].1, Verdict::Error("bin/detect ended with exit code 3".into()));
    assert_eq!(all[1].2, "boom\n");
    assert_eq!(groups[0].reason, "test/a@1 did not pass");
}

#[test]
fn a_buildpack_is_asked_once_in_however_many_groups_it_is() {
    let mut room = Room::new();
    room.described("a", "", "echo x >> ../asked; exit 0", "");
    room.described("b", "", "exit 100", "");
    order(
        &mut room,
        "[[order]]\n[[order.group]]\nid = \"a\"\nversion = \"1\"\n[[order.group]]\nid = \"b\"\n\
         [[order]]\n[[order.group]]\nid = \"a\"\n",
    );
    assert_eq!(room.detect().unwrap().group.group.len(), 1);
    assert_eq!(fs_err::read_to_string(room.path("asked")).unwrap(), "x\n");
}

#[test]
fn only_listed_variables_get_through_and_clear_env_keeps_the_users_away() {
    let mut room = Room::new();
    fs_err::write(room.path("platform/env/BP_USER"), "given").unwrap();
    room.buildpack("test/a", "env > ../a.env", "").buildpack("test/b", "env > ../b.env", "");
    room.described("test/b", "clear-env = true\n", "env > ../b.env", "");
    room.detect().unwrap();
    let read = |name: &str| fs_err::read_to_string(room.path(name)).unwrap();
    let (a, b) = (read("a.env"), read("b.env"));
    assert!(a.contains("BP_USER=given") && a.contains("HOME=/home/cnb") && !a.contains("SECRET"));
    assert!(!b.contains("BP_USER") && b.contains("HOME=/home/cnb"));
    for name in ["CNB_BUILDPACK_DIR", "CNB_PLATFORM_DIR", "CNB_BUILD_PLAN_PATH"] {
        assert!(a.contains(&format!("{name}=/")), "{name}");
    }
    assert!(!a.contains("CNB_TARGET_OS"));
}

#[test]
fn broken_plans_and_composites_that_contain_themselves_are_named() {
    let mut room = Room::new();
    room.buildpack("test/a", "echo '[[provides' > $2", "");
    let DetectError::NothingPassed { said, .. } = room.detect().unwrap_err() else { panic!() };
    let Verdict::Error(text) = &said[0].verdict else { panic!() };
    assert!(text.starts_with("the build plan is not what the specification asks for"), "{text}");
    let mut room = Room::new();
    room.described("o", "[[order]]\n[[order.group]]\nid = \"o\"\nversion = \"1\"\n", "", "");
    order(&mut room, "[[order]]\n[[order.group]]\nid = \"o\"\n");
    let said = room.detect().unwrap_err().to_string();
    assert_eq!(said, "composite buildpack `o@1` contains itself; take it out of its own order");
    order(&mut room, "[[order]]\n[[order.group]]\nid = \"o\"\nversion = \"2\"\n");
    let said = room.detect().unwrap_err().to_string();
    assert_eq!(said, "buildpack `o@2` is not in this builder; it has version 1");
}

#[test]
fn an_api_that_is_not_spoken_is_refused_before_its_keys_are_read() {
    let mut room = Room::new();
    room.buildpack("test/a", "", "");
    let file = room.path("buildpacks/test_a/1/buildpack.toml");
    fs_err::write(file, "api = \"0.13\"\nbuildpack = 1\n").unwrap();
    let said = room.detect().unwrap_err().to_string();
    assert!(
        said.ends_with(
            "declares Buildpack API 0.13, which this version does not speak (it speaks 0.7 to 0.12)"
        )
    );
}

#[test]
fn old_version_keys_move_into_the_metadata() {
    let mut room = Room::new();
    let detect = "printf '[[provides]]\\nname=\"x\"\\n[[requires]]\\nname=\"x\"\\nversion=\"3\"\\n' > $2";
    room.buildpack("test/a", detect, "");
    let plan = room.detect().unwrap().plan;
    let require = &plan.entries[0].requires[0];
    assert_eq!((&*require.version, require.metadata["version"].as_str()), ("", Some("3")));
}

fn debian() -> cnb::analyzed::TargetData {
    cnb::analyzed::TargetData {
        os: "linux".into(),
        arch: "amd64".into(),
        distro: Some(cnb::buildpack_toml::Distro { name: "debian".into(), version: "13".into() }),
        ..Default::default()
    }
}

#[test]
fn a_buildpack_for_another_target_fails_its_group_and_an_optional_one_is_left_out() {
    let ubuntu = "[[targets]]\nos = \"linux\"\n[[targets.distros]]\nname = \"ubuntu\"\n";
    let mut room = Room::new();
    room.described("u", ubuntu, "echo asked > ../asked", "");
    room.described("d", "[[targets]]\narch = \"amd64\"\n", "env > ../d.env", "");
    let group = |optional| {
        format!(
            "[[order]]\n[[order.group]]\nid = \"u\"\noptional = {optional}\n[[order.group]]\nid = \"d\"\n"
        )
    };
    order(&mut room, &group(false));
    let without = room.detect().unwrap();
    assert_eq!(without.group.group.len(), 2);
    let said = check_targets(&room.catalogue(), &without.group, &debian()).unwrap_err().to_string();
    assert_eq!(said, "u@1 runs on linux/any (ubuntu), and this image is linux/amd64 (debian 13)");
    fs_err::remove_file(room.path("asked")).unwrap();
    room.target = Some(debian());
    assert!(matches!(room.detect(), Err(DetectError::NothingPassed { .. })));
    order(&mut room, &group(true));
    let group = room.detect().unwrap().group.group;
    assert_eq!((group.len(), &*group[0].id), (1, "d"));
    assert!(!room.path("asked").exists());
    let env = fs_err::read_to_string(room.path("d.env")).unwrap();
    assert!(env.contains("CNB_TARGET_DISTRO_NAME=debian\n") && env.contains("CNB_TARGET_ARCH=amd64\n"));
}

#[test]
fn a_plan_entry_goes_to_the_next_provider_when_the_first_calls_it_unmet() {
    let mut room = Room::new();
    let save = |name: &str| format!("cp $3 \"$CNB_PLATFORM_DIR/{name}\"");
    room.buildpack(
        "a",
        &plan("x y", ""),
        &format!("{}; printf '[[unmet]]\\nname=\"x\"\\n' > $1/build.toml", save("a")),
    )
    .buildpack("b", &plan("x y", ""), &save("b"))
    .buildpack("c", &plan("x", "x y"), &save("c"));
    let built = room.built().unwrap();
    let names = |file: &str| {
        let text = fs_err::read_to_string(room.path("platform").join(file)).unwrap();
        let plan: cnb::plan::BuildpackPlan = cnb::parse("", &text).unwrap();
        plan.entries.iter().map(|it| it.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (names("a"), names("b"), names("c")),
        (vec!["x".into(), "y".into()], vec!["x".into()], vec![])
    );
    assert!(built.unmet.is_empty());
}

#[test]
fn what_an_extension_provides_is_not_asked_of_a_buildpack_of_the_same_name() {
    let mut room = Room::new();
    room.buildpack("a", &plan("", "x"), "cp $3 \"$CNB_PLATFORM_DIR/a\"");
    let dir = room.path("extensions/a/1");
    fs_err::create_dir_all(dir.join("detect")).unwrap();
    fs_err::write(dir.join("extension.toml"), "api = \"0.10\"\n[extension]\nid = \"a\"\nversion = \"1\"\n")
        .unwrap();
    fs_err::write(dir.join("detect/plan.toml"), "[[provides]]\nname = \"x\"\n").unwrap();
    let extensions = "[[order-extensions]]\n[[order-extensions.group]]\nid = \"a\"\nversion = \"1\"\n";
    room.order += extensions;
    let built = room.built().unwrap();
    assert!(built.unmet.is_empty());
    assert_eq!(built.metadata.extensions.len(), 1);
    assert_eq!(fs_err::read_to_string(room.path("platform/a")).unwrap().trim(), "entries = []");
}

#[test]
fn calling_unmet_what_was_not_asked_is_refused() {
    let mut room = Room::new();
    room.buildpack("a", "", "printf '[[unmet]]\\nname=\"x\"\\n' > $1/build.toml");
    let said = room.built().unwrap_err().to_string();
    assert_eq!(said, "a@1: build.toml calls `x` unmet, which was not in its plan");
}

#[test]
fn a_layer_that_is_for_nothing_is_put_aside_and_no_layer_of_another_type_is() {
    let mut room = Room::new();
    let build =
        "cd $1; for l in none l-build l-launch l-cache; do mkdir -p $l/bin; printf '[types]\\n' > $l.toml; done
for l in build launch cache; do echo \"$l = true\" >> l-$l.toml; done";
    room.buildpack("a", "", build).buildpack("b", "", "ls $1/../a > ../seen; echo $PATH > ../path");
    room.built().unwrap();
    let seen = fs_err::read_to_string(room.path("seen")).unwrap();
    let dirs: Vec<&str> = seen.lines().filter(|it| !it.ends_with(".toml")).collect();
    assert_eq!(dirs, ["l-build", "l-cache", "l-launch", "none.ignore"]);
    let path = fs_err::read_to_string(room.path("path")).unwrap();
    assert_eq!(
        path.trim().replace(&*room.path("layers").to_string_lossy(), ""),
        "/a/l-build/bin:/usr/bin:/bin"
    );
}

#[test]
fn buildpacks_for_another_execution_environment_are_passed_over() {
    let mut room = Room::new();
    room.buildpack("a", "", "").buildpack("b", "", "");
    let file = room.path("buildpacks/a/1/buildpack.toml");
    let text = "api = \"0.12\"\n[buildpack]\nid = \"a\"\nversion = \"1\"\nexec-env = [\"test\"]\n";
    fs_err::write(file, text).unwrap();
    let ids =
        |room: &Room| room.detect().unwrap().group.group.iter().map(|it| it.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&room), ["b"]);
    room.exec_env = "test".into();
    assert_eq!(ids(&room), ["a", "b"]);
}
