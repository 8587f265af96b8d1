//! Who may ask. Browsers let any website send requests to this machine, and DNS lets any name lead to it; so the pages of
//! others are told apart by what browsers add to a request, and what is kept is shown to none but those who know the code.

use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, ORIGIN};

use super::answer::Refused;
use super::route::header;
use crate::traffic::Reason;

/// `name=` of the cookie; cookies do not know ports, so the name does.
pub(super) fn cookie_name(port: u16) -> String {
    format!("packlight-{port}")
}

/// Telemetry from a browser, of a website that may send some. The origin to answer for, where there is one.
pub(super) fn sender<'a>(
    request: &'a Request<Incoming>,
    origins: &[String],
) -> Result<Option<&'a str>, Refused> {
    let Some(origin) = header(request, &ORIGIN) else { return Ok(None) };
    if origins.iter().any(|it| it == origin) || is_own(origin, request) {
        return Ok(Some(origin));
    }
    let detail = format!("a page of {origin}, which is none of the origins that may send telemetry");
    Err(Refused::new(Reason::Origin, detail))
}

/// A question, of whoever may ask any.
pub(super) fn asker(request: &Request<Incoming>) -> Result<(), Refused> {
    let host = host(request);
    if !is_local_name(host) {
        // Whoever owns a name can let it lead here: https://en.wikipedia.org/wiki/DNS_rebinding
        return Err(Refused::new(
            Reason::Origin,
            format!("{host} is no name of this machine; use its address"),
        ));
    }
    if let Some(origin) = header(request, &ORIGIN)
        && !is_own(origin, request)
    {
        return Err(Refused::new(Reason::Origin, format!("a page of {origin} may not ask")));
    }
    // Another port of this machine is the same site: https://fetch.spec.whatwg.org/#sec-fetch-site
    let site = header(request, &HeaderName::from_static("sec-fetch-site"));
    match site {
        None | Some("same-origin" | "none") => Ok(()),
        Some(site) => Err(Refused::new(Reason::Origin, format!("a {site} page may not ask"))),
    }
}

/// Whether a request has the code.
pub(super) fn knows(request: &Request<Incoming>, code: &str, port: u16) -> bool {
    let bearer = header(request, &AUTHORIZATION).and_then(|it| it.strip_prefix("Bearer "));
    let name = cookie_name(port);
    let cookies = request.headers().get_all(COOKIE).iter().filter_map(|it| it.to_str().ok());
    let cookie =
        cookies.flat_map(|it| it.split(';')).find_map(|it| it.trim().strip_prefix(&name)?.strip_prefix('='));
    bearer.is_some_and(|it| is_code(it, code)) || cookie.is_some_and(|it| is_code(it, code))
}

/// Compares in a time that does not tell how much was right.
pub(super) fn is_code(given: &str, code: &str) -> bool {
    let differ = given.bytes().zip(code.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == code.len() && differ == 0
}

fn host(request: &Request<Incoming>) -> &str {
    // HTTP/2 has it in the address.
    let authority = request.uri().authority().map(hyper::http::uri::Authority::as_str);
    authority.or_else(|| header(request, &HOST)).unwrap_or_default()
}

fn is_own(origin: &str, request: &Request<Incoming>) -> bool {
    origin.strip_prefix("http://").is_some_and(|it| it == host(request))
}

/// An address, which nobody can let lead elsewhere, or `localhost`, which no name server answers for.
fn is_local_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::Ipv4Addr>().is_ok()
        || bare.is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_local_and_names_are_not() {
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:4318", "[::1]:4318", "10.0.0.7:80"] {
            assert!(is_local_name(host), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example:4318", "127.0.0.1.evil.example", "::1", "[x]:1"]
        {
            assert!(!is_local_name(host), "{host}");
        }
    }

    #[test]
    fn a_code_is_all_of_it() {
        assert!(is_code("abc", "abc"));
        assert!(
            !is_code("ab", "abc") && !is_code("abcd", "abc") && !is_code("abd", "abc") && !is_code("", "abc")
        );
    }
}
