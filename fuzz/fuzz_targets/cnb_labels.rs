//! The JSON in labels of images that others have built: what is read is written back the same.
#![no_main]

use std::fmt::Debug;

use cnb::labels;
use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};

fn check<T: DeserializeOwned + Serialize + PartialEq + Debug>(text: &str) {
    let Ok(value) = serde_json::from_str::<T>(text) else { return };
    let printed = serde_json::to_string(&value).expect("what was read can be written");
    let again: T = serde_json::from_str(&printed).expect("what was written can be read");
    assert_eq!(again, value);
}

fuzz_target!(|input: (u8, &str)| {
    let checks: &[fn(&str)] = &[
        check::<labels::LifecycleMetadata>,
        check::<labels::BuildMetadataLabel>,
        check::<labels::CacheMetadata>,
        check::<cnb::builder::BuilderMetadata>,
    ];
    checks[usize::from(input.0) % checks.len()](input.1);
    if let Ok(label) = serde_json::from_str::<labels::BuildMetadataLabel>(input.1) {
        for api in cnb::api::platform_apis() {
            let features = cnb::api::platform_features(api).expect("it is in the table");
            let printed = label.print(features).expect("it can be written");
            // Older ones have a command that is a text, which is written and never read.
            let read = serde_json::from_str::<serde_json::Value>(&printed).expect("it is JSON");
            assert_eq!(read["processes"].as_array().map(Vec::len), Some(label.processes.len()), "{api}");
        }
    }
});
