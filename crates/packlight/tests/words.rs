//! Words that no file of the project may contain.
//!
//! Packlight hard-codes no package index: each ecosystem's own client and configuration say where packages come
//! from. So the addresses of the public ones are in no file, and in this one in pieces only.

mod source;

use std::fs;

use source::{files, top};

/// The one file of public defaults: a Debian mirror has a name there, for machines that are no Debian.
const DEFAULTS: &str = "crates/platform/src/settings.rs";

/// Host names of package indexes, in pieces, and whether the file of defaults may have them.
fn hosts() -> Vec<(String, bool)> {
    let domains: [(&[&str], &str, bool); 8] = [
        (&["pypi"], ".org", false),
        (&["files.python"], "hosted.org", false),
        (&["deb"], ".debian.org", false),
        (&["security", "ftp", "snapshot", "archive"], ".debian.org", true),
        (&["index", "static"], ".crates.io", false),
        (&["registry"], ".npmjs.org", false),
        (&["proxy", "sum"], ".golang.org", false),
        (&["repo", "repo1", "central"], ".maven.org", false),
    ];
    let each = |(names, domain, default): &(&[&str], &str, bool)| {
        names.iter().map(|name| (format!("{name}{domain}"), *default)).collect::<Vec<_>>()
    };
    domains.iter().flat_map(each).collect()
}

/// Folders of one machine, in pieces: what stands here must mean the same everywhere.
fn places() -> Vec<String> {
    ["root", "Users", "mnt"].iter().map(|it| format!("/{it}/")).collect()
}

/// What is wrong with one file's text.
fn complaints(path: &str, text: &str) -> Vec<String> {
    let (hosts, places) = (hosts(), places());
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let host =
            hosts.iter().find(|(host, default)| line.contains(host) && !(*default && path == DEFAULTS));
        let place = places.iter().find(|place| begins_a_path(line, place));
        found.extend(host.map(|(host, _)| host).or(place).map(|it| format!("{path}:{}: {it}", at + 1)));
    }
    found
}

/// Whether `place` stands in the line as the beginning of a path, not in the middle of one.
fn begins_a_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"_.-/}]>*$".contains(c))
    })
}

#[test]
fn no_file_names_a_package_index_or_a_folder_of_one_machine() {
    let mut found = Vec::new();
    let mut read = 0;
    for path in files() {
        // Keys, archives and the like are no text.
        let Ok(text) = String::from_utf8(fs::read(top().join(&path)).unwrap()) else { continue };
        read += 1;
        found.extend(complaints(&path.to_string_lossy(), &text));
    }
    assert!(read > 50, "only {read} files were read");
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_look_finds_what_it_looks_for() {
    for (host, _) in hosts() {
        assert_eq!(complaints("a", &format!("x\nuse https://{host}/simple")), [format!("a:2: {host}")]);
    }
    for place in places() {
        assert_eq!(complaints("a", &format!("cd \"{place}x")), [format!("a:1: {place}")]);
    }
    assert!(complaints("a", "overlay/root/x and $HOME/root/x").is_empty());
}
