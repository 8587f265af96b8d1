//! Signals that this program gets: while an app runs they are the app's; before, they end what is being done, with a word.

use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::render::Screen;
use platform::run::{Interrupt, Told};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use std::sync::{Arc, Mutex, PoisonError};

/// Those that make sense for another process; what belongs to a terminal's job control stays as it is.
const HEARD: [(i32, &str); 6] = [
    (SIGHUP, "SIGHUP"),
    (SIGINT, "SIGINT"),
    (SIGQUIT, "SIGQUIT"),
    (SIGTERM, "SIGTERM"),
    (SIGUSR1, "SIGUSR1"),
    (SIGUSR2, "SIGUSR2"),
];

/// Whoever runs an app: is told of a signal, and says whether the app is there to get it.
type App = Box<dyn Fn(Interrupt) -> bool + Send>;

/// Who hears of signals.
pub(crate) struct Interrupts {
    app: Arc<Mutex<Option<App>>>,
}

impl Interrupts {
    /// Listens from now on, on a thread of its own.
    pub(crate) fn listen(screen: &Arc<Screen>) -> Self {
        let app = Arc::<Mutex<Option<App>>>::default();
        let (heard, screen) = (Arc::clone(&app), Arc::clone(screen));
        let ignored = ignored();
        let is_ignored = move |signal: i32| ignored & (1 << (signal - 1)) != 0;
        // A terminal that is gone is nothing to whoever was started by `nohup`. An interrupt is ignored in every program that
        // a script starts in the background, so there it means an app, which somebody wants to end, and nothing else.
        let signals = HEARD.iter().map(|it| it.0).filter(|it| *it != SIGHUP || !is_ignored(SIGHUP));
        // Without, a signal does what it does to every program: it ends this one.
        if let Ok(mut signals) = Signals::new(signals) {
            std::thread::spawn(move || {
                for signal in signals.forever() {
                    let app = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    let is_the_apps =
                        app.as_ref().is_some_and(|tell| tell(Interrupt { signal, told: told(signal) }));
                    if !is_the_apps && !is_ignored(signal) {
                        end(signal, &screen);
                    }
                }
            });
        }
        Self { app }
    }

    /// Signals are an app's from now on, once it runs.
    pub(crate) fn pass_on(&self, tell: impl Fn(Interrupt) -> bool + Send + 'static) {
        *self.app.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(tell));
    }
}

/// Ends this program as the signal would have done unheard: whoever started it sees which one it was.
fn end(signal: i32, screen: &Screen) {
    let name = HEARD.iter().find(|it| it.0 == signal).map_or("", |it| it.1);
    let code = ExitCode(u8::try_from(128 + signal).unwrap_or(u8::MAX));
    let failure = Failure::new(code, &format!("ended by {name}"))
        .hint("nothing is half written; what was complete is kept, and the same command goes on from there");
    screen.interrupted(&failure);
    if signal_hook::low_level::emulate_default_handler(signal).is_err() {
        signal_hook::low_level::exit(i32::from(code.0));
    }
}

/// The signals that whoever started this program wants ignored.
fn ignored() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|it| u64::from_str_radix(it.trim(), 16).ok()).unwrap_or_default()
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
