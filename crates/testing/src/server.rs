//! A server of a few lines, for what Debian's registry has not: tokens, a list of referrers, uploads that go on, and
//! answers that wait for one another.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
};

/// What was asked; a body that broke off is as far as it came.
pub struct Asked {
    /// In capitals.
    pub method: String,
    /// With the query.
    pub path: String,
    headers: Vec<String>,
    /// All of it.
    pub body: Vec<u8>,
}

impl Asked {
    /// A header's value; its name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A status, headers as lines, and a body.
pub type Reply = (u16, Vec<String>, Vec<u8>);

/// A document.
#[must_use]
pub fn json(status: u16, body: &str) -> Reply {
    (status, vec!["Content-Type: application/json".to_owned()], body.as_bytes().to_vec())
}

/// Answers every request, until the test's process ends.
///
/// # Panics
/// When no port can be had.
pub fn serve(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = std::sync::Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = std::sync::Arc::clone(&answer);
            // Whoever goes away in the middle has had what it wanted.
            std::thread::spawn(move || connection(&stream, &*answer));
        }
    });
    address
}

fn connection(stream: &TcpStream, answer: &dyn Fn(&Asked) -> Reply) -> io::Result<()> {
    let mut from = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if from.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let first = head.remove(0);
        let mut words = first.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let mut asked = Asked { method, path, headers: head, body: Vec::new() };
        let length = asked.header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
        // A broken connection is the end of what was sent.
        let _ = (&mut from).take(length).read_to_end(&mut asked.body);
        let (status, headers, body) = answer(&asked);
        let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let length =
            if matches!(status, 204) { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let mut to = stream;
        to.write_all(format!("HTTP/1.1 {status} x\r\n{headers}{length}\r\n").as_bytes())?;
        if asked.method != "HEAD" {
            to.write_all(&body)?;
        }
    }
}
