//! The suite on another lifecycle, and both lifecycles side by side: `peers DIR` with the folder of its programs.
//!
//! What the other one makes of each case is written down in `reference.toml`, and must be as written (or is written
//! anew with `UPDATE_REFERENCE=1`); of each whole build everything that the two leave is compared, and must differ in
//! what `differences.toml` lists and in nothing else. `peers show DIR CASE` prints what a lifecycle leaves.

use conformance::peers;
use conformance::programs::Programs;
use conformance::suite::{self, Any};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["show", dir, case] => show(Path::new(dir), case),
        [dir] => peers::compare(Path::new(dir), std::env::var_os("UPDATE_REFERENCE").is_some()),
        _ => Err(io::Error::other("peers DIR, or peers show DIR CASE")),
    };
    let (text, code) = match done {
        Ok(report) => (report, ExitCode::SUCCESS),
        Err(error) => (error.to_string(), ExitCode::FAILURE),
    };
    let _ = writeln!(io::stdout(), "{text}");
    code
}

fn show(dir: &Path, id: &str) -> io::Result<String> {
    let cases = suite::all()?;
    let case =
        cases.iter().find(|it| it.id == id).ok_or_else(|| io::Error::other("there is no such case"))?;
    let Any::Whole(case) = &case.case else { return Err(io::Error::other("that is no whole build")) };
    let room = suite::empty_room()?;
    let programs = Programs::of(&fs_err::canonicalize(dir)?);
    let outcome = conformance::whole::play(case, &programs, &room.path().join("room"))?;
    let outcome = outcome.map_err(io::Error::other)?;
    serde_json::to_string_pretty(&outcome.tree()).map_err(io::Error::other)
}
