//! What cannot be built: each an error that says what was wrong, where, and what to do.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use std::path::Path;
use support::*;

#[track_caller]
fn refused(files: &[(&str, &str)], code: i32, words: &[&str]) -> Said {
    let app = folder(files);
    refused_at(app.path(), code, words)
}

#[track_caller]
fn refused_at(path: &Path, code: i32, words: &[&str]) -> Said {
    let mut command = packlight(["build", "flow-bad", "--output", "store", "--path"]);
    say(command.arg(path)).fails(code, words)
}

#[test]
fn a_folder_that_is_missing_empty_or_a_file_is_named() {
    let dir = folder(&[("file", "")]);
    refused_at(&dir.path().join("nowhere"), 5, &["there is no folder", "nowhere"]);
    refused_at(&dir.path().join("file"), 5, &["is a file", "--path"]);
    refused(&[], 5, &["holds nothing to build"]);
}

#[test]
fn a_descriptor_that_is_missing_or_wrong_is_named() {
    let app = folder(&[("requirements.txt", ""), ("wrong.toml", "[_]\nschema-version = \"9\"\n")]);
    for (file, words) in [("none.toml", "there is no project descriptor"), ("wrong.toml", "`9` is not known")]
    {
        let mut command = packlight(["build", "flow-bad", "--output", "store", "--path"]);
        command.arg(app.path()).arg("--descriptor").arg(app.path().join(file));
        say(&mut command).fails(5, &[words, file]);
    }
}

#[test]
fn a_folder_that_no_buildpack_takes_gets_every_buildpacks_word() {
    refused(
        &[("notes.txt", "")],
        20,
        &["no buildpack takes this app", "packlight/python", "requirements.txt"],
    );
    refused(&[("app.py", "print(1)")], 21, &["requirements.txt", "app.py"]);
}

#[test]
fn a_misspelt_requirements_file_is_named() {
    refused(&[("requirement.txt", "flask"), ("app.py", "")], 21, &["requirement.txt", "requirements.txt"]);
}

#[test]
fn package_managers_that_are_not_supported_yet_are_told_what_works() {
    for file in ["poetry.lock", "Pipfile", "pdm.lock", "environment.yml"] {
        refused(&[(file, ""), ("app.py", "")], 21, &["not supported yet", "requirements.txt"]);
    }
}

#[test]
fn an_unknown_package_and_a_conflict_are_explained() {
    refused(
        &[("requirements.txt", "no-such-package-anywhere-1234\n"), ("Procfile", "web: x")],
        51,
        &["no-such-package-anywhere-1234"],
    );
    refused(
        &[("requirements.txt", "flask==3.0.0\nwerkzeug==1.0.0\n"), ("Procfile", "web: x")],
        51,
        &["flask", "werkzeug"],
    );
}

#[test]
fn what_was_fetched_before_a_failure_is_there_when_the_mistake_is_mended() {
    let unknown = "no-such-package-anywhere-1234\n";
    let app = folder(&[("requirements.txt", unknown), ("Procfile", "web: python3 -c pass\n")]);
    // An app that was never built here.
    let name = format!("flow-mended-{}", std::process::id());
    let build = || say(packlight(["build", &name, "--output", "store", "--path"]).arg(app.path()));
    build().fails(51, &["no-such-package-anywhere-1234", "Installing uv"]);
    std::fs::write(app.path().join("requirements.txt"), "six\n").unwrap();
    let said = build().ok().both();
    assert!(said.contains("layer uv: kept, unchanged"), "{said}");
    assert!(!said.contains("Installing uv"), "{said}");
    say(&mut packlight(["rm", &name])).ok();
}

#[test]
fn a_syntax_error_in_requirements_names_the_line() {
    refused(&[("requirements.txt", "flask\n===oops\n"), ("Procfile", "web: x")], 51, &["requirements.txt"]);
}

#[test]
fn no_start_command_is_an_error_with_examples() {
    refused(
        &[("requirements.txt", ""), ("helper.py", "x = 1\n")],
        51,
        &["start command", "Procfile", "web:"],
    );
}

#[test]
fn a_broken_procfile_names_the_line() {
    refused(
        &[("requirements.txt", ""), ("Procfile", "web: ok\nthis is no process\n")],
        51,
        &["Procfile", "2"],
    );
}

#[test]
fn a_broken_project_toml_names_the_place() {
    refused(&[("requirements.txt", ""), ("project.toml", "[build\n")], 5, &["project.toml", "line 1"]);
    let both = "[build]\ninclude = [\"a\"]\nexclude = [\"b\"]\n";
    refused(&[("requirements.txt", ""), ("project.toml", both)], 5, &["include", "exclude"]);
}

