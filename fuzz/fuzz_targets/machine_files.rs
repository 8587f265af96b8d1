//! Files of the user's machine that decide what a build is told: `.netrc`, and what git keeps. No build gets what opens a
//! registry of images, and no image says the token in a remote's address.
#![no_main]
#![allow(dead_code, reason = "the platform's other parts are not needed for it")]

#[path = "../../crates/platform/src/machine"]
mod machine {
    mod netrc;

    pub(crate) fn without_registries(text: &str, docker: &str, indexes: &str) -> String {
        netrc::without_registries(text, docker, indexes)
    }
}
#[path = "../../crates/platform/src/vcs.rs"]
mod vcs;

use libfuzzer_sys::fuzz_target;

const SECRET: &str = "hush-hush";

fuzz_target!(|text: &str| {
    if text.contains(SECRET) {
        return;
    }
    let (first, second) = text.split_once("\n--\n").unwrap_or((text, ""));
    let kept = machine::without_registries(first, second, "https://index.example/simple");
    for line in kept.lines() {
        let host = line.split_whitespace().nth(1).unwrap_or_default();
        assert!(line.starts_with("machine ") && host != "ghcr.io", "{line}");
    }
    let known = format!("{first}\nmachine ghcr.io login me password {SECRET}\n");
    if !first.contains("macdef") {
        assert!(!machine::without_registries(&known, second, "").contains(SECRET), "{known}");
    }

    let dir = tempfile::tempdir().expect("a folder");
    let git = dir.path().join(".git");
    fs_err::create_dir(&git).expect("a folder");
    fs_err::write(git.join("HEAD"), first).expect("a file");
    fs_err::write(git.join("config"), second).expect("a file");
    fs_err::write(git.join("packed-refs"), second).expect("a file");
    let known = vcs::read(dir.path());
    assert!(known.revision.is_none_or(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit())));
    let place = first.replace(['\n', '\r'], "");
    fs_err::write(git.join("HEAD"), "ref: refs/heads/main\n").expect("a file");
    for scheme in ["https", "ssh"] {
        let remote = format!("[remote \"origin\"]\n\turl = {scheme}://me:{SECRET}@{place}\n");
        fs_err::write(git.join("config"), remote).expect("a file");
        let url = vcs::read(dir.path()).url.unwrap_or_default();
        assert!(!url.contains(SECRET), "{url}");
    }
});
