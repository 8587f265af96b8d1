//! Directories before and after a room.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use crate::room::place::{Place, USER, sh, writable};

pub(crate) fn a_tree_of_any_modes_and_depth_is_removed(place: &Place) {
    let left = place.dir.join("left");
    sandbox::own_dir(&left, USER, &place.isolation).unwrap();
    let mut room = place.room();
    room.mounts.push(writable(&left, "/left"));
    // Deeper than a process may have descriptors open.
    let script = "cd /left; mkdir -p a/b c; touch a/b/f c/g; mkfifo a/p; chmod 000 a/b c; chmod 000 a
        i=0; while [ $i -lt 1500 ]; do mkdir d; cd d; : > file; i=$((i+1)); done";
    sh(&room, script);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let few = rustix::process::Rlimit { current: Some(256), ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, few).unwrap();
    let removed = sandbox::remove_tree(&left);
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    removed.unwrap();
    assert!(!left.exists());
    sandbox::remove_tree(&left).unwrap(); // and gone is fine
}

pub(crate) fn links_are_removed_and_not_followed(place: &Place) {
    let kept = place.write("kept/file", "text").parent().unwrap().to_owned();
    let before = fs::metadata(&kept).unwrap().mode();
    symlink(&kept, place.make_dir("left").join("link")).unwrap();
    symlink(&kept, place.dir.join("top")).unwrap();
    sandbox::remove_tree(&place.dir.join("left")).unwrap();
    sandbox::remove_tree(&place.dir.join("top")).unwrap();
    assert_eq!(fs::read_to_string(kept.join("file")).unwrap(), "text");
    assert_eq!(fs::metadata(&kept).unwrap().mode(), before);
    assert!(sandbox::own_dir(&place.dir.join("elsewhere"), USER, &place.isolation).is_ok());
    symlink(&kept, place.dir.join("link")).unwrap();
    assert!(sandbox::own_dir(&place.dir.join("link"), USER, &place.isolation).is_err());
}

pub(crate) fn own_dir_opens_what_was_closed(place: &Place) {
    let dir = place.make_dir("closed");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o000)).unwrap();
    sandbox::own_dir(&dir, USER, &place.isolation).unwrap();
    assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
    let mut room = place.room();
    room.mounts.push(writable(&dir, "/mine"));
    sh(&room, "touch /mine/file");
}
