//! Signed indexes of the Debian archive. No text that a fuzzer finds has a signature of Debian's.
#![no_main]

use debian::{RELEASES, fuzzing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    assert!(fuzzing::signed(text, &RELEASES[0]).is_err());
    let name = "main/binary-amd64/Packages.xz";
    if let (Some((sha256, _)), _) = fuzzing::signed_index(text, name) {
        assert!(sha256.len() == 64 && !sha256.contains(|c: char| c.is_ascii_uppercase()));
    }
});
