//! Composes a run base, and a build base above it, from this machine's own apt mirror:
//! `cargo run -p debian --example compose -- trixie /tmp/base python3 [--build python3-pip-whl]`.
//!
//! It makes `DIR/run` and `DIR/build`, and a script `DIR/finish` that runs in `chroot` what the packages' programs have
//! to do. Prints what was downloaded and which packages are the largest.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use debian::{Archive, Composed, Event, Kind, LockedPackage, Lower, Mirrors, SourceKind, Wishes};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, into, packages @ ..] = arguments.as_slice() else {
        return Err("RELEASE DIR [PACKAGE...] [--build PACKAGE...]".into());
    };
    let mut lists = packages.split(|argument| argument == "--build");
    let (run, build) = (lists.next().unwrap_or_default(), lists.next().unwrap_or_default());
    let release = debian::release(name).ok_or("no such release")?;
    let sources = debian::apt_sources(Path::new("/etc/apt"));
    let of = |kind| sources.iter().filter(|it| it.kind == kind).map(|it| it.url.clone()).collect();
    let mirrors = Mirrors { archive: of(SourceKind::Archive), security: of(SourceKind::Security) };
    let into = PathBuf::from(into);
    let cache = into.join("cache");
    let archive = Archive {
        release,
        mirrors: mirrors.clone(),
        cache: cache.clone(),
        now: jiff::Timestamp::now(),
        allow_expired: false,
    };

    let bytes: RefCell<BTreeMap<Kind, u64>> = RefCell::default();
    let report = |event: Event| match event {
        Event::Received { kind, bytes: more, .. } => *bytes.borrow_mut().entry(kind).or_default() += more,
        Event::Retry { .. } | Event::Warning(_) => say(&format!("{event:?}")),
        _ => {}
    };
    let clock = Instant::now();
    let index = debian::refresh(&archive, &report)?;
    say(&format!("index: {:?}", clock.elapsed()));
    let clock = Instant::now();
    let wanted: Vec<&str> = release.run_core.iter().copied().chain(run.iter().map(String::as_str)).collect();
    let build: Vec<&str> = build.iter().map(String::as_str).collect();
    let settled = debian::settle(&index, Wishes { run: &wanted, build: &build }, &[])?;
    let (run, build) = (settled.run, settled.build);
    say(&format!(
        "resolve: {:?}; {} packages to run, {} more to build",
        clock.elapsed(),
        run.len(),
        build.len()
    ));

    let mut script = String::from("#!/bin/sh\nset -eux\ncd \"$(dirname \"$0\")\"\n");
    let mut lower: Option<PathBuf> = None;
    for (part, packages) in [("run", run), ("build", build)] {
        let clock = Instant::now();
        let files = debian::fetch(&mirrors, &cache, &packages, &report)?;
        let fetched = clock.elapsed();
        let clock = Instant::now();
        let debs: Vec<(LockedPackage, PathBuf)> = packages.into_iter().zip(files).collect();
        let tree = into.join(part);
        let composed = debian::compose(&debs, lower.as_deref().map(|root| Lower { root }), &tree)?;
        say(&format!("{part}: fetched in {fetched:?}, unpacked in {:?}", clock.elapsed()));
        tell_sizes(&composed);
        if part == "run" {
            add_finish(&mut script, part, &composed)?;
        } else {
            let finish: Vec<String> = composed.finish.iter().map(|it| it.argv.join(" ")).collect();
            say(&format!("  to run above the run base: {finish:#?}"));
        }
        lower = Some(tree);
    }
    say(&format!("downloaded: {:?}", bytes.borrow()));
    std::fs::write(into.join("finish"), script)?;
    Ok(())
}

fn add_finish(script: &mut String, part: &str, composed: &Composed) -> Result<(), std::fmt::Error> {
    for finish in &composed.finish {
        let env: Vec<String> = finish.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        writeln!(script, "chroot {part} /usr/bin/env -i {} {}", env.join(" "), finish.argv.join(" "))?;
        for path in &finish.remove {
            writeln!(script, "rm -rf {part}/{}", path.display())?;
        }
    }
    Ok(())
}

fn tell_sizes(composed: &Composed) {
    let mut packages = composed.packages.clone();
    packages.sort_by_key(|package| std::cmp::Reverse(package.bytes));
    for package in packages.iter().take(16) {
        say(&format!("  {:9} kept, {:9} left out: {}", package.bytes, package.left_out, package.name));
    }
    say(&format!("  not simply root's: {:?}", composed.ownership));
}

#[expect(clippy::print_stdout, reason = "an example is a program")]
fn say(line: &str) {
    println!("{line}");
}
