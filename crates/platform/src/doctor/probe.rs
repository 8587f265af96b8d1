//! Asking a destination as an exporter would, with nothing to send: does it listen, speak OTLP at this path, and tell our time?

use super::{Link, Stop, broken};
use destinations::{Destination, Signal, Variables};
use std::time::Duration;
use ureq::http::Response;

/// How long a destination may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Backends drop what seems to come from the future or from long ago.
const SKEW: i64 = 120;

/// A client that takes an answer as it is.
pub(super) fn client(patience: Duration) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(patience))
        .user_agent("packlight doctor")
        .build();
    config.into()
}

/// Each destination of spans that can be asked.
///
/// # Errors
/// With the first that does not take them.
pub(super) fn destinations(variables: &Variables) -> Result<Vec<String>, Stop> {
    let resolved = destinations::resolve(variables, &[], &[]);
    let mut all = variables.clone();
    all.extend(resolved.told.clone());
    let mut holds = Vec::new();
    for destination in resolved.plan.to(Signal::Traces) {
        match destination {
            Destination::Otlp { shown } => holds.push(otlp(shown, &headers(&all))?),
            Destination::Zipkin { shown } => holds.push(ask(shown, ("application/json", b"[]"), &[])?),
            Destination::Console | Destination::Prometheus { .. } => {}
        }
    }
    Ok(holds)
}

fn otlp(url: &str, headers: &[(String, String)]) -> Result<String, Stop> {
    // No span at all is a valid request, of no bytes.
    ask(url, ("application/x-protobuf", b""), headers)
}

/// `name=value,name=value`, percent-encoded.
/// <https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specifying-headers-via-environment-variables>
fn headers(variables: &Variables) -> Vec<(String, String)> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
    let list = names.iter().find_map(|it| variables.get(*it)).map_or("", String::as_str);
    let pair = |it: &str| {
        let (name, value) = it.split_once('=')?;
        Some((name.trim().to_owned(), decoded(value.trim())))
    };
    list.split(',').filter_map(pair).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let code = more.get(..2).and_then(|it| std::str::from_utf8(it).ok());
        match (first, code.and_then(|it| u8::from_str_radix(it, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn ask(url: &str, (kind, body): (&str, &[u8]), headers: &[(String, String)]) -> Result<String, Stop> {
    let mut asked = client(PATIENCE).post(url).header("content-type", kind);
    for (name, value) in headers {
        asked = asked.header(name, value);
    }
    let answer = asked.send(body).map_err(|error| unreachable_at(url, &error))?;
    let status = answer.status().as_u16();
    let refused = |cure: &str| broken(Link::Exporter, format!("{url} answers {status}"), cure);
    match status {
        200..=299 => in_time(url, &answer),
        401 | 403 => Err(refused(
            "the key or the headers are wrong: see OTEL_EXPORTER_OTLP_HEADERS, or the vendor's key",
        )),
        404 | 405 => Err(refused(
            "the path is wrong: OTEL_EXPORTER_OTLP_ENDPOINT is the base address, to which /v1/traces is added; is OTLP over \
             HTTP switched on there?",
        )),
        415 => Err(refused("it does not take protobuf over HTTP: is it another product's port?")),
        300..=399 => Err(refused("it sends elsewhere, where exporters do not follow: name that address")),
        _ => Err(refused("see what its own log says")),
    }
}

fn unreachable_at(url: &str, error: &ureq::Error) -> Stop {
    let text = error.to_string();
    let grpc = url.contains(":4317") || text.to_lowercase().contains("http");
    let cure = match error {
        ureq::Error::Protocol(_) | ureq::Error::Http(_) if grpc => {
            "it answers, and not in HTTP/1.1: port 4317 is gRPC's, and OTLP over HTTP has 4318"
        }
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => "http or https? And is its certificate known here?",
        ureq::Error::HostNotFound => "the name is not known here; it may be where the app runs",
        _ => {
            "nobody listens there, as seen from here; in a container, localhost is the container itself: name the host, or \
             the service"
        }
    };
    broken(Link::Exporter, format!("{url} cannot be reached: {text}"), cure)
}

/// A backend shows what is recent, by its own clock.
fn in_time(url: &str, answer: &Response<ureq::Body>) -> Result<String, Stop> {
    let date = answer.headers().get("date").and_then(|it| it.to_str().ok());
    let theirs = date.and_then(|it| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(it).ok());
    let skew = theirs.map_or(0, |it| it.as_second() - jiff::Timestamp::now().as_second());
    if skew.abs() > SKEW {
        let way = if skew > 0 { "behind" } else { "ahead of" };
        return Err(broken(
            Link::Clock,
            format!("this machine's clock is {} s {way} that of {url}", skew.abs()),
            "set the clock; spans are shown by their own time, and some backends drop those that seem old",
        ));
    }
    Ok(format!("{url} takes what is sent"))
}
