//! What a user sets, handed in as values: this room reads neither the environment nor a file of its own accord.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::credentials::{Credentials, Secret};

/// How registries are reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Registries whose API is at another host than the one in image names: `docker.io`'s is.
    pub api_hosts: BTreeMap<String, String>,
    /// For a registry the mirrors to ask before it, in order: `host[:port][/path]`. Only pulls ask them.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Hosts (with their ports, where they have one) that may be spoken to without TLS, or with a certificate that
    /// nobody vouches for. Hosts of this machine may always.
    pub insecure: BTreeSet<String>,
    /// Authorities to trust besides the machine's own.
    pub authorities: Vec<Authority>,
    /// The way out.
    pub proxies: Proxies,
    /// Who the user is where.
    pub credentials: Credentials,
    /// So many blobs, or pieces of them, are moved at the same time; of images that are pushed side by side one each, when
    /// they are more.
    pub parallel: usize,
    /// When and how often something is tried again.
    pub retry: Retry,
    /// When a silence is a failure.
    pub timeouts: Timeouts,
    /// Blobs above this size are downloaded in pieces of it, at the same time.
    pub piece: u64,
    /// Blobs above this size are uploaded in chunks of it, one after the other.
    pub chunk: u64,
}

/// A file of certificates.
#[derive(Debug, Clone)]
pub struct Authority {
    /// Its path, for messages.
    pub place: String,
    /// Its contents.
    pub pem: Vec<u8>,
}

/// Proxies, as the usual variables name them.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// `HTTPS_PROXY`: for registries with TLS. It may have a password in it.
    pub https: Option<Secret>,
    /// `HTTP_PROXY`: for registries without.
    pub http: Option<Secret>,
    /// `NO_PROXY`: hosts, `.domains` and `*`, separated by commas. This machine's own names need not be in it.
    pub except: String,
}

/// How often, and how long between.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Tries without any progress, the first included.
    pub tries: u32,
    /// About so long is waited after the first; after each further one twice as long.
    pub first: Duration,
    /// The longest of these waits.
    pub longest: Duration,
    /// A registry that asks for a longer wait than this is given up.
    pub longest_asked: Duration,
}

/// Silences that are failures.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until the next bytes of an answer, or until bytes are taken.
    pub silence: Duration,
    /// Until the answer to an upload: the registry may have to look through all of it.
    pub upload: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            api_hosts: BTreeMap::new(),
            mirrors: BTreeMap::new(),
            insecure: BTreeSet::new(),
            authorities: Vec::new(),
            proxies: Proxies::default(),
            credentials: Credentials::default(),
            parallel: 4,
            retry: Retry::default(),
            timeouts: Timeouts::default(),
            piece: 64 << 20,
            chunk: 256 << 20,
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: 5,
            first: Duration::from_millis(300),
            longest: Duration::from_secs(10),
            longest_asked: Duration::from_secs(120),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            silence: Duration::from_secs(30),
            upload: Duration::from_secs(300),
        }
    }
}

impl Proxies {
    /// Whether a host is reached without a proxy.
    pub(super) fn excepts(&self, host: &str) -> bool {
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        if super::site::is_loopback(&host) {
            return true;
        }
        let entries = self.except.split(',').map(|it| it.trim().to_ascii_lowercase());
        entries.filter(|it| !it.is_empty()).any(|entry| {
            let name = entry.rsplit_once(':').map_or(entry.as_str(), |(name, port)| {
                // A port may stand behind a name; an IPv6 address is all colons.
                if name.contains(':') || port.parse::<u16>().is_err() { entry.as_str() } else { name }
            });
            let domain = name.trim_start_matches('*').trim_start_matches('.');
            name == "*" || host == domain || host.ends_with(&format!(".{domain}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_proxy_is_told_by_name_and_by_domain() {
        let proxies = Proxies {
            except: "one.example, .corp.example,*.wild,10.0.0.7:5000".into(),
            ..Proxies::default()
        };
        for host in [
            "one.example",
            "a.one.example",
            "a.corp.example",
            "CORP.example",
            "x.wild",
            "10.0.0.7",
            "localhost",
            "[::1]",
        ] {
            assert!(proxies.excepts(host), "{host}");
        }
        for host in ["two.example", "none.example", "10.0.0.70"] {
            assert!(!proxies.excepts(host), "{host}");
        }
        assert!(Proxies { except: "*".into(), ..Proxies::default() }.excepts("any.example"));
    }
}
