//! `project.toml`, which an app's author writes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match cnb::project::parse("project.toml", text) {
        Ok(project) => {
            assert!(project.include.is_empty() || project.exclude.is_empty());
            assert_eq!(cnb::project::parse("other.toml", text).as_ref().ok(), Some(&project));
        }
        Err(error) => assert!(error.to_string().starts_with("project.toml is not")),
    }
});
