//! Requests of OTLP in protobuf: taken or malformed; and what was taken can be asked for, and written down.
#![no_main]

use fuzz::questions;
use libfuzzer_sys::fuzz_target;
use telemetry::{Signal, Store, fuzzing};

fuzz_target!(|body: &[u8]| {
    let store = Store::new(16 << 20);
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        let _ = fuzzing::protobuf(&store, signal, body);
    }
    questions(&store);
});
