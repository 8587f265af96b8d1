//! Blobs of layers as they come: gzip, zstd or neither, and a tar with whatever in its headers.
#![no_main]

use fuzz::{Room, no_larger_than, with_checksums};
use libfuzzer_sys::fuzz_target;
use oci::{Ids, UnpackRules, Whiteouts, layer_tar, unpack_tar};

const LIMIT: u64 = 4 << 20;

fuzz_target!(|blob: &[u8]| {
    let Some((rule, blob)) = blob.split_first() else { return };
    let whiteouts = [Whiteouts::Keep, Whiteouts::Overlay][usize::from(rule % 2)];
    let is_packed =
        blob.starts_with(&[0x1f, 0x8b]) || blob.get(1..4).is_some_and(|it| it == [0xb5, 0x2f, 0xfd]);
    let blob = if is_packed { blob.to_vec() } else { with_checksums(blob) };
    let Ok(tar) = layer_tar(&*blob) else { return };
    let room = Room::new();
    let _ =
        unpack_tar(no_larger_than(LIMIT, tar), &room.inside(), UnpackRules { ids: Ids::Caller, whiteouts });
    room.assert_untouched();
});
