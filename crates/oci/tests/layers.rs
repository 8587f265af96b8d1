//! What a layer's bytes are, and when they are made again.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use common::{Place, USER, add, output, tar_of, tree_spec};
use oci::{LayerError, LayerSpec, Modes, Notice, Owner, OwnerRule, TreeIndex, TreeRules};

/// `name mode uid/gid size`, as the `tar` library reads it.
fn listing(tar: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in tar::Archive::new(tar).entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!(header.mtime().unwrap(), 315_532_801);
        assert_eq!((header.username_bytes(), header.groupname_bytes()), (Some(&b""[..]), Some(&b""[..])));
        let link = entry.link_name_bytes().map(|to| format!(" -> {}", String::from_utf8_lossy(&to)));
        lines.push(format!(
            "{} {:o} {}/{} {}{}",
            String::from_utf8_lossy(&entry.path_bytes()),
            header.mode().unwrap(),
            header.uid().unwrap(),
            header.gid().unwrap(),
            entry.size(),
            link.unwrap_or_default()
        ));
    }
    lines
}

#[test]
fn a_layer_is_sorted_owned_and_dated_and_has_its_parents_once() {
    let place = Place::new();
    let tree = place.tree("src", &[("b.py", "b"), ("a/z.py", "zz"), ("a.py", ""), ("run.sh", "#!")]);
    std::fs::set_permissions(tree.join("run.sh"), PermissionsExt::from_mode(0o710)).unwrap();
    std::os::unix::fs::symlink("a/z.py", tree.join("link")).unwrap();
    let spec = tree_spec(&tree, "/workspace")
        .symlink("/cnb/process/web", "/cnb/lifecycle/launcher", Owner::ROOT)
        .file("/cnb/lifecycle/config.toml", 0o644, Owner::ROOT, "x = 1")
        .program("/cnb/lifecycle/launcher", 0o755, Owner::ROOT, tree.join("b.py"))
        .dir("/tmp", 0o1777, Owner::ROOT);
    let store = place.store();
    let tar = tar_of(&store, &add(&store, &spec));
    let expected = "\
        cnb/ 755 0/0 0
        cnb/lifecycle/ 755 0/0 0
        cnb/lifecycle/config.toml 644 0/0 5
        cnb/lifecycle/launcher 755 0/0 1
        cnb/process/ 755 0/0 0
        cnb/process/web 777 0/0 0 -> /cnb/lifecycle/launcher
        tmp/ 1777 0/0 0
        workspace/ 755 1001/1000 0
        workspace/a/ 755 1001/1000 0
        workspace/a/z.py 644 1001/1000 2
        workspace/a.py 644 1001/1000 0
        workspace/b.py 644 1001/1000 1
        workspace/link 777 1001/1000 0 -> a/z.py
        workspace/run.sh 755 1001/1000 2";
    let expected: Vec<_> = expected.lines().map(str::trim).collect();
    assert_eq!(listing(&tar), expected);
}

#[test]
fn a_tree_at_the_root_has_no_entry_for_the_root() {
    let place = Place::new();
    let tree = place.tree("src", &[("etc/hostname", "x")]);
    let store = place.store();
    let names = listing(&tar_of(&store, &add(&store, &tree_spec(&tree, "/"))));
    assert_eq!(names, ["etc/ 755 1001/1000 0", "etc/hostname 644 1001/1000 1"]);
}

