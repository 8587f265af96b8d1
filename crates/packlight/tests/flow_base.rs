//! Bases: shown, locked, brought up to date, and what is said when the archive cannot be had or believed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::*;
use toml::{Table, Value};

/// A place where no mirror is.
const NOWHERE: &str = "file:///nonexistent";

/// `packlight ARGS` on a store, with the archive at this address.
fn at_mirror(store: &Path, mirror: &str, args: &[&str]) -> Command {
    let mut command = packlight_on(store, args);
    command.env("PACKLIGHT_DEBIAN_MIRROR", mirror).env("PACKLIGHT_DEBIAN_SECURITY_MIRROR", mirror);
    command
}

/// `packlight build` of `app` on a store.
fn build_on(store: &Path, app: &Path, more: &[&str]) -> Command {
    let mut command = packlight_on(store, ["--quiet", "build", "flow-base", "--output", "store", "--path"]);
    command.arg(app).args(more);
    command
}

/// The lock in this file.
fn read(file: &Path) -> Table {
    std::fs::read_to_string(file).unwrap().parse().unwrap()
}

fn write(file: &Path, lock: &Table) {
    std::fs::write(file, toml::to_string(lock).unwrap()).unwrap();
}

/// The packages of the run base.
fn run_packages(lock: &mut Table) -> &mut Vec<Value> {
    lock["debian"]["run"].as_array_mut().unwrap()
}

fn named<'a>(lock: &'a mut Table, name: &str) -> &'a mut Table {
    let found = run_packages(lock).iter_mut().find(|it| it["name"].as_str() == Some(name));
    found.unwrap_or_else(|| panic!("no {name}")).as_table_mut().unwrap()
}

/// A version of a package that the archive never had.
fn never_was(package: &mut Table) {
    package["version"] = "0.0-1".into();
    package["filename"] = "pool/main/n/none/none_0.0-1_all.deb".into();
    package["sha256"] = "0".repeat(64).into();
}

/// The lock that the store keeps with its only app.
fn kept_lock(store: &Path) -> PathBuf {
    let apps = std::fs::read_dir(store.join("apps")).unwrap();
    apps.map(|it| it.unwrap().path().join("packlight.lock")).find(|it| it.exists()).unwrap()
}

fn count(dir: &Path) -> usize {
    std::fs::read_dir(dir).map_or(0, Iterator::count)
}

/// The smallest package of which the archive has two versions and that needs nothing but what the lock has: a version
/// that is not the newest, in the lock's own words. There are hundreds, for each update for security makes one.
fn older(store: &Path, lock: &mut Table) -> Table {
    let index: String = std::fs::read_dir(store.join("downloads/debian"))
        .unwrap()
        .map(|it| it.unwrap().path())
        .filter(|it| it.extension().is_some_and(|it| it == "packages"))
        .map(|it| std::fs::read_to_string(it).unwrap())
        .collect();
    let has: Vec<String> =
        run_packages(lock).iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for entry in index.split("\n\n").filter(|it| it.starts_with("Package: ")) {
        versions.entry(field(entry, "Package").unwrap()).or_default().push(entry);
    }
    let at_home = |entry: &&str| {
        let needs = ["Depends", "Pre-Depends"].into_iter().filter_map(|it| field(entry, it));
        let mut names = needs.flat_map(|it| it.split(", ")).map(|it| it.split(' ').next().unwrap());
        let alone = ["Conflicts", "Breaks"].iter().all(|it| field(entry, it).is_none());
        alone && !entry.contains('|') && names.all(|it| has.iter().any(|has| has == it))
    };
    let fits = |entries: &&Vec<&str>| {
        let (first, second) = (field(entries[0], "Version"), entries.get(1).map(|it| field(it, "Version")));
        second.is_some_and(|it| it != first) && entries.len() == 2 && entries.iter().all(at_home)
    };
    let size = |entry: &str| field(entry, "Size").unwrap().parse::<i64>().unwrap();
    let two = versions.values().filter(fits).min_by_key(|it| size(it[0])).unwrap();
    let newer = |it: &&&str| {
        let args =
            ["--compare-versions", field(it, "Version").unwrap(), "gt", field(two[0], "Version").unwrap()];
        Command::new("dpkg").args(args).status().unwrap().success()
    };
    let old = if two.iter().any(|it| newer(&it)) { two[0] } else { two[1] };
    let mut package = Table::new();
    for (key, name) in [
        ("name", "Package"),
        ("version", "Version"),
        ("architecture", "Architecture"),
        ("filename", "Filename"),
        ("sha256", "SHA256"),
    ] {
        package.insert(key.to_owned(), field(old, name).unwrap().into());
    }
    package.insert("size".to_owned(), size(old).into());
    package.insert("suite".to_owned(), "trixie".into());
    package
}

