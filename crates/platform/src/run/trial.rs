//! An app that is tried out: started on a port of this machine, with all that it prints kept, and ended when enough is seen.

use super::network::{Connected, Reach};
use super::plan::Plan;
use super::{AppNetwork, Publish, RunError, RunRequest, ground, listening, room, started};
use crate::settings::Environment;
use crate::trees;
use oci::{Image, Store};
use sandbox::{Exit, Process, Room, Running, Stdio};
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;
const STEP: Duration = Duration::from_millis(20);
/// How long an app may take to end when it is asked to.
const LAST: Duration = Duration::from_secs(5);
/// Of what an app prints no more is kept.
const KEPT: usize = 1 << 20;

/// An app that runs.
pub(crate) struct Trial {
    port: u16,
    signaller: sandbox::Signaller,
    pid: u32,
    printed: Arc<Mutex<Vec<u8>>>,
    exit: Arc<Mutex<Option<Exit>>>,
    waiter: Option<std::thread::JoinHandle<()>>,
    _connected: Connected,
}

impl Trial {
    /// Starts the app; it is told the first of the request's ports, or else a free one.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(
        store: &Store,
        (image, request): (&Image, &RunRequest),
        env: &Environment,
    ) -> Result<Self, RunError> {
        let port = match request.ports.first() {
            Some(port) => *port,
            None => super::network::free().map(|it| Publish { host: it, inside: it })?,
        };
        // What it sends goes to a receiver on this machine's loopback.
        let request = &RunRequest { network: AppNetwork::Host, ports: vec![port], ..request.clone() };
        let root = trees::unpacked(store, image)?;
        let ground = ground(store, request)?;
        let reach = Reach::choose(request, env, ground.isolation())?;
        let plan = Plan::of(request, image, &root, &reach.defaults(), env)?;
        let room = Room { isolation: ground.isolation().clone(), ..room(request, root, &plan, &reach)? };
        let process = Process {
            argv: plan.argv.clone(),
            env: plan.env.into_iter().collect(),
            cwd: plan.cwd,
            stdin: Stdio::Null,
            stdout: Stdio::Pipe,
            stderr: Stdio::Pipe,
        };
        let refused = |error| started(error, request, store);
        let waiting = room.prepare(&process).map_err(refused)?;
        let connected = reach.connect(&waiting, &|_| ())?;
        let running = waiting.begin().map_err(refused)?;
        Ok(Self::watch(port.host, running, connected))
    }

    fn watch(port: u16, mut running: Running, connected: Connected) -> Self {
        let (printed, exit) = (Arc::<Mutex<Vec<u8>>>::default(), Arc::<Mutex<Option<Exit>>>::default());
        let (signaller, pid) = (running.signaller(), running.pid());
        let (out, err) = (running.stdout.take(), running.stderr.take());
        let (kept, ended) = (Arc::clone(&printed), Arc::clone(&exit));
        let waiter = std::thread::spawn(move || {
            std::thread::scope(|scope| {
                scope.spawn(|| keep(out, &kept));
                scope.spawn(|| keep(err, &kept));
                let exit = running.wait().unwrap_or(Exit::Signal(SIGKILL));
                *ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(exit);
            });
        });
        Self { port, signaller, pid, printed, exit, waiter: Some(waiter), _connected: connected }
    }

    /// Waits until the app listens; false: it does not before the deadline, or has ended.
    pub(crate) fn listens(&self, deadline: Instant) -> bool {
        loop {
            if listening::is_open(self.pid, self.port) {
                return true;
            }
            if self.ended().is_some() || Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(STEP);
        }
    }

    /// Where it is asked.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{}", self.port, path.trim_start_matches('/'))
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&self) -> Option<Exit> {
        *self.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that it has printed.
    pub(crate) fn printed(&self) -> String {
        let bytes = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits for a line; what has been printed when it came, or when it was time.
    pub(crate) fn says(&self, is: impl Fn(&str) -> bool, deadline: Instant) -> Option<String> {
        loop {
            let printed = self.printed();
            if let Some(line) = printed.lines().find(|it| is(it)) {
                return Some(line.to_owned());
            }
            if self.ended().is_some() || Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(STEP);
        }
    }

    /// Asks the app to end, so that it sends what it still has; one that does not is killed.
    pub(crate) fn end(&mut self) {
        let Some(waiter) = self.waiter.take() else { return };
        // Who has ended already is left alone.
        drop(self.signaller.send(SIGTERM));
        let deadline = Instant::now() + LAST;
        while self.ended().is_none() && Instant::now() < deadline {
            std::thread::sleep(STEP);
        }
        drop(self.signaller.send(SIGKILL));
        drop(waiter.join());
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        self.end();
    }
}

fn keep(pipe: Option<impl Read>, to: &Mutex<Vec<u8>>) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = pipe.read(&mut buffer) {
        let mut kept = to.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&buffer[..room]);
    }
}