#[test]
fn an_unknown_debian_package_is_answered_with_near_names() {
    refused(
        &[
            ("requirements.txt", ""),
            ("Procfile", "web: x"),
            ("project.toml", "[com.packlight.debian]\nrun = [\"libpq6\"]\n"),
        ],
        102,
        &["libpq6", "libpq5"],
    );
}

#[test]
fn a_python_that_cannot_be_had_is_answered_with_the_nearest_that_can() {
    refused(
        &[("requirements.txt", ""), ("Procfile", "web: x"), (".python-version", "2.7\n")],
        21,
        &["2.7", "3.11"],
    );
}

#[test]
fn image_names_that_cannot_be_are_refused() {
    for bad in ["UPPER", "a b", "name:", "-x/..", "a@sha256:00"] {
        let said = say(&mut packlight(["build", "--output", "store", "--path", "/", "--", bad]));
        assert!(matches!(said.code, Some(1..=3)), "{bad}: {said:?}");
        assert!(said.err.contains(bad) && !said.err.contains("panicked"), "{bad}: {said:?}");
    }
}

#[test]
fn what_is_promised_but_not_there_yet_says_so() {
    let app = plain_app();
    for args in [&["--platform", "linux/arm64"][..], &["--buildpack", "urn:cnb:registry:example/hello"]] {
        let mut command = packlight(["build", "flow-bad", "--output", "store", "--path"]);
        let said = say(command.arg(app.path()).args(args));
        assert!(said.code != Some(0) && said.both().contains("not yet"), "{args:?}: {said:?}");
    }
}

#[test]
fn sockets_and_fifos_are_left_out_with_a_notice() {
    let app = plain_app();
    let fifo = app.path().join("a-fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(app.path().join("a-socket")).unwrap();
    let mut command = packlight(["build", "flow-special", "--output", "store", "--path"]);
    let said = say(command.arg(app.path())).ok();
    assert!(said.both().contains("a-fifo") && said.both().contains("a-socket"), "{}", said.both());
}

#[test]
fn names_that_are_no_text_are_kept_as_they_are() {
    use std::os::unix::ffi::OsStrExt as _;
    let app = plain_app();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    std::fs::write(app.path().join(name), "x").unwrap();
    build("flow-names", app.path());
}

#[test]
fn a_store_of_another_version_is_refused_and_kept() {
    let store = tempfile::tempdir().unwrap();
    std::fs::write(store.path().join("version"), "999\n").unwrap();
    say(&mut packlight_on(store.path(), ["images"])).fails(4, &["999"]);
    assert_eq!(std::fs::read_to_string(store.path().join("version")).unwrap(), "999\n");
}

#[test]
fn a_mirror_that_is_not_there_is_named() {
    let app = plain_app();
    let store = tempfile::tempdir().unwrap();
    let mut command = packlight_on(store.path(), ["build", "flow-mirror", "--output", "store", "--path"]);
    command.arg(app.path()).env("PACKLIGHT_DEBIAN_MIRROR", "http://127.0.0.1:9/debian");
    say(&mut command).fails(102, &["127.0.0.1:9"]);
}

#[test]
fn a_store_of_another_user_is_refused() {
    // /usr is root's: for root, any folder that is given away will do.
    let store = tempfile::tempdir().unwrap();
    let path = if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(store.path(), Some(4321), None).unwrap();
        store.path()
    } else {
        Path::new("/usr")
    };
    say(&mut packlight_on(path, ["images"])).fails(4, &["belongs to another user", "--store"]);
}

#[test]
fn an_optional_buildpack_that_fails_in_detection_is_no_silence() {
    let app = plain_app();
    let mut command =
        packlight(["build", "flow-optional", "--output", "store", "-e", "PACKLIGHT_AGENT=nobody", "--path"]);
    let said = say(command.arg(app.path())).ok();
    assert!(said.err.contains("packlight/apm@") && said.err.contains("was left out"), "{}", said.both());
    assert!(said.err.contains("nobody"), "the buildpack's own words are shown: {}", said.both());
}

#[test]
fn an_image_that_is_nowhere_is_said_to_be_missing_here_too() {
    for verb in [&["inspect"][..], &["sbom", "download"]] {
        let mut command = packlight([verb, &["localhost:1/nowhere"]].concat());
        say(&mut command).fails(1, &["localhost:1", "the store has no image of this name"]);
    }
}

#[test]
fn a_buildpack_that_is_not_at_its_path_is_no_name_of_an_image() {
    let app = plain_app();
    let mut command = packlight(["build", "flow-bad", "--buildpack", "/nowhere/mine", "--path"]);
    say(command.arg(app.path())).fails(2, &["there is no buildpack at /nowhere/mine"]);
}