#[test]
fn a_table_gives_owners_and_modes_and_skipped_paths_are_left_out() {
    let place = Place::new();
    let tree =
        place.tree("src", &[("usr/bin/su", "su"), ("usr/bin/ls", "ls"), ("var/mail/x", ""), ("skip/x", "")]);
    std::fs::set_permissions(tree.join("usr/bin/ls"), PermissionsExt::from_mode(0o751)).unwrap();
    let mut table = BTreeMap::new();
    table.insert(PathBuf::from("usr/bin/su"), (Owner::ROOT, 0o4755));
    table.insert(PathBuf::from("var/mail"), (Owner::new(0, 8), 0o2775));
    for directory in ["", "usr", "usr/bin", "var"] {
        table.insert(PathBuf::from(directory), (Owner::ROOT, 0o755));
    }
    let rules = TreeRules {
        owner: OwnerRule::Table(table, USER),
        modes: Modes::Keep,
        skip: BTreeSet::from([PathBuf::from("skip"), PathBuf::from("var/mail/x")]),
    };
    let store = place.store();
    let lines = listing(&tar_of(&store, &add(&store, &LayerSpec::new("base").tree(&tree, "base", rules))));
    assert_eq!(
        lines,
        [
            "base/ 755 0/0 0",
            "base/usr/ 755 0/0 0",
            "base/usr/bin/ 755 0/0 0",
            "base/usr/bin/ls 751 1001/1000 2",
            "base/usr/bin/su 4755 0/0 2",
            "base/var/ 755 0/0 0",
            "base/var/mail/ 2775 0/8 0",
        ]
    );
}

#[test]
fn every_file_name_that_linux_allows_comes_back_from_gnu_tar() {
    let place = Place::new();
    let tree = place.path("src");
    let (long, longer) = ("d".repeat(120), "e".repeat(200));
    let mut names: Vec<Vec<u8>> = vec![
        b"with space".to_vec(),
        b"new\nline".to_vec(),
        "gr\u{fc}n".as_bytes().to_vec(),
        b"not utf-8 \xff\xfe".to_vec(),
        b"-dash".to_vec(),
        b"back\\slash \"quote\"".to_vec(),
    ];
    names.push(format!("{long}/short").into_bytes());
    names.push(format!("{}/{}", "p".repeat(60), "q".repeat(60)).into_bytes());
    names.push(format!("{longer}/{longer}/{longer}").into_bytes());
    for name in &names {
        let path = tree.join(OsStr::from_bytes(name));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, name).unwrap();
    }
    std::os::unix::fs::symlink(format!("{longer}/{longer}"), tree.join("long-link")).unwrap();
    let store = place.store();
    let record = add(&store, &tree_spec(&tree, "w"));
    let out = place.tree("out", &[]);
    output(Command::new("tar").arg("-xzf").arg(store.blob_path(&record.digest)).arg("-C").arg(&out));
    let unpacked = store.unpacked(&record.diff_id).unwrap();
    for name in &names {
        for root in [&out, &unpacked] {
            let found = std::fs::read(root.join("w").join(OsStr::from_bytes(name)));
            assert_eq!(found.unwrap(), *name, "{}", String::from_utf8_lossy(name));
        }
    }
    let link = std::fs::read_link(out.join("w/long-link")).unwrap();
    assert_eq!(link.as_os_str().len(), 401);
    let mut read = tar::Archive::new(&tar_of(&store, &record)[..])
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path_bytes().strip_prefix(b"w/").unwrap().to_vec())
        .collect::<Vec<_>>();
    read.retain(|name| names.contains(name));
    assert_eq!(read.len(), names.len());
}

#[test]
fn hard_links_become_files_and_special_files_are_reported() {
    let place = Place::new();
    let tree = place.tree("src", &[("one", "same")]);
    std::fs::hard_link(tree.join("one"), tree.join("two")).unwrap();
    output(Command::new("mkfifo").arg(tree.join("pipe")));
    let _socket = std::os::unix::net::UnixListener::bind(tree.join("sock")).unwrap();
    let store = place.store();
    let added = store.add_layer(&tree_spec(&tree, "w"), None).unwrap();
    let tar = tar_of(&store, &added.record);
    assert_eq!(listing(&tar)[1..], ["w/one 644 1001/1000 4", "w/two 644 1001/1000 4"]);
    let said: Vec<_> = added.notices.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2);
    assert!(said[0].ends_with("/src/pipe is a FIFO and is left out"), "{said:?}");
    assert!(said[1].ends_with("/src/sock is a socket and is left out"), "{said:?}");
}

