//! As much of HTTP/1.1 as the Docker engine's API needs: one request a connection, over a socket without TLS.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Unix(PathBuf),
    /// `host:port`.
    Tcp(String),
}

/// A complete answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// No answer that we ask for is larger.
const MAX_BODY: u64 = 64 << 20;

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A host that does not answer at all is given up.
const CONNECT: Duration = Duration::from_secs(5);
/// A question is answered within this; a load may take as long as it likes.
const ANSWER: Duration = Duration::from_secs(30);

impl Address {
    fn connect(&self, answer: Option<Duration>) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(answer)?;
                Ok(Box::new(stream))
            }
            Self::Tcp(address) => {
                let mut failed = invalid("no such host");
                for address in address.to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, CONNECT) {
                        Ok(stream) => {
                            stream.set_read_timeout(answer)?;
                            return Ok(Box::new(stream));
                        }
                        Err(error) => failed = error,
                    }
                }
                Err(failed)
            }
        }
    }

    /// A request without a body.
    pub(super) fn send(&self, method: &str, path: &str) -> io::Result<Response> {
        let mut stream = self.connect(Some(ANSWER))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )?;
        read_response(stream)
    }

    /// A request whose answer may be long: its status and its body, which may take as long as it likes.
    pub(super) fn download(&self, path: &str) -> io::Result<(u16, Body<impl BufRead + use<>>)> {
        let mut stream = self.connect(None)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")?;
        read_head(stream)
    }

    /// A request whose body is written by `body`, of unknown length. An engine that answers before it has read all
    /// is listened to.
    pub(super) fn upload<E: From<io::Error>>(
        &self,
        path: &str,
        body: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<Response, E> {
        let mut stream = self.connect(None)?;
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Type: application/x-tar\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        )?;
        let mut chunked = io::BufWriter::with_capacity(1 << 18, Chunked { out: &mut stream, failed: false });
        let sent = body(&mut chunked).and_then(|()| Ok(chunked.flush()?));
        let (chunked, _) = chunked.into_parts();
        let broken = chunked.failed;
        match sent {
            Ok(()) => stream.write_all(b"0\r\n\r\n")?,
            Err(error) if !broken => return Err(error),
            // The engine has stopped reading; perhaps it says why.
            Err(error) => return read_response(stream).map_err(|_| error),
        }
        Ok(read_response(stream)?)
    }
}

/// Every write becomes a chunk of the body.
struct Chunked<'a> {
    out: &'a mut dyn Stream,
    failed: bool,
}

impl Write for Chunked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let mut chunk = || {
            write!(self.out, "{:x}\r\n", bytes.len())?;
            self.out.write_all(bytes)?;
            self.out.write_all(b"\r\n")
        };
        let written = chunk();
        self.failed |= written.is_err();
        written.map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn read_response(stream: impl Read) -> io::Result<Response> {
    let (status, body) = read_head(stream)?;
    let mut whole = Vec::new();
    body.take(MAX_BODY + 1).read_to_end(&mut whole)?;
    if whole.len() as u64 > MAX_BODY {
        return Err(invalid("the answer is too long"));
    }
    Ok(Response { status, body: whole })
}

/// The status, and the body to be read.
fn read_head<R: Read>(stream: R) -> io::Result<(u16, Body<BufReader<R>>)> {
    let mut stream = BufReader::with_capacity(1 << 16, stream);
    loop {
        let status = line(&mut stream)?;
        let code = status.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse::<u16>().ok());
        let code = code.ok_or_else(|| invalid(&format!("no HTTP status: {status:?}")))?;
        let headers = read_headers(&mut stream)?;
        if code >= 200 {
            return Ok((code, Body { left: Left::of(code, &headers)?, stream }));
        }
    }
}

/// Names in lower case.
fn read_headers(stream: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = line(stream)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| invalid(&format!("no header: {line:?}")))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

/// A body as it comes.
pub(super) struct Body<R> {
    stream: R,
    left: Left,
}

/// How a body ends.
enum Left {
    /// After so many bytes.
    Bytes(u64),
    /// In chunks, the current one after so many bytes.
    Chunk(u64),
    /// Before the first chunk.
    Chunks,
    /// With the connection.
    All,
}

impl Left {
    fn of(status: u16, headers: &[(String, String)]) -> io::Result<Self> {
        let header =
            |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if matches!(status, 204 | 304) {
            return Ok(Self::Bytes(0));
        }
        if header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return Ok(Self::Chunks);
        }
        match header("content-length").map(str::parse::<u64>) {
            Some(Ok(size)) => Ok(Self::Bytes(size)),
            Some(Err(_)) => Err(invalid("a content length that can't be")),
            None => Ok(Self::All),
        }
    }
}

impl<R: BufRead> Body<R> {
    /// Reads at most `left` bytes, of which at least one must come.
    fn some(&mut self, buffer: &mut [u8], left: u64) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match self.stream.read(&mut buffer[..most])? {
            0 if most > 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            got => Ok(got),
        }
    }

    fn next_chunk(&mut self) -> io::Result<u64> {
        let size = line(&mut self.stream)?;
        let digits = size.split(';').next().unwrap_or_default().trim();
        u64::from_str_radix(digits, 16).map_err(|_| invalid(&format!("no chunk size: {size:?}")))
    }
}

impl<R: BufRead> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if matches!(self.left, Left::Chunks) {
            self.left = match self.next_chunk()? {
                0 => Left::Bytes(0),
                size => Left::Chunk(size),
            };
        }
        match self.left {
            Left::All => self.stream.read(buffer),
            Left::Bytes(0) => Ok(0),
            Left::Bytes(left) => {
                let got = self.some(buffer, left)?;
                self.left = Left::Bytes(left - got as u64);
                Ok(got)
            }
            Left::Chunk(left) => {
                let got = self.some(buffer, left)?;
                self.left = Left::Chunk(left - got as u64);
                if left == got as u64 {
                    line(&mut self.stream)?;
                    self.left = Left::Chunks;
                }
                Ok(got)
            }
            Left::Chunks => Ok(0),
        }
    }
}

fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if stream.take(64 << 10).read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(response: &str) -> io::Result<String> {
        read_response(response.as_bytes()).map(|response| String::from_utf8(response.body).unwrap())
    }

    #[test]
    fn an_answer_ends_by_length_by_chunks_or_with_the_connection() {
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore").unwrap(), "ok");
        let chunked =
            "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2\r\nok\r\n3;x=y\r\n???\r\n0\r\n\r\n";
        assert_eq!(body(chunked).unwrap(), "ok???");
        assert_eq!(body("HTTP/1.0 404 No\r\n\r\nall of it").unwrap(), "all of it");
        assert_eq!(body("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 OK\r\n\r\n").unwrap(), "");
    }

    #[test]
    fn a_broken_answer_is_an_error() {
        for broken in [
            "",
            "SSH-2.0\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
        ] {
            assert!(body(broken).is_err(), "{broken:?}");
        }
    }
}
