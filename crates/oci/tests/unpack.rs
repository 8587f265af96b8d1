//! Tars that try to write elsewhere, and tars that are merely unusual.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use common::Place;
use oci::{Ids, UnpackError, UnpackRules, Whiteouts, unpack_tar};
use tar::{EntryType, Header};

/// A tar made entry by entry, with names that `tar::Builder` would refuse.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn entry(mut self, kind: EntryType, (name, link): (&str, &str), mode: u32, contents: &str) -> Self {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(12);
        header.set_gid(34);
        header.set_mtime(1_000_000);
        header.set_size(contents.len() as u64);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(contents.as_bytes());
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }
    fn file(self, name: &str, contents: &str) -> Self {
        self.entry(EntryType::Regular, (name, ""), 0o644, contents)
    }
    fn dir(self, name: &str, mode: u32) -> Self {
        self.entry(EntryType::Directory, (name, ""), mode, "")
    }
    fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, (name, target), 0o777, "")
    }
    fn link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Link, (name, target), 0o644, "")
    }
    fn unpack(mut self, into: &Path, whiteouts: Whiteouts) -> Result<(), UnpackError> {
        self.0.extend_from_slice(&[0; 1024]);
        std::fs::create_dir_all(into).unwrap();
        unpack_tar(&self.0[..], into, UnpackRules { ids: Ids::Caller, whiteouts })
    }
}

/// A directory to unpack into, beside one that no tar may touch.
struct Target {
    place: Place,
    into: PathBuf,
    outside: PathBuf,
}

fn target() -> Target {
    let place = Place::new();
    let outside = place.tree("outside", &[("secret", "untouched")]);
    std::fs::set_permissions(&outside, PermissionsExt::from_mode(0o710)).unwrap();
    Target { into: place.path("in/to"), outside, place }
}

impl Target {
    fn assert_outside_is_untouched(&self) {
        assert_eq!(std::fs::metadata(&self.outside).unwrap().mode() & 0o7777, 0o710);
        let names: Vec<_> =
            std::fs::read_dir(&self.outside).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["secret"]);
        assert_eq!(std::fs::read_to_string(self.outside.join("secret")).unwrap(), "untouched");
        assert_eq!(std::fs::metadata(self.outside.join("secret")).unwrap().nlink(), 1);
        let mut top: Vec<_> =
            std::fs::read_dir(self.place.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        top.sort();
        assert_eq!(top, ["in", "outside"]);
        assert_eq!(std::fs::read_dir(self.place.path("in")).unwrap().count(), 1);
    }
}

#[test]
fn no_tar_writes_links_or_changes_modes_outside() {
    let outside = |target: &Target| target.outside.to_str().unwrap().to_owned();
    type Make = fn(&str) -> Tar;
    let attacks: [(&str, Make); 12] = [
        ("dotdot", |_| Tar::default().file("../../outside/new", "x")),
        ("dotdot inside", |_| Tar::default().file("a/../../../outside/new", "x")),
        ("absolute name", |out| Tar::default().file(&format!("{out}/secret"), "x")),
        ("through an absolute link", |out| Tar::default().symlink("l", out).file("l/secret", "x")),
        ("through a relative link", |_| Tar::default().symlink("l", "../../outside").file("l/secret", "x")),
        ("link on link", |_| {
            Tar::default().symlink("a", "..").symlink("b", "a/..").file("b/outside/secret", "x")
        }),
        ("file over link", |out| Tar::default().symlink("l", &format!("{out}/secret")).file("l", "x")),
        ("hard link out", |out| Tar::default().link("h", &format!("{out}/secret")).file("h", "x")),
        ("hard link dotdot", |_| Tar::default().link("h", "../../outside/secret").file("h", "x")),
        ("hard link through link", |out| {
            Tar::default().symlink("l", out).link("h", "l/secret").file("h", "x")
        }),
        // RUSTSEC-2026-0067: the mode of a directory set through a link of its name.
        ("chmod through link", |out| Tar::default().symlink("l", out).dir("l/", 0o777)),
        ("chmod later through link", |out| Tar::default().dir("l/", 0o777).symlink("l", out)),
    ];
    for (what, make) in attacks {
        for whiteouts in [Whiteouts::Keep, Whiteouts::Overlay] {
            let target = target();
            // Whether it is an error or ends up inside does not matter here.
            let result = make(&outside(&target)).unpack(&target.into, whiteouts);
            println!("{what}: {result:?}");
            target.assert_outside_is_untouched();
        }
    }
}

