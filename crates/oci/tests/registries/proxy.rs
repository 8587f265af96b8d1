//! A proxy between a client and a registry that does wrong where it is told to, and remembers what went through it.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

/// What goes wrong.
#[derive(Clone)]
pub(crate) enum Fault {
    /// The registry is not asked: a status, with its headers (`Name: value\r\n` each) and body.
    Answer(u16, String, &'static str),
    /// The connection is reset after so many bytes of the request's body.
    CutRequest(usize),
    /// The connection is reset after so many bytes of the answer's body.
    CutAnswer(usize),
    /// Silence after so many bytes of the answer's body.
    Stall(usize),
    /// The answer is at its end after so many bytes, and says so.
    Shorten(usize),
    /// One byte of the answer's body, at this place, is another.
    Flip(usize),
    /// The registry does what it is asked to, and nobody hears of it.
    LoseAnswer,
    /// The request goes on only after a while.
    Wait(Duration),
    /// A header of the request does not arrive.
    DropHeader(&'static str),
}

/// Where and how often: of the requests with this method and path, `times` after the first `skip`.
#[derive(Clone)]
pub(crate) struct Rule {
    method: &'static str,
    path: String,
    skip: usize,
    times: usize,
    fault: Fault,
}

impl Rule {
    /// Once, at the first request with this method whose path has this in it.
    pub(crate) fn once(method: &'static str, path: &str, fault: Fault) -> Self {
        Self { method, path: path.to_owned(), skip: 0, times: 1, fault }
    }

    pub(crate) fn always(method: &'static str, path: &str, fault: Fault) -> Self {
        Self { times: usize::MAX, ..Self::once(method, path, fault) }
    }

    pub(crate) fn after(self, skip: usize) -> Self {
        Self { skip, ..self }
    }
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    inner: Arc<Inner>,
}

struct Inner {
    to: SocketAddr,
    rules: Mutex<Vec<Rule>>,
    log: Mutex<Vec<String>>,
}

/// A request's or an answer's head, and the length of what follows it.
struct Message {
    head: Vec<String>,
    length: Length,
}

#[derive(Clone, Copy)]
enum Length {
    Fixed(usize),
    Chunked,
}

impl Proxy {
    pub(crate) fn start(to: SocketAddr, rules: Vec<Rule>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner { to, rules: Mutex::new(rules), log: Mutex::default() });
        let shared = Arc::clone(&inner);
        // It ends with the test's process; whoever still waits on it then has ended too.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let inner = Arc::clone(&shared);
                std::thread::spawn(move || inner.serve(&client));
            }
        });
        Self { address, inner }
    }

    /// What was asked since the last look: `METHOD path status range`, without digests' and uploads' own letters.
    pub(crate) fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.inner.log.lock().unwrap())
    }

    pub(crate) fn rules(&self, rules: Vec<Rule>) {
        *self.inner.rules.lock().unwrap() = rules;
    }
}

impl Inner {
    /// One connection: its end, whichever, is the end of both sides.
    fn serve(&self, client: &TcpStream) {
        let upstream = TcpStream::connect(self.to).unwrap();
        let (mut requests, mut answers) = (BufReader::new(client), BufReader::new(&upstream));
        while let Ok(Some(request)) = read_message(&mut requests, None) {
            match self.one(&request, &mut requests, &mut answers) {
                Ok(true) => {}
                _ => break,
            }
        }
    }

    /// One request; false when the connection has had its last.
    fn one(
        &self,
        request: &Message,
        requests: &mut BufReader<&TcpStream>,
        answers: &mut BufReader<&TcpStream>,
    ) -> io::Result<bool> {
        let (mut client, mut upstream) = (*requests.get_ref(), *answers.get_ref());
        let fault = self.fault_of(&request.head[0]);
        let mut head = request.head.clone();
        match &fault {
            Some(Fault::Answer(status, headers, body)) => {
                copy(requests, &mut io::sink(), request.length, usize::MAX)?;
                self.note(&request.head, *status);
                let length = body.len();
                write!(client, "HTTP/1.1 {status} x\r\n{headers}Content-Length: {length}\r\n\r\n{body}")?;
                return Ok(true);
            }
            Some(Fault::Wait(time)) => std::thread::sleep(*time),
            Some(Fault::DropHeader(name)) => {
                head.retain(|line| !line.to_ascii_lowercase().starts_with(&name.to_ascii_lowercase()));
            }
            _ => {}
        }
        upstream.write_all(format!("{}\r\n\r\n", head.join("\r\n")).as_bytes())?;
        if let Some(Fault::CutRequest(most)) = fault {
            copy(requests, &mut upstream, request.length, most)?;
            self.note(&request.head, 0);
            return reset(client);
        }
        copy(requests, &mut upstream, request.length, usize::MAX)?;
        let method = request.head[0].split(' ').next();
        let Some(answer) = read_message(answers, method)? else { return Ok(false) };
        let status = answer.head[0].split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
        self.note(&request.head, status);
        self.answer(answer, fault.as_ref(), answers, &mut client)
    }

