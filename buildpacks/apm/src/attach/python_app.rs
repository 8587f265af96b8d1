//! The app's packages as uv is shown them: folders that say their name and version, and no more.
//!
//! So what the app has is asked of no index: a version that only the app knows (`1.0+mine`, one from a private index or
//! from git) is compared like any other, and no page of its versions is fetched. What it needs is left out on purpose:
//! the app's packages fit one another already.

use buildpack::Failure;
use fs_err as fs;
use std::collections::BTreeMap;
use std::path::Path;

/// Requirements that name the app's packages, by name.
pub(crate) type Shown = BTreeMap<String, String>;

/// Writes a folder for each of the app's packages below `dir`.
///
/// # Errors
/// When one cannot be written.
pub(crate) fn show(installed: &BTreeMap<String, String>, dir: &Path) -> Result<Shown, Failure> {
    let mut shown = Shown::new();
    for (name, version) in installed.iter().filter(|(_, version)| is_version(version)) {
        let folder = dir.join(name);
        fs::create_dir_all(&folder)?;
        let text = format!("[project]\nname = \"{name}\"\nversion = \"{version}\"\n");
        fs::write(folder.join("pyproject.toml"), text)?;
        shown.insert(name.clone(), format!("{name} @ file://{}", folder.display()));
    }
    Ok(shown)
}

/// Whether uv can read it: old packages have versions that are none, and one of them would spoil the whole answer.
/// <https://packaging.python.org/en/latest/specifications/version-specifiers/#version-scheme>
fn is_version(text: &str) -> bool {
    const WORDS: &[&str] =
        &["", "a", "alpha", "b", "beta", "c", "dev", "post", "pre", "preview", "r", "rc", "rev"];
    let (public, local) = text.split_once('+').unwrap_or((text, "0"));
    let is_plain = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_alphanumeric());
    let parts = public.split(['.', '-', '_', '!']);
    let mut words = parts.clone().flat_map(|it| it.split(|c: char| c.is_ascii_digit()));
    public.starts_with(|c: char| c.is_ascii_digit())
        && parts.clone().all(is_plain)
        && words.all(|it| WORDS.contains(&it.to_ascii_lowercase().as_str()))
        && local.split(['.', '-', '_']).all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_package_is_a_folder_with_its_name_and_version() {
        let dir = tempfile::tempdir().unwrap();
        let installed = [("flask", "3.1.2+mine"), ("odd", "2004d"), ("six", "1.17.0")];
        let installed = installed.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
        let shown = show(&installed, dir.path()).unwrap();
        assert_eq!(shown.keys().collect::<Vec<_>>(), ["flask", "six"]);
        assert_eq!(shown["six"], format!("six @ file://{}/six", dir.path().display()));
        let text = fs::read_to_string(dir.path().join("flask/pyproject.toml")).unwrap();
        assert_eq!(text, "[project]\nname = \"flask\"\nversion = \"3.1.2+mine\"\n");
    }

    #[test]
    fn what_is_no_version_is_known() {
        for text in ["1", "1.0.dev456", "1!2.0rc1", "1.0-1", "1.0.post2", "0.66b1", "1.0+ubuntu_1"] {
            assert!(is_version(text), "{text}");
        }
        for text in ["", "unknown", "2004d", "1.0-SNAPSHOT", "1..0", "1.0+", "1.0\"\n"] {
            assert!(!is_version(text), "{text}");
        }
    }
}
