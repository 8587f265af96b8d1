//! What says who the user is at a registry, and what a registry says of how it wants to be told. No message has a
//! secret in it.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use oci::registry::{Credentials, fuzzing};

const SECRET: &str = "hush-hush";

fuzz_target!(|text: &str| {
    let find = |credentials: &Credentials| {
        for (registry, repository) in [("docker.io", "library/a"), ("r.example", "team/a"), ("", "")] {
            let _ = fuzzing::finds(credentials, registry, repository);
        }
    };
    let helper_says = text.as_bytes().to_vec();
    let empty = Credentials::default().with_helper(Arc::new(move |_, _| Ok(helper_says.clone())));
    for found in [empty.clone().with_config("config.json", text), empty.clone().with_registry_auth(text)] {
        let _ = found.as_ref().map(find);
    }
    let _ = fuzzing::challenge(text);

    // As values, with a secret in them.
    let secret = format!("{text}{SECRET}");
    let config = serde_json::json!({ "auths": { "r.example": { "auth": secret } } }).to_string();
    let headers = serde_json::json!({ "r.example": secret }).to_string();
    let helper = serde_json::json!({ "credHelpers": { "r.example": "own" } }).to_string();
    let silent = Credentials::default().with_helper(Arc::new(move |_, _| Ok(secret.clone().into_bytes())));
    let sources = [empty.clone().with_config("config.json", &config), empty.with_registry_auth(&headers)];
    for found in sources.into_iter().chain([silent.with_config("config.json", &helper)]) {
        let error = found.and_then(|it| fuzzing::finds(&it, "r.example", "a")).err();
        assert!(error.is_none_or(|it| !format!("{it} {it:?}").contains(SECRET)));
    }
});
