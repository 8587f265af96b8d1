//! Files that somebody prepared.

use lifecycle::Dir;
use lifecycle::beneath::{Beneath, BeneathError};
use rustix::fs::{FileType, Mode};
use std::os::unix::fs::symlink;

fn room() -> (tempfile::TempDir, Beneath) {
    let dir = tempfile::tempdir().unwrap();
    let beneath = Beneath::open(&Dir::new(dir.path(), "/layers")).unwrap();
    (dir, beneath)
}

#[test]
fn a_link_is_refused_by_name_wherever_it_leads() {
    let (dir, beneath) = room();
    fs_err::write(dir.path().join("real"), "x").unwrap();
    symlink("real", dir.path().join("launch.toml")).unwrap();
    symlink("/nowhere", dir.path().join("dangling")).unwrap();
    symlink("/etc", dir.path().join("venv")).unwrap();
    let said = |result: Result<(), BeneathError>| result.unwrap_err().to_string();
    assert_eq!(
        said(beneath.read("launch.toml").map(|_| ())),
        "/layers/launch.toml is a symbolic link; write a file there instead"
    );
    assert!(said(beneath.read("dangling").map(|_| ())).contains("symbolic link"));
    assert_eq!(
        said(beneath.dir("venv").map(|_| ())),
        "/layers/venv is a symbolic link; write a directory there instead"
    );
}

#[test]
fn a_fifo_a_socket_and_a_directory_are_no_files_and_nobody_waits_for_them() {
    let (dir, beneath) = room();
    rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    fs_err::create_dir(dir.path().join("dir")).unwrap();
    for name in ["fifo", "socket", "dir"] {
        let error = beneath.read(name).unwrap_err().to_string();
        assert_eq!(error, format!("/layers/{name} is no file"));
    }
    assert!(beneath.read("nothing").unwrap().is_none());
}

#[test]
fn a_file_without_end_is_not_read_to_its_end() {
    let (dir, beneath) = room();
    fs_err::File::create(dir.path().join("big")).unwrap().set_len(1 << 40).unwrap();
    assert!(beneath.read("big").unwrap_err().to_string().contains("more than 16 MiB"));
}

#[test]
fn writing_replaces_a_link_and_leaves_its_target_alone() {
    let (dir, beneath) = room();
    fs_err::write(dir.path().join("host"), "mine").unwrap();
    symlink("host", dir.path().join("metadata.toml")).unwrap();
    beneath.write("metadata.toml", b"ours", None).unwrap();
    assert_eq!(fs_err::read(dir.path().join("host")).unwrap(), b"mine");
    assert_eq!(beneath.read("metadata.toml").unwrap().unwrap(), b"ours");
}

#[test]
fn removing_follows_no_link_and_enters_directories_without_permissions() {
    let (dir, beneath) = room();
    let outside = tempfile::tempdir().unwrap();
    fs_err::write(outside.path().join("keep"), "x").unwrap();
    fs_err::create_dir_all(dir.path().join("old/locked/deep")).unwrap();
    symlink(outside.path(), dir.path().join("old/out")).unwrap();
    let locked = dir.path().join("old/locked");
    fs_err::set_permissions(&locked, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    beneath.remove("old").unwrap();
    assert!(!dir.path().join("old").exists());
    assert!(outside.path().join("keep").exists());
}

#[test]
fn directories_nested_deeper_than_descriptors_reach_are_removed() {
    let (dir, beneath) = room();
    let mut at = rustix::fs::open(dir.path(), rustix::fs::OFlags::PATH, Mode::empty()).unwrap();
    for _ in 0..5000 {
        rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
        at = rustix::fs::openat(&at, "d", rustix::fs::OFlags::PATH, Mode::empty()).unwrap();
    }
    drop(at);
    beneath.remove("d").unwrap();
    assert!(beneath.entries().unwrap().is_empty());
}

#[test]
fn a_directory_without_permissions_is_made_usable_by_who_needs_it() {
    let (dir, beneath) = room();
    let path = dir.path().join("bp");
    fs_err::create_dir(&path).unwrap();
    fs_err::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o500)).unwrap();
    beneath.make_dir("bp", None).unwrap().write("store.toml", b"", None).unwrap();
}
