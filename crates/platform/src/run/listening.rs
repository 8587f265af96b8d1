//! When does the app listen? Read from the kernel's list of sockets, so that no connection is made that the app would
//! have to answer.

use super::Publish;
use super::network::Connected;
use crate::event::{Event, Events};
use sandbox::Running;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often the list is read.
const STEP: Duration = Duration::from_millis(50);

/// An app that is to listen on some ports.
pub(super) struct Watched {
    pid: u32,
    ports: Vec<Publish>,
    reaches_loopback: bool,
    stopped: AtomicBool,
}

impl Watched {
    pub(super) fn new(running: &Running, connected: &Connected) -> Self {
        Self {
            pid: running.pid(),
            ports: connected.ports.clone(),
            reaches_loopback: connected.reaches_loopback,
            stopped: AtomicBool::new(false),
        }
    }

    /// Says of each port when the app listens on it, until all do or the app has ended.
    pub(super) fn report(&self, events: Events<'_>) {
        let mut missing = self.ports.clone();
        while !missing.is_empty() && !self.stopped.load(Ordering::Relaxed) {
            let open = open(self.pid);
            missing.retain(|port| {
                let mut at = open.iter().filter(|it| it.port == port.inside).peekable();
                let listens = at.peek().is_some();
                if listens {
                    events(self.sentence(*port, at.all(|it| it.loopback)));
                }
                !listens
            });
            std::thread::park_timeout(STEP);
        }
    }

    /// The app has ended.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn sentence(&self, port: Publish, only_loopback: bool) -> Event {
        if only_loopback && !self.reaches_loopback {
            return Event::Warning {
                text: format!(
                    "the app listens on port {} of 127.0.0.1, which in its own network nobody else reaches: let it listen \
                     on 0.0.0.0, or use `--network host`",
                    port.inside
                ),
            };
        }
        Event::Notice { text: format!("listening at http://127.0.0.1:{}", port.host) }
    }
}

/// Whether somebody listens on this port in the network of a process.
pub(super) fn is_open(pid: u32, port: u16) -> bool {
    open(pid).iter().any(|it| it.port == port)
}

/// Everybody who listens in the network of a process.
fn open(pid: u32) -> Vec<Listener> {
    let table = |name: &str| fs_err::read_to_string(format!("/proc/{pid}/net/{name}"));
    ["tcp", "tcp6"].iter().filter_map(|name| table(name).ok()).flat_map(|text| listeners(&text)).collect()
}

/// A socket that waits for connections.
#[derive(Debug, PartialEq, Eq)]
struct Listener {
    port: u16,
    loopback: bool,
}

/// The sockets that wait, by `/proc/net/tcp`: the fourth column is the state, 0A is LISTEN; addresses are words in the
/// machine's own byte order.
///
/// <https://docs.kernel.org/networking/proc_net_tcp.html>
fn listeners(table: &str) -> Vec<Listener> {
    const LOOPBACKS: [&str; 2] = ["0100007F", "00000000000000000000000001000000"];
    let listener = |line: &str| {
        let mut columns = line.split_whitespace().skip(1);
        let (local, state) = (columns.next()?, columns.nth(1)?);
        let (address, port) = local.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok().filter(|_| state == "0A")?;
        Some(Listener { port, loopback: LOOPBACKS.contains(&address) })
    };
    table.lines().skip(1).filter_map(listener).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_that_listen_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n   \
                     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000\n   \
                     1: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000\n";
        assert_eq!(listeners(table), [Listener { port: 8080, loopback: true }]);
    }

    #[test]
    fn an_app_that_nobody_reaches_is_warned_of() {
        let watched = |reaches_loopback| Watched {
            pid: 0,
            ports: Vec::new(),
            reaches_loopback,
            stopped: AtomicBool::new(false),
        };
        let port = Publish { host: 5000, inside: 8000 };
        let notice = Event::Notice { text: "listening at http://127.0.0.1:5000".into() };
        assert_eq!(watched(true).sentence(port, true), notice);
        assert_eq!(watched(false).sentence(port, false), notice);
        assert!(matches!(watched(false).sentence(port, true), Event::Warning { .. }));
    }

    #[test]
    fn a_socket_of_this_process_is_found() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let watched = Watched {
            pid: std::process::id(),
            ports: Vec::new(),
            reaches_loopback: true,
            stopped: AtomicBool::new(false),
        };
        assert!(open(watched.pid).contains(&Listener { port, loopback: true }));
    }
}
