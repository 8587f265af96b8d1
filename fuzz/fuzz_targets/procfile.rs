//! Procfiles: what is started directly is the words that a shell would have made of the line.
#![no_main]
#![allow(dead_code, reason = "the buildpack is a program; its parser is compiled in here")]

#[path = "../../buildpacks/procfile/src"]
mod buildpack_procfile {
    pub(crate) mod errors;
    pub(crate) mod procfile;
}
pub(crate) use buildpack_procfile::{errors, procfile};

use libfuzzer_sys::fuzz_target;
use procfile::{Run, parse};

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(entries) = parse(bytes) else { return };
    assert!(!entries.is_empty());
    for (at, entry) in entries.iter().enumerate() {
        assert!(cnb::id::is_valid_process(&entry.kind), "{entry:?}");
        assert!(entries[..at].iter().all(|other| other.kind != entry.kind));
        let again = match &entry.run {
            Run::Direct(words) => words.iter().map(|it| quoted(it)).collect::<Vec<_>>().join(" "),
            Run::Shell(_) => continue,
        };
        // A file's lines are trimmed, and nothing else is lost.
        if !again.contains(['\n', '\r']) {
            let again = parse(format!("a: {again}").as_bytes()).expect("quoted words");
            assert_eq!(again[0].run, entry.run);
        }
    }
});
