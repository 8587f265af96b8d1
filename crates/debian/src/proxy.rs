//! Plain `http://` through a proxy is asked for by its whole address, as apt does and RFC 9112, section 3.2.2 says:
//! most proxies tunnel (CONNECT) to port 443 only, and a tunnel is all that ureq knows.

use base64::Engine as _;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport,
};
use ureq::{Error, Proxy, ProxyProtocol};

/// ureq's own ways to a server, and this one.
#[derive(Debug)]
pub(crate) struct Ways {
    own: DefaultConnector,
    /// How the proxy itself is reached.
    direct: Config,
}

impl Ways {
    pub(crate) fn new(direct: Config) -> Self {
        Self { own: DefaultConnector::default(), direct }
    }

    fn by_address(&self, details: &ConnectionDetails<'_>, proxy: &Proxy) -> Result<Forwarded, Error> {
        let to_proxy = ConnectionDetails {
            uri: proxy.uri(),
            addrs: details.resolver.resolve(proxy.uri(), &self.direct, details.timeout)?,
            config: &self.direct,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        let inner = (details.run_connector)(&to_proxy)?;
        Ok(Forwarded { inner, origin: origin(details.uri), login: login(proxy) })
    }
}

impl Connector<()> for Ways {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        match details.config.proxy() {
            Some(proxy) if forwards(proxy, details.uri) => {
                Ok(Some(Box::new(self.by_address(details, proxy)?)))
            }
            _ => self.own.connect(details, chained),
        }
    }
}

fn forwards(proxy: &Proxy, uri: &Uri) -> bool {
    uri.scheme_str() == Some("http")
        && matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https)
        && !proxy.is_no_proxy(uri)
}

fn origin(uri: &Uri) -> String {
    format!("http://{}", uri.authority().map_or("", |it| it.as_str()))
}

/// A header line, or nothing.
fn login(proxy: &Proxy) -> String {
    if proxy.username().is_none() && proxy.password().is_none() {
        return String::new();
    }
    let pair = format!("{}:{}", proxy.username().unwrap_or_default(), proxy.password().unwrap_or_default());
    format!("Proxy-Authorization: Basic {}\r\n", base64::prelude::BASE64_STANDARD.encode(pair))
}

/// A connection to a proxy, for the requests to one server.
struct Forwarded {
    inner: Box<dyn Transport>,
    /// What stands before the path in a request line.
    origin: String,
    login: String,
}

impl std::fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forwarded").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Transport for Forwarded {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let output = self.inner.buffers().output();
        let amount = match output.get(..amount).and_then(|bytes| addressed(bytes, &self.origin, &self.login))
        {
            None => amount,
            Some(bytes) => {
                let room = output
                    .get_mut(..bytes.len())
                    .ok_or_else(|| Error::Other("the address is too long".into()))?;
                room.copy_from_slice(&bytes);
                bytes.len()
            }
        };
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }
}

/// The head of a request with the whole address in it; nothing when these bytes do not begin one. Only GET is asked
/// here, and no header's line looks like it.
fn addressed(bytes: &[u8], origin: &str, login: &str) -> Option<Vec<u8>> {
    let path = bytes.strip_prefix(b"GET ").filter(|it| it.starts_with(b"/"))?;
    let end = path.iter().position(|byte| *byte == b'\n')? + 1;
    let (line, headers) = path.split_at(end);
    Some([b"GET ", origin.as_bytes(), line, login.as_bytes(), headers].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, Write as _};

    /// A proxy as companies have them: a tunnel goes to port 443 only, the rest is fetched for whoever logs in.
    fn proxy(requests: usize) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://me:secret@{}", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut answers = stream.try_clone().unwrap();
            let mut lines = std::io::BufReader::new(stream).lines().map_while(Result::ok);
            let mut heads = Vec::new();
            while heads.len() < requests {
                let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
                let Some(first) = head.first().filter(|it| it.starts_with("GET http://deb.example/")) else {
                    answers.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").unwrap();
                    break;
                };
                let body = first.split(' ').nth(1).unwrap();
                write!(answers, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
                heads.push(head.join("|"));
            }
            heads
        });
        (address, serving)
    }

    #[test]
    fn a_mirror_without_tls_is_reached_through_a_proxy_that_tunnels_to_443_only() {
        let (address, serving) = proxy(2);
        let client = crate::transfer::Client::through(Some(Proxy::new(&address).unwrap()));
        for path in ["InRelease", "Packages"] {
            let url = format!("http://deb.example/debian/{path}");
            let bytes = client.small(std::slice::from_ref(&url), path, 1000).unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), url);
        }
        let heads = serving.join().unwrap();
        // One connection carried both.
        assert_eq!(heads.len(), 2);
        for head in heads {
            assert!(head.to_lowercase().contains("|host: deb.example|"), "{head}");
            assert!(head.contains("|Proxy-Authorization: Basic bWU6c2VjcmV0|"), "{head}");
        }
    }

    #[test]
    fn a_request_names_the_server_and_says_who_asks_the_proxy() {
        let head = b"GET /debian/x HTTP/1.1\r\nHost: deb.example\r\n\r\n";
        let proxy = Proxy::new("http://me:a%20b@proxy.example:3128").unwrap();
        let said = addressed(head, &origin(&"http://deb.example/debian/x".parse().unwrap()), &login(&proxy))
            .unwrap();
        let wanted = "GET http://deb.example/debian/x HTTP/1.1\r\n\
                      Proxy-Authorization: Basic bWU6YSBi\r\nHost: deb.example\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(&said), wanted);
        assert_eq!(addressed(b"Range: bytes=1-\r\n", "http://deb.example", ""), None);
    }
}
