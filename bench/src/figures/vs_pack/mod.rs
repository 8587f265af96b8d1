//! Figures against `pack` v0.40.6 with the reference lifecycle v0.20.12, on one engine and one registry: `vs-pack` is
//! all of them. Each fails when the two sides do not make the same image.

mod added;
mod changed;
mod exporter;
mod rebase;
mod transfer;
mod unchanged;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Figure;
use crate::Result;
use crate::beside::Beside;
use crate::stopwatch::{Contestant, Timing, interleaved, output, time};

/// What all their names begin with.
pub(crate) const GROUP: &str = "vs-pack";

pub(super) use added::FIGURE as ADDED;
pub(super) use changed::FIGURE as CHANGED;
pub(super) use exporter::FIGURE as EXPORTER;
pub(super) use rebase::FIGURE as REBASE;
pub(super) use transfer::FIGURE as TRANSFER;
pub(super) use unchanged::{LARGE, SMALL};

/// The times of our command and of theirs, taken in turn; what makes the command does not count.
fn duel(
    rounds: usize,
    mut ours: impl FnMut() -> Result<Command>,
    mut theirs: impl FnMut() -> Result<Command>,
) -> Result<[Timing; 2]> {
    let timings = interleaved(
        rounds,
        vec![
            Contestant::new("packlight", || time(&mut ours()?)),
            Contestant::new("pack", || time(&mut theirs()?)),
        ],
    )?;
    timings.try_into().map_err(|_| "two contestants have two times".into())
}

/// Prints two contestants and how many times faster the first is.
#[expect(clippy::print_stdout, reason = "a program")]
fn tell(ours: &Timing, theirs: &Timing) {
    println!("{ours}\n{theirs}\n   {:.1} times faster", theirs.times(ours));
}

/// An image of the engine with the files of several folders in one layer, as Dockerfile's lines configure it.
fn import(beside: &Beside, folders: &[&Path], lines: &[&str], name: &str) -> Result<()> {
    let merged = beside.room.join("merged");
    let script = "set -eo pipefail; rm -rf \"$0\"; mkdir \"$0\"; \
                  for it in \"$@\"; do cp -al --remove-destination \"$it/.\" \"$0\"; done; \
                  tar --owner=1001 --group=1000 -C \"$0\" -c .";
    let mut tar = Command::new("bash");
    tar.args(["-c", script]).arg(&merged).args(folders);
    let mut tar = tar.stdout(Stdio::piped()).spawn()?;
    let mut import = Command::new("docker");
    import.arg("import");
    for line in lines {
        import.args(["-c", line]);
    }
    output(import.args(["-", name]).stdin(tar.stdout.take().ok_or("tar has no output")?))?;
    if tar.wait()?.success() { Ok(()) } else { Err(format!("the files of {name} were not packed").into()) }
}

/// `test/builder:NAME`: the small one, on a build image with so many megabytes of other files.
fn large_builder(beside: &Beside, name: &str, megabytes: usize) -> Result<()> {
    let data = beside.data(megabytes)?;
    let user = ["ENV PATH=/bin", "ENV CNB_USER_ID=1001", "ENV CNB_GROUP_ID=1000", "USER 1001:1000"];
    import(beside, &[&beside.room.join("root"), &data], &user, &format!("test/build:{name}"))?;
    let description = fs::read_to_string(beside.room.join("reference.toml"))?;
    let file = beside.room.join(format!("{name}.toml"));
    fs::write(&file, description.replace("\"test/build:1\"", &format!("\"test/build:{name}\"")))?;
    let builder = format!("test/builder:{name}");
    let mut create = beside.pack(&["builder", "create", &builder, "--pull-policy", "never", "--config"]);
    output(create.arg(file)).map(|_| ())
}
