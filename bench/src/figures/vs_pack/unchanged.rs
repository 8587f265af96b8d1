//! A rebuild with nothing changed, on a small builder: to the engine, by a builder that pack trusts and by one that it
//! does not, and to a registry; with a small layer in the image and with a large one.

use std::process::Command;

use super::{Figure, duel, tell};
use crate::Result;
use crate::beside::{Beside, must_be_equal};
use crate::ground::Ground;
use crate::stopwatch::{Timing, output};

pub(in crate::figures) const SMALL: Figure = Figure {
    name: "vs-pack-unchanged",
    what: "rebuild with nothing changed on a small builder, against pack: trusted to the engine, untrusted, published",
    aim: "10, 25 and 10 times faster",
    measure: |ground| measure(ground, None, 7).map(|_| ()),
};

pub(in crate::figures) const LARGE: Figure = Figure {
    name: "vs-pack-large-layer",
    what: "the same with a launch layer of 500 MB in the image, and beside packlight's own time without it",
    aim: "20 times faster; no growth with the layer's size",
    measure: large,
};

const MEGABYTES: usize = 500;

/// One way to hand the image over.
struct Way {
    name: &'static str,
    theirs: &'static [&'static str],
    ours: &'static [&'static str],
    registry: bool,
}

const WAYS: [Way; 3] = [
    Way { name: "trusted", theirs: &["--trust-builder"], ours: &["--output", "docker"], registry: false },
    Way {
        name: "untrusted",
        theirs: &["--lifecycle-image", "test/lifecycle:reference"],
        ours: &["--output", "docker"],
        registry: false,
    },
    Way {
        name: "published",
        theirs: &["--trust-builder", "--publish", "--network", "host"],
        ours: &["--output", "registry"],
        registry: true,
    },
];

#[expect(clippy::print_stdout, reason = "a program")]
fn large(ground: &Ground) -> Result<()> {
    let with = measure(ground, Some(MEGABYTES), 3)?;
    println!("   and without the layer:");
    let without = measure(ground, None, 3)?;
    for ((with, without), way) in with.iter().zip(&without).zip(&WAYS) {
        println!("   {}: the layer costs packlight {:.1} ms", way.name, with.more_than(without));
    }
    Ok(())
}

/// Packlight's times, one for each way.
#[expect(clippy::print_stdout, reason = "a program")]
fn measure(ground: &Ground, megabytes: Option<usize>, rounds: usize) -> Result<Vec<Timing>> {
    let beside = Beside::prepare()?;
    let app = beside.app("unchanged")?;
    let volume = match megabytes {
        Some(megabytes) => Some(format!("{}:/data:ro", beside.data(megabytes)?.display())),
        None => None,
    };
    let large = volume.iter().flat_map(|it| ["--volume", it, "--env", "BP_DATA=/data"]).collect::<Vec<_>>();
    let mut times = Vec::new();
    for way in &WAYS {
        let place = if way.registry { format!("{}/", beside.registry) } else { String::new() };
        let size = megabytes.unwrap_or_default();
        let name = |who: &str| format!("{place}bench/unchanged-{size}-{}-{who}", way.name);
        let (ours, theirs) = (name("ours"), name("theirs"));
        let [our, their] = duel(
            rounds,
            || Ok(beside.our_build(ground, &ours, &app, &[way.ours, &large].concat())),
            || Ok(beside.pack_build(&theirs, &app, &[way.theirs, &large].concat())),
        )?;
        for image in [&ours, &theirs].into_iter().filter(|_| way.registry) {
            output(Command::new("docker").args(["pull", "--quiet", image]))?;
        }
        must_be_equal(&ours, &theirs)?;
        println!("   {}:", way.name);
        tell(&our, &their);
        times.push(our);
    }
    Ok(times)
}
