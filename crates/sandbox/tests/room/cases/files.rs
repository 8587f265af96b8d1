//! What a room shows, and where its changes go.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use sandbox::{Exit, Mount, SandboxError, Upper};

use crate::room::place::{Place, USER, is_root, process, read_only, run, sh, writable};

pub(crate) fn the_source_is_changed_in_the_overlay_only(place: &Place) {
    place.write("source/sub/file", "as it was");
    let room = place.workspace(vec![place.dir.join("source")]);
    let said = sh(
        &room,
        "cd /workspace; echo more >> sub/file; touch new; chmod 700 sub; mv sub/file moved; rm -r sub; mkdir sub; cat moved; ls",
    );
    assert_eq!(said, "as it wasmore\nmoved\nnew\nsub\n");
    assert_eq!(fs::read_to_string(place.dir.join("source/sub/file")).unwrap(), "as it was");
    assert_eq!(fs::read_dir(place.dir.join("source")).unwrap().count(), 1);
}

pub(crate) fn an_overlay_is_for_room_after_room_and_none_waits_for_the_disk(place: &Place) {
    place.write("source/file", "");
    let room = place.workspace(vec![place.dir.join("source")]);
    let once = "cd /workspace; echo more >> file; grep -c ' /workspace .* - overlay .*[,=]volatile' /proc/self/mountinfo; \
                wc -l < file";
    for room_number in 1..=3 {
        assert_eq!(sh(&room, once), format!("1\n{room_number}\n"));
    }
}

