//! Rooms as their users meet them. A program of its own, since it is also the runner and, inside, the guest.
//!
//! Every case runs as root and as an ordinary user when root starts it, and those for reduced isolation once more as root;
//! an ordinary user has one part only.

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::panic, reason = "a test")]

mod room {
    pub(crate) mod cases;
    pub(crate) mod guest;
    pub(crate) mod place;
}

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use sandbox::Allowed;

/// Any id that is nobody's; it needs no account.
const ORDINARY: u32 = 54_321;

fn main() -> ExitCode {
    sandbox::serve_if_asked();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "guest") {
        return room::guest::main(&arguments[1..]);
    }
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let root = rustix::process::geteuid().is_root();
    match sandbox::check_host(&std::env::temp_dir()) {
        Ok(Allowed { instead_of_full: None, .. }) => {}
        Ok(Allowed { instead_of_full: Some(forbidden), .. }) | Err(forbidden) => {
            println!("{forbidden}\n{}", forbidden.cure);
            return ExitCode::FAILURE;
        }
    }
    let mut failed = try_all(if root { "root" } else { "ordinary user" }, None, room::cases::ALL, &filters);
    if root {
        let toolbox = std::env::temp_dir().join(format!("sandbox-toolbox-{}", std::process::id()));
        room::place::toolbox(&toolbox);
        failed += try_all("reduced", Some(&toolbox), room::cases::REDUCED, &filters);
        std::fs::remove_dir_all(&toolbox).unwrap();
    }
    if root {
        // A copy, since an ordinary user may not be able to enter the build directory.
        let copy = std::env::temp_dir().join(format!("sandbox-test-{}", std::process::id()));
        std::fs::copy("/proc/self/exe", &copy).unwrap();
        std::os::unix::fs::chown(&copy, Some(ORDINARY), Some(ORDINARY)).unwrap();
        let status = Command::new(&copy).args(&arguments).uid(ORDINARY).gid(ORDINARY).status();
        std::fs::remove_file(&copy).unwrap();
        failed += usize::from(!status.unwrap().success());
    } else {
        println!("root's half is run when root starts this");
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the cases; how many failed.
fn try_all(who: &str, toolbox: Option<&Path>, cases: &[room::cases::Case], filters: &[&String]) -> usize {
    let mut failed = 0;
    for (name, case) in cases {
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter.as_str())) {
            continue;
        }
        if !rustix::process::geteuid().is_root() && room::cases::ROOTS.contains(name) {
            println!("{who}: {name} ... not run, it takes root to set it up");
            continue;
        }
        let place = room::place::Place::new(toolbox);
        let passed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&place))).is_ok();
        println!("{who}: {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    failed
}
