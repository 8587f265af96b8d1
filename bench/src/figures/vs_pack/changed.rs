//! A rebuild after one changed line in an app of many files.

use std::cell::Cell;
use std::fs;

use super::{Figure, duel, tell};
use crate::Result;
use crate::beside::{Beside, Noise, must_be_equal};
use crate::ground::Ground;

pub(in crate::figures) const FIGURE: Figure = Figure {
    name: "vs-pack-changed",
    what: "rebuild after one changed line in an app of 200 MB in 20,000 files, to the engine, against pack (trusted)",
    aim: "10 times faster",
    measure,
};

const FOLDERS: usize = 200;
const FILES_EACH: usize = 100;
const BYTES_EACH: usize = 10_000;

fn measure(ground: &Ground) -> Result<()> {
    let beside = Beside::prepare()?;
    let app = beside.app("changed")?;
    let mut noise = Noise(1);
    for folder in 0..FOLDERS {
        let folder = app.join(format!("folder-{folder:03}"));
        fs::create_dir_all(&folder)?;
        for file in 0..FILES_EACH {
            fs::write(folder.join(format!("file-{file:02}")), noise.half_compressible(BYTES_EACH))?;
        }
    }
    let count = Cell::new(0);
    let change = || {
        count.set(count.get() + 1);
        fs::write(app.join("main"), format!("the app, changed {} times\n", count.get()))
    };
    let (ours, theirs) = ("bench/changed-ours", "bench/changed-theirs");
    let our_build = || beside.our_build(ground, ours, &app, &["--output", "docker"]);
    let their_build = || beside.pack_build(theirs, &app, &["--trust-builder"]);
    let [our, their] = duel(
        5,
        || change().map(|()| our_build()).map_err(Into::into),
        || change().map(|()| their_build()).map_err(Into::into),
    )?;
    // The last line that changed is pack's.
    crate::stopwatch::output(&mut our_build())?;
    must_be_equal(ours, theirs)?;
    tell(&our, &their);
    Ok(())
}
