//! Answers of a Docker engine, as they come over its socket.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok((status, body)) = oci::docker::fuzzing::answer(bytes) else { return };
    assert!((200..1000).contains(&status), "{status}");
    assert!(body.len() <= bytes.len());
});