#[test]
fn no_whiteout_removes_anything_outside() {
    let attacks: [fn(&str) -> Tar; 5] = [
        |_| Tar::default().file(".wh...", ""),
        |_| Tar::default().file(".wh..", ""),
        |out| Tar::default().symlink("l", out).file("l/.wh.secret", ""),
        |out| Tar::default().symlink("l", out).file("l/.wh..wh..opq", ""),
        |_| Tar::default().file("../../outside/.wh.secret", ""),
    ];
    for make in attacks {
        let target = target();
        let _ = make(target.outside.to_str().unwrap()).unpack(&target.into, Whiteouts::Overlay);
        target.assert_outside_is_untouched();
    }
}

#[test]
fn links_mean_what_they_mean_in_the_image() {
    let target = target();
    let into = &target.into;
    Tar::default()
        .dir("usr/lib/", 0o755)
        .symlink("lib", "usr/lib")
        .symlink("lib64", "/usr/lib")
        .file("lib/a.so", "a")
        .file("lib64/b.so", "b")
        .link("usr/c.so", "/lib64/b.so")
        .unpack(into, Whiteouts::Overlay)
        .unwrap();
    assert_eq!(std::fs::read_to_string(into.join("usr/lib/a.so")).unwrap(), "a");
    assert_eq!(std::fs::read_to_string(into.join("usr/lib/b.so")).unwrap(), "b");
    assert_eq!(std::fs::metadata(into.join("usr/c.so")).unwrap().nlink(), 2);
    assert_eq!(std::fs::read_link(into.join("lib64")).unwrap(), Path::new("/usr/lib"));
}

#[test]
fn a_directory_that_forbids_writing_still_gets_its_contents() {
    let target = target();
    Tar::default()
        .dir("d/", 0o555)
        .file("d/f", "x")
        .dir("d/e/", 0o500)
        .unpack(&target.into, Whiteouts::Keep)
        .unwrap();
    assert_eq!(std::fs::metadata(target.into.join("d")).unwrap().mode() & 0o7777, 0o555);
    assert_eq!(std::fs::metadata(target.into.join("d")).unwrap().mtime(), 1_000_000);
    assert_eq!(std::fs::read_to_string(target.into.join("d/f")).unwrap(), "x");
}

#[test]
fn later_entries_replace_earlier_ones() {
    let target = target();
    let into = &target.into;
    Tar::default()
        .file("a", "1")
        .dir("b/c/", 0o755)
        .file("b/c/d", "2")
        .symlink("e", "a")
        .file("a", "changed")
        .file("b", "now a file")
        .file("e", "now a file too")
        .dir("f/", 0o700)
        .file("f/g", "stays")
        .dir("f/", 0o750)
        .unpack(into, Whiteouts::Overlay)
        .unwrap();
    let read = |path| std::fs::read_to_string(into.join(path)).unwrap();
    assert_eq!(
        [read("a"), read("b"), read("e"), read("f/g")],
        ["changed", "now a file", "now a file too", "stays"]
    );
    assert_eq!(std::fs::metadata(into.join("f")).unwrap().mode() & 0o7777, 0o750);
}

#[test]
fn set_id_bits_are_dropped_and_the_sticky_bit_stays() {
    let target = target();
    Tar::default()
        .entry(EntryType::Regular, ("su", ""), 0o4755, "x")
        .dir("mail/", 0o2775)
        .dir("tmp/", 0o1777)
        .unpack(&target.into, Whiteouts::Overlay)
        .unwrap();
    let mode = |path| std::fs::metadata(target.into.join(path)).unwrap().mode() & 0o7777;
    assert_eq!([mode("su"), mode("mail"), mode("tmp")], [0o755, 0o775, 0o1777]);
}

#[test]
fn root_keeps_the_owners_and_others_do_not_need_them() {
    let target = target();
    let is_root = rustix::process::geteuid().is_root();
    let mut tar = Tar::default().file("f", "x").symlink("l", "f").dir("d/", 0o755).0;
    tar.extend_from_slice(&[0; 1024]);
    std::fs::create_dir_all(&target.into).unwrap();
    let ids = if is_root { Ids::AsStored } else { Ids::Caller };
    unpack_tar(&tar[..], &target.into, UnpackRules { ids, whiteouts: Whiteouts::Keep }).unwrap();
    for path in ["f", "l", "d"] {
        let found = std::fs::symlink_metadata(target.into.join(path)).unwrap();
        let expected = if is_root { (12, 34) } else { (rustix::process::geteuid().as_raw(), found.gid()) };
        assert_eq!((found.uid(), found.gid()), expected, "{path}");
    }
}

