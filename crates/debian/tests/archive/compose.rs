//! What a base is, packages in and tree out.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::common::Item::{Device, Dir, File, Hard, Link, Owned};
use crate::common::{Mirror, Package, Signer, package, picture};
use debian::{ComposeError, Composed, Lower, compose};

const PASSWD: &str = "root:*:0:0:root:/root:/bin/bash\nmail:*:8:8:mail:/var/mail:/usr/sbin/nologin\n";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";

fn base() -> Vec<Package<'static>> {
    vec![
        package(
            "base",
            "Multi-Arch: foreign\n",
            &[
                Dir("./", 0o755),
                Dir("./bin/", 0o755),
                Dir("./tmp/", 0o1777),
                Dir("./var/run/", 0o755),
                File("./bin/sh", 0o755, "a shell"),
                Hard("./bin/dash", "./bin/sh"),
                Link("./usr/bin/also-sh", "/bin/sh"),
                File("./usr/share/doc/base/README", 0o644, "read me"),
                File("./usr/share/doc/base/copyright", 0o644, "free"),
                Owned("./usr/bin/su", 0o4755, (0, 0)),
                Owned("./var/lib/thing", 0o640, (0, 42)),
                File("./var/run/here", 0o600, "x"),
            ],
        ),
        Package {
            compression: "xz",
            ..package(
                "base-passwd",
                "",
                &[
                    File("./usr/share/base-passwd/passwd.master", 0o644, PASSWD),
                    File("./usr/share/base-passwd/group.master", 0o644, "root:*:0:\nmail:*:8:\n"),
                ],
            )
        },
        Package {
            compression: "",
            ..package(
                "certs",
                "Depends: base, base-passwd\n",
                &[
                    File("./usr/share/ca-certificates/mozilla/B_(b).crt", 0o644, CERTIFICATE),
                    File("./usr/share/ca-certificates/mozilla/A.crt", 0o644, CERTIFICATE),
                ],
            )
        },
    ]
}

struct Base {
    folder: tempfile::TempDir,
    composed: Result<Composed, ComposeError>,
}

impl Base {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).unwrap()
    }
}

