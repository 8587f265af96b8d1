//! A Python that Debian lacks, from a `file://` mirror that the test makes.

#![expect(clippy::unwrap_used, reason = "a test ends when its world is not so")]

#[expect(dead_code, reason = "each test program uses its part")]
mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use support::Room;

const ARCHIVE: &str =
    "20261110/cpython-3.12.9+20261110-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz";

/// An app that wants 3.12, and a mirror whose 3.12 hands on to the Python of this machine.
fn room(sha256: Option<&str>) -> Room {
    let mut room = Room::new(&[("requirements.txt", ""), ("main.py", "print('hello')\n")]).with_uv();
    room.write(".python-version", "3.12\n");
    let python = room.path("made/python");
    fs::create_dir_all(python.join("lib")).unwrap();
    fs::write(python.join("lib/module.py"), "x = 1\n").unwrap();
    let program = python.join("bin/python3.12");
    testing::program(&program, format!("#!/bin/sh\nexec /usr/bin/python{} \"$@\"\n", room.minor)).unwrap();
    let archive = room.path("mirror").join(ARCHIVE);
    fs::create_dir_all(archive.parent().unwrap()).unwrap();
    let tar =
        Command::new("tar").arg("-czf").arg(&archive).arg("-C").arg(room.path("made")).arg("python").status();
    assert!(tar.unwrap().success());
    let sum = Command::new("sha256sum").arg(&archive).output().unwrap();
    let sum = String::from_utf8_lossy(&sum.stdout)[..64].to_owned();
    let sha256 = sha256.unwrap_or(&sum);
    room.write(
        "pythons.toml",
        &format!("[[standalone]]\nversion = \"3.12.9\"\npath = \"{ARCHIVE}\"\nsha256 = \"{sha256}\"\n"),
    );
    room.set("PACKLIGHT_PYTHON_INVENTORY", "pythons.toml");
    room.set("PACKLIGHT_PYTHON_MIRROR", format!("file://{}", room.path("mirror").display()));
    // The base's Python is 3.13, whichever this machine has.
    let root = room.path("root");
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    fs::create_dir_all(root.join("usr/share")).unwrap();
    symlink(format!("/usr/bin/python{}", room.minor), root.join("usr/bin/python3.13")).unwrap();
    symlink("/usr/share/python-wheels", root.join("usr/share/python-wheels")).unwrap();
    room.set("PACKLIGHT_DEBIAN_ROOTS", root.display().to_string());
    room
}

#[test]
fn a_standalone_build_is_fetched_once_checked_and_used() {
    let room = room(None);
    assert_eq!(room.detect().code, 0);
    assert!(room.plan().contains("run = []"), "{}", room.plan());
    let text = room.built();
    assert!(text.contains("Python 3.12.9, a standalone build (.python-version asks for 3.12)"), "{text}");
    assert!(room.layers().join("cpython/bin/python3.12").exists());
    assert!(!room.layers().join("cpython/archive.tar.gz").exists());
    assert!(room.layers().join("cpython/lib/__pycache__").is_dir());
    assert_eq!(fs::read_link(room.python()).unwrap(), room.layers().join("cpython/bin/python3.12"));
    fs::remove_dir_all(room.path("mirror")).unwrap();
    assert!(room.built().contains("layer cpython: kept"));
}

#[test]
fn a_build_with_another_digest_is_not_unpacked() {
    let room = room(Some(&"0".repeat(64)));
    let ran = room.build();
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(ran.text.contains("not the one that the inventory names"), "{}", ran.text);
    assert!(!room.layers().join("cpython/bin").exists());
}

#[test]
fn a_mirror_without_the_file_is_named_with_what_can_be_had_instead() {
    let room = room(None);
    fs::remove_dir_all(room.path("mirror")).unwrap();
    let ran = room.build();
    assert!(ran.text.contains("Python 3.12.9 could not be fetched"), "{}", ran.text);
    assert!(ran.text.contains("3.13 or 3.11, which come from Debian"), "{}", ran.text);
}