pub(crate) fn anybodys_source_is_the_rooms_users(place: &Place) {
    let source = place.make_dir("source");
    place.write("source/private", "mine");
    fs::set_permissions(source.join("private"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&source, fs::Permissions::from_mode(0o700)).unwrap();
    let owners = if is_root() {
        vec![0, 1234, 0xfff_fff0, 0x7000_0000 + 1000]
    } else {
        vec![rustix::process::geteuid().as_raw()]
    };
    for owner in owners {
        for path in [source.clone(), source.join("private")] {
            std::os::unix::fs::chown(path, Some(owner), Some(owner)).unwrap();
        }
        if is_root() {
            place.write("source/others", "theirs");
            std::os::unix::fs::chown(source.join("others"), Some(77), Some(78)).unwrap();
        }
        let mut room = place.workspace(vec![source.clone()]);
        room.mounts.push(read_only(&source, "/same"));
        let said = sh(
            &room,
            "stat -c '%u %g' /workspace/private /same/private; echo more >> /workspace/private; cat /workspace/private; \
             if [ -e /workspace/others ]; then mv /workspace/others /workspace/taken; cat /workspace/taken; fi",
        );
        let others = if is_root() { "theirs" } else { "" };
        assert_eq!(said, format!("1000 1000\n1000 1000\nminemore\n{others}"), "owner {owner}");
        for left in ["upper", "work"] {
            sandbox::remove_tree(&place.dir.join(left)).unwrap();
        }
    }
}

pub(crate) fn whiteouts_hide(place: &Place) {
    for file in ["keep", ".git/config", "sub/.env", "sub/keep", "sub/deep/gone"] {
        place.write(&format!("source/{file}"), file);
    }
    let marks = place.dir.join("marks");
    let paths = ["sub/deep/gone", ".git", ".git/config", "sub/.env"].map(PathBuf::from);
    sandbox::whiteouts(&marks, &paths).unwrap();
    sandbox::whiteouts(&marks, &paths).unwrap(); // twice is once
    let room = place.workspace(vec![marks, place.dir.join("source")]);
    let said = sh(&room, "cd /workspace; find . -mindepth 1 | sort; mkdir .git; echo new > sub/.env");
    assert_eq!(said, "./keep\n./sub\n./sub/deep\n./sub/keep\n");
    for bad in ["../up", "/abs", ""] {
        assert!(sandbox::whiteouts(&place.dir.join("bad"), &[bad.into()]).is_err(), "{bad}");
    }
}

pub(crate) fn sixty_lowers_are_stacked_in_order(place: &Place) {
    let lower: Vec<PathBuf> = (0..60)
        .map(|number| {
            place.write(
                &format!("a layer with a rather long name, as they have them/{number}/own-{number}"),
                "",
            );
            place.write(
                &format!("a layer with a rather long name, as they have them/{number}/who"),
                &number.to_string(),
            );
            place.dir.join(format!("a layer with a rather long name, as they have them/{number}"))
        })
        .collect();
    let said = sh(&place.workspace(lower.clone()), "cd /workspace; cat who; echo; ls | wc -l");
    assert_eq!(said, "0\n61\n");
    let mut room = place.room();
    room.root = lower.into_iter().chain(room.root).collect();
    assert_eq!(sh(&room, "cat /who; ls / | grep -c own-"), "060\n");
}

pub(crate) fn an_upper_directory_stays_and_can_be_used_again(place: &Place) {
    let mut room = place.room();
    room.upper = Upper::Dir { upper: place.make_dir("root-upper"), work: place.make_dir("root-work") };
    let owner = if is_root() { "0\n" } else { "1000\n" };
    assert_eq!(sh(&room, "stat -c %u /"), owner);
    room.mounts.push(Mount::Overlay {
        target: "/kept".into(),
        lower: vec![place.make_dir("nothing")],
        upper: place.make_dir("upper"),
        work: place.make_dir("work"),
    });
    sh(&room, "echo one > /kept/file");
    assert_eq!(sh(&room, "cat /kept/file; echo two >> /kept/file; cat /kept/file"), "one\none\ntwo\n");
    assert_eq!(fs::read_to_string(place.dir.join("upper/file")).unwrap(), "one\ntwo\n");
}

pub(crate) fn what_was_given_to_the_user_stays_the_users(place: &Place) {
    let mut room = place.room();
    room.upper = Upper::Dir { upper: place.make_dir("root-upper"), work: place.make_dir("root-work") };
    for given in ["root-upper", "tree", "tree/etc"] {
        sandbox::own_dir(&place.dir.join(given), USER, &place.isolation).unwrap();
    }
    assert_eq!(sh(&room, "stat -c %u / /etc; touch /new /etc/new"), "1000\n1000\n");
}

pub(crate) fn a_writable_bind_is_written_through(place: &Place) {
    let layers = place.dir.join("layers");
    sandbox::own_dir(&layers, USER, &place.isolation).unwrap();
    let mut room = place.room();
    room.mounts.push(writable(&layers, "/layers"));
    assert_eq!(
        sh(&room, "mkdir /layers/a; echo text > /layers/a/b; stat -c '%u %g' /layers/a/b"),
        "1000 1000\n"
    );
    assert_eq!(fs::read_to_string(layers.join("a/b")).unwrap(), "text\n");
    assert_eq!(sh(&room, "echo more >> /layers/a/b; cat /layers/a/b"), "text\nmore\n");
}

pub(crate) fn the_callers_umask_is_not_seen(place: &Place) {
    let modes = |umask| {
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
        sandbox::own_dir(&place.dir.join("upper"), USER, &place.isolation).unwrap();
        sandbox::whiteouts(&place.dir.join("marks"), &["sub/deep/gone".into()]).unwrap();
        let mut room = place.workspace(vec![place.dir.join("marks"), place.dir.join("source")]);
        room.mounts.push(Mount::Tmpfs { target: "/a/new/place".into() });
        let said =
            sh(&room, "umask; touch /tmp/new; cd /workspace; stat -c %a / /a /a/new /tmp/new . sub sub/deep");
        rustix::process::umask(before);
        for name in ["upper", "work", "marks"] {
            sandbox::remove_tree(&place.dir.join(name)).unwrap();
        }
        said
    };
    place.write("source/sub/deep/gone", "");
    assert_eq!(modes(0o077), "0022\n755\n755\n755\n644\n755\n755\n755\n");
    assert_eq!(modes(0o077), modes(0o002));
}

pub(crate) fn a_read_only_bind_is_not(place: &Place) {
    place.write("shown/file", "text");
    fs::set_permissions(place.dir.join("shown"), fs::Permissions::from_mode(0o700)).unwrap();
    let mut room = place.room();
    room.mounts.push(read_only(place.dir.join("shown"), "/a/new/place"));
    assert_eq!(sh(&room, "cat /a/new/place/file"), "text");
    let outcome = run(&room, &["/bin/sh", "-c", "echo x > /a/new/place/file"]);
    assert!(outcome.exit != Exit::Code(0) && outcome.said.contains("Read-only file system"), "{outcome:?}");
}

pub(crate) fn a_file_is_there_with_its_mode(place: &Place) {
    let mut room = place.room();
    room.mounts.push(Mount::File {
        target: "/run/secrets/one".into(),
        contents: b"\0\xffx".to_vec(),
        mode: 0o400,
    });
    room.mounts.push(Mount::File {
        target: "/bin/said".into(),
        contents: b"#!/bin/sh\necho said\n".to_vec(),
        mode: 0o755,
    });
    // /bin is the read-only /usr/bin here, where no mount point can be made.
    let error = room.start(&process(&["said"])).unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot make the mount point in the sandbox /bin/said: Read-only file system (os error 30)"
    );
    let last = room.mounts.len() - 1;
    room.mounts[last] =
        Mount::File { target: "/opt/said".into(), contents: b"#!/bin/sh\necho said\n".to_vec(), mode: 0o755 };
    assert_eq!(run(&room, &["/opt/said"]).said, "said\n");
    assert_eq!(
        sh(&room, "od -An -tx1 /run/secrets/one; stat -c '%a %u' /run/secrets/one"),
        " 00 ff 78\n400 1000\n"
    );
    assert_ne!(run(&room, &["/bin/sh", "-c", "chmod 600 /run/secrets/one"]).exit, Exit::Code(0));
}

