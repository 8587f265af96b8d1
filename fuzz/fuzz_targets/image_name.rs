//! Names of images, as users and files write them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::ImageName;

fuzz_target!(|text: &str| {
    let read = |text: &str| ImageName::parse(text, "docker.io");
    match read(text) {
        Ok(name) => {
            assert_eq!(read(&name.to_string()).as_ref(), Ok(&name), "its whole spelling");
            assert_eq!(read(&name.short()).as_ref(), Ok(&name), "its short spelling");
        }
        Err(error) => assert!(error.example.split(", ").next().is_some_and(|it| read(it).is_ok()), "{error}"),
    }
});