#[test]
fn a_layer_is_the_same_whether_equal_files_are_one_on_this_machine_or_two() {
    let place = Place::new();
    let copied = place.tree("copied", &[("one", "same"), ("d/two", "same")]);
    let linked = place.tree("linked", &[("one", "same"), ("d/x", "")]);
    std::fs::rename(linked.join("d/x"), place.path("x")).unwrap();
    std::fs::hard_link(linked.join("one"), linked.join("d/two")).unwrap();
    let store = place.store();
    let diff_id = |tree: &Path| add(&store, &tree_spec(tree, "w")).diff_id;
    assert_eq!(diff_id(&linked), diff_id(&copied));
}

#[test]
fn the_digest_does_not_depend_on_store_umask_time_or_place() {
    let digest = |umask: &str| {
        let place = Place::new();
        let script = format!(
            "umask {umask}; mkdir -p src/pkg; echo hello > src/pkg/a.py; echo run > src/run; chmod u+x src/run"
        );
        output(Command::new("sh").arg("-c").arg(script).current_dir(place.dir.path()));
        let store = place.store();
        let record = add(&store, &tree_spec(&place.path("src"), "/workspace"));
        common::image(&store, &[&record]).digest()
    };
    let strict = digest("077");
    assert_eq!(strict, digest("002"));
    assert_eq!(strict, digest("022"));
}

#[test]
fn the_digest_of_a_small_layer_stays_what_it_was() {
    let place = Place::new();
    let store = place.store();
    let spec = LayerSpec::new("pinned").file("/etc/app.toml", 0o644, Owner::ROOT, "a = 1\n").symlink(
        "/etc/link",
        "app.toml",
        USER,
    );
    let record = add(&store, &spec);
    // Whoever changes these on purpose changes the encoding's number in gzip.rs too.
    assert_eq!(
        record.diff_id.to_string(),
        "sha256:7515ebc275072ee3f1b9bac384a12589689ce5cfe15d1725085cc1c9b23f5c36"
    );
    assert_eq!(
        record.digest.to_string(),
        "sha256:71d4a64d41c5addb47d980e50def22d6a613da6561b5e810931e748360587c59"
    );
}

#[test]
fn an_unchanged_layer_is_not_read_again() {
    let place = Place::new();
    let tree = place.tree("src", &[("a.py", "a"), ("b/c.py", "c")]);
    let program = place.tree("bin", &[("tool", "elf")]).join("tool");
    let spec =
        tree_spec(&tree, "w").program("/bin/tool", 0o755, Owner::ROOT, program).file("x", 0o644, USER, "x");
    let record = add(&place.store(), &spec);
    let again = place.store().add_layer(&spec, Some(&record)).unwrap();
    assert!(again.reused);
    assert_eq!(again.record, record);
}

#[test]
fn every_change_is_noticed() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 8] = [
        ("bytes under the same size and time", |tree| {
            let path = tree.join("a.py");
            let before = std::fs::metadata(&path).unwrap().modified().unwrap();
            std::fs::write(&path, "b").unwrap();
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
        }),
        ("a new file", |tree| std::fs::write(tree.join("new"), "").unwrap()),
        ("a file removed", |tree| std::fs::remove_file(tree.join("b/c.py")).unwrap()),
        ("a file renamed", |tree| std::fs::rename(tree.join("b/c.py"), tree.join("b/d.py")).unwrap()),
        ("a file replaced by the same", |tree| {
            std::fs::write(tree.join("new"), "a").unwrap();
            std::fs::rename(tree.join("new"), tree.join("a.py")).unwrap();
        }),
        ("a mode", |tree| {
            std::fs::set_permissions(tree.join("a.py"), PermissionsExt::from_mode(0o755)).unwrap();
        }),
        ("a directory's mode", |tree| {
            std::fs::set_permissions(tree.join("b"), PermissionsExt::from_mode(0o700)).unwrap();
        }),
        ("a link's target", |tree| {
            std::fs::remove_file(tree.join("link")).unwrap();
            std::os::unix::fs::symlink("b.py", tree.join("link")).unwrap();
        }),
    ];
    for (what, change) in changes {
        let place = Place::new();
        let tree = place.tree("src", &[("a.py", "a"), ("b/c.py", "c")]);
        std::os::unix::fs::symlink("a.py", tree.join("link")).unwrap();
        let store = place.store();
        let record = add(&store, &tree_spec(&tree, "w"));
        let index = TreeIndex::of_tree(&tree).unwrap();
        change(&tree);
        assert!(!store.add_layer(&tree_spec(&tree, "w"), Some(&record)).unwrap().reused, "{what}");
        assert_ne!(TreeIndex::of_tree(&tree).unwrap(), index, "{what}");
    }
}