pub(crate) fn a_link_does_not_lead_a_mount_out(place: &Place) {
    let host = place.make_dir("host");
    place.write("host/file", "the host's");
    let tree = place.dir.join("tree");
    symlink(&host, tree.join("absolute")).unwrap();
    symlink("../../../../../../../../../../../..", tree.join("up")).unwrap();
    symlink("/proc/1/root", tree.join("magic")).unwrap();
    let mut room = place.room();
    let file =
        |target: &str| Mount::File { target: target.into(), contents: b"the room's".to_vec(), mode: 0o644 };
    room.mounts.push(file(&format!("/up{}/file", host.display())));
    sh(&room, "true");
    assert_eq!(fs::read_to_string(host.join("file")).unwrap(), "the host's");
    assert_eq!(fs::read_dir(&host).unwrap().count(), 1);
    // A link to nowhere inside is no place for a directory, and one through /proc is no way at all.
    for target in ["/absolute/new", "/magic/tmp/new"] {
        room.mounts.pop();
        room.mounts.push(file(target));
        let error = room.start(&process(&["/bin/true"])).unwrap_err();
        assert!(
            matches!(&error, SandboxError::Setup { path, .. } if target.starts_with(path.to_str().unwrap())),
            "{error}"
        );
    }
    assert_eq!(fs::read_dir(&host).unwrap().count(), 1);
}

pub(crate) fn an_empty_root_has_nothing_of_the_host(place: &Place) {
    let mut room = place.room();
    room.root = Vec::new();
    room.mounts.truncate(1);
    // Where the dynamic loader is, by the name that programs have for it.
    room.mounts.extend(
        ["/lib", "/lib64"]
            .into_iter()
            .filter(|path| Path::new(path).exists())
            .map(|path| read_only(path, path)),
    );
    let said = run(&room, &["/usr/bin/ls", "/"]).said;
    assert_eq!(said.replace("lib\n", "").replace("lib64\n", ""), "dev\nproc\nusr\n");
}
