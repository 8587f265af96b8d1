//! Layers whose entries try to leave the folder that they are unpacked into: through links, `..` and absolute paths.
//! The first byte says what becomes of whiteouts; each part is a layer above the one before.
#![no_main]

use fuzz::{Room, entries, parts, tar_of};
use libfuzzer_sys::fuzz_target;
use oci::{Ids, UnpackRules, Whiteouts, unpack_tar};

fuzz_target!(|input: &[u8]| {
    let Some((rule, layers)) = input.split_first() else { return };
    let whiteouts = [Whiteouts::Keep, Whiteouts::Overlay][usize::from(rule % 2)];
    let room = Room::new();
    for layer in parts(layers).into_iter().take(3) {
        let tar = tar_of(&entries(layer, &room.outside().to_string_lossy()));
        let _ = unpack_tar(&*tar, &room.inside(), UnpackRules { ids: Ids::Caller, whiteouts });
        room.assert_untouched();
    }
});