#[test]
fn whiteouts_are_kept_or_made_the_overlays() {
    let tar = || {
        Tar::default()
            .file("a/.wh.gone", "")
            .file("b/mine-before", "new")
            .file("b/.wh..wh..opq", "")
            .file("b/mine-after", "new")
            .file(".wh.never", "")
            .file("b/.wh..wh.plnk", "")
    };
    let below = [("a/gone/x", ""), ("a/stays", ""), ("b/old", ""), ("b/mine-before", "old")];
    let place = Place::new();
    let exists = |root: &Path, path: &str| root.join(path).symlink_metadata().is_ok();

    let kept = place.tree("kept", &below);
    tar().unpack(&kept, Whiteouts::Keep).unwrap();
    assert!(exists(&kept, "a/.wh.gone") && exists(&kept, "a/gone") && exists(&kept, "b/.wh..wh..opq"));

    let overlay = place.path("overlay");
    tar().unpack(&overlay, Whiteouts::Overlay).unwrap();
    let gone = std::fs::symlink_metadata(overlay.join("a/gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    let mut value = [0; 8];
    let got = rustix::fs::getxattr(overlay.join("b"), "user.overlay.opaque", &mut value).unwrap();
    assert_eq!(&value[..got], b"y");
}

#[test]
fn a_damaged_tar_is_an_error() {
    let target = target();
    std::fs::create_dir_all(&target.into).unwrap();
    let whole = Tar::default().file("a", &"x".repeat(2000)).0;
    let rules = UnpackRules { ids: Ids::Caller, whiteouts: Whiteouts::Keep };
    for tar in [&whole[..1000], &[b'?'; 1024]] {
        assert!(unpack_tar(tar, &target.into, rules).is_err());
    }
}

#[test]
fn a_name_without_bound_is_refused_before_it_is_in_memory() {
    let target = target();
    std::fs::create_dir_all(&target.into).unwrap();
    let rules = UnpackRules { ids: Ids::Caller, whiteouts: Whiteouts::Keep };
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(1 << 40);
        header.set_cksum();
        // A reader that has no end: only who stops comes back from it.
        let tar = std::io::Read::chain(&header.as_bytes()[..], std::io::repeat(b'x'));
        let error = unpack_tar(tar, &target.into, rules).unwrap_err().to_string();
        assert!(error.contains("longer than any program writes them"), "{error}");
    }
    // Files are as long as they like, also those that are left out.
    let device = |tar: Tar| tar.entry(EntryType::Char, ("device", ""), 0o644, &"x".repeat(5 << 20));
    device(Tar::default()).file("after", &"y".repeat(5 << 20)).unpack(&target.into, Whiteouts::Keep).unwrap();
    assert_eq!(std::fs::metadata(target.into.join("after")).unwrap().len(), 5 << 20);
}

#[test]
fn a_size_that_no_image_has_is_refused_before_a_byte_is_written() {
    let target = target();
    std::fs::create_dir_all(&target.into).unwrap();
    let rules = UnpackRules { ids: Ids::Caller, whiteouts: Whiteouts::Keep };
    let mut plain = Header::new_gnu();
    plain.set_path("plain").unwrap();
    plain.set_size(1 << 40);
    plain.set_cksum();
    // A hole of a petabyte, in one block.
    let mut sparse = Header::new_gnu();
    sparse.set_path("sparse").unwrap();
    sparse.set_entry_type(EntryType::GNUSparse);
    sparse.set_size(0);
    let gnu = sparse.as_gnu_mut().unwrap();
    gnu.set_real_size(1 << 50);
    gnu.sparse[0].set_offset(1 << 50);
    gnu.sparse[0].set_length(0);
    sparse.set_cksum();
    for header in [plain, sparse] {
        let tar = std::io::Read::chain(&header.as_bytes()[..], std::io::repeat(0));
        let error = unpack_tar(tar, &target.into, rules).unwrap_err().to_string();
        assert!(error.contains("it holds more than 256 GiB"), "{error}");
    }
    assert_eq!(std::fs::read_dir(&target.into).unwrap().count(), 0);
}

#[test]
fn a_name_that_the_parser_would_cut_is_an_error_and_not_another_name() {
    let place = Place::new();
    let store = place.store();
    let spec = oci::LayerSpec::new("x").file("line\nend \u{fc}", 0o644, oci::Owner::ROOT, "");
    let error = store.unpacked(&common::add(&store, &spec).diff_id).unwrap_err().to_string();
    assert!(error.contains("the archive is damaged: malformed pax extension"), "{error}");
}

#[test]
fn a_directorys_mode_is_not_given_to_what_a_link_of_its_name_leads_to() {
    let target = target();
    Tar::default()
        .dir("secret/", 0o700)
        .dir("l/", 0o777)
        .symlink("l", "secret")
        .unpack(&target.into, Whiteouts::Overlay)
        .unwrap();
    assert_eq!(std::fs::metadata(target.into.join("secret")).unwrap().mode() & 0o7777, 0o700);
}
