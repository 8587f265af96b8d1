//! A payload from folder to executable and back.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;
use platform::payload;

/// An empty directory of one test.
fn room(test: &str) -> PathBuf {
    let room = Path::new(env!("CARGO_TARGET_TMPDIR")).join("payload").join(test);
    let _ = fs::remove_dir_all(&room);
    fs::create_dir_all(&room).unwrap();
    room
}

fn write(path: &Path, content: &[u8], mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// A small payload: a launcher, an order and one buildpack whose two programs are one file.
fn folder(room: &Path) -> PathBuf {
    let folder = room.join("folder");
    write(&folder.join("launcher"), &[7; 5000], 0o755);
    write(&folder.join("order.toml"), b"[[order]]\n", 0o644);
    let buildpack = folder.join("buildpacks/packlight_python/0.1.0");
    write(&buildpack.join("buildpack.toml"), b"api = \"0.10\"\n", 0o600);
    write(&buildpack.join("bin/detect"), &[9; 513], 0o755);
    fs::hard_link(buildpack.join("bin/detect"), buildpack.join("bin/build")).unwrap();
    folder
}

/// An "executable" with that folder as its payload.
fn packed(room: &Path, folder: &Path) -> PathBuf {
    let (program, output) = (room.join("program"), room.join("packed"));
    write(&program, &[1; 777], 0o755);
    let status = Command::new(env!("CARGO_BIN_EXE_append-payload"))
        .args([&program, folder, &output])
        .status()
        .unwrap();
    assert!(status.success());
    output
}

/// Every file below `root`: its path, mode and content.
fn listing(root: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755, "{path:?}");
            found.extend(listing(&path));
        } else {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            found.push((path.clone(), mode, fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn what_was_appended_is_installed_file_by_file_with_its_modes() {
    let room = room("round-trip");
    let exe = packed(&room, &folder(&room));
    let root = payload::open(None, &exe).unwrap().install(&room.join("store")).unwrap();
    let buildpack = root.join("buildpacks/packlight_python/0.1.0");
    assert_eq!(
        listing(&root),
        [
            (buildpack.join("bin/build"), 0o755, vec![9; 513]),
            (buildpack.join("bin/detect"), 0o755, vec![9; 513]),
            (buildpack.join("buildpack.toml"), 0o644, b"api = \"0.10\"\n".to_vec()),
            (root.join("launcher"), 0o755, vec![7; 5000]),
            (root.join("order.toml"), 0o644, b"[[order]]\n".to_vec()),
        ]
    );
    let inode = |name: &str| fs::metadata(buildpack.join(name)).unwrap().ino();
    assert_eq!(inode("bin/detect"), inode("bin/build"), "one program, one file");
}

#[test]
fn a_folder_and_the_archive_of_it_have_the_same_digest_and_a_changed_file_another() {
    let room = room("digest");
    let folder = folder(&room);
    let exe = packed(&room, &folder);
    let of_folder = payload::open(Some(&folder), &exe).unwrap().digest();
    assert_eq!(of_folder, payload::open(None, &exe).unwrap().digest());
    fs::write(folder.join("launcher"), [8; 5000]).unwrap();
    assert_ne!(of_folder, payload::open(Some(&folder), &exe).unwrap().digest());
}

#[test]
fn the_same_folder_gives_the_same_bytes() {
    let (one, two) = (room("same-1"), room("same-2"));
    let first = fs::read(packed(&one, &folder(&one))).unwrap();
    assert_eq!(first, fs::read(packed(&two, &folder(&two))).unwrap());
}

#[test]
fn tar_reads_the_archive() {
    let room = room("tar");
    let exe = packed(&room, &folder(&room));
    let tail = fs::read(&exe).unwrap().split_off(777);
    fs::write(room.join("tail.tar"), tail).unwrap();
    let output = Command::new("tar").arg("tf").arg(room.join("tail.tar")).output().unwrap();
    let names = String::from_utf8_lossy(&output.stdout);
    let first = "buildpacks/packlight_python/0.1.0/bin/build\nbuildpacks/packlight_python/0.1.0/bin/detect\n";
    assert!(names.starts_with(first) && names.ends_with("launcher\norder.toml\n"), "{names}\n{output:?}");
}

#[test]
fn a_second_install_writes_nothing_and_the_rests_of_a_killed_one_are_replaced() {
    let room = room("twice");
    let exe = packed(&room, &folder(&room));
    let store = room.join("store");
    write(&store.join(".partial/launcher"), b"half", 0o755);
    let first = payload::open(None, &exe).unwrap().install(&store).unwrap();
    assert_eq!(fs::read(first.join("launcher")).unwrap(), [7; 5000]);
    assert!(!store.join(".partial").exists());
    let inode = fs::metadata(first.join("launcher")).unwrap().ino();
    let second = payload::open(None, &exe).unwrap().install(&store).unwrap();
    assert_eq!((inode, first), (fs::metadata(second.join("launcher")).unwrap().ino(), second));
}

#[test]
fn many_that_install_at_once_agree() {
    let room = room("at-once");
    let exe = packed(&room, &folder(&room));
    let store = room.join("store");
    std::thread::scope(|scope| {
        let install = || payload::open(None, &exe).unwrap().install(&store).unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(install)).collect();
        for thread in threads {
            assert_eq!(listing(&thread.join().unwrap()).len(), 5);
        }
    });
}

#[test]
fn an_executable_without_payload_says_what_to_run() {
    let room = room("none");
    let exe = room.join("program");
    for content in [&b""[..], &[1; 4000]] {
        write(&exe, content, 0o755);
        let error = payload::open(None, &exe).unwrap_err().to_string();
        let expected = format!(
            "this packlight carries no payload ({}); run `make payload` and set PACKLIGHT_PAYLOAD to target/payload",
            exe.display()
        );
        assert_eq!(error, expected);
    }
}

#[test]
fn a_folder_that_is_no_payload_is_named() {
    let room = room("no-payload");
    let error = payload::open(Some(&room), &room).unwrap_err().to_string();
    let expected = format!(
        "{} is no payload: launcher is missing; run `make payload` and name target/payload",
        room.display()
    );
    assert_eq!(error, expected);
}

#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    let room = room("damaged");
    let exe = packed(&room, &folder(&room));
    let good = fs::read(&exe).unwrap();
    let launcher = good.windows(100).position(|it| it == [7; 100]).unwrap();
    let index = good.windows(9).position(|it| it == b"{\"files\":").unwrap();
    for (at, what) in [
        (launcher, "launcher has another sha256"),
        (index, "its index has another sha256"),
        (good.len() - payload::FOOTER_BYTES + payload::MAGIC.len() + 7, "its lengths exceed the file"),
    ] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&exe, bad).unwrap();
        let installed = payload::open(None, &exe).and_then(|it| it.install(&room.join("store")));
        let expected =
            format!("the payload of {} is damaged: {what}; download packlight again", exe.display());
        assert_eq!(installed.unwrap_err().to_string(), expected);
        let complete = fs::read_dir(room.join("store")).map_or(0, |entries| {
            entries.filter(|it| !it.as_ref().unwrap().file_name().to_string_lossy().starts_with('.')).count()
        });
        assert_eq!(complete, 0, "nothing damaged appears under a final name");
    }
}

#[test]
fn a_link_has_no_place_in_a_payload() {
    let room = room("link");
    let folder = folder(&room);
    std::os::unix::fs::symlink("/etc/passwd", folder.join("passwd")).unwrap();
    let error = payload::open(Some(&folder), &room).unwrap_err().to_string();
    let link = folder.join("passwd");
    assert_eq!(
        error,
        format!("{} is neither a file nor a folder, and so has no place in a payload", link.display())
    );
}
