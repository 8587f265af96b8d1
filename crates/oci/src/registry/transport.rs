//! One request and its answer, redirects included: what goes over the wire, and who is told whose credential.

use std::{
    io::{self, Read, Seek as _, SeekFrom},
    path::Path,
};

use ureq::{
    Agent, SendBody, Timeout,
    http::{HeaderMap, Method, Response},
    tls::{Certificate, PemItem, RootCerts, TlsConfig},
    unversioned::transport::DefaultConnector,
};
use url::Url;

use super::{
    credentials::Secret,
    settings::{Authority, Settings, Timeouts},
    site::{is_loopback, same_server},
};

/// What is sent after the headers.
#[derive(Clone, Copy)]
pub(super) enum Body<'a> {
    /// Nothing, of a request that has no body.
    None,
    /// These bytes, which may be none.
    Bytes(&'a [u8]),
    /// These bytes, which no other server may have.
    Secret(&'a [u8]),
    /// A part of a file, and whom to tell of every piece that was sent.
    Part { path: &'a Path, from: u64, length: u64, moved: &'a dyn Fn(u64) },
}

pub(super) type Headers = Vec<(&'static str, String)>;

/// A request, complete.
pub(super) struct Outgoing<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: &'a [(&'static str, String)],
    /// Sent to the server of `url`, and to no other that a redirect leads to.
    pub(super) authorization: Option<&'a Secret>,
    pub(super) body: Body<'a>,
    /// TLS is wanted, and a certificate that somebody vouches for.
    pub(super) strict: bool,
}

/// An answer whose body has not been read.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: ureq::Body,
    /// Where it came from, after redirects.
    pub(super) url: Url,
    /// Another server than the asked one has answered.
    pub(super) is_elsewhere: bool,
}

/// No answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// Worth another try.
    Connection(String),
    /// Worth another try.
    Stalled(String),
    Tls(String),
    Final(String),
}

const MAX_REDIRECTS: u32 = 5;
const MAX_IDLE: usize = 64;
/// What is read of the body of a refusal.
const MAX_REFUSAL: u64 = 64 << 10;

/// The connections to all servers.
pub(super) struct Transport {
    direct: Agents,
    proxied: Agents,
    proxies: super::settings::Proxies,
    timeouts: Timeouts,
}

struct Agents {
    plain: Agent,
    tls: Agent,
    /// For registries that are marked insecure.
    unverified: Agent,
}

impl Transport {
    /// # Errors
    /// When an authority's certificate or a proxy's address can't be read.
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let roots = roots(&settings.authorities)?;
        let agent = |proxy: Option<&Secret>, unverified: bool| -> Result<Agent, String> {
            let tls = TlsConfig::builder().root_certs(roots.clone()).disable_verification(unverified).build();
            let proxy = proxy.map(|proxy| ureq::Proxy::new(proxy.reveal())).transpose();
            let proxy = proxy.map_err(|_| {
                "the proxy's address is not valid; it looks like http://proxy:3128".to_owned()
            })?;
            let timeouts = settings.timeouts;
            let config = Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .proxy(proxy)
                .user_agent("packlight")
                // A blob is what its digest says: nothing may be packed or unpacked on the way.
                .accept_encoding("identity")
                // As many as may be wanted at once, by callers with threads of their own too.
                .max_idle_connections(MAX_IDLE)
                .max_idle_connections_per_host(MAX_IDLE)
                .timeout_connect(Some(timeouts.connect))
                .timeout_per_read(Some(timeouts.silence))
                .timeout_per_write(Some(timeouts.silence))
                .tls_config(tls)
                .build();
            Ok(Agent::with_parts(config, DefaultConnector::default(), <crate::resolver::Names>::default()))
        };
        let agents = |plain: Option<&Secret>, tls: Option<&Secret>| -> Result<Agents, String> {
            Ok(Agents { plain: agent(plain, false)?, tls: agent(tls, false)?, unverified: agent(tls, true)? })
        };
        let proxies = settings.proxies.clone();
        Ok(Self {
            direct: agents(None, None)?,
            proxied: agents(proxies.http.as_ref(), proxies.https.as_ref())?,
            proxies,
            timeouts: settings.timeouts,
        })
    }

    /// Sends a request, and again wherever its answer leads.
    pub(super) fn send(&self, request: &Outgoing<'_>) -> Result<Answer, Fault> {
        let mut url = request.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let is_own = same_server(&request.url, &url);
            let authorization = request.authorization.filter(|_| is_own);
            let response = self.exchange(request, &url, authorization)?;
            let status = response.status().as_u16();
            let same_method = matches!(status, 307 | 308);
            let follows = matches!(status, 301..=303) && matches!(request.method, Method::GET | Method::HEAD);
            if let Some(location) = text(response.headers(), "location").filter(|_| same_method || follows) {
                url = redirect(request, &url, location)?;
                continue;
            }
            let (parts, body) = response.into_parts();
            return Ok(Answer { status, headers: parts.headers, body, url, is_elsewhere: !is_own });
        }
        Err(Fault::Final(format!("more than {MAX_REDIRECTS} redirects, the last to {}", server(&url))))
    }

    fn exchange(
        &self,
        request: &Outgoing<'_>,
        url: &Url,
        authorization: Option<&Secret>,
    ) -> Result<Response<ureq::Body>, Fault> {
        let mut builder = ureq::http::Request::builder().method(request.method.clone()).uri(url.as_str());
        for (name, value) in request.headers {
            builder = builder.header(*name, value);
        }
        if let Some(secret) = authorization {
            builder = builder.header("Authorization", secret.reveal());
        }
        let agents = if self.proxies.excepts(url.host_str().unwrap_or_default()) {
            &self.direct
        } else {
            &self.proxied
        };
        let agent = match (url.scheme(), request.strict) {
            ("http", _) => &agents.plain,
            (_, true) => &agents.tls,
            (_, false) => &agents.unverified,
        };
        // The text of this error would have the headers in it.
        let bad = |_| Fault::Final("the request can't be written as HTTP".to_owned());
        let sent = match request.body {
            Body::None => agent.run(builder.body(()).map_err(bad)?),
            Body::Bytes(bytes) | Body::Secret(bytes) => self.upload(agent, builder.body(bytes).map_err(bad)?),
            Body::Part { path, from, length, moved } => {
                let mut part = Part::open(path, from, length, moved)
                    .map_err(|error| Fault::Final(format!("{}: {error}", path.display())))?;
                let builder = builder.header("Content-Length", length.to_string());
                let body = SendBody::from_reader(&mut part);
                self.upload(agent, builder.body(body).map_err(bad)?)
            }
        };
        sent.map_err(fault)
    }

    fn upload(
        &self,
        agent: &Agent,
        request: ureq::http::Request<impl ureq::AsSendBody>,
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        let request = agent.configure_request(request).timeout_per_read(Some(self.timeouts.upload)).build();
        agent.run(request)
    }
}