    fn answer(
        &self,
        mut answer: Message,
        fault: Option<&Fault>,
        answers: &mut BufReader<&TcpStream>,
        client: &mut &TcpStream,
    ) -> io::Result<bool> {
        if matches!(fault, Some(Fault::LoseAnswer)) {
            return reset(client);
        }
        if let Some(&Fault::Shorten(length)) = fault {
            answer.head.retain(|line| !line.to_ascii_lowercase().starts_with("content-length"));
            answer.head.push(format!("Content-Length: {length}"));
        }
        client.write_all(format!("{}\r\n\r\n", answer.head.join("\r\n")).as_bytes())?;
        match fault {
            Some(&Fault::CutAnswer(most)) => {
                copy(answers, client, answer.length, most)?;
                // A reset takes with it what has not been read.
                std::thread::sleep(Duration::from_millis(100));
                reset(client)
            }
            Some(&Fault::Shorten(most)) => {
                copy(answers, client, answer.length, most)?;
                Ok(false)
            }
            Some(&Fault::Stall(most)) => {
                copy(answers, client, answer.length, most)?;
                // Until the client goes.
                let _ = client.read(&mut [0]);
                Ok(false)
            }
            Some(&Fault::Flip(at)) => {
                copy(answers, client, answer.length, at)?;
                let mut byte = [0];
                answers.read_exact(&mut byte)?;
                client.write_all(&[byte[0] ^ 1])?;
                let Length::Fixed(length) = answer.length else { return Ok(false) };
                copy(answers, client, Length::Fixed(length - at - 1), usize::MAX)?;
                Ok(true)
            }
            _ => copy(answers, client, answer.length, usize::MAX).map(|()| true),
        }
    }

    fn fault_of(&self, line: &str) -> Option<Fault> {
        let mut rules = self.rules.lock().unwrap();
        let mut words = line.split(' ');
        let (method, path) = (words.next()?, words.next()?);
        let rule = rules.iter_mut().find(|rule| rule.method == method && path.contains(&rule.path))?;
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        if rule.times == 0 {
            return None;
        }
        rule.times -= 1;
        Some(rule.fault.clone())
    }

    fn note(&self, head: &[String], status: u16) {
        let mut words = head[0].split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let range = head.iter().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            matches!(name.to_ascii_lowercase().as_str(), "range" | "content-range").then_some(value)
        });
        let range = range.map_or_else(String::new, |range| format!(" {range}"));
        self.log.lock().unwrap().push(format!("{method} {} {status}{range}", plain(path)));
    }
}

/// A path without what is another each time.
fn plain(path: &str) -> String {
    let path = path.split_once("_state=").map_or(path, |(path, _)| path).trim_end_matches(['?', '&']);
    let path = path.split_once("digest=").map_or(path, |(path, _)| path).trim_end_matches(['?', '&']);
    let parts = path.replace("%3A", ":").replace("%2F", "/");
    let is_hex = |word: &str| word.len() == 64 && word.bytes().all(|it| it.is_ascii_hexdigit());
    let is_uuid = |word: &str| word.len() == 36 && word.bytes().filter(|it| *it == b'-').count() == 4;
    let mut plain = String::new();
    for word in parts.split_inclusive(['/', ':', '&', '=', '?']) {
        let (word, end) = match word.char_indices().next_back() {
            Some((at, end)) if "/:&=?".contains(end) => (&word[..at], &word[at..]),
            _ => (word, ""),
        };
        let shown = if is_hex(word) || is_uuid(word) { "*" } else { word };
        plain.push_str(shown);
        plain.push_str(end);
    }
    plain.trim_start_matches("/v2/").to_owned()
}

/// `None` where the other side has nothing more to say. `method` is the request's, of an answer.
fn read_message(from: &mut BufReader<&TcpStream>, method: Option<&str>) -> io::Result<Option<Message>> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let value = |name: &str| {
        head.iter().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let status = head[0].split(' ').nth(1).unwrap_or_default();
    let length = if method == Some("HEAD") || (method.is_some() && matches!(status, "204" | "304")) {
        Length::Fixed(0)
    } else if value("transfer-encoding").is_some() {
        Length::Chunked
    } else {
        Length::Fixed(value("content-length").and_then(|it| it.parse().ok()).unwrap_or(0))
    };
    Ok(Some(Message { head, length }))
}

/// Copies a body, or its first `most` bytes.
fn copy(
    from: &mut BufReader<&TcpStream>,
    to: &mut impl io::Write,
    length: Length,
    most: usize,
) -> io::Result<()> {
    match length {
        Length::Fixed(length) => {
            let length = length.min(most) as u64;
            if io::copy(&mut from.take(length), to)? < length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(())
        }
        Length::Chunked => loop {
            let mut line = String::new();
            from.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
            let mut chunk = vec![0; size + 2];
            from.read_exact(&mut chunk)?;
            to.write_all(line.as_bytes())?;
            to.write_all(&chunk)?;
            if size == 0 {
                return Ok(());
            }
        },
    }
}

/// Ends a connection the hard way: the other side is told that what it sent is lost.
fn reset(stream: &TcpStream) -> io::Result<bool> {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?;
    Ok(false)
}
