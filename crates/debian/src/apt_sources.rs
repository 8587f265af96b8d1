//! Which mirrors a Debian machine itself uses: the addresses of Debian's own archive in its apt sources.
//!
//! Whatever suite they name: a machine on one release fetches another release from the same place. Other
//! repositories (signed by other keys, at other paths) are none of our business.
//! <https://manpages.debian.org/sources.list.5>

use std::path::Path;

use fs_err as fs;

use crate::control::paragraphs;

/// Which of Debian's two archives an address is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// The main archive.
    Archive,
    /// The security archive.
    Security,
}

/// One address of apt's sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AptSource {
    /// Which archive it is.
    pub kind: SourceKind,
    /// Its base address, without a final slash.
    pub url: String,
}

/// The addresses of Debian's archives in `sources.list`, `sources.list.d/*.list` and `sources.list.d/*.sources`
/// below `etc_apt` (`/etc/apt`), in that order, each once. What cannot be read is passed over: another default follows.
#[must_use]
pub fn apt_sources(etc_apt: &Path) -> Vec<AptSource> {
    let mut found = Vec::new();
    let mut files = vec![etc_apt.join("sources.list")];
    let folder = fs::read_dir(etc_apt.join("sources.list.d")).into_iter().flatten();
    let mut more: Vec<_> = folder.filter_map(Result::ok).map(|entry| entry.path()).collect();
    more.sort();
    files.append(&mut more);
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => one_line(&text, etc_apt, &mut found),
            Some("sources") => deb822(&text, etc_apt, &mut found),
            _ => {}
        }
    }
    found
}

/// `deb [signed-by=...] URL suite components...`
fn one_line(text: &str, etc_apt: &Path, found: &mut Vec<AptSource>) {
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some(mut rest) = line.strip_prefix("deb ").map(str::trim) else { continue };
        let mut signed_by = "";
        if let Some((options, after)) = rest.strip_prefix('[').and_then(|options| options.split_once(']')) {
            signed_by =
                options.split_whitespace().find_map(|option| option.strip_prefix("signed-by=")).unwrap_or("");
            rest = after.trim();
        }
        let mut words = rest.split_whitespace();
        if let (Some(url), Some(suite)) = (words.next(), words.next()) {
            add(Listed { url, suites: suite, signed_by }, etc_apt, found);
        }
    }
}

fn deb822(text: &str, etc_apt: &Path, found: &mut Vec<AptSource>) {
    // Comments may stand anywhere, even before the first field.
    let text: String =
        text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line.trim_end(), "\n"]).collect();
    for source in paragraphs(&text) {
        let types = source.get("Types").unwrap_or_default();
        let enabled = !matches!(source.get("Enabled"), Some("no" | "false" | "0"));
        if !enabled || !types.split_whitespace().any(|kind| kind == "deb") {
            continue;
        }
        let suites = source.get("Suites").unwrap_or_default();
        let signed_by = source.get("Signed-By").unwrap_or_default();
        for url in source.get("URIs").unwrap_or_default().split_whitespace() {
            add(Listed { url, suites, signed_by }, etc_apt, found);
        }
    }
}

#[derive(Clone, Copy)]
struct Listed<'a> {
    url: &'a str,
    suites: &'a str,
    signed_by: &'a str,
}

fn add(listed: Listed<'_>, etc_apt: &Path, found: &mut Vec<AptSource>) {
    let url = listed.url.trim_end_matches('/');
    // A list of mirrors in a file or behind an address: its plain lines are addresses.
    if let Some(path) = url.strip_prefix("mirror+file:") {
        let path = etc_apt.join(path.trim_start_matches("//"));
        let Ok(text) = fs::read_to_string(path) else { return };
        // A list in a list is none of apt's, and one that names itself would have no end.
        let plain = |url: &&str| !url.starts_with('#') && !url.starts_with("mirror+");
        for url in text.lines().filter_map(|line| line.split_whitespace().next()).filter(plain) {
            add(Listed { url, ..listed }, etc_apt, found);
        }
        return;
    }
    let usable = ["http://", "https://", "file://"].iter().any(|scheme| url.starts_with(scheme));
    let path_ends = |end: &str| url.ends_with(end);
    let by_path = path_ends("/debian") || path_ends("/debian-security");
    let by_key = listed.signed_by.contains("debian-archive-keyring");
    if !usable || !(by_path || by_key) || url.contains('@') {
        return;
    }
    let is_security =
        path_ends("-security") || listed.suites.split_whitespace().any(|suite| suite.ends_with("-security"));
    let kind = if is_security { SourceKind::Security } else { SourceKind::Archive };
    let source = AptSource { kind, url: url.to_owned() };
    if !found.contains(&source) {
        found.push(source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debians_archives_are_found_in_both_formats_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let etc = folder.path();
        fs::create_dir(etc.join("sources.list.d")).unwrap();
        fs::write(
            etc.join("sources.list"),
            "# comment\ndeb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian/ bookworm main\n\
             deb-src http://src.test/debian bookworm main\ndeb http://mirror.test/debian-security bookworm-security main\n\
             deb https://apt.other.test/repo stable main\n",
        )
        .unwrap();
        fs::write(
            etc.join("sources.list.d/company.sources"),
            "# ours\nTypes: deb deb-src\n# kept near\nURIs: https://cache.test/all/deb1 https://two.test/debian\nSuites: trixie trixie-updates\n\
             Components: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n\
             Types: deb\nURIs: https://user:secret@cache.test/debian\nSuites: trixie\n\n\
             Types: deb\nEnabled: no\nURIs: https://off.test/debian\nSuites: trixie\n\n\
             Types: deb\nURIs: https://cache.test/sec\nSuites: trixie-security\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
        )
        .unwrap();
        let found: Vec<_> = apt_sources(etc).into_iter().map(|source| (source.kind, source.url)).collect();
        assert_eq!(
            found,
            [
                (SourceKind::Archive, "http://mirror.test/debian".to_owned()),
                (SourceKind::Security, "http://mirror.test/debian-security".to_owned()),
                (SourceKind::Archive, "https://cache.test/all/deb1".to_owned()),
                (SourceKind::Archive, "https://two.test/debian".to_owned()),
                (SourceKind::Security, "https://cache.test/sec".to_owned()),
            ]
        );
    }

    #[test]
    fn a_list_of_mirrors_is_read_and_one_that_names_itself_ends() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("sources.list"), "deb mirror+file:mirrors trixie main\n").unwrap();
        let mirrors = "# near\nhttp://one.test/debian priority:1\nmirror+file:mirrors\n";
        fs::write(folder.path().join("mirrors"), mirrors).unwrap();
        let found: Vec<_> = apt_sources(folder.path()).into_iter().map(|source| source.url).collect();
        assert_eq!(found, ["http://one.test/debian"]);
    }

    #[test]
    fn a_machine_without_apt_has_no_sources() {
        assert!(apt_sources(Path::new("/nonexistent/etc/apt")).is_empty());
    }
}
