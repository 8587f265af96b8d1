//! Where a registry's API is, and whether it may be spoken to without TLS.

use std::net::{IpAddr, Ipv6Addr};

use url::Url;

use super::settings::Settings;

/// A registry, or a mirror of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Site {
    /// As image names spell it: what credentials are kept under, and what messages say.
    pub(super) registry: String,
    /// Where its API is: host and port.
    pub(super) host: String,
    /// A path between `/v2/` and the repository, for mirrors of several registries.
    pub(super) prefix: String,
    /// TLS is wanted, and a certificate that somebody vouches for.
    pub(super) strict: bool,
}

impl Site {
    pub(super) fn of(settings: &Settings, registry: &str) -> Self {
        let host = settings.api_hosts.get(registry).map_or(registry, String::as_str);
        let insecure = [registry, host].iter().any(|it| settings.insecure.contains(*it));
        Self {
            registry: registry.to_owned(),
            host: host.to_owned(),
            prefix: String::new(),
            strict: !insecure && !is_loopback(name_of(host)),
        }
    }

    /// The mirrors of a registry, in order.
    pub(super) fn mirrors(settings: &Settings, registry: &str) -> Vec<Self> {
        let mirrors = settings.mirrors.get(registry).into_iter().flatten();
        mirrors.map(|mirror| Self::mirror(settings, mirror)).collect()
    }

    fn mirror(settings: &Settings, mirror: &str) -> Self {
        let plain = mirror.split_once("://").map_or(mirror, |(_, rest)| rest).trim_end_matches('/');
        let (host, path) = plain.split_once('/').unwrap_or((plain, ""));
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        Self { prefix, ..Self::of(settings, host) }
    }

    /// The base of every address there.
    pub(super) fn base(&self, scheme: &str) -> Result<Url, String> {
        let text = format!("{scheme}://{}/v2/", self.host);
        Url::parse(&text).map_err(|error| format!("{:?} is no host: {error}", self.host))
    }

    /// The schemes to try, in order. To one's own machine TLS adds nothing; elsewhere it is better than none, even
    /// where nobody vouches for the certificate.
    pub(super) fn schemes(&self) -> &'static [&'static str] {
        match (self.strict, is_loopback(name_of(&self.host))) {
            (true, _) => &["https"],
            (false, true) => &["http", "https"],
            (false, false) => &["https", "http"],
        }
    }
}

/// A host without its port.
pub(super) fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

/// Whether a name is this machine's own for itself.
pub(super) fn is_loopback(name: &str) -> bool {
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || match name.parse() {
            Ok(IpAddr::V4(address)) => address.is_loopback(),
            Ok(IpAddr::V6(address)) => address == Ipv6Addr::LOCALHOST,
            Err(_) => false,
        }
}

/// Whether two addresses are of the same server, so that what may be told the one may be told the other.
pub(super) fn same_server(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}

/// The same server's address, with TLS where the registry was reached with it: behind a proxy it may not know that.
pub(super) fn adopt(base: &Url, location: &str) -> Option<Url> {
    let mut url = base.join(location).ok()?;
    if url.scheme() == "http"
        && base.scheme() == "https"
        && url.host() == base.host()
        && url.port() == base.port()
    {
        url.set_scheme("https").ok()?;
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_what_is_marked_may_be_without_tls() {
        let settings = Settings {
            insecure: ["old.example:5000".to_owned()].into(),
            api_hosts: [("docker.io".to_owned(), "api.example".to_owned())].into(),
            ..Settings::default()
        };
        let schemes = |registry: &str| Site::of(&settings, registry).schemes().join(" ");
        for registry in
            ["localhost", "localhost:5000", "127.0.0.1:80", "127.8.9.1", "[::1]:5000", "LOCALHOST"]
        {
            assert_eq!(schemes(registry), "http https", "{registry}");
        }
        for registry in [
            "ghcr.io",
            "old.example",
            "10.0.0.1",
            "localhost.example",
            "127.0.0.1.example",
            "[::2]",
            "docker.io",
        ] {
            assert_eq!(schemes(registry), "https", "{registry}");
        }
        assert_eq!(schemes("old.example:5000"), "https http");
        assert_eq!(
            Site::of(&settings, "docker.io").base("https").unwrap().as_str(),
            "https://api.example/v2/"
        );
    }

    #[test]
    fn a_mirror_may_have_a_path() {
        let mut settings = Settings::default();
        settings
            .mirrors
            .insert("docker.io".into(), vec!["https://m.example:8443/hub/".into(), "127.0.0.1:5000".into()]);
        let found = Site::mirrors(&settings, "docker.io");
        assert_eq!((found[0].host.as_str(), found[0].prefix.as_str()), ("m.example:8443", "hub/"));
        assert!(found[0].strict);
        assert_eq!(
            (found[1].host.as_str(), found[1].prefix.as_str(), found[1].strict),
            ("127.0.0.1:5000", "", false)
        );
        assert!(Site::mirrors(&settings, "ghcr.io").is_empty());
    }

    #[test]
    fn a_location_without_tls_is_that_of_a_registry_behind_a_proxy() {
        let base = Url::parse("https://r.example/v2/").unwrap();
        let of = |location: &str| adopt(&base, location).unwrap().to_string();
        assert_eq!(of("http://r.example/v2/a?x=1"), "https://r.example/v2/a?x=1");
        assert_eq!(of("/v2/a?_state=b%3D%3D"), "https://r.example/v2/a?_state=b%3D%3D");
        assert_eq!(of("http://other.example/v2/a"), "http://other.example/v2/a");
    }
}
