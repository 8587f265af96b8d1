//! A port of this machine that leads to another port of this machine, for an app that shares its network.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Connections to one port are passed on to another until this is dropped.
#[derive(Debug)]
pub(super) struct Forwarder {
    stopped: Arc<AtomicBool>,
    from: u16,
    thread: Option<JoinHandle<()>>,
}

impl Forwarder {
    pub(super) fn start(listener: TcpListener, to: u16) -> io::Result<Self> {
        let from = listener.local_addr()?.port();
        let stopped = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&stopped);
        let thread = std::thread::Builder::new().name(format!("port {from}")).spawn(move || {
            for client in listener.incoming().flatten() {
                if over.load(Ordering::Acquire) {
                    return;
                }
                std::thread::spawn(move || drop(pass_on(&client, to)));
            }
        })?;
        Ok(Self { stopped, from, thread: Some(thread) })
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // Wakes the thread that waits for a client.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.from)));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Both directions, until both have ended. An app that does not listen looks to the client like one that hangs up.
fn pass_on(client: &TcpStream, to: u16) -> io::Result<()> {
    let app = TcpStream::connect((Ipv4Addr::LOCALHOST, to))?;
    for stream in [client, &app] {
        stream.set_nodelay(true)?;
    }
    std::thread::scope(|scope| {
        scope.spawn(|| one_way(client, &app));
        one_way(&app, client);
    });
    Ok(())
}

fn one_way(mut from: &TcpStream, mut to: &TcpStream) {
    // Whatever ends it: the other side hears of the end, and may still have something to say.
    let result = io::copy(&mut from, &mut to);
    let how = if result.is_ok() { Shutdown::Write } else { Shutdown::Both };
    drop(to.shutdown(how));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    #[test]
    fn what_a_client_says_and_hears_goes_through_and_the_port_is_free_afterwards() {
        let app = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let inside = app.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = app.accept().unwrap();
            let mut question = String::new();
            stream.read_to_string(&mut question).unwrap();
            stream.write_all(format!("you said {question}").as_bytes()).unwrap();
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let outside = listener.local_addr().unwrap().port();
        let forwarder = Forwarder::start(listener, inside).unwrap();
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, outside)).unwrap();
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "you said hello");
        server.join().unwrap();
        drop(forwarder);
        TcpListener::bind((Ipv4Addr::LOCALHOST, outside)).unwrap();
    }
}
