//! Export of a large tree: tar, diff id, compression and digest in one pass, against two bounds of the same work.

use std::path::Path;
use std::process::Command;

use super::Figure;
use crate::Result;
use crate::ground::Ground;
use crate::stopwatch::{Contestant, interleaved, output, time};

pub(super) const FIGURE: Figure = Figure {
    name: "export",
    what: "export (tar, hash, compress) of a site-packages tree of 460 MB, against `tar | pigz` and `sha256sum`",
    aim: "at least 80 % of the faster bound",
    measure,
};

/// Large packages with many files of every kind.
const PACKAGES: &[&str] = &["numpy", "pandas", "scipy", "scikit-learn", "django"];
/// The level that the store compresses with.
const LEVEL: &str = "-6";

#[expect(clippy::print_stdout, reason = "a program")]
fn measure(ground: &Ground) -> Result<()> {
    let tree = ground.room.join("site-packages");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--target"]).arg(&tree).args(PACKAGES);
    output(&mut pip)?;
    let exporter = ground.example("oci", "export_tree")?;
    let tar = ground.room.join("tree.tar");
    output(Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(&tree).arg("."))?;
    let bytes = std::fs::metadata(&tar)?.len();
    let shell = |line: String| {
        let room = ground.room.clone();
        move || time(Command::new("bash").args(["-o", "pipefail", "-c", &line]).current_dir(&room))
    };
    let timings = interleaved(
        5,
        vec![
            Contestant::new("packlight's export", || {
                fresh(&ground.room.join("store"))?;
                let printed = output(Command::new(&exporter).arg(ground.room.join("store")).arg(&tree))?;
                println!("     {}", printed.lines().next().unwrap_or_default());
                seconds(&printed)
            }),
            Contestant::new(
                "tar | pigz > file",
                shell(format!("tar -c site-packages | pigz {LEVEL} > out.gz")),
            ),
            Contestant::new("tar | sha256sum", shell("tar -c site-packages | sha256sum".to_owned())),
        ],
    )?;
    println!("   {:.0} MB of tar", bytes as f64 / 1e6);
    for timing in &timings {
        println!("{timing}   {:.0} MB/s", bytes as f64 / 1e6 / timing.median().as_secs_f64());
    }
    println!("   {:.0} % of the speed of `tar | pigz`", 100.0 / timings[0].times(&timings[1]));
    Ok(())
}

/// An export into a store that has the layer would read nothing.
fn fresh(store: &Path) -> Result<()> {
    output(Command::new("rm").arg("-rf").arg(store)).map(|_| ())
}

/// The seconds that the exporter says, without the start of the store.
fn seconds(printed: &str) -> Result<std::time::Duration> {
    let mut words = printed.lines().next().unwrap_or_default().split(' ');
    let number = words.position(|it| it == "MB").and_then(|_| words.next()).and_then(|it| it.parse().ok());
    Ok(std::time::Duration::from_secs_f64(number.ok_or_else(|| format!("no seconds in {printed:?}"))?))
}