fn composed(packages: &[Package<'_>], wanted: &[&str]) -> Base {
    let mirror = Mirror::new(packages);
    let cache = tempfile::tempdir().unwrap();
    let debs = mirror.debs(wanted, &[], cache.path());
    let folder = tempfile::tempdir().unwrap();
    let composed = compose(&debs, None, folder.path());
    Base { folder, composed }
}

#[test]
fn packages_become_a_merged_tree_with_its_users_and_certificates() {
    let base = composed(&base(), &["certs"]);
    let result = base.composed.as_ref().unwrap();
    let at = |path: &str| base.path().join(path);
    assert_eq!(at("bin").read_link().unwrap(), Path::new("usr/bin"));
    assert_eq!(at("var/run").read_link().unwrap(), Path::new("/run"));
    assert_eq!(base.read("usr/bin/sh"), "a shell");
    assert_eq!(at("usr/bin/dash").metadata().unwrap().ino(), at("usr/bin/sh").metadata().unwrap().ino());
    assert_eq!(base.read("run/here"), "x");
    assert!(!at("usr/share/doc/base/README").exists() && at("usr/share/doc/base/copyright").exists());
    assert_eq!(at("tmp").metadata().unwrap().mode() & 0o7777, 0o1777);
    // Set-id bits are told, not set: the tree may lie where others reach it.
    assert_eq!(at("usr/bin/su").metadata().unwrap().mode() & 0o7777, 0o755);
    let owner =
        |path: &str| result.ownership.get(Path::new(path)).map(|(owner, mode)| (owner.uid, owner.gid, *mode));
    assert_eq!(owner("usr/bin/su"), Some((0, 0, 0o4755)));
    assert_eq!(owner("var/lib/thing"), Some((0, 42, 0o640)));
    assert_eq!(owner("home/cnb"), Some((1000, 1000, 0o755)));
    assert_eq!(owner("home/app"), Some((1001, 1000, 0o755)));
    assert_eq!(owner("usr/bin/sh"), None);
    assert_eq!(
        base.read("etc/passwd"),
        "root:x:0:0:root:/root:/bin/bash\nmail:x:8:8:mail:/var/mail:/usr/sbin/nologin\n\
         cnb:x:1000:1000:builds:/home/cnb:/bin/bash\napp:x:1001:1000:the app:/home/app:/bin/bash\n"
    );
    assert_eq!(base.read("etc/group"), "root:x:0:\nmail:x:8:\ncnb:x:1000:\n");
    assert!(base.read("etc/shadow").contains("app:*:3653:0:99999:7:::\n"));
    assert_eq!(base.read("etc/ssl/certs/ca-certificates.crt"), format!("{CERTIFICATE}\n{CERTIFICATE}\n"));
    assert!(at("etc/ssl/certs/B_=b=.pem").is_symlink());
    assert_eq!(
        at("usr/lib/ssl/cert.pem").read_link().unwrap(),
        Path::new("/etc/ssl/certs/ca-certificates.crt")
    );
    assert_eq!(base.read("etc/resolv.conf"), "");
}

#[test]
fn scanners_find_every_package_and_only_files_that_are_there() {
    let base = composed(&base(), &["certs"]);
    let status = base.read("var/lib/dpkg/status");
    assert_eq!(status.matches("Status: install ok installed\n").count(), 3);
    assert!(
        status.starts_with(
            "Package: base\nStatus: install ok installed\nVersion: 1.0-1\nArchitecture: amd64\nMulti-Arch: foreign\n"
        ),
        "{status}"
    );
    let list = base.read("var/lib/dpkg/info/base.list");
    assert!(list.contains("\n/bin/sh\n") && list.contains("/usr/share/doc/base/copyright\n"), "{list}");
    assert!(!list.contains("README"), "{list}");
}

#[test]
fn the_same_packages_give_the_same_tree() {
    let (first, second) = (composed(&base(), &["certs"]), composed(&base(), &["certs"]));
    assert_eq!(picture(first.path()), picture(second.path()));
    assert_eq!(first.composed.unwrap(), second.composed.unwrap());
}

#[test]
fn a_build_base_holds_only_the_rest_and_a_database_of_both() {
    let mut packages = base();
    packages.push(package(
        "tools",
        "Depends: base\n",
        &[File("./bin/tool", 0o755, "a tool"), File("./usr/lib/libtool.so.1", 0o644, "elf")],
    ));
    packages.push(package(
        "mawk",
        "",
        &[File("./usr/bin/mawk", 0o755, "awk"), File("./sbin/ldconfig", 0o755, "x")],
    ));
    let mirror = Mirror::new(&packages);
    let cache = tempfile::tempdir().unwrap();
    let run = mirror.debs(&["certs", "mawk"], &[], cache.path());
    let below: Vec<_> = run.iter().map(|(package, _)| package.clone()).collect();
    let build = mirror.debs(&["tools"], &below, cache.path());
    assert_eq!(build.len(), 1);
    let (run_tree, build_tree) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let composed = compose(&run, None, run_tree.path()).unwrap();
    assert_eq!(composed.finish, []);
    assert_eq!(run_tree.path().join("usr/bin/awk").read_link().unwrap(), Path::new("/etc/alternatives/awk"));
    let composed = compose(&build, Some(Lower { root: run_tree.path() }), build_tree.path()).unwrap();
    assert_eq!(composed.finish.len(), 1, "the linker's cache: {:?}", composed.finish);
    let files = picture(build_tree.path());
    assert!(files.contains_key(Path::new("usr/bin/tool")));
    assert!(
        !files.contains_key(Path::new("bin")) && !files.contains_key(Path::new("etc/passwd")),
        "{files:?}"
    );
    let status = std::fs::read_to_string(build_tree.path().join("var/lib/dpkg/status")).unwrap();
    assert_eq!(status.matches("Package: ").count(), 5);
}

#[test]
fn pythons_modules_are_to_be_compiled_where_they_are_new() {
    let python =
        |name: &'static str, items: &'static [crate::common::Item<'static>]| package(name, "", items);
    let mirror = Mirror::new(&[
        python(
            "python",
            &[File("./usr/bin/python3.13", 0o755, "elf"), File("./usr/lib/python3.13/os.py", 0o644, "")],
        ),
        python(
            "more",
            &[
                File("./usr/lib/python3.13/more.py", 0o644, ""),
                File("./usr/lib/python3.13/venv/__init__.py", 0o644, ""),
            ],
        ),
    ]);
    let cache = tempfile::tempdir().unwrap();
    let (run_tree, build_tree) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let run = compose(&mirror.debs(&["python"], &[], cache.path()), None, run_tree.path()).unwrap();
    let last = |composed: &Composed| {
        let argv = &composed.finish.last().unwrap().argv;
        argv.iter().skip_while(|it| *it != "unchecked-hash").skip(1).cloned().collect::<Vec<_>>()
    };
    assert_eq!(last(&run), ["/usr/lib/python3.13"]);
    assert_eq!(run.finish[0].env["PYTHONHASHSEED"], "0");
    let lower = Some(Lower { root: run_tree.path() });
    let build = compose(&mirror.debs(&["more"], &[], cache.path()), lower, build_tree.path()).unwrap();
    assert_eq!(last(&build), ["/usr/lib/python3.13/more.py", "/usr/lib/python3.13/venv"]);
}

#[test]
fn a_file_that_two_packages_ship_is_an_error_unless_one_replaces_the_other() {
    let both = |fields: &'static str| {
        [
            package("a", fields, &[File("./etc/same", 0o644, "of a")]),
            package("b", "", &[File("./etc/same", 0o644, "of b")]),
        ]
    };
    let error = composed(&both(""), &["a", "b"]).composed.unwrap_err();
    assert_eq!(error.to_string(), "a and b both ship /etc/same");
    for _ in 0..8 {
        let base = composed(&both("Replaces: b (<< 2)\n"), &["a", "b"]);
        base.composed.as_ref().unwrap();
        assert_eq!(base.read("etc/same"), "of a");
    }
}

#[test]
fn nothing_is_written_outside_of_the_tree() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "untouched").unwrap();
    std::fs::set_permissions(outside.path(), std::os::unix::fs::PermissionsExt::from_mode(0o750)).unwrap();
    let out = outside.path().to_str().unwrap();
    let climbing = format!(".{}/secret", "/..".repeat(12));
    let target = format!("./link{}", "/..".repeat(12));
    let through_link = [
        Link("./link", out),
        Link("./up", "../../../../../../../.."),
        File("./link/secret", 0o644, "changed"),
        File("./up/up-secret", 0o644, "changed"),
        Dir("./link", 0o777),
        File(&climbing, 0o644, "changed"),
        File(&target, 0o644, "changed"),
    ];
    let base = composed(&[package("evil", "", &through_link)], &["evil"]);
    let error = base.composed.as_ref().map(|_| ()).unwrap_err().to_string();
    // The link's target is looked up in the tree, where there is no such folder.
    assert!(error.starts_with("cannot unpack /link/secret of evil: "), "{error}");
    let base = composed(&[package("evil", "", &through_link[3..])], &["evil"]);
    assert!(base.path().join("up/up-secret").exists());
    for items in [&[Link("./l", out), Dir("./l", 0o777)][..], &[Link("./l", out), Hard("./h", "./l/secret")]]
    {
        composed(&[package("evil", "", items)], &["evil"]).composed.unwrap_err();
    }
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "untouched");
    assert_eq!(outside.path().metadata().unwrap().mode() & 0o777, 0o750);
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn a_later_link_does_not_redirect_a_file() {
    let items = [
        Link("./etc/conf", "/etc/target"),
        File("./etc/target", 0o644, "kept"),
        File("./etc/conf", 0o644, "new"),
    ];
    let base = composed(&[package("a", "", &items)], &["a"]);
    base.composed.as_ref().unwrap();
    assert_eq!(base.read("etc/target"), "kept");
    assert_eq!(base.read("etc/conf"), "new");
}