/// Where a redirect leads, when it may be followed.
fn redirect(request: &Outgoing<'_>, from: &Url, location: &str) -> Result<Url, Fault> {
    let bad = |why: &str| Fault::Final(format!("the redirect from {} {why}", server(from)));
    let to = from.join(location).map_err(|_| bad("leads to no address"))?;
    if matches!(request.body, Body::Secret(_)) && !same_server(from, &to) {
        return Err(bad(&format!("would give credentials to {}", server(&to))));
    }
    let plain_is_fine = !request.strict || is_loopback(to.host_str().unwrap_or_default());
    match to.scheme() {
        "https" => Ok(to),
        "http" if from.scheme() == "http" && plain_is_fine => Ok(to),
        _ => Err(bad(&format!("leads to {}, where there is no TLS", server(&to)))),
    }
}

impl Answer {
    /// The beginning of the body, for a refusal's reason; what can't be read has none.
    pub(super) fn refusal(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Whatever came before a break is better than nothing.
        let _ = self.body.into_reader().take(MAX_REFUSAL).read_to_end(&mut bytes);
        bytes
    }

    /// The whole body of a document; `None` when it is longer than `limit`.
    pub(super) fn document(self, limit: u64) -> Result<Option<Vec<u8>>, Fault> {
        let mut bytes = Vec::new();
        let read = self.body.into_reader().take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| read_fault(&error))?;
        Ok((bytes.len() as u64 <= limit).then_some(bytes))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        text(&self.headers, name)
    }
}

/// A header's value, when it is text.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Host and port, for messages: the rest of an address may be somebody's secret.
pub(super) fn server(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The part of a file that is sent.
struct Part<'a> {
    file: io::Take<fs_err::File>,
    moved: &'a dyn Fn(u64),
}

impl<'a> Part<'a> {
    fn open(path: &Path, from: u64, length: u64, moved: &'a dyn Fn(u64)) -> io::Result<Self> {
        let mut file = fs_err::File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        Ok(Self { file: file.take(length), moved })
    }
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read(buffer)?;
        if got > 0 {
            (self.moved)(got as u64);
        }
        Ok(got)
    }
}

/// The machine's own authorities; with those of the user's, when there are any.
fn roots(own: &[Authority]) -> Result<RootCerts, String> {
    if own.is_empty() {
        return Ok(RootCerts::PlatformVerifier);
    }
    let machine = rustls_native_certs::load_native_certs();
    let mut all: Vec<Certificate<'static>> =
        machine.certs.iter().map(|it| Certificate::from_der(it.as_ref()).to_owned()).collect();
    for Authority { place, pem } in own {
        let before = all.len();
        for item in ureq::tls::parse_pem(pem) {
            if let PemItem::Certificate(certificate) =
                item.map_err(|error| format!("{place}: a certificate can't be read: {error}"))?
            {
                all.push(certificate);
            }
        }
        if all.len() == before {
            return Err(format!("{place}: there is no certificate in it; it must be PEM"));
        }
    }
    Ok(RootCerts::new_with_certs(&all))
}

fn fault(error: ureq::Error) -> Fault {
    match error {
        ureq::Error::Io(error) => read_fault(&error),
        ureq::Error::Timeout(what) => stalled(what),
        ureq::Error::Rustls(error) => Fault::Tls(error.to_string()),
        ureq::Error::Tls(reason) => Fault::Tls(reason.to_owned()),
        ureq::Error::ConnectionFailed | ureq::Error::Protocol(_) => Fault::Connection(error.to_string()),
        ureq::Error::HostNotFound => Fault::Connection("the host's name is not known".to_owned()),
        other => Fault::Final(other.to_string()),
    }
}

/// What an error while reading means; the library wraps its own in the system's.
pub(super) fn read_fault(error: &io::Error) -> Fault {
    if let Some(inner) = error.get_ref()
        && let Some(ureq::Error::Timeout(what)) = inner.downcast_ref()
    {
        return stalled(*what);
    }
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => stalled(Timeout::PerRead),
        // So rustls speaks of certificates, and of a server that speaks no TLS.
        io::ErrorKind::InvalidData => Fault::Tls(error.to_string()),
        _ => Fault::Connection(error.to_string()),
    }
}

fn stalled(waited_for: Timeout) -> Fault {
    Fault::Stalled(match waited_for {
        Timeout::PerRead => "bytes to come".to_owned(),
        Timeout::PerWrite => "bytes to be taken".to_owned(),
        Timeout::Connect => "a connection".to_owned(),
        other => other.to_string(),
    })
}
