//! Bindings as they lie on the disk of a running container, read into values.
//!
//! <https://servicebinding.io/spec/core/1.1.0/#workload-projection>; the older form, with `metadata` and `secret`, is
//! <https://github.com/buildpacks/spec/blob/b745fcf/extensions/bindings.md>

use destinations::{Binding, Variables};
use fs_err as fs;
use std::io::Read as _;
use std::path::Path;

/// More than anybody binds, so that a wrong directory costs nothing.
const MOST_BINDINGS: usize = 64;
const MOST_ENTRIES: usize = 128;
/// Bytes of one entry; a longer one is no address and no key.
const LONGEST: u64 = 64 << 10;

/// All that the environment names, and what could not be read.
#[must_use]
pub fn bindings(variables: &Variables) -> (Vec<Binding>, Vec<String>) {
    let set = |name: &str| variables.get(name).filter(|it| !it.is_empty());
    let (mut found, mut notes) = (Vec::new(), Vec::new());
    for (variable, metadata, secret) in
        [("SERVICE_BINDING_ROOT", "", ""), ("CNB_BINDINGS", "metadata", "secret")]
    {
        let Some(root) = set(variable) else { continue };
        match names(Path::new(root)) {
            Ok(names) => {
                let dirs = names.into_iter().map(|it| Path::new(root).join(it)).filter(|it| it.is_dir());
                found.extend(dirs.take(MOST_BINDINGS).map(|it| one(&it, metadata, secret)));
            }
            Err(error) => notes.push(format!("{variable} cannot be read: {}", error.kind())),
        }
    }
    let services = match set("VCAP_SERVICES_FILE_PATH") {
        Some(path) => match text(Path::new(path)) {
            Some(json) => Some(json),
            None => {
                notes.push("the file that VCAP_SERVICES_FILE_PATH names cannot be read".to_owned());
                None
            }
        },
        None => set("VCAP_SERVICES").cloned(),
    };
    found.extend(services.iter().flat_map(|it| destinations::bindings::of_cloud_foundry(it)));
    (found, notes)
}

fn one(dir: &Path, metadata: &str, secret: &str) -> Binding {
    let about = dir.join(metadata);
    let words = ["type", "kind", "provider"].iter().filter_map(|it| text(&about.join(it)));
    let words = words.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect();
    let entries = names(&dir.join(secret)).unwrap_or_default().into_iter().take(MOST_ENTRIES);
    let entries = entries.filter(|it| !matches!(it.as_str(), "type" | "provider"));
    let entries = entries.filter_map(|it| Some((it.clone(), text(&dir.join(secret).join(&it))?))).collect();
    Binding { name: dir.file_name().unwrap_or_default().to_string_lossy().into_owned(), words, entries }
}

/// Names in a directory, sorted. Kubernetes keeps what it projects in folders whose names begin with two dots, and links.
fn names(dir: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.extend(entry?.file_name().into_string().ok().filter(|it| !it.starts_with("..")));
    }
    names.sort();
    Ok(names)
}

/// A file's text; `None` when it is none, or too long.
fn text(path: &Path) -> Option<String> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(LONGEST + 1).read_to_end(&mut bytes).ok()?;
    String::from_utf8(bytes).ok().filter(|it| it.len() as u64 <= LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variable: &str, value: &str) -> (Vec<Binding>, Vec<String>) {
        bindings(&[(variable.to_owned(), value.to_owned())].into())
    }

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_projected_binding_is_read_through_kubernetes_links() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("nr");
        write(&root.join("..2026/type"), "NewRelic\n");
        write(&root.join("..2026/license-key"), "k");
        std::os::unix::fs::symlink("..2026", root.join("..data")).unwrap();
        for name in ["type", "license-key"] {
            std::os::unix::fs::symlink(format!("..data/{name}"), root.join(name)).unwrap();
        }
        std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
        write(&root.join("long"), &"x".repeat(65 << 10));
        let (found, notes) = read("SERVICE_BINDING_ROOT", &dir.path().display().to_string());
        assert!(notes.is_empty(), "{notes:?}");
        assert_eq!((found[0].name.as_str(), found[0].words.as_slice()), ("nr", &["NewRelic".to_owned()][..]));
        assert_eq!(found[0].entries.keys().collect::<Vec<_>>(), ["license-key"]);
    }

    #[test]
    fn the_older_form_has_metadata_and_secret() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("t/metadata/kind"), "jaeger");
        write(&dir.path().join("t/secret/uri"), "http://j");
        let (found, _) = read("CNB_BINDINGS", &dir.path().display().to_string());
        assert_eq!((found[0].words[0].as_str(), found[0].entries["uri"].as_str()), ("jaeger", "http://j"));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let (found, notes) = read("SERVICE_BINDING_ROOT", "/not/there");
        assert!(found.is_empty() && notes[0].starts_with("SERVICE_BINDING_ROOT cannot be read"), "{notes:?}");
        assert_eq!(read("VCAP_SERVICES_FILE_PATH", "/not/there").1.len(), 1);
    }
}