#[test]
fn a_write_in_the_clock_tick_of_the_walk_is_noticed() {
    // Without waiting for the clock's next tick, some of these writes have the change time that was recorded.
    let place = Place::new();
    let tree = place.tree("src", &[("a", "0")]);
    let store = place.store();
    for round in 0..30 {
        let before = format!("{round:04}");
        std::fs::write(tree.join("a"), &before).unwrap();
        let record = add(&store, &tree_spec(&tree, "w"));
        std::fs::write(tree.join("a"), format!("{:04}", round + 5000)).unwrap();
        assert!(!store.add_layer(&tree_spec(&tree, "w"), Some(&record)).unwrap().reused, "round {round}");
    }
}

#[test]
fn other_contents_owners_or_rules_are_another_layer() {
    let place = Place::new();
    let tree = place.tree("src", &[("a", "a")]);
    let store = place.store();
    let rules = TreeRules::new(USER, Modes::Normalise);
    let spec = LayerSpec::new("x").tree(&tree, "w", rules.clone()).file("f", 0o644, USER, "1");
    let record = add(&store, &spec);
    let others = [
        LayerSpec::new("x").tree(&tree, "v", rules.clone()).file("f", 0o644, USER, "1"),
        LayerSpec::new("x").tree(&tree, "w", rules.clone()).file("f", 0o644, USER, "2"),
        LayerSpec::new("x").tree(&tree, "w", rules.clone()).file("f", 0o600, USER, "1"),
        LayerSpec::new("x").tree(&tree, "w", rules.clone()).file("f", 0o644, Owner::ROOT, "1"),
        LayerSpec::new("x")
            .tree(&tree, "w", TreeRules::new(Owner::ROOT, Modes::Normalise))
            .file("f", 0o644, USER, "1"),
        LayerSpec::new("x").tree(&tree, "w", TreeRules::new(USER, Modes::Keep)).file("f", 0o644, USER, "1"),
        LayerSpec::new("x").tree(&tree, "w", rules).symlink("f", "1", USER),
    ];
    for other in others {
        assert!(!store.add_layer(&other, Some(&record)).unwrap().reused, "{other:?}");
    }
}

#[test]
fn a_record_without_its_blob_is_made_again() {
    let place = Place::new();
    let tree = place.tree("src", &[("a", "a")]);
    let store = place.store();
    let record = add(&store, &tree_spec(&tree, "w"));
    let blob = store.blob_path(&record.digest);
    let whole = std::fs::read(&blob).unwrap();
    for damage in [None, Some(&whole[..whole.len() - 1])] {
        match damage {
            None => std::fs::remove_file(&blob).unwrap(),
            Some(part) => std::fs::write(&blob, part).unwrap(),
        }
        let again = store.add_layer(&tree_spec(&tree, "w"), Some(&record)).unwrap();
        assert!(!again.reused);
        assert_eq!(again.record, record);
        assert_eq!(std::fs::read(&blob).unwrap(), whole);
    }
}

#[test]
fn a_sparse_file_of_five_gigabytes_is_streamed_and_reported() {
    let place = Place::new();
    let tree = place.tree("src", &[]);
    let size = 5 << 30;
    std::fs::File::create(tree.join("hole")).unwrap().set_len(size).unwrap();
    let store = place.store();
    let added = store.add_layer(&tree_spec(&tree, "w"), None).unwrap();
    assert_eq!(added.notices, [Notice::Large { path: tree.join("hole"), size }]);
    assert!(added.record.uncompressed_size > size);
    assert!(added.record.size < size / 500);
    let peak = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak =
        peak.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB");
    assert!(peak.parse::<u64>().unwrap() < 300_000, "{peak} kB at most were in memory");
}

