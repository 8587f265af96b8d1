//! The figures that the README and the docs name, one command each: `bench FIGURE...`, `bench all`.
//! It is no test: nothing fails because it is slow, and it depends on no room of ours; it times the programs that a
//! user has, beside the peers that are named.
//! Open `figures/mod.rs` next for the list, or `stopwatch.rs` for how two programs are measured fairly.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

mod beside;
mod figures;
mod ground;
mod http;
mod stopwatch;

use std::error::Error;
use std::process::ExitCode;

use figures::{FIGURES, GROUP};
use ground::Ground;

/// What went wrong, for the person who measures.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let all = asked.iter().any(|it| it == "all");
    let known = |it: &str| it == "all" || it == GROUP || FIGURES.iter().any(|figure| figure.name == it);
    let unknown = asked.iter().find(|it| !known(it));
    if asked.is_empty() || unknown.is_some() {
        usage(unknown);
        return ExitCode::from(2);
    }
    let ground = match Ground::prepare() {
        Ok(ground) => ground,
        Err(error) => {
            eprintln!("bench: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut failed = false;
    let wanted = |figure: &str, name: &str| name == figure || (name == GROUP && figure.starts_with(GROUP));
    for figure in FIGURES.iter().filter(|it| all || asked.iter().any(|name| wanted(it.name, name))) {
        println!("\n## {}: {}\n   aim: {}", figure.name, figure.what, figure.aim);
        if let Err(error) = (figure.measure)(&ground) {
            println!("   not measured: {error}");
            failed = true;
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn usage(unknown: Option<&String>) {
    if let Some(name) = unknown {
        eprintln!("bench: there is no figure `{name}`");
    }
    eprintln!(
        "usage: bench FIGURE... | {GROUP} | all\n\nPACKLIGHT names the program to measure (default: dist/packlight).\n"
    );
    for figure in FIGURES {
        eprintln!("  {:<16} {}", figure.name, figure.what);
    }
}
