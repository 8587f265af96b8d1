//! Rooms as their users meet them. A program of its own, since it is also the runner and, inside, the guest.
//!
//! Every case runs as root and as an ordinary user when root starts it; an ordinary user has the second half only.

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::panic, reason = "a test")]

mod room {
    pub(crate) mod cases;
    pub(crate) mod guest;
    pub(crate) mod place;
}

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

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
    if let Err(forbidden) = sandbox::check_host() {
        println!("{forbidden}\n{}", forbidden.cure);
        return ExitCode::FAILURE;
    }
    let who = if root { "root" } else { "ordinary user" };
    let mut failed = 0;
    for (name, case) in room::cases::ALL {
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter.as_str())) {
            continue;
        }
        if !root && room::cases::ROOTS.contains(name) {
            println!("{who}: {name} ... not run, it takes root to set it up");
            continue;
        }
        let place = room::place::Place::new();
        let passed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&place))).is_ok();
        println!("{who}: {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
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
