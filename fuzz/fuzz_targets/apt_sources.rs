//! The sources of a machine's apt, with lists of mirrors.
#![no_main]

use fuzz::{Room, parts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let parts = parts(input);
    let [list, sources, mirrors] = [0, 1, 2].map(|at| parts.get(at).copied().unwrap_or_default());
    let room = Room::new();
    let etc = room.inside();
    fs_err::create_dir(etc.join("sources.list.d")).expect("a folder");
    for (name, text) in [("sources.list", list), ("sources.list.d/a.sources", sources), ("mirrors", mirrors)]
    {
        fs_err::write(etc.join(name), text).expect("a file");
    }
    let found = debian::apt_sources(&etc);
    for (at, source) in found.iter().enumerate() {
        assert!(source.url.contains("://") && !source.url.contains('@') && !source.url.ends_with('/'));
        assert!(!found[..at].contains(source));
    }
});
