//! An OTLP endpoint: a URL as far as a plan needs it, and how to show it without its secrets.

use crate::Signal;

/// gRPC's port of OTLP, and HTTP's.
pub const GRPC_PORT: u16 = 4317;
/// HTTP's port of OTLP.
pub const HTTP_PORT: u16 = 4318;

/// A URL that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    scheme: String,
    /// `user:password`.
    user: Option<String>,
    host: String,
    port: Option<u16>,
    path: String,
    /// With its question mark; empty: none.
    query: String,
}

/// Why a text is no endpoint. It does not repeat the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Another scheme than http or https.
    #[error("does not begin with http:// or https://")]
    Scheme,
    /// No host.
    #[error("has no host")]
    Host,
    /// A port that is no number from 1 to 65535.
    #[error("has a port that is no number from 1 to 65535")]
    Port,
    /// A space or a control character.
    #[error("has a space or a control character in it")]
    Character,
}

impl Endpoint {
    /// Reads `http://user:password@host:port/path?query`. Without a scheme it is `http`, as gRPC's exporters are configured.
    ///
    /// # Errors
    /// When it is not such a URL.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        if text.chars().any(|it| it.is_whitespace() || it.is_control()) {
            return Err(EndpointError::Character);
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = scheme.to_ascii_lowercase();
        if scheme != "http" && scheme != "https" {
            return Err(EndpointError::Scheme);
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = path.split('#').next().unwrap_or_default();
        let (path, query) = path.find('?').map_or((path, ""), |at| path.split_at(at));
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, authority),
        };
        // [::1]:4318
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        if host.is_empty() {
            return Err(EndpointError::Host);
        }
        let port = match port {
            Some(it) => Some(it.parse().ok().filter(|it| *it != 0).ok_or(EndpointError::Port)?),
            None => None,
        };
        let (host, path) = (host.to_owned(), path.trim_end_matches('/').to_owned());
        Ok(Self { scheme, user, host, port, path, query: query.to_owned() })
    }

    /// Whether it names gRPC's own port.
    #[must_use]
    pub fn is_grpc_port(&self) -> bool {
        self.port == Some(GRPC_PORT)
    }

    /// The same receiver's HTTP port.
    #[must_use]
    pub fn on_http_port(mut self) -> Self {
        self.port = Some(HTTP_PORT);
        self
    }

    /// With a signal's path at the end, as a base URL is used.
    #[must_use]
    pub fn for_signal(mut self, signal: Signal) -> Self {
        self.path = format!("{}/v1/{}", self.path, signal.name());
        self
    }

    /// The port that is named.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The path without a slash at its end.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// With this path.
    #[must_use]
    pub fn with_path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// With this port where an `http` address names none: one of `https` is a server's in front, on its usual port.
    #[must_use]
    pub fn with_port_if_plain(mut self, port: u16) -> Self {
        if self.scheme == "http" && self.port.is_none() {
            self.port = Some(port);
        }
        self
    }

    /// All of it, with what is secret.
    #[must_use]
    pub fn url(&self) -> String {
        let user = self.user.as_ref().map(|it| format!("{it}@")).unwrap_or_default();
        let port = self.port.map(|it| format!(":{it}")).unwrap_or_default();
        format!("{}://{user}{}{port}{}{}", self.scheme, self.host, self.path, self.query)
    }

    /// Whether it has a path.
    #[must_use]
    pub fn has_path(&self) -> bool {
        !self.path.is_empty()
    }

    /// For a person: scheme, host, port and path.
    #[must_use]
    pub fn shown(&self) -> String {
        let port = self.port.map(|it| format!(":{it}")).unwrap_or_default();
        format!("{}://{}{port}{}", self.scheme, self.host, self.path)
    }
}
