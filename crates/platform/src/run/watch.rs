//! Staying with an app until its end: signals passed on, patience that has an end.

use super::network::Connected;
use super::signals::{Happening, Interrupt, Signals, Told};
use super::{RunError, RunRequest, ended, listening};
use crate::event::{Event, Events};
use sandbox::{Exit, Running};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// How long an app may take to end after it was asked to: what `docker stop` gives it.
const PATIENCE: Duration = Duration::from_secs(10);

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// How an app is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manners {
    /// A service: it ends when it is asked to, and is ended when it does not.
    Service,
    /// A shell or another program that somebody talks with: Ctrl-C is its own business.
    Interactive,
}

impl Manners {
    pub(super) fn of(request: &RunRequest) -> Self {
        if request.entrypoint.is_some() { Self::Interactive } else { Self::Service }
    }
}

/// Waits for the app's end.
pub(super) fn stay(
    mut running: Running,
    manners: &Manners,
    signals: Signals,
    connected: &Connected,
    events: Events<'_>,
) -> Result<Exit, RunError> {
    let signaller = running.signaller();
    let watched = listening::Watched::new(&running, connected);
    let Signals { sender, receiver, .. } = signals;
    std::thread::scope(|scope| {
        scope.spawn(|| watched.report(events));
        scope.spawn(move || drop(sender.send(Happening::Ended(running.wait()))));
        let mut asked: Option<Instant> = None;
        let exit = loop {
            let left = asked.map_or(Duration::MAX, |at| PATIENCE.saturating_sub(at.elapsed()));
            let kill = match receiver.recv_timeout(left) {
                Ok(Happening::Ended(exit)) => break exit.map_err(RunError::Sandbox),
                Ok(Happening::Signal(it)) => {
                    if it.told == Told::NotYet {
                        signaller.send(it.signal).map_err(RunError::Sandbox)?;
                    }
                    judge(*manners, it, &mut asked)
                }
                Err(RecvTimeoutError::Timeout) => {
                    let seconds = PATIENCE.as_secs();
                    events(Event::Notice {
                        text: format!("the app did not end within {seconds} s: it is killed"),
                    });
                    asked = None;
                    true
                }
                Err(RecvTimeoutError::Disconnected) => true,
            };
            if kill {
                signaller.send(SIGKILL).map_err(RunError::Sandbox)?;
            }
        };
        watched.stop();
        if let (Ok(exit), None) = (&exit, asked) {
            ended(*exit, events);
        }
        exit
    })
}

/// Whether the app is to be killed now: it was asked to end before, and is asked again.
fn judge(manners: Manners, it: Interrupt, asked: &mut Option<Instant>) -> bool {
    let asks = match manners {
        Manners::Service => [SIGINT, SIGTERM, SIGQUIT, SIGHUP].contains(&it.signal),
        Manners::Interactive => it.told == Told::NotYet && [SIGTERM, SIGHUP].contains(&it.signal),
    };
    if !asks {
        return false;
    }
    if it.signal != SIGHUP && asked.is_some() {
        return true;
    }
    // Servers read their configuration anew on SIGHUP; only a terminal that is gone means the end.
    if it.signal != SIGHUP {
        *asked = Some(Instant::now());
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(signal: i32) -> Interrupt {
        Interrupt { signal, told: Told::Already }
    }

    fn sent(signal: i32) -> Interrupt {
        Interrupt { signal, told: Told::NotYet }
    }

    #[test]
    fn a_service_that_is_asked_twice_is_killed() {
        let mut asked = None;
        assert!(!judge(Manners::Service, told(SIGINT), &mut asked));
        assert!(asked.is_some());
        assert!(judge(Manners::Service, told(SIGINT), &mut asked));
    }

    #[test]
    fn a_reload_is_no_question_to_end() {
        let mut asked = None;
        assert!(!judge(Manners::Service, sent(SIGHUP), &mut asked));
        assert!(!judge(Manners::Service, sent(SIGHUP), &mut asked));
        assert!(asked.is_none());
    }

    #[test]
    fn ctrl_c_in_a_shell_is_the_shells_own_business() {
        let mut asked = None;
        for _ in 0..5 {
            assert!(!judge(Manners::Interactive, told(SIGINT), &mut asked));
        }
        assert!(asked.is_none());
        assert!(!judge(Manners::Interactive, sent(SIGTERM), &mut asked));
        assert!(judge(Manners::Interactive, sent(SIGTERM), &mut asked));
    }
}
