//! What is special to rooms without namespaces, and what must be as if they had them.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use sandbox::{Exit, Isolation, Mount, Network, Room, Stdio};

use super::life::{processes_of, soon};
use crate::room::place::{Place, USER, process, read_only, run, sh, start, writable};

/// The room's user of a room that keeps files.
const TENANT: u32 = 0x7002_0000 + 1000;

pub(crate) fn the_program_is_a_user_that_nothing_else_is(place: &Place) {
    let lower = place.make_dir("source");
    for room in [place.room(), place.workspace(vec![lower])] {
        // The caller may be in groups, and the room is in none.
        rustix::thread::set_thread_groups(&[rustix::process::Gid::from_raw(4)]).unwrap();
        let running = start(&room, &["/bin/sleep", "1000"]);
        rustix::thread::set_thread_groups(&[]).unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        let uid: u32 = field("Uid:")[0].parse().unwrap();
        assert!(uid == TENANT || (0x7004_0000..0x7004_0100).contains(&uid), "{uid:x}");
        assert_eq!(field("Uid:"), vec![uid.to_string(); 4]);
        assert!(field("Gid:").iter().all(|gid| *gid == uid.to_string()), "{status}");
        assert!(field("Groups:").is_empty(), "{status}");
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(field(set), ["0000000000000000"], "{set}");
        }
        assert_eq!((field("NoNewPrivs:"), field("Seccomp:")), (vec!["1".into()], vec!["2".into()]));
        assert_eq!(processes_of(uid), 1);
    }
}

pub(crate) fn the_way_out_is_shut(place: &Place) {
    let said = sh(&place.room(), "cd /..; pwd; ls; [ ! -e /proc ]");
    assert!(!said.contains("home") && !said.contains("root\n"), "{said}");
    assert!(run(&place.room(), &["/guest", "guest", "leave"]).said.contains("Err(Os { code: 1"));
    assert!(run(&place.room(), &["/guest", "guest", "unshare-user"]).said.contains("code: 1"));
}

