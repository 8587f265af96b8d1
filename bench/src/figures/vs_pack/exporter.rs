//! Our lifecycle in place of the reference's, under the same pack: how long the export of a large layer takes, the first
//! time and when nothing has changed. The layer is kept in the cache as well, as an app's dependencies are.

use std::cell::Cell;
use std::process::Command;
use std::time::Duration;

use super::Figure;
use crate::Result;
use crate::beside::{Beside, must_be_equal};
use crate::ground::Ground;
use crate::stopwatch::{Contestant, Timing, interleaved, output};

pub(in crate::figures) const FIGURE: Figure = Figure {
    name: "vs-pack-exporter",
    what: "first and second export of a launch layer of 500 MB under pack, against the reference lifecycle's",
    aim: "3 and 10 times faster",
    measure,
};

const MEGABYTES: usize = 500;
const ROUNDS: usize = 3;

/// Where the image goes, what tells pack so, and what the image's name begins with.
struct Way<'a> {
    name: &'a str,
    flags: &'a [&'a str],
    place: String,
}

#[expect(clippy::print_stdout, reason = "a program")]
fn measure(_: &Ground) -> Result<()> {
    let beside = Beside::prepare()?;
    let publish = ["--publish", "--network", "host"];
    let ways = [
        Way { name: "engine", flags: &[], place: String::new() },
        Way { name: "registry", flags: &publish, place: format!("{}/", beside.registry) },
    ];
    for way in &ways {
        let timings = export(&beside, way)?;
        println!("   to the {}:", way.name);
        timings.iter().for_each(|it| println!("{it}"));
        println!(
            "   {:.1} and {:.1} times faster",
            timings[1].times(&timings[0]),
            timings[3].times(&timings[2])
        );
    }
    Ok(())
}

fn export(beside: &Beside, way: &Way<'_>) -> Result<Vec<Timing>> {
    let app = beside.app("exporter")?;
    let volume = format!("{}:/data:ro", beside.data(MEGABYTES)?.display());
    // A registry has the layers of a name that was there before, so each first export has a name of its own.
    let turn = Cell::new(0);
    let image = |lifecycle: &str| {
        let turn = if way.flags.is_empty() { 0 } else { turn.get() };
        format!("{}bench/exported-{}-{lifecycle}:{turn}", way.place, way.name)
    };
    let build = |lifecycle: &str, more: &[&str]| {
        let builder = format!("test/builder:{lifecycle}");
        let flags = ["--builder", &builder, "--trust-builder", "--volume", &volume, "--env", "BP_DATA=/data"];
        let flags =
            [&flags[..], &["--env", "BP_KEEP=1", "--timestamps", "--no-color"], way.flags, more].concat();
        let printed = output(&mut beside.pack_build(&image(lifecycle), &app, &flags))?;
        took(&printed).ok_or_else(|| format!("no times of an export in:\n{printed}").into())
    };
    // The engine has the layer no more, and pack's cache neither.
    let first = |lifecycle: &str| {
        let images = [image("ours"), image("reference")];
        output(Command::new("docker").args(["image", "rm", "--force"]).args(images))?;
        build(lifecycle, &["--clear-cache"])
    };
    let timings = interleaved(
        ROUNDS,
        vec![
            Contestant::new("first export, our lifecycle", || {
                turn.set(turn.get() + 1);
                first("ours")
            }),
            Contestant::new("first export, the reference", || first("reference")),
            Contestant::new("second export, our lifecycle", || {
                if way.flags.is_empty() {
                    // The turn before has taken it away.
                    build("ours", &["--clear-cache"])?;
                }
                build("ours", &[])
            }),
            Contestant::new("second export, the reference", || build("reference", &[])),
        ],
    )?;
    let images = [image("ours"), image("reference")];
    for image in images.iter().filter(|_| !way.flags.is_empty()) {
        output(Command::new("docker").args(["pull", "--quiet", image]))?;
    }
    must_be_equal(&images[0], &images[1])?;
    Ok(timings)
}

/// From the first word of the exporter to pack's word of success.
fn took(printed: &str) -> Option<Duration> {
    let (begin, end) = (said_at(printed, "===> EXPORTING")?, said_at(printed, "Successfully built image")?);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    Some(if end < begin { end + DAY - begin } else { end - begin })
}

/// When a line was said. Pack puts the time before what a container says at once, which may be several lines.
fn said_at(printed: &str, words: &str) -> Option<Duration> {
    let mut now = None;
    for line in printed.lines() {
        now = time_of_day(line).or(now);
        if line.contains(words) {
            return now;
        }
    }
    None
}

/// Of a line that begins with `2026/01/31 12:34:56.123456`.
fn time_of_day(line: &str) -> Option<Duration> {
    let mut parts = line.split(' ').nth(1)?.split(':');
    let (hours, minutes) = (parts.next()?.parse::<u64>().ok()?, parts.next()?.parse::<u64>().ok()?);
    let seconds = parts.next()?.parse::<f64>().ok()?;
    Some(Duration::from_secs(hours * 3600 + minutes * 60) + Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_takes_from_its_first_word_to_the_word_of_success_over_midnight_too() {
        let printed = "2026/01/31 23:59:58.500000 ===> ANALYZING\n2026/01/31 23:59:59.500000 ===> BUILDING\n\
                       a: line: 3\n===> EXPORTING\n\
                       2026/02/01 00:00:01.250000 Successfully built image x\n";
        assert_eq!(took(printed), Some(Duration::from_millis(1750)));
        assert_eq!(took("===> EXPORTING\n"), None);
    }
}
