//! What comes over a connection and is no OTLP: the frames of gRPC, and questions.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use telemetry::{Store, fuzzing};

static STORE: LazyLock<Arc<Store>> = LazyLock::new(|| {
    let store = Store::new(16 << 20);
    let lines = include_bytes!("../../crates/telemetry/tests/lines.jsonl");
    store.import(&mut &lines[..]).expect("they are right");
    Arc::new(store)
});

fuzz_target!(|input: &[u8]| {
    let _ = fuzzing::grpc(input);
    let text = String::from_utf8_lossy(input);
    let (path, query) = text.split_once('?').unwrap_or((&text, ""));
    let (status, answer) = fuzzing::ask(&STORE, path, query);
    assert!([200, 400, 404].contains(&status));
    assert_eq!(answer.get("error").is_some(), status != 200);
});
