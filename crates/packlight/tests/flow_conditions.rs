//! Where and as whom an app is built, and what the image says of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use std::process::Command;
use support::*;

/// A layout with the image of a build, and what it says of itself.
fn config(name: &str, app: &std::path::Path, more: &[&str]) -> (tempfile::TempDir, serde_json::Value) {
    let dir = tempfile::tempdir().unwrap();
    let layout = format!("oci:{}", dir.path().join("out").display());
    let mut command = packlight(["build", name, "--agent", "none", "-o", &layout, "--path"]);
    say(command.arg(app).args(more)).ok();
    let said = say(Command::new("skopeo").args(["inspect", "--config", &layout])).ok();
    (dir, serde_json::from_str(&said.out).unwrap())
}

/// An app that says where it is, and who it was made by.
fn app() -> tempfile::TempDir {
    folder(&[
        ("requirements.txt", "tomli\n"),
        ("Procfile", "web: python3 where.py\nother: python3 -c 'print(1)'\n"),
        (
            "where.py",
            "import os, tomli\nprint(os.getcwd(), os.path.abspath(__file__))\n\
             print('owner', os.stat(__file__).st_uid, os.stat(__file__).st_gid, os.stat(tomli.__file__).st_uid)\n",
        ),
    ])
}

#[test]
fn the_workspace_is_where_the_user_wants_it_in_the_build_and_at_start() {
    let (app, name) = (app(), "flow-workspace");
    let (_dir, config) = config(name, app.path(), &["--workspace", "usr/src/app"]);
    assert_eq!(config["config"]["WorkingDir"], "/usr/src/app");
    let env = config["config"]["Env"].to_string();
    assert!(env.contains("CNB_APP_DIR=/usr/src/app"), "{env}");
    let ran = say(&mut packlight(["run", name, "--network", "none"])).ok().out;
    assert!(ran.starts_with("/usr/src/app /usr/src/app/where.py\n"), "{ran}");
    let mut command = packlight(["build", name, "--workspace", "/layers/x", "--path"]);
    say(command.arg(app.path())).fails(2, &["--workspace", "/app"]);
}

#[test]
fn ids_and_the_default_process_are_the_users() {
    let (app, name) = (app(), "flow-ids");
    let (_dir, first) = config(name, app.path(), &["--uid", "4567", "--gid", "0"]);
    assert_eq!(first["config"]["Entrypoint"][0], "/cnb/process/web");
    let root = config_root(name);
    let owners =
        |path: &str| root.iter().find(|it| it.0 == path).unwrap_or_else(|| panic!("no {path}")).1.clone();
    assert_eq!(owners("workspace/where.py"), "4567/0");
    let (_dir, other) = config(name, app.path(), &["-D", "other"]);
    assert_eq!(other["config"]["Entrypoint"][0], "/cnb/process/other");
    for (flag, value) in [("--uid", "0"), ("--uid", "-1"), ("--gid", "x")] {
        let mut command = packlight(["build", name, &format!("{flag}={value}"), "--path"]);
        say(command.arg(app.path())).fails(2, &[flag]);
    }
}

#[test]
fn flags_of_pack_that_mean_nothing_here_are_answered() {
    let app = plain_app();
    let build = |more: &[&str]| {
        let mut command = packlight(["build", "flow-pack", "-o", "store", "--path"]);
        say(command.arg(app.path()).args(more))
    };
    let said =
        build(&["--trust-builder", "--lifecycle-image", "x", "-t", "flow-pack:1,flow-pack:2"]).ok().both();
    assert!(said.contains("--trust-builder is without effect"), "{said}");
    assert!(said.contains("--lifecycle-image is without effect"), "{said}");
    let images = say(&mut packlight(["images", "--quiet"])).ok().out;
    assert!(images.contains("flow-pack:1") && images.contains("flow-pack:2"), "{images}");
    build(&["--docker-host", "inherit"]).fails(2, &["no build reaches a Docker engine", "DOCKER_HOST"]);
    build(&["--extension", "x"]).fails(6, &["not yet: image extensions"]);
}

/// Path and owner of every entry of the image's layers.
fn config_root(name: &str) -> Vec<(String, String)> {
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("image.tar");
    let output = format!("docker-archive:{}", archive.display());
    let app = app();
    let mut command = packlight(["build", name, "--agent", "none", "-o", &output, "--path"]);
    say(command.arg(app.path()).args(["--uid", "4567", "--gid", "0"])).ok();
    let tar = |args: &[&str]| say(Command::new("tar").current_dir(dir.path()).args(args)).ok().out;
    tar(&["xf", "image.tar"]);
    let manifest = std::fs::read(dir.path().join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let mut all = Vec::new();
    for layer in manifest[0]["Layers"].as_array().unwrap() {
        for line in tar(&["tvf", layer.as_str().unwrap(), "--numeric-owner"]).lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            all.push((words[5].trim_start_matches('/').to_owned(), words[1].to_owned()));
        }
    }
    all
}

#[test]
fn the_creation_time_is_fixed_unless_the_user_says_one() {
    let (app, name) = (plain_app(), "flow-created");
    let (_dir, usual) = config(name, app.path(), &[]);
    let (_dir, again) = config(name, app.path(), &["--creation-time", "1641013200"]);
    assert_eq!(again["created"], "2022-01-01T05:00:00Z");
    assert_ne!(usual["created"], again["created"]);
    let (_dir, now) = config(name, app.path(), &["--creation-time", "now"]);
    assert!(now["created"].as_str().unwrap() > "2025", "{now}");
    assert_eq!(config(name, app.path(), &[]).1, usual, "and back");
    let mut command = packlight(["build", name, "--creation-time", "soon", "--path"]);
    say(command.arg(app.path())).fails(2, &["--creation-time", "1641013200"]);
}

#[test]
fn the_execution_environment_is_told_to_buildpacks() {
    let script = "echo exec-env is $CNB_EXEC_ENV";
    let app = plain_app();
    std::fs::write(
        app.path().join("project.toml"),
        format!(
            "[_]\nschema-version = \"0.2\"\n[[io.buildpacks.post.group]]\nid = \"in/line\"\n\
             script = {{ api = \"0.12\", inline = \"{script}\" }}\n"
        ),
    )
    .unwrap();
    let mut command =
        packlight(["build", "flow-exec-env", "-v", "-o", "store", "--exec-env", "test", "--path"]);
    let said = say(command.arg(app.path())).ok().both();
    assert!(said.contains("exec-env is test"), "{said}");
    let mut command = packlight(["build", "flow-exec-env", "--exec-env", "a/b", "--path"]);
    say(command.arg(app.path())).fails(2, &["--exec-env", "letters"]);
}