#[test]
fn what_a_base_cannot_hold_is_named() {
    let error = composed(&[package("dev", "", &[Device("./dev/sda")])], &["dev"]).composed.unwrap_err();
    assert_eq!(error.to_string(), "dev ships /dev/sda as a device, which a base cannot hold");
}

#[test]
fn an_unsupported_compression_is_named_and_so_is_a_file_that_is_no_package() {
    let zstd = Package { compression: "zst", ..package("new", "", &[]) };
    let error = composed(&[zstd], &["new"]).composed.unwrap_err().to_string();
    assert!(
        error.ends_with("data.tar.zst is compressed with zstd, which is not supported; gzip and xz are"),
        "{error}"
    );

    let mirror = Mirror::signed_by(Signer::new(), &base());
    let cache = tempfile::tempdir().unwrap();
    let mut debs = mirror.debs(&["base"], &[], cache.path());
    let whole = std::fs::read(&debs[0].1).unwrap();
    let tree = tempfile::tempdir().unwrap();
    for (bytes, why) in [
        (&whole[..whole.len() - 40], "it ends in the middle of a part"),
        (b"PK\x03\x04 a zip file", "it is not an ar archive"),
        (b"!<arch>\n", "its first part is not debian-binary"),
    ] {
        std::fs::write(&debs[0].1, bytes).unwrap();
        let error = compose(&debs, None, tree.path()).unwrap_err().to_string();
        assert!(error.ends_with(&format!("not a Debian package: {why}")), "{error}");
    }
    std::fs::write(&debs[0].1, &whole).unwrap();
    debs[0].0.version = "2.0".to_owned();
    let error = compose(&debs, None, tree.path()).unwrap_err().to_string();
    assert!(error.ends_with("holds base 1.0-1, not base 2.0"), "{error}");
}
