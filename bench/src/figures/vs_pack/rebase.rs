//! A thousand images of a registry on a newer run image: beside the same requests by a client that does nothing else,
//! and beside pack, one image after the other.

mod fleet;
mod replay;

use std::cell::Cell;
use std::fs::File;
use std::time::Duration;

use super::{Figure, import};
use crate::Result;
use crate::beside::Beside;
use crate::ground::Ground;
use crate::stopwatch::{Contestant, interleaved, output, rounds, time};
use fleet::Fleet;
use replay::{Log, Replay};

pub(in crate::figures) const FIGURE: Figure = Figure {
    name: "vs-pack-rebase",
    what: "rebase of 1,000 images of a loopback registry, against the same requests bare, and pack one by one",
    aim: "at most 1.2 times the bare requests; a fifth of pack's time",
    measure,
};

const ROUNDS: usize = 3;
const IMAGES: usize = 1000;
/// Pack rebases so many, and its time is scaled to all.
const SAMPLE: usize = 20;

#[expect(clippy::print_stdout, reason = "a program")]
fn measure(ground: &Ground) -> Result<()> {
    let beside = Beside::prepare()?;
    let origin = format!("{}/bench/origin", beside.registry);
    let publish = ["--trust-builder", "--publish", "--network", "host"];
    output(&mut beside.pack_build(&origin, &beside.app("rebase")?, &publish))?;
    // Each round of each contestant has images of its own, which stand on the old run image.
    let fleets = |who: &str, count| -> Result<Vec<Fleet>> {
        let first = Fleet::launch(&beside, &format!("bench/{who}-0"), count)?;
        let more = (1..=rounds(ROUNDS)).map(|round| first.copied(&beside, &format!("bench/{who}-{round}")));
        let more = more.collect::<Result<Vec<_>>>()?;
        Ok(std::iter::once(first).chain(more).collect())
    };
    let (ours, theirs) = (fleets("ours", IMAGES)?, fleets("theirs", SAMPLE)?);
    let bare = (0..=rounds(ROUNDS)).map(|round| ours[0].copied(&beside, &format!("bench/bare-{round}")));
    let bare = bare.collect::<Result<Vec<_>>>()?;
    newer_run_image(&beside)?;

    let log = Log::of(&beside)?;
    let mut requests = log.since_now()?;
    rebase(ground, &ours[0])?;
    requests.read("\"packlight\"")?;
    let replay = Replay::of(&ours[0], &requests)?;
    println!("{}", replay.tell());

    let (our_turn, bare_turn, their_turn) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let next = |turn: &Cell<usize>| turn.replace(turn.get() + 1);
    let timings = interleaved(
        ROUNDS,
        vec![
            Contestant::new("packlight rebase", || match next(&our_turn) {
                // These are rebased already.
                0 => Ok(Duration::ZERO),
                turn => rebase(ground, &ours[turn]),
            }),
            Contestant::new("the same requests, bare", || replay.run(&bare[next(&bare_turn)])),
            Contestant::new("pack rebase, one by one (scaled)", || {
                let fleet = &theirs[next(&their_turn)];
                let mut took = Duration::ZERO;
                for name in fleet.names() {
                    took +=
                        time(&mut beside.pack(&["rebase", &name, "--publish", "--pull-policy", "never"]))?;
                }
                Ok(took * (IMAGES / SAMPLE) as u32)
            }),
        ],
    )?;
    ours[1].must_stand_like(&theirs[1], SAMPLE)?;
    ours[1].must_stand_like(&bare[1], IMAGES)?;
    let name = &ours[1].names()[0];
    output(std::process::Command::new("docker").args(["pull", "--quiet", name]))?;
    let said = output(std::process::Command::new("docker").args(["run", "--rm", name]))?;
    if said.trim() != "it says the app" {
        return Err(format!("{name} says {said:?}").into());
    }
    timings.iter().for_each(|it| println!("{it}"));
    println!("   {:.2} times the bare requests", timings[0].times(&timings[1]));
    println!(
        "   {:.1} times faster than pack, of which {SAMPLE} images were measured",
        timings[2].times(&timings[0])
    );
    Ok(())
}

fn rebase(ground: &Ground, fleet: &Fleet) -> Result<Duration> {
    let list = ground.room.join("names");
    std::fs::write(&list, fleet.names().join("\n"))?;
    let mut rebase = ground.packlight("rebase", &["--quiet", "rebase", "-", "--publish"]);
    time(rebase.stdin(File::open(list)?))
}

/// The run image's name leads to another image.
fn newer_run_image(beside: &Beside) -> Result<()> {
    let newer = beside.room.join("newer");
    std::fs::create_dir_all(newer.join("etc"))?;
    std::fs::write(newer.join("etc/version"), format!("newer, {}\n", std::process::id()))?;
    let lines = ["ENV PATH=/bin", "USER 1001:1000"];
    import(beside, &[&beside.room.join("root"), &newer], &lines, &beside.run_image)?;
    output(std::process::Command::new("docker").args(["push", "--quiet", &beside.run_image])).map(|_| ())
}
