//! Signals that this program gets while an app runs: they are the app's.

use crate::exit_code::ExitCode;
use crate::failure::Failure;
use platform::run::{Interrupt, Told};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

/// Those that make sense for another process; what belongs to a terminal's job control stays as it is.
const PASSED_ON: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// Tells of every signal from now on, on a thread of its own.
pub(crate) fn pass_on(tell: impl Fn(Interrupt) + Send + 'static) -> Result<(), Failure> {
    let mut signals = Signals::new(PASSED_ON)
        .map_err(|error| Failure::new(ExitCode::RUN, &format!("signals cannot be heard: {error}")))?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            tell(Interrupt { signal, told: told(signal) });
        }
    });
    Ok(())
}

/// A terminal sends Ctrl-C and Ctrl-\ to every process in the foreground, the app included.
fn told(signal: i32) -> Told {
    let from_keyboard = [SIGINT, SIGQUIT].contains(&signal) && in_foreground();
    if from_keyboard { Told::Already } else { Told::NotYet }
}

fn in_foreground() -> bool {
    let Ok(terminal) = fs_err::File::open("/dev/tty") else { return false };
    rustix::termios::tcgetpgrp(&terminal).is_ok_and(|it| it == rustix::process::getpgrp())
}
