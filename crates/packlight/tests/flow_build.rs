//! The way of a build, with real packages: what comes out, what stays, and that it comes out the same again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use support::*;

fn example(name: &str) -> std::path::PathBuf {
    repository().join("examples").join(name)
}

/// The events of one kind of a build to the store.
fn events(name: &str, path: &Path, more: &[&str], kind: &str) -> Vec<serde_json::Value> {
    let mut command = packlight(["--format", "json", "build", name, "--output", "store", "--path"]);
    let said = say(command.arg(path).args(more)).ok();
    said.both()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .filter(|it: &serde_json::Value| it["event"] == kind)
        .collect()
}

#[test]
fn an_unchanged_rebuild_is_the_last_image_at_once() {
    let app = plain_app();
    let name = "flow-unchanged";
    let first = build(name, app.path());
    let built = events(name, app.path(), &[], "built").remove(0);
    assert_eq!(built["digest"], first.as_str());
    assert_eq!(built["processes"][0]["name"], "web", "{built}");
    let unchanged = |more: &[&str]| !events(name, app.path(), more, "unchanged").is_empty();
    assert!(unchanged(&[]));
    // Each of these is another question.
    assert!(!unchanged(&["-e", "ANYTHING=1"]));
    assert!(!unchanged(&[]), "the last build was another one");
    assert!(!unchanged(&["--clear-cache"]));
    assert!(unchanged(&[]));
    assert!(!unchanged(&["--default-process", "web"]));
    std::fs::write(app.path().join("new.txt"), "").unwrap();
    assert!(!unchanged(&["--default-process", "web"]));
    assert!(unchanged(&["--default-process", "web"]));
    say(&mut packlight(["rm", name])).ok();
    assert!(!unchanged(&["--default-process", "web"]), "the image is gone");
}

#[test]
fn a_warning_is_said_again() {
    let app = plain_app();
    for _ in 0..2 {
        let warnings = events("flow-warned", app.path(), &["-e", "PACKLIGHT_AGENT=nobody"], "warning");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
    }
}

#[test]
fn a_rebuild_that_changes_nothing_in_the_image_takes_every_layer_as_it_is() {
    let app = plain_app();
    let first = build("flow-rebuild", app.path());
    let more = ["-e", "NOBODY_READS_THIS=1"];
    let exported = events("flow-rebuild", app.path(), &more, "layer-exported");
    assert!(exported.len() >= 5, "{exported:?}");
    for layer in &exported {
        assert_eq!(layer["reused"], true, "{layer}");
    }
    assert_eq!(build_with("flow-rebuild", app.path(), &more), first);
}

#[test]
fn a_changed_line_changes_one_layer() {
    let app = plain_app();
    let before = build("flow-change", app.path());
    let file = app.path().join("server.py");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("plain", "other")).unwrap();
    let mut command = packlight(["--format", "json", "build", "flow-change", "--output", "store", "--path"]);
    let said = say(command.arg(app.path())).ok().both();
    assert!(!said.contains(&before), "{said}");
    let anew: Vec<String> = said
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|it| it["event"] == "layer-exported" && it["reused"] == false)
        .map(|it| it["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(anew.len(), 1, "{anew:?}");
    assert!(anew[0].starts_with("app"), "{anew:?}");
}

/// The same source, name and lock: from another folder, another store, another user, another umask.
#[test]
fn the_same_input_gives_the_same_digest_whoever_builds_it_and_wherever() {
    let name = "flow-same";
    let one = copy_of(&example("flask"));
    let first = build_with(name, one.path(), &["--lock"]);
    assert_eq!(build_with(name, one.path(), &["--lock"]), first, "a lock beside the source changes nothing");

    let two = copy_of(one.path());
    assert!(two.path().join("packlight.lock").exists());
    let store = tempfile::tempdir().unwrap();
    let mut command = packlight_on(store.path(), ["--quiet", "build", name, "--output", "store", "--path"]);
    command.arg(two.path());
    let mut other = Command::new("sh");
    other.arg("-c").arg("umask 077; exec \"$@\"").arg("sh");
    if rustix::process::geteuid().is_root() {
        // Root here, and so an ordinary user there: ids are mapped differently.
        for dir in [store.path(), two.path()] {
            give_to(dir, 4321);
        }
        other.args(["setpriv", "--reuid=4321", "--regid=4321", "--clear-groups"]);
    }
    other.arg(command.get_program()).args(command.get_args()).env("HOME", store.path()).env("NO_COLOR", "1");
    for (key, value) in command.get_envs() {
        other.env(key, value.unwrap_or_default());
    }
    assert_eq!(say(&mut other).ok().out.trim(), first);

    let secret = two.path().join("secret");
    std::fs::write(&secret, "").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o0)).unwrap();
    say(&mut other).fails(5, &["secret: permission denied"]);
}

#[test]
fn what_is_left_out_is_not_in_the_image_and_project_toml_brings_it_back() {
    let app = plain_app();
    std::fs::write(app.path().join(".env"), "PASSWORD=not-in-the-image").unwrap();
    std::fs::write(app.path().join("a name with spaces\nand a newline"), "x").unwrap();
    let out = tempfile::tempdir().unwrap();
    let files = |more: &[&str]| {
        let layout = out.path().join(format!("layout{}", more.len()));
        let target = format!("oci:{}", layout.display());
        let mut command = packlight(["build", "flow-left-out", "--output", &target, "--path"]);
        say(command.arg(app.path())).ok();
        listing(&layout)
    };
    let without = files(&[]);
    assert!(!without.contains("workspace/.env"), "{without}");
    assert!(without.contains("workspace/server.py") && without.contains("a name with spaces"), "{without}");
    std::fs::write(app.path().join("project.toml"), "[build]\nexclude = [\"!.env\"]\n").unwrap();
    assert!(files(&["again"]).contains("workspace/.env"));
}

