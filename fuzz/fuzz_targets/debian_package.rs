//! Package files: bytes as they come, and packages whose files try to leave the base that they are unpacked into.
#![no_main]

use debian::LockedPackage;
use fuzz::{Room, ar_of, entries, parts, tar_of, with_checksums};
use libfuzzer_sys::fuzz_target;

const LIMIT: u64 = 4 << 20;

/// A control archive of a package `a` of version 1.
fn control() -> Vec<u8> {
    let text = b"Package: a\nVersion: 1\nArchitecture: all\n";
    let mut header = [0_u8; 512];
    header[..7].copy_from_slice(b"control");
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{:011o}", text.len()).as_bytes());
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let mut tar = [&header[..], text].concat();
    tar.resize(512 * 4, 0);
    with_checksums(&tar)
}

fuzz_target!(|input: &[u8]| {
    let Some((format, rest)) = input.split_first() else { return };
    let room = Room::new();
    let file = room.inside().join("a.deb");
    let bytes = match format {
        b'b' => rest.to_vec(),
        b'f' => {
            let data = tar_of(&entries(rest, &room.outside().to_string_lossy()));
            ar_of(&[("debian-binary", b"2.0\n"), ("control.tar", &control()), ("data.tar", &data)])
        }
        // Control and data, compressed as the first byte says.
        _ => {
            let end = match format {
                b'x' => ".xz",
                b'g' => ".gz",
                b'z' => ".zst",
                _ => "",
            };
            let parts = parts(rest);
            let tar = |at: usize| {
                let bytes = parts.get(at).copied().unwrap_or_default();
                if end.is_empty() { with_checksums(bytes) } else { bytes.to_vec() }
            };
            let names = [format!("control.tar{end}"), format!("data.tar{end}")];
            ar_of(&[("debian-binary", b"2.0\n"), (&names[0], &tar(0)), (&names[1], &tar(1))])
        }
    };
    fs_err::write(&file, bytes).expect("a file");
    if let Ok(size) = debian::fuzzing::deb(&file, LIMIT) {
        assert!(size <= LIMIT);
    }
    if *format == b'f' {
        let text = |text: &str| text.to_owned();
        let locked = LockedPackage {
            name: text("a"),
            version: text("1"),
            architecture: text("all"),
            suite: text("trixie"),
            filename: text("a.deb"),
            size: 0,
            sha256: text(""),
        };
        let tree = room.inside().join("tree");
        let _ = debian::compose(&[(locked, file.clone())], None, &tree);
        room.assert_untouched();
        let beside: Vec<_> =
            fs_err::read_dir(room.inside()).expect("a folder").filter_map(Result::ok).collect();
        assert_eq!(beside.len(), 2, "{beside:?}");
    }
});
