//! Against Debian's real archive, at the mirror of this machine's own apt sources, and against apt and dpkg.
//!
//! These tests need a Debian machine with apt sources and a network; they fail where there is none.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::common::picture;
use debian::{
    Archive, ArchiveError, Event, Kind, LockedPackage, Mirrors, SourceKind, compose, refresh, resolve,
};

fn mirrors() -> Mirrors {
    let sources = debian::apt_sources(Path::new("/etc/apt"));
    let of = |kind| sources.iter().filter(|it| it.kind == kind).map(|it| it.url.clone()).collect();
    let mirrors = Mirrors { archive: of(SourceKind::Archive), security: of(SourceKind::Security) };
    assert!(
        !mirrors.archive.is_empty() && !mirrors.security.is_empty(),
        "/etc/apt names no mirror of Debian"
    );
    mirrors
}

/// Downloads are shared by the tests of one run.
fn cache() -> &'static Path {
    static CACHE: OnceLock<tempfile::TempDir> = OnceLock::new();
    CACHE.get_or_init(|| tempfile::tempdir().unwrap()).path()
}

fn archive(release: &str) -> Archive {
    let now = jiff::Timestamp::now();
    let release = debian::release(release).unwrap();
    Archive { release, mirrors: mirrors(), cache: cache().to_owned(), now, allow_expired: false }
}

fn names(packages: &[LockedPackage]) -> BTreeSet<String> {
    packages.iter().map(|package| package.name.clone()).collect()
}

#[test]
fn both_releases_are_read_resolved_fetched_and_composed_the_same_twice() {
    for (release, python) in [("trixie", "python3.13"), ("bookworm", "python3.11")] {
        let archive = archive(release);
        let bytes: RefCell<BTreeMap<Kind, u64>> = RefCell::default();
        let report = |event| {
            if let Event::Received { kind, bytes: more, .. } = event {
                *bytes.borrow_mut().entry(kind).or_default() += more;
            }
        };
        let index = refresh(&archive, &report).unwrap();
        let wanted: Vec<&str> = archive.release.run_core.iter().copied().chain(["python3"]).collect();
        let packages = resolve(&index, &wanted, &[]).unwrap();
        let found = names(&packages);
        assert!(found.contains(python), "{found:?}");
        for absent in
            ["dpkg", "perl-base", "debconf", "apt", "libsystemd0", "libdb5.3", "libdb5.3t64", "libkrb5-3"]
        {
            assert!(!found.contains(absent), "{absent} of {release}");
        }
        let files = debian::fetch(&archive.mirrors, &archive.cache, &packages, &report).unwrap();
        let bytes = bytes.into_inner();
        assert!(bytes[&Kind::Index] > 1_000_000 && bytes[&Kind::Deb] > 1_000_000, "{bytes:?}");
        let debs: Vec<(LockedPackage, PathBuf)> = packages.into_iter().zip(files).collect();
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let composed = compose(&debs, None, first.path()).unwrap();
        assert_eq!(composed, compose(&debs, None, second.path()).unwrap());
        let files = picture(first.path());
        assert_eq!(files, picture(second.path()));
        for path in [
            "usr/bin/python3",
            "usr/bin/sh",
            "bin",
            "usr/sbin/ldconfig",
            "etc/ssl/certs/ca-certificates.crt",
            "etc/os-release",
        ] {
            assert!(files.contains_key(Path::new(path)), "{path} of {release}");
        }
        let what: Vec<&str> = composed.finish.iter().map(|finish| finish.what).collect();
        assert_eq!(what, ["the linker's cache", "the bytecode of Python's modules"]);
    }
}

#[test]
fn real_signatures_expire_with_their_keys() {
    let at = |time: &str| {
        let archive = Archive { now: time.parse().unwrap(), allow_expired: true, ..archive("trixie") };
        refresh(&archive, &|_| {}).map(drop)
    };
    at("2035-01-01T00:00:00Z").unwrap();
    let error = at("2060-01-01T00:00:00Z").unwrap_err().to_string();
    assert!(error.contains("the key has expired"), "{error}");
    let error = at("2026-01-01T00:00:00Z").unwrap_err();
    assert!(matches!(error, ArchiveError::Signature { .. }), "{error}");
}

