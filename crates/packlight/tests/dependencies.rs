//! Which libraries may be used: by licence, by name, and who may have a network client.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod source;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use source::metadata;

/// Licences under which a library may be linked into a program under Apache-2.0 that is given away.
const LICENCES: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "Unlicense",
    "CC0-1.0",
    "BSL-1.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "MPL-2.0",
    "CDLA-Permissive-2.0",
    "bzip2-1.0.6",
];

/// Libraries that must not appear anywhere, and why.
const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "a C library that a static program would have to carry; rustls does it"),
    ("native-tls", "it brings openssl"),
    ("aws-lc-sys", "C and assembly that need cmake; ring does it"),
    ("libgit2-sys", "the `git` program is asked for the three facts that are wanted"),
    ("libz-sys", "C; zlib-rs is as fast"),
    ("lzma-sys", "C; lzma-rust2 does it"),
    ("bzip2-sys", "C; nothing here is bzip2"),
    ("zstd-sys", "C; nothing written today needs zstd"),
    ("async-std", "synchronous code and threads are enough; the one server that is there has tokio"),
    ("reqwest", "ureq is the one HTTP client"),
    ("curl-sys", "ureq is the one HTTP client"),
    ("nix", "rustix has the system calls without unsafe"),
    ("tokio-tar", "RUSTSEC-2025-0111, never mended"),
    ("protobuf", "OTLP is encoded without it"),
    ("openssl", "see openssl-sys"),
    ("chrono", "jiff is the one clock"),
    ("serde_yaml", "unmaintained"),
];

/// `(room, libraries that only these rooms may name in their Cargo.toml)`.
const RESERVED: &[(&str, &[&str])] = &[
    // The platform, since its doctor asks an app for a page, and a destination whether it takes spans.
    ("ureq", &["oci", "debian", "platform"]),
    ("pgp", &["debian"]),
    ("lzma-rust2", &["debian"]),
    ("libc", &["sandbox"]),
    ("clap", &["packlight"]),
    ("indicatif", &["packlight"]),
    ("owo-colors", &["packlight"]),
    ("anstream", &["packlight"]),
    // The receiver alone: gRPC is HTTP/2, and the library that serves it stands on tokio. All else is synchronous.
    ("tokio", &["telemetry"]),
    ("hyper", &["telemetry"]),
    ("hyper-util", &["telemetry"]),
    ("http-body-util", &["telemetry"]),
    ("prost", &["telemetry"]),
];

/// What a program that opens connections cannot do without, whatever its client is called.
const NETWORK: &[&str] =
    &["ureq", "rustls", "ring", "hyper", "reqwest", "tokio", "mio", "socket2", "webpki-roots"];

/// Programs that get along without a network, though `buildpack-python` calls others that do not.
const OFFLINE: &[&str] = &[
    "launcher",
    "buildpack-procfile",
    "buildpack-python",
    "buildpack-apm",
    "extension-debian",
    "sandbox",
    "cnb",
];

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What is compiled for Linux on x86-64, dependencies of dependencies included.
fn everything() -> Value {
    metadata(&["--filter-platform=x86_64-unknown-linux-gnu"])
}

/// Whether an SPDX expression can be satisfied with the list: one side of each OR, both of each AND.
fn acceptable(expression: &str) -> bool {
    let plain = expression.replace('/', " OR ");
    let any = |it: &str| it.split(" OR ").any(|one| LICENCES.contains(&one.trim().trim_matches(['(', ')'])));
    // Brackets bind first: `(A OR B) AND C`.
    if plain.contains(") AND ") || plain.contains(" AND (") {
        return plain.split(" AND ").all(|part| any(part.trim().trim_matches(['(', ')'])));
    }
    plain.split(" OR ").any(|side| side.split(" AND ").all(any))
}

#[test]
fn spdx_expressions_are_understood() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "(MIT OR GPL-2.0) AND ISC",
        "MIT AND BSD-3-Clause",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
    ] {
        assert!(acceptable(good), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "LGPL-2.0-or-later",
        "MIT AND GPL-2.0",
        "(GPL-2.0 OR LGPL-3.0) AND MIT",
        "AGPL-3.0/SSPL-1.0",
    ] {
        assert!(!acceptable(bad), "{bad}");
    }
}

#[test]
fn every_library_has_a_licence_that_fits() {
    let everything = everything();
    let packages = everything["packages"].as_array().unwrap();
    assert!(packages.len() > 50, "only {} packages were looked at", packages.len());
    let wrong: Vec<_> = packages
        .iter()
        .filter(|it| !acceptable(&text(&it["license"])))
        .map(|it| format!("{} {}: {:?}", text(&it["name"]), text(&it["version"]), text(&it["license"])))
        .collect();
    assert!(wrong.is_empty(), "licences that are not in the list:\n{}\n", wrong.join("\n"));
}

#[test]
fn banned_libraries_are_absent() {
    let everything = everything();
    let names: BTreeSet<_> =
        everything["packages"].as_array().unwrap().iter().map(|it| text(&it["name"])).collect();
    let found: Vec<_> = BANNED.iter().filter(|(name, _)| names.contains(*name)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn reserved_libraries_are_named_only_by_their_rooms() {
    let metadata = metadata(&["--no-deps"]);
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let room = text(&package["name"]);
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = text(&dependency["name"]);
            let reserved = RESERVED.iter().find(|(it, _)| *it == name);
            if reserved.is_some_and(|(_, rooms)| !rooms.contains(&room.as_str())) {
                wrong.push(format!("`{room}` must not use `{name}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn programs_that_go_into_images_have_no_network_client() {
    let everything = everything();
    let mut wrong = Vec::new();
    for room in OFFLINE {
        let tree = tree(&everything, room);
        assert!(tree.contains(*room), "`{room}` was not found");
        wrong.extend(
            NETWORK.iter().filter(|it| tree.contains(**it)).map(|it| format!("`{room}` has `{it}` below it")),
        );
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    // The look itself works: it finds the client where there is one.
    assert!(tree(&everything, "debian").contains("ureq"));
}

#[test]
fn the_launcher_stands_on_a_handful_of_libraries() {
    let tree = tree(&everything(), "launcher");
    assert!(tree.len() <= 30, "it starts with every app: {} libraries: {tree:?}", tree.len());
}

/// The names of a room and of all that is linked into it; build scripts' and tests' libraries are not.
fn tree(everything: &Value, room: &str) -> BTreeSet<String> {
    let packages = everything["packages"].as_array().unwrap().iter();
    let names: BTreeMap<_, _> = packages.map(|it| (text(&it["id"]), text(&it["name"]))).collect();
    let nodes = everything["resolve"]["nodes"].as_array().unwrap().iter();
    let below: BTreeMap<_, _> = nodes.map(|it| (text(&it["id"]), &it["deps"])).collect();
    let mut open: Vec<String> =
        names.iter().filter(|(_, name)| *name == room).map(|(id, _)| id.clone()).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        let linked =
            |it: &&Value| it["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null());
        open.extend(below[&id].as_array().unwrap().iter().filter(linked).map(|it| text(&it["pkg"])));
    }
    seen.iter().map(|id| names[id].clone()).collect()
}
