//! The programs of `/cnb/lifecycle`: one executable that is what it is called by.
//!
//! Each program is a file of its own name; `inputs.rs` has all that a platform can say to any of them, `place/` where
//! images are. What the phases do is in the library; here is what only programs may do: read arguments and
//! environment, print, give up privileges, exit.

mod analyzer;
mod arguments;
mod builder;
mod cache;
mod creator;
mod detector;
mod exit;
mod exporter;
mod files;
mod images;
mod inputs;
mod log;
mod names;
mod place;
mod privileges;
mod project;
mod rebaser;
mod restorer;
mod run_image;
mod runner;
mod tell;
mod version;

use cnb::api::{self, ApiVersion, PlatformFeatures};
use exit::{Code, Failure, fail};
use inputs::{Inputs, Program};
use log::Log;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What every program has.
struct Site {
    inputs: Inputs,
    log: Log,
    api: ApiVersion,
    features: PlatformFeatures,
}

fn main() -> ExitCode {
    // The processes of a build run as the same user: none of them may read this one's memory or environment, where
    // a registry's password can be.
    privileges::keep_to_itself();
    // The first process of a container is sent no signal that it has no answer to.
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        let always = Arc::new(AtomicBool::new(true));
        // Where it can't be had, the platform waits longer for the end of a cancelled build.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, always);
    }
    let mut log = Log::default();
    match run(&mut log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log.error(&failure.text);
            ExitCode::from(failure.code.number())
        }
    }
}

fn run(log: &mut Log) -> Result<(), Failure> {
    let mut args: Vec<String> = std::env::args_os().map(|it| it.to_string_lossy().into_owned()).collect();
    let name = if args.is_empty() { String::new() } else { args.remove(0) };
    let name = Path::new(&name).file_stem().map_or_else(String::new, |it| it.to_string_lossy().into_owned());
    if args == ["-descriptor"] {
        log.plain(&version::descriptor());
        return Ok(());
    }
    let program = match Program::called(&name) {
        Some(program) => program,
        None => subcommand(&mut args, log)?,
    };
    if arguments::asks_for_version(&args) {
        log.plain(version::VERSION);
        return Ok(());
    }
    let said = std::env::var("CNB_PLATFORM_API").unwrap_or_default();
    let api = negotiate(&said)?;
    let features = api::platform_features(api).unwrap_or_default();
    let env = |name: &str| std::env::var(name).ok().filter(|it| !it.is_empty());
    let inputs = Inputs::read(program, features, args, &env)?;
    log.set(&inputs)?;
    for arg in inputs.arguments.iter().filter(|it| it.starts_with('-')) {
        log.warning(&format!("{arg} stands behind the first argument and is not read as a flag"));
    }
    let site = Site { inputs, log: *log, api, features };
    match program {
        Program::Analyzer => analyzer::run(&site),
        Program::Detector => detector::run(&site),
        Program::Restorer => restorer::run(&site),
        Program::Builder => builder::run(&site),
        Program::Exporter => exporter::run(&site),
        Program::Creator => creator::run(&site),
        Program::Rebaser => rebaser::run(&site),
        Program::Extender => Err(fail(
            Code::Extend,
            "extending images is not there yet: choose buildpacks that need no image extension",
        )),
    }
}

/// `lifecycle <phase> ...`
fn subcommand(args: &mut Vec<String>, log: &Log) -> Result<Program, Failure> {
    if arguments::asks_for_version(args) {
        // Any program prints the same.
        return Ok(Program::Detector);
    }
    let phase = if args.is_empty() { None } else { Some(args.remove(0)) };
    let known = Program::phases();
    let found = phase.as_deref().and_then(Program::of_phase);
    if found.is_none() {
        log.plain(&format!("usage: lifecycle <phase> [flags] [arguments]; phases: {known}"));
    }
    found.ok_or_else(|| match phase {
        Some(phase) => fail(Code::Arguments, format!("there is no phase `{phase}`; the phases are {known}")),
        None => fail(Code::Arguments, format!("a phase is wanted: {known}")),
    })
}

/// The Platform API comes before anything else: it says what the rest means.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#platform-api-compatibility>
fn negotiate(said: &str) -> Result<ApiVersion, Failure> {
    let all: Vec<String> = api::platform_apis().map(|it| it.to_string()).collect();
    let known = all.join(", ");
    if said.trim().is_empty() {
        let text = format!("CNB_PLATFORM_API is not set; set it to one of {known}");
        return Err(fail(Code::PlatformApi, text));
    }
    let api = said
        .trim()
        .parse::<ApiVersion>()
        .map_err(|error| fail(Code::PlatformApi, format!("CNB_PLATFORM_API: {error}")))?;
    match api::platform_features(api) {
        Some(_) => Ok(api),
        None => {
            let text =
                format!("Platform API {said} is not spoken here; set CNB_PLATFORM_API to one of {known}");
            Err(fail(Code::PlatformApi, text))
        }
    }
}
