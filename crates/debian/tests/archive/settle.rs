//! An older lock's versions as preferences: who stays, who gives way, and what is told of it.

use crate::common::{Mirror, Package, Publish, package};
use debian::{LockedPackage, PackageIndex, ResolveError, Settled, Wishes, resolve, settle};

/// A package in its second version.
fn second<'a>(name: &'a str, fields: &'a str) -> Package<'a> {
    Package { version: "2.0-1", ..package(name, fields, &[]) }
}

/// An archive that has `first`, the lock of all its packages, and its index once it has `second`, too.
fn archive(first: &[Package<'_>], second: &[Package<'_>]) -> (Vec<LockedPackage>, PackageIndex) {
    let mut mirror = Mirror::new(first);
    let names: Vec<&str> = first.iter().map(|it| it.name).collect();
    let locked = resolve(&mirror.refresh().unwrap(), &names, &[]).unwrap();
    mirror.add("tiny-security", second);
    mirror.publish("tiny-security", &Publish::default());
    (locked, mirror.refresh().unwrap())
}

fn of<'a>(run: &'a [&'a str], build: &'a [&'a str]) -> Wishes<'a> {
    Wishes { run, build }
}

fn versions(packages: &[LockedPackage]) -> Vec<String> {
    packages.iter().map(|it| format!("{} {}", it.name, it.version)).collect()
}

fn moved(settled: &Settled) -> Vec<String> {
    settled.moved.iter().map(|it| format!("{} {} -> {}: {}", it.name, it.from, it.to, it.why)).collect()
}

#[test]
fn one_wish_more_leaves_the_locked_versions_and_only_without_a_lock_do_they_move() {
    let (locked, index) = archive(
        &[package("python", "Depends: lib\n", &[]), package("lib", "", &[]), package("gcc", "", &[])],
        &[
            second("python", "Depends: lib\n"),
            second("lib", ""),
            second("gcc", ""),
            second("more", "Depends: lib\n"),
        ],
    );
    let wishes = of(&["python", "more"], &["gcc"]);
    let kept = settle(&index, wishes, &locked).unwrap();
    assert_eq!(versions(&kept.run), ["lib 1.0-1", "more 2.0-1", "python 1.0-1"]);
    assert_eq!(versions(&kept.build), ["gcc 1.0-1"]);
    assert_eq!(moved(&kept), Vec::<String>::new());
    for package in kept.run.iter().chain(&kept.build).filter(|it| it.name != "more") {
        assert!(locked.contains(package), "{package:?}");
    }
    let anew = settle(&index, wishes, &[]).unwrap();
    assert_eq!(versions(&anew.run), ["lib 2.0-1", "more 2.0-1", "python 2.0-1"]);
    assert_eq!(versions(&anew.build), ["gcc 2.0-1"]);
}

#[test]
fn what_the_app_no_longer_needs_goes_and_is_no_move() {
    let (locked, index) =
        archive(&[package("a", "", &[]), package("b", "", &[])], &[second("a", ""), second("b", "")]);
    let kept = settle(&index, of(&["a"], &[]), &locked).unwrap();
    assert_eq!(versions(&kept.run), ["a 1.0-1"]);
    assert_eq!(moved(&kept), Vec::<String>::new());
}

#[test]
fn a_locked_version_that_is_in_the_way_gives_way_alone_and_who_wanted_it_is_told() {
    let (locked, index) = archive(
        &[package("app", "Depends: lib, other\n", &[]), package("lib", "", &[]), package("other", "", &[])],
        &[
            second("app", "Depends: lib, other\n"),
            second("lib", ""),
            second("other", ""),
            second("new", "Depends: lib (>= 2)\n"),
        ],
    );
    let kept = settle(&index, of(&["app", "new"], &[]), &locked).unwrap();
    assert_eq!(versions(&kept.run), ["app 1.0-1", "lib 2.0-1", "new 2.0-1", "other 1.0-1"]);
    assert_eq!(moved(&kept), ["lib 1.0-1 -> 2.0-1: new needs lib (>= 2)"]);
}

#[test]
fn packages_of_one_source_move_together() {
    let (locked, index) = archive(
        &[package("app", "Depends: lib (= 1.0-1)\n", &[]), package("lib", "", &[]), package("far", "", &[])],
        &[
            second("app", "Depends: lib (= 2.0-1)\n"),
            second("lib", ""),
            second("far", ""),
            second("lib-dev", "Depends: lib (= 2.0-1)\n"),
        ],
    );
    let kept = settle(&index, of(&["app", "far"], &["lib-dev"]), &locked).unwrap();
    assert_eq!(versions(&kept.run), ["app 2.0-1", "far 1.0-1", "lib 2.0-1"]);
    assert_eq!(versions(&kept.build), ["lib-dev 2.0-1"]);
    assert_eq!(kept.moved.len(), 2, "{:?}", kept.moved);
}

#[test]
fn a_package_that_breaks_a_locked_version_moves_it() {
    let (locked, index) =
        archive(&[package("lib", "", &[])], &[second("lib", ""), second("new", "Breaks: lib (<< 2)\n")]);
    let kept = settle(&index, of(&["lib", "new"], &[]), &locked).unwrap();
    assert_eq!(versions(&kept.run), ["lib 2.0-1", "new 2.0-1"]);
    assert!(
        moved(&kept)[0].contains("cannot be installed together (Breaks: lib (<< 2))"),
        "{:?}",
        kept.moved
    );
}

#[test]
fn a_version_that_the_index_has_no_more_or_has_with_other_contents_is_named() {
    let (mut locked, index) = archive(&[package("lib", "", &[]), package("other", "", &[])], &[]);
    locked[0].version = "0.9-1".to_owned();
    locked[1].sha256 = "0".repeat(64);
    let kept = settle(&index, of(&["lib", "other"], &[]), &locked).unwrap();
    assert_eq!(versions(&kept.run), ["lib 1.0-1", "other 1.0-1"]);
    assert_eq!(
        moved(&kept),
        [
            "lib 0.9-1 -> 1.0-1: the archive's index has that version no more",
            "other 1.0-1 -> 1.0-1: the archive's index has that version no more"
        ]
    );
}

#[test]
fn where_even_the_newest_do_not_fit_the_error_is_that_of_the_newest() {
    let (locked, index) =
        archive(&[package("lib", "", &[])], &[second("lib", ""), second("new", "Depends: lib (>= 3)\n")]);
    let with = settle(&index, of(&["lib", "new"], &[]), &locked).unwrap_err();
    let without = settle(&index, of(&["lib", "new"], &[]), &[]).unwrap_err();
    assert_eq!(with.to_string(), without.to_string());
    assert!(matches!(with, ResolveError::Unsatisfied { .. }), "{with}");
    let unknown = settle(&index, of(&["lib", "libb"], &[]), &locked).unwrap_err();
    assert_eq!(unknown.to_string(), "tiny has no package libb; did you mean lib?");
}

#[test]
fn what_compilers_take_for_granted_comes_with_a_compiler_alone() {
    let (_, index) = archive(
        &[
            package("pip", "", &[]),
            package("gcc", "Depends: cc\n", &[]),
            package("cc", "", &[]),
            package("awk", "", &[]),
        ],
        &[],
    );
    let built_with = |names: &[&str]| versions(&settle(&index, of(&[], names), &[]).unwrap().build);
    assert_eq!(built_with(&["pip"]), ["pip 1.0-1"]);
    assert_eq!(built_with(&["pip", "gcc"]), ["awk 1.0-1", "cc 1.0-1", "gcc 1.0-1", "pip 1.0-1"]);
}
