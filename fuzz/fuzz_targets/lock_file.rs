//! `packlight.lock`, and the parts that buildpacks leave for it: what is read is written back the same.
#![no_main]
#![allow(dead_code, reason = "the platform's other parts are not needed for it")]

#[path = "../../crates/platform/src/lock.rs"]
mod lock;

use libfuzzer_sys::fuzz_target;
use lock::Lock;

fuzz_target!(|text: &str| {
    let (whole, part) = text.split_once("\n--\n").unwrap_or((text, ""));
    let mut lock = Lock::parse("packlight.lock", whole).unwrap_or_default();
    let _ = lock.add_fragment("part", part);
    let printed = lock.print().expect("what was read can be written");
    // The base's part and the version are ours, whatever a buildpack calls its own.
    if ["version", "debian"].iter().any(|it| lock.parts.contains_key(*it)) {
        return;
    }
    let again = Lock::parse("packlight.lock", &printed).expect("what was written can be read");
    assert_eq!(again.print().expect("it can be written again"), printed);
});
