//! The `packlight` command: arguments become requests, events become text, results become exit codes.
//! It decides nothing about images: every operation is one call into `platform`.
//! Open `cli.rs` next for what can be asked, and `commands/` for one file per verb.

mod cli;
mod commands;
mod environment;
mod exit_code;
mod failure;
mod interrupts;
mod render;

use clap::Parser as _;
use cli::Cli;
use exit_code::ExitCode;
use interrupts::Interrupts;
use render::Screen;
use std::sync::Arc;

fn main() -> std::process::ExitCode {
    // A sandbox's runner is this same program, started again: before anything else can happen in it.
    platform::serve_if_asked();
    failure::report_panics();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return answer(&error).into(),
    };
    let env = std::env::vars_os().collect();
    let screen = Arc::new(Screen::new(&cli.globals(), &env));
    let interrupts = Interrupts::listen(&screen);
    match commands::run(&cli, &screen, &interrupts, env) {
        Ok(code) => code.into(),
        Err(failure) => screen.failed(&failure).into(),
    }
}

/// What clap answers by itself: help, versions and usage errors.
fn answer(error: &clap::Error) -> ExitCode {
    let code = if error.use_stderr() { ExitCode::USAGE } else { ExitCode::OK };
    // A closed pipe (`packlight --help | head -1`) is no reason to complain.
    let _ = error.print();
    code
}