#[test]
fn a_file_that_is_written_while_it_is_read_is_named() {
    let place = Place::new();
    let tree = place.tree("src", &[("log", "")]);
    let path = tree.join("log");
    std::fs::File::create(&path).unwrap().set_len(64 << 20).unwrap();
    let store = place.store();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut size = 64 << 20;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                size = if size > (32 << 20) { size - 4096 } else { 64 << 20 };
                std::fs::File::options().write(true).open(&path).unwrap().set_len(size).unwrap();
            }
        });
        let result = store.add_layer(&tree_spec(&tree, "w"), None);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        result
    });
    match result.unwrap_err() {
        LayerError::Changed { path: named } => assert_eq!(named, path),
        other => panic!("{other}"),
    }
}

#[test]
fn paths_that_cannot_be_are_refused() {
    let place = Place::new();
    let store = place.store();
    for spec in [
        LayerSpec::new("x").file("../etc/passwd", 0o644, USER, ""),
        LayerSpec::new("x").dir("/", 0o755, USER),
        LayerSpec::new("x").symlink("lib", "usr/lib", USER).file("lib/x", 0o644, USER, ""),
        LayerSpec::new("x").file("a", 0o644, USER, "").file("a/b/c", 0o644, USER, ""),
    ] {
        assert!(matches!(store.add_layer(&spec, None), Err(LayerError::BadPath { .. })), "{spec:?}");
    }
}

#[test]
fn a_tree_that_is_not_there_is_named() {
    let place = Place::new();
    let error = place.store().add_layer(&tree_spec(&place.path("none"), "w"), None).unwrap_err();
    assert!(error.to_string().ends_with("/none: No such file or directory (os error 2)"), "{error}");
}

#[test]
fn a_file_with_holes_has_its_data_where_it_was() {
    use std::os::unix::fs::FileExt;
    let place = Place::new();
    let tree = place.tree("src", &[]);
    let file = std::fs::File::create(tree.join("image")).unwrap();
    file.set_len((33 << 20) + 77).unwrap();
    for (at, bytes) in [(0, "begin"), ((20 << 20) - 2, "middle"), ((33 << 20) + 70, "the end")] {
        file.write_all_at(bytes.as_bytes(), at).unwrap();
    }
    let store = place.store();
    let record = add(&store, &tree_spec(&tree, "w"));
    let tar = tar_of(&store, &record);
    let contents = std::fs::read(tree.join("image")).unwrap();
    assert!(tar[1024..][..contents.len()] == contents);
}

#[test]
fn a_layer_that_a_cache_wants_too_is_the_same_and_its_tar_comes_with_it() {
    let place = Place::new();
    // Of some size, so that it is compressed on several threads.
    let large = "some words, and some more".repeat(200_000);
    let tree = place.tree("src", &[("a", "a"), ("large", &large)]);
    let spec = tree_spec(&tree, "/layers/a/b");
    let store = place.store();
    let tars = oci::Store::open(&place.path("tars")).unwrap().with_layers_in(oci::Compression::None);
    let both = store.add_layer_and_tar(&spec, None, &tars).unwrap().record;
    let tar = tars.blob_of(&both.diff_id).unwrap();
    assert_eq!(tar, both.diff_id);
    let tar = std::fs::read(tars.blob_path(&tar)).unwrap();
    assert_eq!(oci::Digest::of(&tar), both.diff_id);
    assert_eq!(tar, tar_of(&store, &both));

    let alone = oci::Store::open(&place.path("alone")).unwrap().add_layer(&spec, None).unwrap().record;
    assert_eq!((alone.digest, alone.diff_id, alone.size), (both.digest, both.diff_id, both.size));
    // What is not read has no tar.
    assert!(store.add_layer_and_tar(&spec, Some(&both), &tars).unwrap().reused);
}
