//! The first build of an app from an empty store: what is downloaded, how long each phase takes, what comes out, and
//! how much memory it took.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use super::Figure;
use crate::Result;
use crate::ground::{APP, Ground, WARM};
use crate::stopwatch::output;

pub(super) const FIGURE: Figure = Figure {
    name: "first-build",
    what: "first build of examples/flask from an empty store: bytes by kind, seconds by phase",
    aim: "60 MB or less; under 25 s on 2 cores with a near mirror",
    measure,
};

pub(super) const IMAGE: Figure = Figure {
    name: "image",
    what: "the image of examples/flask: compressed, uncompressed, layers",
    aim: "under 30 MB compressed with the agent",
    measure: image,
};

pub(super) const MEMORY: Figure = Figure {
    name: "memory",
    what: "peak memory of `packlight build`, from an empty store and with nothing changed",
    aim: "under 150 MB",
    measure: memory,
};

#[expect(clippy::print_stdout, reason = "a program")]
fn measure(ground: &Ground) -> Result<()> {
    let (received, begin) = (received_bytes()?, Instant::now());
    let events = ground.build("first", "first-build")?;
    let (took, received) = (begin.elapsed(), received_bytes()? - received);
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for event in events.iter().filter(|it| it["event"] == "downloaded") {
        *kinds.entry(text(&event["kind"])).or_default() += event["bytes"].as_u64().unwrap_or(0);
    }
    let known: u64 = kinds.values().sum();
    for (kind, bytes) in &kinds {
        println!("   {kind:<24} {:>7.1} MB", *bytes as f64 / 1e6);
    }
    let rest = received.saturating_sub(known) as f64 / 1e6;
    println!("   {:<24} {rest:>7.1} MB   (whatever else this machine received meanwhile)", "in the sandbox");
    println!("   {:<24} {:>7.1} MB", "together", received as f64 / 1e6);
    for event in events.iter().filter(|it| it["event"] == "phase-finished") {
        println!("   {:<24} {:>7.2} s", text(&event["phase"]), event["seconds"].as_f64().unwrap_or(0.0));
    }
    println!("   {:<24} {:>7.2} s", "together", took.as_secs_f64());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a program")]
fn image(ground: &Ground) -> Result<()> {
    ground.build(WARM, "image")?;
    let (app, layout) = (ground.app("image")?, ground.room.join("layout"));
    let output_to = format!("oci:{}", layout.display());
    let arguments =
        ["--format", "json", "build", APP, "--path", &app.to_string_lossy(), "--output", &output_to];
    output(&mut ground.packlight(WARM, &arguments))?;
    let blob = |digest: &Value| layout.join("blobs/sha256").join(text(digest).replace("sha256:", ""));
    let read = |path| -> Result<Value> { Ok(serde_json::from_slice(&fs::read(path)?)?) };
    let index = read(layout.join("index.json"))?;
    let manifest = read(blob(&index["manifests"][0]["digest"]))?;
    let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
    let (mut compressed, mut uncompressed) = (0, 0);
    for layer in &layers {
        compressed += layer["size"].as_u64().unwrap_or(0);
        let count = Command::new("bash")
            .args(["-c", "gzip -dc \"$0\" | wc -c"])
            .arg(blob(&layer["digest"]))
            .output()?;
        uncompressed += String::from_utf8_lossy(&count.stdout).trim().parse::<u64>()?;
    }
    println!(
        "   {:.1} MB compressed, {:.1} MB uncompressed, {} layers",
        compressed as f64 / 1e6,
        uncompressed as f64 / 1e6,
        layers.len()
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a program")]
fn memory(ground: &Ground) -> Result<()> {
    let app = ground.app("memory")?;
    for what in ["from an empty store", "nothing changed"] {
        let build = ground.packlight("memory", &["--quiet", "build", APP, "--path", &app.to_string_lossy()]);
        let report = ground.room.join("time");
        let mut time = Command::new("/usr/bin/time");
        time.args(["--format", "%M", "--output"])
            .arg(&report)
            .arg(build.get_program())
            .args(build.get_args());
        time.env_remove("PACKLIGHT_PAYLOAD");
        output(&mut time)?;
        let kilobytes: f64 = fs::read_to_string(&report)?.trim().parse()?;
        println!(
            "   {what:<24} {:>7.1} MB   (the largest of packlight and what it started)",
            kilobytes / 1e3
        );
    }
    Ok(())
}

/// Bytes that this machine has received from others.
fn received_bytes() -> Result<u64> {
    let table = fs::read_to_string("/proc/net/dev")?;
    let foreign =
        table.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| name.trim() != "lo");
    Ok(foreign.filter_map(|(_, rest)| rest.split_whitespace().next()?.parse::<u64>().ok()).sum())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
