//! Folders of environment files: only variables that a file names change, and only to what the files and the
//! environment hold.
#![no_main]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use cnb::env::{Environment, apply};
use fuzz::parts;
use libfuzzer_sys::fuzz_target;

/// The lines `name=value` of a text.
fn pairs(text: &[u8]) -> BTreeMap<OsString, OsString> {
    let pair = |line: &[u8]| {
        let at = line.iter().position(|byte| *byte == b'=')?;
        Some((OsString::from_vec(line[..at].to_vec()), OsString::from_vec(line[at + 1..].to_vec())))
    };
    text.split(|byte| *byte == b'\n').filter_map(pair).collect()
}

fuzz_target!(|input: &[u8]| {
    let parts = parts(input);
    let env: Environment = pairs(parts[0]);
    let files: BTreeMap<_, _> = pairs(parts.get(1).copied().unwrap_or_default())
        .into_iter()
        .map(|(name, value)| (name, value.into_vec()))
        .collect();
    let mut after = env.clone();
    apply(&mut after, &files);
    for (name, value) in &after {
        let of_name =
            |file: &&OsString| file.as_bytes().split(|byte| *byte == b'.').next() == Some(name.as_bytes());
        let own: Vec<_> = files.keys().filter(of_name).collect();
        let before = env.get(name);
        assert!(before == Some(value) || (!own.is_empty() && !name.is_empty()), "{name:?} changed");
        // Each of its files at most once, and the delimiter with each.
        let size = |file: &&OsString| files.get(*file).map_or(0, Vec::len);
        let most: usize =
            before.map_or(0, |it| it.len()) + own.iter().map(size).sum::<usize>() * (own.len() + 1);
        assert!(value.len() <= most, "{name:?} has grown to {} bytes", value.len());
        let over = OsString::from_vec([name.as_bytes(), b".override"].concat());
        let later = own.iter().any(|file| file.as_bytes() > over.as_bytes());
        if let Some(wanted) = files.get(&over).filter(|_| !later && !name.is_empty()) {
            assert_eq!(value.as_bytes(), wanted);
        }
    }
    assert!(env.keys().all(|name| after.contains_key(name)));
});
