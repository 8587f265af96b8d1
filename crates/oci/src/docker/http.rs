//! As much of HTTP/1.1 as the Docker engine's API needs: one request a connection, over a socket without TLS.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Unix(PathBuf),
    /// `host:port`.
    Tcp(String),
    /// Whoever can.
    Dial(Dial),
}

/// Opens a connection for somebody who may not.
#[derive(Clone)]
pub(super) struct Dial(pub(super) Arc<dyn Fn() -> io::Result<UnixStream> + Send + Sync>);

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dial")
    }
}

impl PartialEq for Dial {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Dial {}

/// A complete answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// No answer that we ask for is larger.
const MAX_BODY: u64 = 64 << 20;
/// An engine sends a dozen.
const MAX_HEADERS: usize = 1000;

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
            Self::Dial(dial) => {
                let stream = (dial.0)()?;
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

    /// A request whose answer may be long: `read` is handed it as it comes, when the engine has accepted the request.
    pub(super) fn download<E: From<io::Error>>(
        &self,
        path: &str,
        read: impl FnOnce(&mut dyn Read) -> Result<(), E>,
    ) -> Result<Response, E> {
        let mut stream = self.connect(None)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")?;
        let mut stream = BufReader::with_capacity(1 << 18, stream);
        let (status, headers) = read_head(&mut stream)?;
        if !(200..300).contains(&status) {
            return Ok(Response { status, body: read_body(stream, status, &headers)? });
        }
        let is_chunked = headers
            .iter()
            .any(|(name, value)| name == "transfer-encoding" && value.eq_ignore_ascii_case("chunked"));
        if is_chunked {
            read(&mut Chunks { stream, left: 0, ended: false })?;
        } else {
            read(&mut stream)?;
        }
        Ok(Response { status, body: Vec::new() })
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

pub(super) fn read_response(stream: impl Read) -> io::Result<Response> {
    let mut stream = BufReader::new(stream);
    let (status, headers) = read_head(&mut stream)?;
    Ok(Response { status, body: read_body(stream, status, &headers)? })
}

type Headers = Vec<(String, String)>;

fn read_head(stream: &mut impl BufRead) -> io::Result<(u16, Headers)> {
    loop {
        let status = line(stream)?;
        let code = status.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse::<u16>().ok());
        let code = code.ok_or_else(|| invalid(&format!("no HTTP status: {status:?}")))?;
        let headers = read_headers(stream)?;
        if code >= 200 {
            return Ok((code, headers));
        }
    }
}

/// A body in chunks, read as it comes.
pub(super) struct Chunks<R> {
    stream: R,
    /// What is left of the chunk.
    left: u64,
    ended: bool,
}

impl<R: BufRead> Read for Chunks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !self.ended {
            self.left = chunk_size(&line(&mut self.stream)?)?;
            self.ended = self.left == 0;
        }
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let got = self.stream.read(&mut buffer[..most])?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= got as u64;
        if self.left == 0 {
            line(&mut self.stream)?;
        }
        Ok(got)
    }
}

fn chunk_size(line: &str) -> io::Result<u64> {
    let digits = line.split(';').next().unwrap_or_default().trim();
    u64::from_str_radix(digits, 16).map_err(|_| invalid(&format!("no chunk size: {line:?}")))
}

/// Names in lower case.
fn read_headers(stream: &mut impl BufRead) -> io::Result<Headers> {
    let mut headers = Vec::new();
    loop {
        let line = line(stream)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| invalid(&format!("no header: {line:?}")))?;
        if headers.len() >= MAX_HEADERS {
            return Err(invalid("too many headers"));
        }
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_body(mut stream: impl BufRead, status: u16, headers: &[(String, String)]) -> io::Result<Vec<u8>> {
    let header = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let mut body = Vec::new();
    if matches!(status, 204 | 304) {
        return Ok(body);
    }
    if header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        loop {
            let size = chunk_size(&line(&mut stream)?)?;
            if size == 0 {
                return Ok(body);
            }
            if size > MAX_BODY - body.len() as u64 {
                return Err(invalid("the answer is too long"));
            }
            read_exactly(&mut stream, size, &mut body)?;
            line(&mut stream)?;
        }
    }
    match header("content-length").map(str::parse::<u64>) {
        Some(Ok(size)) if size <= MAX_BODY => read_exactly(&mut stream, size, &mut body)?,
        Some(_) => return Err(invalid("a content length that can't be")),
        None => {
            stream.take(MAX_BODY).read_to_end(&mut body)?;
        }
    }
    Ok(body)
}

fn read_exactly(stream: &mut impl Read, size: u64, body: &mut Vec<u8>) -> io::Result<()> {
    match stream.take(size).read_to_end(body)? {
        got if got as u64 == size => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
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
    fn a_long_answer_is_read_as_it_comes_and_not_believed_when_it_is_cut() {
        let read = |text: &str| {
            let mut all = String::new();
            let mut chunks = Chunks { stream: text.as_bytes(), left: 0, ended: false };
            chunks.read_to_string(&mut all).map(|_| all)
        };
        assert_eq!(read("2\r\nok\r\n3;x=y\r\n???\r\n0\r\n\r\n").unwrap(), "ok???");
        for cut in ["2\r\no", "2\r\nok\r\n", "zz\r\n", ""] {
            assert!(read(cut).is_err(), "{cut:?}");
        }
    }

    #[test]
    fn headers_have_an_end() {
        let endless = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MAX_HEADERS + 1));
        assert!(body(&endless).unwrap_err().to_string().contains("too many headers"));
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
            // Together with what was there the size is a small number again.
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nffffffffffffffff\r\nmore",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
        ] {
            assert!(body(broken).is_err(), "{broken:?}");
        }
    }
}