#[test]
fn skopeo_reads_the_layout_and_the_archives() {
    let app = plain_app();
    let out = tempfile::tempdir().unwrap();
    let at = |name: &str| out.path().join(name).display().to_string();
    let (layout, oci, docker) = (at("layout"), at("oci.tar"), at("docker.tar"));
    let outputs = [format!("oci:{layout}"), format!("oci-archive:{oci}"), format!("docker-archive:{docker}")];
    let mut command = packlight(["build", "flow-skopeo", "--path"]);
    command.arg(app.path());
    for output in &outputs {
        command.args(["--output", output]);
    }
    say(&mut command).ok();
    for source in &outputs {
        let said = say(Command::new("skopeo").args(["inspect", "--config", source])).ok();
        let config: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(config["config"]["Entrypoint"][0], "/cnb/process/web", "{source}");
        assert_eq!(config["config"]["WorkingDir"], "/workspace", "{source}");
        let label = config["config"]["Labels"]["io.buildpacks.build.metadata"].as_str().unwrap();
        assert!(label.contains("packlight/python"), "{label}");
    }
    // The store itself is a layout, too.
    let store = format!("oci:{}:docker.io/library/flow-skopeo:latest", shared_store().display());
    say(Command::new("skopeo").args(["inspect", &store])).ok();
}

#[test]
fn a_build_that_is_killed_leaves_a_store_that_is_right_and_the_next_one_succeeds() {
    let app = plain_app();
    let store = tempfile::tempdir().unwrap();
    // The base of the shared store need not be made again: only what a kill can hurt is new.
    let mut first =
        packlight_on(store.path(), ["--quiet", "build", "flow-kill", "--output", "store", "--path"]);
    let digest = say(first.arg(app.path())).ok().out;
    let moments = [5, 20, 40, 60, 80, 120, 200, 400].into_iter().flat_map(|it| [(it, "KILL"), (it, "INT")]);
    for (delay, signal) in moments {
        std::fs::write(app.path().join("changed"), format!("{signal} {delay}")).unwrap();
        let arguments = ["--quiet", "build", "flow-kill", "--clear-cache", "--output", "store", "--path"];
        let mut command = packlight_on(store.path(), arguments);
        let mut child = command
            .arg(app.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay));
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        child.wait().unwrap();
        say(&mut packlight_on(store.path(), ["store", "check"])).ok();
        assert!(
            !sandboxed(store.path()),
            "a process of the build is left behind after {signal} at {delay} ms"
        );
    }
    std::fs::remove_file(app.path().join("changed")).unwrap();
    let mut last =
        packlight_on(store.path(), ["--quiet", "build", "flow-kill", "--output", "store", "--path"]);
    assert_eq!(say(last.arg(app.path())).ok().out, digest);
}

#[test]
fn two_builds_at_the_same_time_both_succeed() {
    let app = plain_app();
    let children: Vec<_> = ["flow-two-a", "flow-two-a", "flow-two-b"]
        .iter()
        .map(|name| {
            let mut command = packlight(["--quiet", "build", name, "--output", "store", "--path"]);
            command.arg(app.path()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    say(&mut packlight(["store", "check"])).ok();
}

#[test]
fn images_are_listed_and_removed() {
    let app = plain_app();
    build("flow-listed", app.path());
    assert!(say(&mut packlight(["images"])).ok().out.contains("flow-listed"));
    say(&mut packlight(["rm", "flow-listed"])).ok();
    assert!(!say(&mut packlight(["images"])).ok().out.contains("flow-listed"));
    say(&mut packlight(["rm", "flow-listed"])).fails(1, &["flow-listed"]);
}

/// Whether, a moment later, a program of a build in this store still runs: the app's layers are among its mounts.
fn sandboxed(store: &Path) -> bool {
    let store = store.display().to_string();
    let runs = || {
        std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).any(|process| {
            let own = process.file_name() == std::ffi::OsString::from(std::process::id().to_string());
            let mounts = std::fs::read_to_string(process.path().join("mountinfo")).unwrap_or_default();
            !own && mounts.contains(&store)
        })
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while runs() {
        if std::time::Instant::now() > deadline {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    false
}

/// A copy of a folder, as a clone is: other inodes, other times.
fn copy_of(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let from = format!("{}/.", dir.display());
    assert!(Command::new("cp").args(["-r", &from]).arg(copy.path()).status().unwrap().success());
    // A temporary folder is its owner's alone.
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(copy.path(), mode).unwrap();
    copy
}

fn give_to(dir: &Path, uid: u32) {
    let owner = format!("{uid}:{uid}");
    assert!(Command::new("chown").args(["-R", &owner]).arg(dir).status().unwrap().success());
}

/// The names of all files in all layers of a layout.
fn listing(layout: &Path) -> String {
    let mut names = String::new();
    for blob in std::fs::read_dir(layout.join("blobs/sha256")).unwrap() {
        let output = Command::new("tar").arg("-tzf").arg(blob.unwrap().path()).output().unwrap();
        names.push_str(&String::from_utf8_lossy(&output.stdout));
    }
    names
}