pub(crate) fn a_trees_files_are_linked_only_where_the_room_cannot_change_them(place: &Place) {
    let file = |name: &str, mode: u32, owner: u32| {
        let path = place.write(&format!("tree/opt/{name}"), "as it was");
        chown(&path, Some(owner), Some(owner)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let files = [
        file("shared", 0o644, 0),
        file("private", 0o600, 0),
        file("anybodys", 0o666, 0),
        file("own", 0o600, 1000),
        file("read-only", 0o444, 1000),
        file("left", 0o644, TENANT),
    ];
    let group = place.write("tree/opt/group", "as it was");
    chown(&group, Some(0), Some(1000)).unwrap();
    fs::set_permissions(&group, fs::Permissions::from_mode(0o660)).unwrap();
    let before: Vec<_> = files.iter().map(|path| fs::metadata(path).unwrap().ctime_nsec()).collect();
    let script = "cd /opt; stat -c '%n %h' *; for file in *; do
        (echo more >> $file) 2>/dev/null && echo $file; done; chmod 777 own && echo mine >> own; cat own";
    let said = sh(&place.room(), script);
    let links = "anybodys 1\ngroup 1\nleft 1\nown 1\nprivate 2\nread-only 1\nshared 2\n";
    assert_eq!(said, format!("{links}anybodys\ngroup\nleft\nown\nas it wasmore\nmine\n"));
    for (path, before) in files.iter().zip(before).skip(2) {
        assert_eq!(fs::metadata(path).unwrap().ctime_nsec(), before, "{}", path.display());
    }
    for path in files.iter().chain([&group]) {
        assert_eq!(fs::read_to_string(path).unwrap(), "as it was", "{}", path.display());
        assert_eq!(fs::metadata(path).unwrap().nlink(), 1, "{}", path.display());
    }
    assert_eq!(run(&place.room(), &["/bin/cat", "/opt/private"]).exit, Exit::Code(1));
}

/// All that a script may do to files; the names say what becomes of them.
const CHANGES: &str = "cd /workspace
    echo more >> dir/appended; echo new > dir/added; rm dir/removed; chmod 755 dir/made-executable
    rm -r gone; rm -r replaced; mkdir replaced; echo 2 > replaced/new
    rm file-then-dir; mkdir file-then-dir; echo 3 > file-then-dir/in
    rm -r dir-then-file; echo 4 > dir-then-file; mv moved-from moved-to; ln -sf elsewhere link
    mkdir -p deep/er/est; touch deep/er/est/file; mkdir hidden; echo 5 > hidden/anew; ln dir/added hard
    mkfifo pipe; rm pipe; chmod 700 private; cat untouched/file > /dev/null";

fn source(place: &Place) -> Vec<PathBuf> {
    for file in [
        "dir/appended",
        "dir/removed",
        "dir/made-executable",
        "gone/a/b",
        "replaced/old",
        "file-then-dir",
        "dir-then-file/x",
        "moved-from/a/b",
        "deep/old",
        "hidden/secret",
        "private/file",
        "untouched/file",
    ] {
        place.write(&format!("source/{file}"), file);
    }
    symlink("nowhere", place.dir.join("source/link")).unwrap();
    sandbox::whiteouts(&place.dir.join("marks"), &["hidden".into()]).unwrap();
    vec![place.dir.join("marks"), place.dir.join("source")]
}

/// Everything that a room sees in its application directory.
const LIST: &str = "cd /workspace; find . -mindepth 1 -printf '%y %m %P -> %l\\n' | sort; find . -type f | sort | \
                    while read f; do echo \"$f: $(cat $f)\"; done";

pub(crate) fn changes_are_those_that_full_isolation_leaves(place: &Place) {
    let lower = source(place);
    let full = Place::new(None);
    let mut same: Room = full.workspace(lower.clone());
    sandbox::own_dir(&full.dir.join("upper"), USER, &Isolation::Full).unwrap();
    sh(&same, CHANGES);
    let expected = sh(&same, LIST);
    assert!(expected.contains("f 644 dir-then-file -> \n") && !expected.contains("removed"), "{expected}");

    sandbox::own_dir(&place.dir.join("upper"), USER, &place.isolation).unwrap();
    sh(&place.workspace(lower.clone()), CHANGES);
    let (upper, work) = (place.dir.join("upper"), place.make_dir("work-of-full"));
    sandbox::own_dir(&upper, USER, &Isolation::Full).unwrap();
    same.mounts.pop();
    same.mounts.push(Mount::Overlay { target: "/workspace".into(), lower, upper: upper.clone(), work });
    assert_eq!(sh(&same, LIST), expected);
    // What was not changed is not kept.
    for unchanged in ["untouched", "private/file", "deep/old"] {
        assert!(!upper.join(unchanged).exists(), "{unchanged}");
    }
    assert!(upper.join("private").exists() && upper.join("deep").exists());
    // The kernel needs no telling that a directory hides a file; whoever reads the notes does.
    let replaced = upper.join("file-then-dir");
    let metadata = fs::symlink_metadata(&replaced).unwrap();
    assert_eq!(sandbox::mark(&replaced, &metadata), Some(sandbox::Mark::Opaque));
}

pub(crate) fn changes_are_seen_by_the_next_room(place: &Place) {
    let lower = source(place);
    sandbox::own_dir(&place.dir.join("upper"), USER, &place.isolation).unwrap();
    let room = place.workspace(lower);
    sh(&room, CHANGES);
    let first = sh(&room, LIST);
    sh(&room, "true");
    assert_eq!(sh(&room, LIST), first);
    sh(&room, "cd /workspace; rm -r hidden replaced/new; echo back > gone");
    let list = sh(&room, LIST);
    assert!(!list.contains("hidden") && list.contains("./gone: back\n"), "{list}");
    assert!(list.contains("d 755 replaced -> \n") && !list.contains("replaced/"), "{list}");
}

pub(crate) fn a_writable_bind_is_the_directory_itself_and_comes_back(place: &Place) {
    let layers = place.dir.join("layers");
    sandbox::own_dir(&layers, USER, &place.isolation).unwrap();
    let mut room = place.room();
    room.mounts.push(writable(&layers, "/layers"));
    sh(
        &room,
        "mkdir /layers/a; echo text > /layers/a/b; mkdir /layers/link; rmdir /layers/link || rm -r /layers/link",
    );
    let seen = |path: &str| {
        let found = fs::metadata(layers.join(path)).unwrap();
        (found.ino(), found.ctime(), found.ctime_nsec(), found.uid())
    };
    let before = (seen("a/b"), fs::metadata(&layers).unwrap().ino());
    assert_eq!(before.0.3, TENANT);
    sh(&room, "cat /layers/a/b");
    assert_eq!((seen("a/b"), fs::metadata(&layers).unwrap().ino()), before);
    // A name that is a link to it is as good.
    symlink(&layers, place.dir.join("alias")).unwrap();
    room.mounts.pop();
    room.mounts.push(writable(&place.dir.join("alias"), "/layers"));
    sh(&room, "echo more >> /layers/a/b");
    assert_eq!(fs::read_to_string(layers.join("a/b")).unwrap(), "text\nmore\n");
}

pub(crate) fn a_writable_bind_comes_back_however_the_room_ends(place: &Place) {
    let layers = place.dir.join("layers");
    sandbox::own_dir(&layers, USER, &place.isolation).unwrap();
    fs::write(layers.join("file"), "kept").unwrap();
    let mut room = place.room();
    room.mounts.push(writable(&layers, "/layers"));
    let kept = || fs::read_to_string(layers.join("file")).unwrap() == "kept";
    let running = start(&room, &["/bin/sleep", "1000"]);
    assert!(!layers.exists());
    drop(running);
    assert!(kept());
    assert!(room.start(&process(&["/no/such"])).is_err());
    assert!(kept());
    run(&room, &["/bin/sh", "-c", "kill -KILL $$"]);
    assert!(kept());
    room.mounts.push(read_only("/no/such/path", "/x"));
    assert!(room.start(&process(&["/bin/true"])).is_err());
    assert!(kept());
    drop(room.prepare(&process(&["/bin/true"])));
    assert!(kept());
}

pub(crate) fn what_a_place_hid_comes_back(place: &Place) {
    let layers = place.dir.join("layers");
    sandbox::own_dir(&layers, USER, &place.isolation).unwrap();
    fs::create_dir(layers.join("sub")).unwrap();
    fs::write(layers.join("sub/file"), "hidden").unwrap();
    let mut room = place.room();
    room.mounts.extend([writable(&layers, "/layers"), Mount::Tmpfs { target: "/layers/sub".into() }]);
    assert_eq!(sh(&room, "ls /layers/sub; echo x > /layers/sub/other"), "");
    assert_eq!(fs::read_to_string(layers.join("sub/file")).unwrap(), "hidden");
    assert!(!layers.join("sub/other").exists());
}

pub(crate) fn a_link_that_the_room_left_leads_nobody_out(place: &Place) {
    let host = place.make_dir("host");
    place.write("host/in/sub/file", "the host's");
    place.write("host/in/sub/more/file", "the host's");
    let layers = place.dir.join("layers");
    sandbox::own_dir(&layers, USER, &place.isolation).unwrap();
    let mut room = place.workspace(vec![place.make_dir("source")]);
    sandbox::own_dir(&place.dir.join("upper"), USER, &place.isolation).unwrap();
    let (upper, work) = (place.make_dir("upper-2"), place.make_dir("work-2"));
    sandbox::own_dir(&upper, USER, &place.isolation).unwrap();
    let own = |name: &str| {
        let dir = place.dir.join("tree").join(name);
        fs::create_dir_all(&dir).unwrap();
        chown(&dir, Some(1000), Some(1000)).unwrap();
    };
    ["mine", "mine/in", "mine/in/sub", "mine/in/tmp"].into_iter().for_each(own);
    let shown = place.write("shown", "shown");
    room.mounts.extend([
        Mount::Tmpfs { target: "/mine/in/tmp".into() },
        Mount::Overlay {
            target: "/mine/in/sub".into(),
            lower: vec![place.make_dir("empty")],
            upper: upper.clone(),
            work,
        },
        writable(&layers, "/mine/in/layers"),
        read_only(shown, "/mine/in/shown"),
    ]);
    // The directory around every place is another one at the end, and so are the places themselves.
    let script = format!(
        "cd /mine; touch in/layers/mine in/sub/mine; mv in away; ln -s {host}/in in
         cd away; mv sub sub2; ln -s {host}/in/sub sub; mv layers layers2; ln -s {host}/in/sub layers
         rm shown; ln -s {host}/in/sub/file shown; mv tmp tmp2; ln -s {host}/in tmp
         cd /workspace; ln -s {host} out",
        host = host.display()
    );
    sh(&room, &script);
    let mut left: Vec<_> = walk(&host);
    left.sort();
    assert_eq!(left, ["in", "in/sub", "in/sub/file", "in/sub/more", "in/sub/more/file"]);
    assert!(layers.join("mine").exists() && upper.join("mine").exists());
    assert_eq!(walk(&place.dir.join("upper")), ["out"]);
}

fn walk(top: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![top.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            found.push(path.strip_prefix(top).unwrap().display().to_string());
            if path.symlink_metadata().unwrap().is_dir() {
                left.push(path);
            }
        }
    }
    found
}

pub(crate) fn rooms_of_one_user_wait_for_each_other(place: &Place) {
    let layers = place.dir.join("layers");
    sandbox::own_dir(&layers, USER, &place.isolation).unwrap();
    let mut room = place.room();
    room.mounts.push(writable(&layers, "/layers"));
    let mut asked = process(&["/bin/sh", "-c", "read line; echo $line >> /layers/log"]);
    asked.stdin = Stdio::Pipe;
    let mut first = room.start(&asked).unwrap();
    std::thread::scope(|scope| {
        // Without the wait it would find no directory, and kill the first.
        let second = scope.spawn(|| sh(&room, "echo second >> /layers/log; cat /layers/log"));
        // Another user's room does not wait.
        sh(&place.room(), "true");
        first.stdin.take().unwrap().write_all(b"first\n").unwrap();
        assert_eq!(first.wait().unwrap(), Exit::Code(0));
        assert_eq!(second.join().unwrap(), "first\nsecond\n");
    });
    // And one whose caller goes while it waits is gone too.
    let first = start(&room, &["/bin/sleep", "1000"]);
    let mut waiting = std::process::Command::new("/proc/self/exe")
        .args(["guest", "host-a-room", place.dir.to_str().unwrap(), "7"])
        .env("WRITABLE", &layers)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    assert_eq!(processes_of(TENANT), 1);
    drop(first);
}

pub(crate) fn what_begins_another_before_it_ends_is_dead_too(place: &Place) {
    let lower = place.make_dir("source");
    for (room, uid) in [(place.workspace(vec![lower]), Some(TENANT)), (place.room(), None)] {
        let script = "/guest guest fork-for-ever x & /guest guest fork-for-ever y & echo here; read line";
        let mut asked = process(&["/bin/sh", "-c", script]);
        asked.stdin = Stdio::Pipe;
        asked.stderr = Stdio::Null;
        let mut running = room.start(&asked).unwrap();
        running.stdout.as_mut().unwrap().read_exact(&mut [0; 5]).unwrap();
        let user = uid.unwrap_or_else(|| fs::metadata(format!("/proc/{}", running.pid())).unwrap().uid());
        soon(|| processes_of(user) >= 3);
        running.stdin.take().unwrap().write_all(b"end\n").unwrap();
        assert_eq!(running.wait().unwrap(), Exit::Code(0));
        assert_eq!(processes_of(user), 0);
    }
}

pub(crate) fn without_network_no_socket_leads_out(place: &Place) {
    let mut room = place.room();
    assert_eq!(run(&room, &["/guest", "guest", "talk-to-itself"]).said, "Ok(())\n");
    room.network = Network::None;
    let said = run(&room, &["/guest", "guest", "talk-to-itself"]).said;
    assert!(said.contains("code: 97"), "{said}");
}

pub(crate) fn a_network_of_its_own_is_refused(place: &Place) {
    let mut room = place.room();
    room.network = Network::Own;
    let error = room.start(&process(&["/bin/true"])).unwrap_err().to_string();
    assert!(error.ends_with("(a network of its own takes full isolation)"), "{error}");
}

pub(crate) fn what_was_given_for_one_isolation_is_given_again_for_the_other(place: &Place) {
    let layers = place.dir.join("layers");
    let full = Place::new(None);
    fs::create_dir(&layers).unwrap();
    let of_root = place.write("layers/roots", "root's");
    for (place, owner) in [(&full, 0x7000_0000 + 1000), (place, TENANT), (&full, 0x7000_0000 + 1000)] {
        sandbox::own_dir(&layers, USER, &place.isolation).unwrap();
        let mut room = place.room();
        room.mounts.push(writable(&layers, "/layers"));
        sh(&room, "mkdir -p /layers/a; echo text >> /layers/a/b");
        assert_eq!(fs::metadata(layers.join("a/b")).unwrap().uid(), owner);
    }
    assert_eq!(fs::metadata(of_root).unwrap().uid(), 0);
}

pub(crate) fn nothing_of_a_room_is_left(place: &Place) {
    sh(&place.workspace(vec![place.dir.join("tree")]), "mkdir -p /tmp/a/b; chmod 0 /tmp/a");
    assert!(place.room().start(&process(&["/no/such"])).is_err());
    assert_eq!(fs::read_dir(place.dir.join("rooms")).unwrap().count(), 0);
}
