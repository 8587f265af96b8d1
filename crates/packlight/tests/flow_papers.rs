//! Files about an image: its bills of materials and `report.toml`, at the build and afterwards.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use std::path::{Path, PathBuf};
use support::registry::Registry;
use support::*;

/// The files beneath a folder, relative to it, sorted.
fn files(dir: &Path) -> Vec<PathBuf> {
    let found =
        say(std::process::Command::new("find").arg(dir).args(["-type", "f", "-printf", "%P\\n"])).ok();
    let mut all: Vec<PathBuf> = found.out.lines().map(PathBuf::from).collect();
    all.sort();
    all
}

#[test]
fn a_build_writes_its_bills_of_materials_and_its_report_whenever_it_is_asked() {
    let (app, to) = (plain_app(), tempfile::tempdir().unwrap());
    let (bills, reports) = (to.path().join("bills"), to.path().join("reports"));
    let more = ["--tag", "flow-papers:2", "--sbom-output-dir", bills.to_str().unwrap()];
    let more = [&more[..], &["--report-output-dir", reports.to_str().unwrap()]].concat();
    let digest = build_with("flow-papers", app.path(), &more);
    let there = files(&bills);
    assert!(there.iter().any(|it| it.starts_with("launch/packlight_apm")), "{there:?}");
    assert!(there.iter().all(|it| it.to_str().unwrap().ends_with(".json")), "{there:?}");
    let report: toml::Table = std::fs::read_to_string(reports.join("report.toml")).unwrap().parse().unwrap();
    assert_eq!(report["image"]["digest"].as_str(), Some(digest.as_str()));
    let tags: Vec<_> = report["image"]["tags"].as_array().unwrap().iter().collect();
    assert_eq!(tags.len(), 2, "{report}");
    assert!(tags[1].as_str().unwrap().ends_with("/flow-papers:2"), "{report}");

    // The build that does nothing else says the same.
    let before = std::fs::read_to_string(reports.join("report.toml")).unwrap();
    std::fs::remove_dir_all(&bills).unwrap();
    std::fs::remove_dir_all(&reports).unwrap();
    build_with("flow-papers", app.path(), &more);
    assert_eq!(files(&bills), there);
    assert_eq!(std::fs::read_to_string(reports.join("report.toml")).unwrap(), before);

    let blocked = to.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    let mut command = packlight(["build", "flow-papers", "-o", "store", "--path"]);
    command.arg(app.path()).arg("--report-output-dir").arg(&blocked);
    say(&mut command).fails(63, &["the image is in the store", "file"]);
}

#[test]
fn bills_of_materials_come_from_the_store_and_from_a_registry_without_the_rest() {
    let (app, to, registry) = (plain_app(), tempfile::tempdir().unwrap(), Registry::start());
    let name = registry.name("team/app");
    build(&name, app.path());
    let mut download = packlight(["sbom", "download", &name, "--output-dir"]);
    let said = say(download.arg(to.path().join("store"))).ok();
    let there = files(&to.path().join("store"));
    assert!(there.iter().any(|it| it.starts_with("layers/sbom/launch/packlight_apm")), "{there:?}");
    assert_eq!(said.out.lines().count(), there.len(), "{}", said.out);

    let mut remote = packlight(["sbom", "download", "--remote", &name, "-o"]);
    say(remote.arg(to.path().join("remote"))).fails(1, &["team/app"]);
    build_with(&name, app.path(), &["--publish"]);
    let elsewhere = tempfile::tempdir().unwrap();
    for more in [&[][..], &["--remote"]] {
        let dir = to.path().join(format!("remote-{}", more.len()));
        let mut remote = packlight_on(elsewhere.path(), ["sbom", "download", &name, "-o"]);
        say(remote.arg(&dir).args(more)).ok();
        assert_eq!(files(&dir), there);
    }
    let blobs = files(&elsewhere.path().join("blobs"));
    assert_eq!(blobs.len(), 1, "more was fetched than the layer: {blobs:?}");
    // A name that was misspelt: why somebody's registry is spoken of.
    let misspelt = registry.name("nowhere");
    say(&mut packlight(["sbom", "download", &misspelt]))
        .fails(1, &["nowhere", "the store has no image of this name"]);
    say(&mut packlight(["sbom", "download", "oci:/nowhere", "--remote"])).fails(2, &["--remote"]);
}
