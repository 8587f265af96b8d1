//! Which packages a name brings with it.

use crate::common::{Mirror, Package, Publish, package};
use debian::{LockedPackage, ResolveError, resolve};

fn names(packages: &[LockedPackage]) -> Vec<&str> {
    packages.iter().map(|package| package.name.as_str()).collect()
}

fn wanted(packages: &[Package<'_>], names_wanted: &[&str]) -> Result<Vec<LockedPackage>, ResolveError> {
    resolve(&Mirror::new(packages).refresh().unwrap(), names_wanted, &[])
}

#[test]
fn dependencies_come_with_a_package_and_recommendations_do_not() {
    let found = wanted(
        &[
            package(
                "app",
                "Pre-Depends: pre\nDepends: lib (>= 1.0), debconf (>= 0.5) | debconf-2.0\nRecommends: more\n",
                &[],
            ),
            package("pre", "", &[]),
            package("lib", "Depends: app\n", &[]),
            package("more", "", &[]),
            package("debconf", "", &[]),
        ],
        &["app"],
    );
    assert_eq!(names(&found.unwrap()), ["app", "lib", "pre"]);
}

#[test]
fn a_cut_dependency_is_still_installed_when_it_is_asked_for() {
    let packages = [package("app", "Depends: debconf\n", &[]), package("debconf", "", &[])];
    assert_eq!(names(&wanted(&packages, &["app", "debconf"]).unwrap()), ["app", "debconf"]);
}

#[test]
fn an_alternative_that_is_there_already_is_taken_before_the_first_one() {
    let packages = [
        package("app", "Depends: first | second, tool\n", &[]),
        package("tool", "Depends: second\n", &[]),
        package("first", "", &[]),
        package("second", "", &[]),
    ];
    assert_eq!(names(&wanted(&packages, &["app"]).unwrap()), ["app", "second", "tool"]);
    assert_eq!(names(&wanted(&packages, &["first", "app"]).unwrap()), ["app", "first", "second", "tool"]);
}

#[test]
fn of_the_providers_of_a_name_the_one_with_the_highest_priority_is_taken() {
    let packages = [
        package("app", "Depends: awk\n", &[]),
        package("a-awk", "Provides: awk\nPriority: optional\n", &[]),
        package("mawk", "Provides: awk (= 2.0)\nPriority: required\n", &[]),
        package("app2", "Depends: awk (>= 3)\n", &[]),
    ];
    assert_eq!(names(&wanted(&packages, &["app"]).unwrap()), ["app", "mawk"]);
    assert!(matches!(wanted(&packages, &["app2"]).unwrap_err(), ResolveError::Unsatisfied { .. }));
}

#[test]
fn the_newest_version_of_all_suites_is_taken_and_its_suite_is_kept() {
    let mut mirror = Mirror::new(&[package("lib", "", &[])]);
    mirror.add("tiny-security", &[Package { version: "1.0-1+deb13u1", ..package("lib", "", &[]) }]);
    mirror.publish("tiny-security", &Publish::default());
    let found = resolve(&mirror.refresh().unwrap(), &["lib"], &[]).unwrap();
    assert_eq!(found[0].version, "1.0-1+deb13u1");
    assert_eq!(found[0].suite, "tiny-security");
    assert!(found[0].is_security());
}

#[test]
fn an_unknown_name_is_answered_with_names_near_to_it() {
    let error = wanted(&[package("libpq5", "", &[]), package("ffmpeg", "", &[])], &["libpq-5"]).unwrap_err();
    assert_eq!(error.to_string(), "tiny has no package libpq-5; did you mean libpq5?");
    let error = wanted(&[package("libpq5", "", &[])], &["zzzzzzzz"]).unwrap_err();
    assert_eq!(error.to_string(), "tiny has no package zzzzzzzz");
}

#[test]
fn what_cannot_be_satisfied_says_who_wanted_it() {
    let packages = [
        package("app", "Depends: lib\n", &[]),
        package("lib", "Depends: base (>= 2) | other\n", &[]),
        package("base", "", &[]),
    ];
    assert_eq!(
        wanted(&packages, &["app"]).unwrap_err().to_string(),
        "lib needs base (>= 2) | other, which nothing in tiny satisfies (wanted by app)"
    );
}

#[test]
fn packages_that_exclude_each_other_are_an_error() {
    let packages = [
        package("mta-a", "Provides: mta\nConflicts: mta\n", &[]),
        package("mta-b", "Provides: mta\nConflicts: mta\n", &[]),
        package("old", "Breaks: lib (<< 2)\n", &[]),
        package("lib", "", &[]),
    ];
    assert_eq!(names(&wanted(&packages, &["mta-a"]).unwrap()), ["mta-a"]);
    assert_eq!(
        wanted(&packages, &["mta-a", "mta-b"]).unwrap_err().to_string(),
        "mta-a and mta-b cannot be installed together (Conflicts: mta)"
    );
    assert!(matches!(wanted(&packages, &["old", "lib"]).unwrap_err(), ResolveError::Conflict { .. }));
}

#[test]
fn above_a_base_only_the_rest_is_resolved_and_its_versions_are_held() {
    let mirror = Mirror::new(&[
        package("run", "Depends: lib\n", &[]),
        package("lib", "Provides: lib-abi (= 3)\n", &[]),
        package("dev", "Depends: lib (= 1.0-1), lib-abi (>= 3)\n", &[]),
        package("newer", "Depends: lib (>= 1.0-1)\n", &[]),
    ]);
    let index = mirror.refresh().unwrap();
    let run = resolve(&index, &["run"], &[]).unwrap();
    assert_eq!(names(&resolve(&index, &["dev", "run"], &run).unwrap()), ["dev"]);
    let old: Vec<LockedPackage> =
        run.into_iter().map(|it| LockedPackage { version: "0.9".to_owned(), ..it }).collect();
    assert_eq!(
        resolve(&index, &["newer"], &old).unwrap_err().to_string(),
        "newer needs lib (>= 1.0-1), but the base has lib 0.9: update the lock so that both come from one index"
    );
}

#[test]
fn a_locked_package_survives_a_lock_file() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Lock {
        package: Vec<LockedPackage>,
    }
    let package = wanted(&[package("lib", "", &[])], &["lib"]).unwrap();
    let text = toml::to_string(&Lock { package: package.clone() }).unwrap();
    assert_eq!(toml::from_str::<Lock>(&text).unwrap().package, package);
}
