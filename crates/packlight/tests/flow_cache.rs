//! Caches that are shared between machines: an image in a registry, and a folder.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use std::path::Path;
use std::process::Command;
use support::registry::Registry;
use support::*;

const KEPT: &str = "layer venv: kept, unchanged";
const ANEW: &str = "layer venv: made anew";

fn build(name: &str, app: &Path, more: &[&str]) -> Said {
    let mut command = packlight(["build", name, "--agent", "none", "-v", "--path"]);
    say(command.arg(app).args(more))
}

fn app() -> tempfile::TempDir {
    folder(&[("requirements.txt", "tomli\n"), ("Procfile", "web: python3 -c 'import tomli; print(1)'\n")])
}

/// Each name is an app of its own, as on a machine that has built nothing yet.
#[test]
fn a_cache_image_brings_the_layers_to_a_machine_that_has_built_nothing() {
    let (app, registry) = (app(), Registry::start());
    let cache = registry.name("team/cache");
    let more = ["--publish", "--cache-image", &cache];
    let first = build(&registry.name("team/a"), app.path(), &more).ok().both();
    assert!(first.contains(ANEW) && !first.contains("could not be written"), "{first}");
    let there = format!("docker://{cache}");
    let label = "{{index .Labels \"io.buildpacks.lifecycle.cache.metadata\"}}";
    let inspect = ["inspect", "--tls-verify=false", "--format", label, &there];
    let label = say(Command::new("skopeo").args(inspect)).ok().out;
    let label: serde_json::Value = serde_json::from_str(&label).unwrap();
    let venv = label["buildpacks"].as_array().unwrap().iter().find(|it| it["key"] == "packlight/python");
    assert_eq!(venv.unwrap()["layers"]["venv"]["cache"], true, "{label}");

    let other = registry.name("team/b");
    let second = build(&other, app.path(), &more).ok().both();
    assert!(second.contains(KEPT), "{second}");
    assert_eq!(say(&mut packlight(["run", &other, "--network", "none"])).ok().out, "1\n");
    let cleared = build(&registry.name("team/c"), app.path(), &[&more[..], &["--clear-cache"]].concat());
    assert!(cleared.ok().both().contains(ANEW));
    // What was restored is the buildpacks' to change.
    std::fs::write(app.path().join("requirements.txt"), "tomli\nsix\n").unwrap();
    let spelt = format!("type=build;format=image;name={cache}");
    let changed = build(&registry.name("team/d"), app.path(), &["--publish", "--cache", &spelt]).ok().both();
    assert!(changed.contains(ANEW), "{changed}");
    let again = build(&registry.name("team/e"), app.path(), &more).ok().both();
    assert!(again.contains(KEPT), "{again}");

    build("flow-cache", app.path(), &["--cache-image", &cache, "-o", "store"]).fails(2, &["--publish"]);
    drop(registry);
    build("flow-cache", app.path(), &more).fails(42, &["the cache image cannot be used"]);
}

#[test]
fn a_folder_keeps_the_cache_in_the_references_format() {
    let (app, dir) = (app(), tempfile::tempdir().unwrap());
    let spelt = format!("type=build;format=bind;source={}", dir.path().display());
    let more = ["-o", "store", "--cache", &spelt];
    assert!(build("flow-folder-a", app.path(), &more).ok().both().contains(ANEW));
    let committed = dir.path().join("build-cache/committed");
    let json = std::fs::read(committed.join("io.buildpacks.lifecycle.cache.metadata")).unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let sha = metadata["buildpacks"][0]["layers"]["venv"]["sha"].as_str().unwrap();
    let tar = committed.join(format!("{sha}.tar"));
    assert!(std::fs::metadata(&tar).unwrap().len() > 10_000);
    assert!(build("flow-folder-b", app.path(), &more).ok().both().contains(KEPT));
    // A damaged layer is told of, and made anew.
    std::fs::write(&tar, "torn").unwrap();
    let said = build("flow-folder-c", app.path(), &more).ok().both();
    assert!(said.contains("is not restored") && said.contains(ANEW), "{said}");
    assert!(build("flow-folder-d", app.path(), &more).ok().both().contains(KEPT));
    let volume = ["-o", "store", "--cache", "type=build;format=volume;name=x"];
    build("flow-folder-e", app.path(), &volume).fails(2, &["format=bind"]);
}
