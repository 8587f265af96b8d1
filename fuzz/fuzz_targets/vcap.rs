//! Cloud Foundry's `VCAP_SERVICES`: whatever it holds, what comes of it can be set as variables.
#![no_main]

use destinations::{Variables, bindings, resolve};
use fuzz::is_environment;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let services = bindings::of_cloud_foundry(text);
    if !text.trim_start().starts_with('{') {
        assert!(services.is_empty());
    }
    let (variables, claims) = bindings::read(&services);
    assert!(is_environment(&variables) && claims.len() <= services.len());
    let found = resolve(&Variables::new(), &services, &[]);
    assert!(is_environment(&found.told) && is_environment(&found.bound));
    // The services are the same, however the JSON is laid out.
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(text) {
        assert_eq!(bindings::of_cloud_foundry(&format!("{value:#}")), services);
    }
});
