//! Environment files: what a file in `env/`, `env.build/`, `env.launch/` or `/platform/env` does to a variable.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#environment-variable-modification-rules>

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// A process's environment.
pub type Environment = BTreeMap<OsString, OsString>;

/// Applies one directory of environment files of a layer: pairs of file name and contents.
///
/// Contents are taken as they are, a final newline included. A suffix that is not known is ignored, as the reference
/// lifecycle does.
pub fn apply(env: &mut Environment, files: &BTreeMap<OsString, Vec<u8>>) {
    for (file, value) in files {
        let (name, suffix) = split(file);
        if name.is_empty() {
            continue;
        }
        let delimiter = || files.get(&with_suffix(name, ".delim")).cloned().unwrap_or_default();
        let old = env.get(name).map(|it| it.as_bytes().to_vec()).unwrap_or_default();
        let new = match suffix.as_bytes() {
            b"" | b"override" => value.clone(),
            b"default" if old.is_empty() => value.clone(),
            b"append" if old.is_empty() => value.clone(),
            b"append" => [old, delimiter(), value.clone()].concat(),
            b"prepend" if old.is_empty() => value.clone(),
            b"prepend" => [value.clone(), delimiter(), old].concat(),
            _ => continue,
        };
        env.insert(name.to_owned(), OsString::from_vec(new));
    }
}

/// Puts `directory` in front of a search path, with `:` between.
pub fn prepend_path(env: &mut Environment, name: &str, directory: &OsStr) {
    let value = match env.get(OsStr::new(name)) {
        Some(old) if !old.is_empty() => {
            let mut value = directory.to_owned();
            value.push(":");
            value.push(old);
            value
        }
        _ => directory.to_owned(),
    };
    env.insert(name.into(), value);
}

/// The variables of a search path that a layer's root directories are put on, for later buildpacks.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#layer-paths>
pub const BUILD_PATHS: &[(&str, &str)] = &[
    ("PATH", "bin"),
    ("LD_LIBRARY_PATH", "lib"),
    ("LIBRARY_PATH", "lib"),
    ("CPATH", "include"),
    ("PKG_CONFIG_PATH", "pkgconfig"),
];

/// The same at launch.
pub const LAUNCH_PATHS: &[(&str, &str)] = &[("PATH", "bin"), ("LD_LIBRARY_PATH", "lib")];

fn split(file: &OsStr) -> (&OsStr, &OsStr) {
    let bytes = file.as_bytes();
    match bytes.iter().position(|b| *b == b'.') {
        Some(dot) => (OsStr::from_bytes(&bytes[..dot]), OsStr::from_bytes(&bytes[dot + 1..])),
        None => (file, OsStr::new("")),
    }
}

fn with_suffix(name: &OsStr, suffix: &str) -> OsString {
    let mut file = name.to_owned();
    file.push(suffix);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(old: Option<&str>, files: &[(&str, &str)]) -> Option<String> {
        let mut env = Environment::new();
        if let Some(old) = old {
            env.insert("V".into(), old.into());
        }
        let files = files.iter().map(|(name, value)| ((*name).into(), value.as_bytes().to_vec())).collect();
        apply(&mut env, &files);
        env.get(OsStr::new("V")).map(|it| it.to_string_lossy().into_owned())
    }

    #[test]
    fn no_suffix_and_override_replace() {
        assert_eq!(after(Some("old"), &[("V", "new")]).as_deref(), Some("new"));
        assert_eq!(after(Some("old"), &[("V.override", "new")]).as_deref(), Some("new"));
    }

    #[test]
    fn default_fills_only_what_is_empty() {
        assert_eq!(after(Some("old"), &[("V.default", "new")]).as_deref(), Some("old"));
        assert_eq!(after(Some(""), &[("V.default", "new")]).as_deref(), Some("new"));
        assert_eq!(after(None, &[("V.default", "new")]).as_deref(), Some("new"));
    }

    #[test]
    fn append_and_prepend_use_the_delimiter_of_their_own_directory_and_have_none_of_their_own() {
        assert_eq!(after(Some("a"), &[("V.append", "b"), ("V.delim", ";")]).as_deref(), Some("a;b"));
        assert_eq!(after(Some("a"), &[("V.prepend", "b"), ("V.delim", ";")]).as_deref(), Some("b;a"));
        assert_eq!(after(Some("a"), &[("V.append", "b")]).as_deref(), Some("ab"));
        assert_eq!(after(None, &[("V.prepend", "b"), ("V.delim", ";")]).as_deref(), Some("b"));
    }

    #[test]
    fn an_unknown_suffix_changes_nothing_and_contents_keep_their_newline() {
        assert_eq!(after(Some("a"), &[("V.other", "b")]).as_deref(), Some("a"));
        assert_eq!(after(None, &[("V", "b\n")]).as_deref(), Some("b\n"));
    }
}