fn field<'a>(entry: &'a str, name: &str) -> Option<&'a str> {
    entry.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn a_base_is_shown_locked_and_brought_up_to_date() {
    let (app, store) = (plain_app(), tempfile::tempdir().unwrap());
    let store = store.path();
    let base = |args: &[&str]| say(&mut packlight_on(store, [&["base"], args].concat()));
    assert!(base(&["show"]).ok().out.contains("no bases yet"));
    assert!(base(&["update"]).ok().out.contains("no app was built yet"));
    base(&["lock", "flow-base"]).fails(1, &["flow-base", "was not built yet", "--run"]);

    let digest = say(&mut build_on(store, app.path(), &["--lock"])).ok().out;
    let beside = read(&app.path().join("packlight.lock"));
    let shown = base(&["show"]).ok().out;
    assert!(shown.contains("trixie") && shown.contains("flow-base:latest"), "{shown}");
    let libc = named(&mut beside.clone(), "libc6")["version"].as_str().unwrap().to_owned();
    let packages = base(&["show", "--packages"]).ok().out;
    assert!(packages.lines().any(|it| it.split_whitespace().eq(["libc6", &libc])), "{packages}");

    let bases = count(&store.join("bases"));
    let printed: Table = base(&["lock", "flow-base"]).ok().out.parse().unwrap();
    assert_eq!(printed["debian"], beside["debian"]);
    assert_eq!(count(&store.join("bases")), bases, "`base lock` keeps nothing");

    // Time passes: what the store's lock names is of yesterday.
    let mut old = read(&kept_lock(store));
    never_was(named(&mut old, "tzdata"));
    let mut ghost = named(&mut old, "netbase").clone();
    ghost["name"] = "ghost".into();
    never_was(&mut ghost);
    run_packages(&mut old).retain(|it| it["name"].as_str() != Some("netbase"));
    run_packages(&mut old).push(ghost.into());
    write(&kept_lock(store), &old);
    let said = base(&["update"]).ok().out;
    assert!(said.starts_with("flow-base:latest: 3 packages changed; build it to have them\n"), "{said}");
    let rows: Vec<Vec<&str>> = said.lines().skip(1).map(|it| it.split_whitespace().collect()).collect();
    let of = |name: &str| rows.iter().find(|it| it[0] == name).unwrap_or_else(|| panic!("{said}"));
    assert_eq!(of("ghost")[1..], ["0.0-1", "->", "-"]);
    assert_eq!(of("netbase")[1..3], ["-", "->"]);
    assert_eq!(of("tzdata")[1..3], ["0.0-1", "->"]);
    assert!(base(&["update"]).ok().out.contains("flow-base:latest: nothing new in trixie"));
    std::fs::remove_file(app.path().join("packlight.lock")).unwrap();
    assert_eq!(say(&mut build_on(store, app.path(), &[])).ok().out, digest);

    // Wishes that change leave an older version where it is as long as the archive has it; only an update moves it.
    let wish = |packages: &[&str]| {
        std::fs::write(
            app.path().join("project.toml"),
            format!("[com.packlight.debian]\nrun = {packages:?}\n"),
        )
        .unwrap();
    };
    let mut lock = read(&kept_lock(store));
    let older = older(store, &mut lock);
    let name = older["name"].as_str().unwrap();
    never_was(named(&mut lock, "tzdata"));
    run_packages(&mut lock).push(older.clone().into());
    write(&kept_lock(store), &lock);
    wish(&["hostname", name]);
    let mut loud = packlight_on(store, ["build", "flow-base", "--output", "store", "--path"]);
    let said = say(loud.arg(app.path())).ok().both();
    assert!(said.contains("tzdata 0.0-1 could not stay as locked (the archive's index has"), "{said}");
    assert_eq!(said.matches("could not stay").count(), 1, "{said}");
    let mut kept = read(&kept_lock(store));
    named(&mut kept, "hostname");
    for key in ["version", "sha256"] {
        assert_eq!(named(&mut kept, name)[key], older[key]);
    }
    say(&mut build_on(store, app.path(), &["--update"])).ok();
    assert_ne!(named(&mut read(&kept_lock(store)), name)["version"], older["version"]);
}

