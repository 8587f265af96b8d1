//! The plainest HTTP client: one connection that is kept, and whole bodies in memory. It does nothing but the requests,
//! so it says what a registry alone costs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::Result;

/// A connection to one server.
pub(crate) struct Http {
    host: String,
    connection: BufReader<TcpStream>,
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Where an upload goes on, as a path of this server.
    pub(crate) location: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// An error when the status is not the one that is expected.
    pub(crate) fn must_be(self, statuses: &[u16], what: &str) -> Result<Self> {
        if statuses.contains(&self.status) {
            return Ok(self);
        }
        Err(format!("{what}: {} {}", self.status, String::from_utf8_lossy(&self.body)).into())
    }
}

impl Http {
    /// Connects to `HOST:PORT`.
    pub(crate) fn connect(host: &str) -> Result<Self> {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        Ok(Self { host: host.to_owned(), connection: BufReader::with_capacity(1 << 16, stream) })
    }

    /// One request, its whole answer in memory. `content` is the type of the body and the body.
    pub(crate) fn ask(&mut self, method: &str, path: &str, content: (&str, &[u8])) -> Result<Answer> {
        let mut body = Vec::new();
        let mut answer = self.copy(method, path, content, &mut body)?;
        answer.body = body;
        Ok(answer)
    }

    /// One request, whose answer's body goes to `to`.
    pub(crate) fn copy(
        &mut self,
        method: &str,
        path: &str,
        (kind, body): (&str, &[u8]),
        to: &mut dyn Write,
    ) -> Result<Answer> {
        let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        // What a registry has is asked for as it is.
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nAccept: application/vnd.oci.image.manifest.v1+json\r\n\
             Accept: application/vnd.docker.distribution.manifest.v2+json\r\n{kind}Content-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        let stream = self.connection.get_mut();
        // In one piece where it is small, as any client would.
        if body.len() < 1 << 16 {
            stream.write_all(&[head.as_bytes(), body].concat())?;
        } else {
            stream.write_all(head.as_bytes())?;
            stream.write_all(body)?;
        }
        self.answer(method == "HEAD", to)
    }

    fn answer(&mut self, no_body: bool, to: &mut dyn Write) -> Result<Answer> {
        let mut line = String::new();
        self.connection.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|it| it.parse().ok());
        let status: u16 = status.ok_or_else(|| format!("{}: no HTTP in {line:?}", self.host))?;
        let (mut length, mut location) = (None, String::new());
        loop {
            line.clear();
            self.connection.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok(),
                "location" => location = path_of(value),
                "transfer-encoding" => return Err("the answer comes in chunks".into()),
                _ => (),
            }
        }
        let length = if no_body { 0 } else { length.unwrap_or(0) };
        let copied = std::io::copy(&mut Read::by_ref(&mut self.connection).take(length), to)?;
        if copied != length {
            return Err(format!("{copied} of {length} bytes were answered").into());
        }
        Ok(Answer { status, location, body: Vec::new() })
    }
}

/// The path and query of an address.
fn path_of(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.find('/').map_or_else(String::new, |at| rest[at..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn one_connection_is_asked_twice_and_a_location_is_a_path() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = server.local_addr().unwrap().to_string();
        let serving = std::thread::spawn(move || {
            let (stream, _) = server.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let mut asked = Vec::new();
            for answer in [
                "HTTP/1.1 202 Accepted\r\nLocation: http://x:1/v2/a?b=c\r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes",
            ] {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                asked.push(line.trim_end().to_owned());
                let mut length = 0;
                while line.trim_end() != "" {
                    line.clear();
                    reader.read_line(&mut line).unwrap();
                    length =
                        line.strip_prefix("Content-Length: ").map_or(length, |it| it.trim().parse().unwrap());
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
            }
            asked
        });
        let mut http = Http::connect(&host).unwrap();
        let first = http.ask("POST", "/v2/x", ("text/plain", b"body")).unwrap();
        assert_eq!((first.status, first.location.as_str()), (202, "/v2/a?b=c"));
        let second = http.ask("GET", "/v2/y", ("", b"")).unwrap();
        assert_eq!((second.status, second.body.as_slice()), (200, &b"yes"[..]));
        assert!(second.must_be(&[201], "y").is_err_and(|it| it.to_string().contains("y: 200 yes")));
        assert_eq!(serving.join().unwrap(), ["POST /v2/x HTTP/1.1", "GET /v2/y HTTP/1.1"]);
    }
}
