//! OTLP JSON lines, each of which is what a request in JSON is.
#![no_main]

use fuzz::questions;
use libfuzzer_sys::fuzz_target;
use telemetry::Store;

fuzz_target!(|lines: &[u8]| {
    let store = Store::new(16 << 20);
    let _ = store.import(&mut &*lines);
    questions(&store);
});