#[test]
fn with_a_lock_beside_the_source_the_archive_is_asked_for_nothing_but_packages() {
    let (app, store, other) = (plain_app(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let digest = say(&mut build_on(store.path(), app.path(), &["--lock"])).ok().out;
    // A mirror that has the packages, and no index.
    let mirror = tempfile::tempdir().unwrap();
    let lock = read(&app.path().join("packlight.lock"));
    for package in ["run", "build"].iter().flat_map(|it| lock["debian"][*it].as_array().unwrap()) {
        let text = |key: &str| package[key].as_str().unwrap();
        let begin = format!("{}_", text("name"));
        let end = format!("_{}.deb", &text("sha256")[..12]);
        let deb =
            std::fs::read_dir(store.path().join("downloads/debian")).unwrap().map(|it| it.unwrap().path());
        let fits = |it: &PathBuf| {
            let name = it.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with(&begin) && name.ends_with(&end)
        };
        let to = mirror.path().join(text("filename"));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(deb.into_iter().find(fits).unwrap(), to).unwrap();
    }
    let url = format!("file://{}", mirror.path().display());
    let arguments = ["--quiet", "build", "flow-base", "--output", "store", "--path"];
    let mut locked = at_mirror(other.path(), &url, &arguments);
    assert_eq!(say(locked.arg(app.path())).ok().out, digest);

    std::fs::remove_file(app.path().join("packlight.lock")).unwrap();
    let third = tempfile::tempdir().unwrap();
    let mut unlocked = at_mirror(third.path(), &url, &arguments);
    say(unlocked.arg(app.path())).fails(102, &["the index of trixie", "InRelease not found"]);
}

/// An app whose lock names one package of the base, `gone` 1.0-1.
fn locked_app() -> tempfile::TempDir {
    let app = plain_app();
    let package = "architecture = \"all\"\nfilename = \"pool/main/g/gone_1.0-1_all.deb\"\nname = \"gone\"\n\
                   sha256 = \"1111111111111111111111111111111111111111111111111111111111111111\"\nsize = 4\n\
                   suite = \"trixie\"\nversion = \"1.0-1\"\n";
    let python = "\"libpython3.13-stdlib\", \"python3.13-minimal\"";
    let lock = format!(
        "version = 1\n[debian]\nrelease = \"trixie\"\nwanted-run = [{python}]\nbuild = []\n\
         wanted-build = [\"libpython3.13-stdlib\", \"python3-pip-whl\", \"python3.13-minimal\"]\n\
         [[debian.run]]\n{package}"
    );
    std::fs::write(app.path().join("packlight.lock"), lock).unwrap();
    app
}

#[test]
fn a_version_that_is_gone_wrong_bytes_and_a_wrong_signature_are_three_answers() {
    let (app, store, mirror) = (locked_app(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let url = format!("file://{}", mirror.path().display());
    let ask = |url: &str| {
        let mut command =
            at_mirror(store.path(), url, &["build", "flow-base", "--output", "store", "--path"]);
        say(command.arg(app.path()))
    };
    let gone = ask(&url).fails(102, &["no mirror has gone 1.0-1 any more", "take newer versions"]);
    assert!(!gone.both().contains("refused"), "{}", gone.both());

    std::fs::create_dir_all(mirror.path().join("pool/main/g")).unwrap();
    std::fs::write(mirror.path().join("pool/main/g/gone_1.0-1_all.deb"), "evil").unwrap();
    let wrong = ask(&url).fails(102, &["gone 1.0-1 was refused", "1111111111", "nothing was kept of it"]);
    assert!(!wrong.both().contains("any more"), "{}", wrong.both());

    // Signed, but not by Debian.
    let signed = repository().join("crates/debian/tests/archive/data/sha1-InRelease");
    for suite in ["trixie", "trixie-updates", "trixie-security"] {
        let dir = mirror.path().join("dists").join(suite);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::copy(&signed, dir.join("InRelease")).unwrap();
    }
    std::fs::remove_file(app.path().join("packlight.lock")).unwrap();
    let forged = ask(&url).fails(102, &["the index of trixie was refused", "PACKLIGHT_DEBIAN_MIRROR"]);
    assert!(!forged.both().contains("any more"), "{}", forged.both());
    assert_eq!(count(&store.path().join("bases")), 0);
    assert_eq!(count(&store.path().join("downloads/debian")), 0, "nothing of a refused file is kept");
    say(&mut at_mirror(store.path(), NOWHERE, &["base", "lock"]))
        .fails(102, &["the index of trixie cannot be had"]);
}

#[test]
fn a_lock_is_printed_for_any_release_and_wishes_and_misspelt_ones_are_answered_with_what_there_is() {
    let lock = |args: &[&str]| say(&mut packlight([&["base", "lock"], args].concat()));
    let other = lock(&["--release", "bookworm", "--run", "hostname"]).ok().out;
    assert!(other.contains("release = \"bookworm\"") && other.contains("name = \"hostname\""), "{other}");
    lock(&["--release", "trixy"]).fails(102, &["Debian trixy is not known", "trixie, bookworm"]);
    lock(&["--run", "libpq-5"]).fails(102, &["trixie has no package libpq-5", "did you mean libpq5"]);
}
