//! What a registry says beside its documents: `Link`, `Retry-After` and `Range` headers, and the bodies of refusals.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::registry::fuzzing;

const BASE: &str = "https://r.example/v2/_catalog?n=2";

fuzz_target!(|bytes: &[u8]| {
    let (code, message) = fuzzing::said(bytes);
    // They are shown to people.
    assert!(code.chars().count() <= 61 && message.chars().count() <= 301, "{code} {message}");
    assert!(!message.contains(['\n', '\x1b']), "{message:?}");
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(next) = fuzzing::next_page(BASE, text) {
        // Back to the registry it is by TLS.
        assert!(!next.starts_with("http://r.example/"), "{next}");
    }
    let _ = (fuzzing::retry_after(text), fuzzing::held(text), fuzzing::challenge(text));
});
