//! A build with one more buildpack than the builder has, on a large builder: pack makes a builder of its own for it,
//! each time.

use super::{Figure, duel, large_builder, tell};
use crate::Result;
use crate::beside::{Beside, must_be_equal};
use crate::ground::Ground;

pub(in crate::figures) const FIGURE: Figure = Figure {
    name: "vs-pack-added",
    what: "rebuild with one more buildpack on a builder of 1 GB, to the engine, against pack",
    aim: "50 times faster",
    measure,
};

/// With a buildpack added, pack trusts no builder.
const LIFECYCLE: [&str; 2] = ["--lifecycle-image", "test/lifecycle:reference"];

fn measure(ground: &Ground) -> Result<()> {
    let beside = Beside::prepare()?;
    large_builder(&beside, "large", 1000)?;
    let app = beside.app("added")?;
    let added = ground.top.join("bench/fixtures/added");
    let more = ["--builder", "test/builder:large", "--post-buildpack", &added.to_string_lossy()];
    let (ours, theirs) = ("bench/added-ours", "bench/added-theirs");
    let our_more = ["--builder", "docker:test/builder:large", "--output", "docker", more[2], more[3]];
    let [our, their] = duel(
        3,
        || Ok(beside.our_build(ground, ours, &app, &our_more)),
        || Ok(beside.pack_build(theirs, &app, &[&more[..], &LIFECYCLE].concat())),
    )?;
    let said = must_be_equal(ours, theirs)?;
    if !said.contains("layers/bench_added/added/file") {
        return Err(format!("the buildpack added nothing: {said}").into());
    }
    tell(&our, &their);
    Ok(())
}