/// What apt would install on an empty machine, with nothing but the given names.
fn apt(release: &str, wanted: &[&str]) -> BTreeSet<String> {
    let mirrors = mirrors();
    let root = cache().join(format!("apt-{release}"));
    for folder in ["lists/partial", "cache/archives/partial", "etc"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let (archive, security) = (&mirrors.archive[0], &mirrors.security[0]);
    let signed = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]";
    let sources = format!(
        "deb {signed} {archive} {release} main\ndeb {signed} {archive} {release}-updates main\n\
         deb {signed} {security} {release}-security main\n"
    );
    std::fs::write(root.join("etc/sources.list"), sources).unwrap();
    std::fs::write(root.join("status"), "").unwrap();
    let run = |arguments: &[&str]| {
        let at = |name: &str, path: &str| format!("{name}={}", root.join(path).display());
        let output = Command::new("apt-get")
            .args(["-o", &at("Dir::State::Lists", "lists"), "-o", &at("Dir::Cache", "cache")])
            .args(["-o", &at("Dir::Etc", "etc"), "-o", &at("Dir::State::Status", "status")])
            .args([
                "-o",
                "Dir::Etc::SourceParts=-",
                "-o",
                "Debug::NoLocking=1",
                "-o",
                "APT::Architecture=amd64",
            ])
            .args(["-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    if !root.join("updated").exists() {
        run(&["update"]);
        std::fs::write(root.join("updated"), "").unwrap();
    }
    let mut arguments = vec!["-s", "--no-install-recommends", "install"];
    arguments.extend(wanted);
    let text = run(&arguments);
    text.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn without_cuts_the_same_packages_are_chosen_as_by_apt() {
    for release in ["trixie", "bookworm"] {
        let index = refresh(&archive(release), &|_| {}).unwrap();
        for wanted in [
            &["python3", "gunicorn"][..],
            &["bash", "coreutils", "base-files", "base-passwd", "libc-bin", "python3"],
            &["build-essential", "libpq-dev", "pkg-config"],
            &["ffmpeg", "git", "postgresql-client"],
        ] {
            let ours = names(&debian::resolve_uncut(&index, wanted, &[]).unwrap());
            let theirs = apt(release, wanted);
            let (more, less): (Vec<_>, Vec<_>) =
                (ours.difference(&theirs).collect(), theirs.difference(&ours).collect());
            assert!(
                more.is_empty() && less.is_empty(),
                "{release} {wanted:?}: only ours {more:?}, only apt's {less:?}"
            );
        }
    }
}

#[test]
fn versions_are_ordered_as_dpkg_orders_them() {
    // Not random: the same pairs each time, made of the parts that versions are made of.
    let parts =
        ["1", "0", "00", "10", "9", "~", "+", ".", "-1", "a", "dfsg", "+b1", "~rc", "+deb13u", "2:", "-"];
    let mut seed = 12_345_u64;
    let mut pick = |count: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % count
    };
    let mut pairs = vec![("1.1.1+dfsg-1+b1".to_owned(), "1.1.1+dfsg0-1".to_owned())];
    while pairs.len() < 600 {
        let mut version = || {
            let mut text = if pick(4) == 0 { "1:".to_owned() } else { String::new() };
            text.push_str(["1", "2", "1.0"][pick(3)]);
            for _ in 0..pick(6) {
                text.push_str(parts[pick(14)]);
            }
            text
        };
        pairs.push((version(), version()));
    }
    for (left, right) in pairs {
        let is = |relation: &str| {
            let status =
                Command::new("dpkg").args(["--compare-versions", &left, relation, &right]).status().unwrap();
            status.success()
        };
        let theirs = match (is("lt"), is("gt")) {
            (true, false) => std::cmp::Ordering::Less,
            (false, true) => std::cmp::Ordering::Greater,
            _ => std::cmp::Ordering::Equal,
        };
        assert_eq!(debian::compare_versions(&left, &right), theirs, "{left} against {right}");
    }
}
