//! Requirements files that include each other, and what a project says of its Python.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the buildpack is a program; its parsers are compiled in here")]

#[path = "../../buildpacks/python/src"]
mod buildpack_python {
    pub(crate) mod errors;
    pub(crate) mod requirements;
    pub(crate) mod specifier;
}
pub(crate) use buildpack_python::{errors, requirements, specifier};

use fuzz::Room;
use libfuzzer_sys::fuzz_target;
use requirements::{What, normalise, read};

fuzz_target!(|text: &str| {
    let (first, second) = text.split_once("\n--\n").unwrap_or((text, ""));
    if let Ok(wanted) = first.parse::<specifier::Specifier>() {
        let printed = wanted.to_string();
        let again = printed.parse::<specifier::Specifier>();
        assert_eq!(again.map(|it| it.to_string()).ok(), Some(printed));
    }
    // What is included may be any file of the machine, as with pip; those of devices have no end.
    if [first, second].iter().any(|it| it.contains("dev") || it.contains("proc") || it.contains("sys")) {
        return;
    }
    let room = Room::new();
    let app = room.inside();
    for (name, text) in [("requirements.txt", first), ("more.txt", second)] {
        fs_err::write(app.join(name), text).expect("a file");
    }
    let Ok(found) = read(&app, &["requirements.txt".to_owned()]) else { return };
    assert!(found.files.contains_key("requirements.txt"));
    for entry in &found.entries {
        let lines = found.files.get(&entry.file).map(|it| String::from_utf8_lossy(it).lines().count());
        assert!(entry.line >= 1 && lines.is_some_and(|it| entry.line <= it), "{entry:?}");
        if let What::Package { name, .. } = &entry.what {
            assert_eq!(&normalise(name), name);
            assert!(found.names().contains(name));
        }
    }
    room.assert_untouched();
});
