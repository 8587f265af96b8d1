//! A base with a name, and apps that are put on a newer one, in a real registry and in the store.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use std::path::Path;
use std::process::Command;
use support::registry::Registry;
use support::*;

fn say_ok(args: &[&str]) -> String {
    say(&mut packlight(args)).ok().both()
}

fn build_on(name: &str, app: &Path, output: &str) {
    let mut command = packlight(["build", name, "--agent", "none", "-o", output, "--path"]);
    say(command.arg(app)).ok();
}

fn digest(name: &str) -> String {
    let to = format!("docker://{name}");
    let inspect = ["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &to];
    say(Command::new("skopeo").args(inspect)).ok().out.trim().to_owned()
}

fn blobs(registry: &Registry) -> usize {
    let data = registry.dir().join("data/docker/registry/v2/blobs");
    say(Command::new("find").arg(data).args(["-name", "data", "-size", "+100k"])).ok().out.lines().count()
}

/// The names that this test gives to bases of the shared store. They are of a registry that ends with it, and go with it: an
/// image that another test builds on such a base would say the name, and so be another than one of a new store.
struct Names;

impl Names {
    fn none_yet() -> Self {
        Self::forget();
        Self
    }

    fn forget() {
        for base in std::fs::read_dir(shared_store().join("bases")).into_iter().flatten() {
            let _ = std::fs::remove_file(base.unwrap().path().join("name"));
        }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        Self::forget();
    }
}

/// An app with one more Debian package, so that its base is another: as good as the same base of another day.
fn app_on_a_newer_base() -> tempfile::TempDir {
    let app = plain_app();
    let text = "[com.packlight.debian]\nrun = [\"hostname\"]\n";
    std::fs::write(app.path().join("project.toml"), text).unwrap();
    app
}

#[test]
fn a_fleet_is_put_on_a_newer_base_without_moving_a_layer() {
    let _names = Names::none_yet();
    let registry = Registry::start();
    let (base, first, second) =
        (registry.name("base:1"), registry.name("team/one"), registry.name("team/two:v1"));
    let app = plain_app();

    // A base without a name: what stands on it says so, and stays where it is.
    build_on(&first, app.path(), "registry");
    let said = say(&mut packlight(["rebase", &first, "--publish"]));
    said.fails(72, &["its base was never pushed", "0 rebased", "1 refused"]);

    say_ok(&["base", "push", &base, "--of", &first]);
    assert!(say_ok(&["base", "show"]).contains(&base), "the base has a name now");
    build_on(&first, app.path(), "registry");
    build_on(&second, app.path(), "registry");
    let before = (digest(&first), digest(&second));
    assert!(say_ok(&["rebase", &first, "--publish"]).contains("on its run image already"));

    // The same name, another day.
    let newer = app_on_a_newer_base();
    build_on("flow-rebase-newer", newer.path(), "store");
    say_ok(&["base", "push", &base, "--of", "flow-rebase-newer"]);
    let there = blobs(&registry);
    let all = registry.name("team/*");
    let dry = say_ok(&["rebase", "--all", &all, "--dry-run"]);
    assert!(dry.contains("2 to be rebased"), "{dry}");
    assert_eq!((digest(&first), digest(&second)), before, "a dry run changed something");
    let done = say_ok(&["rebase", "--all", &all]);
    assert!(done.contains("2 rebased, 0 on their run image already, 0 refused"), "{done}");
    let after = (digest(&first), digest(&second));
    assert!(after.0 != before.0 && after.1 != before.1);
    assert_eq!(blobs(&registry), there, "a layer was moved");
    assert!(say_ok(&["rebase", "--all", &all]).contains("0 rebased, 2 on their run image already"));

    // It still is an app, on the other base.
    let (layout, from) = (folder(&[]), format!("docker://{first}"));
    let to = format!("oci:{}:x", layout.path().display());
    say(Command::new("skopeo").args(["copy", "-q", "--src-tls-verify=false", &from, &to])).ok();
    let config = say(Command::new("skopeo").args(["inspect", "--config", &to])).ok().out;
    assert!(config.contains("/cnb/process/web") && config.contains("localhost"), "{config}");

    let inspected = say(&mut packlight(["inspect", &second, "--format", "json"])).ok().out;
    assert!(
        inspected.contains("\"packlight/python\"")
            && inspected.contains(&format!("\"run-image\":\"{base}\"")),
        "{inspected}"
    );

    // The image of the store is another one, until it is rebased too.
    let in_store = say_ok(&["rebase", &first]);
    assert!(in_store.contains("1 rebased"), "{in_store}");
    let ran = say(&mut packlight(["run", &first, "--network", "none", "--entrypoint", "hostname"]));
    assert_eq!(ran.code, Some(0), "the newer base's program is not there: {}", ran.both());
}

#[test]
fn what_cannot_be_rebased_is_refused_and_the_others_are_done() {
    let registry = Registry::start();
    let nowhere = registry.name("team/nowhere");
    let said = say(&mut packlight(["rebase", &nowhere, "--publish"]));
    said.fails(72, &["team/nowhere", "stays as it is", "1 refused"]);
    say(&mut packlight(["rebase", "--all", "team/*"])).fails(2, &["begins with a registry's name"]);
    say(&mut packlight(["base", "push", "UPPER"])).fails(2, &["UPPER"]);
    say(&mut packlight(["base", "push", &nowhere, "--of", "flow-rebase-missing"]))
        .fails(2, &["flow-rebase-missing"]);
}
