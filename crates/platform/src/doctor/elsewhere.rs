//! An app that runs somewhere and was told to send here: it is asked, and what comes is looked at.

use super::tried::{Answer, ask};
use super::{DoctorRequest, Link, Stop, broken};
use std::time::Instant;
use telemetry::{Options, Receiver, SpanKind, WantedSpan};

/// An app that runs already, and was told to send to us.
pub(super) fn examine(request: &DoctorRequest, url: &str, holds: &mut Vec<String>) -> Result<(), Stop> {
    let options = Options { addresses: vec![request.listen], ..Options::default() };
    let receiver = Receiver::start(&options)?;
    match ask(url, request.patience) {
        Answer::Status(status) => holds.push(format!("the app answers {status}")),
        Answer::None(why) => return Err(broken(Link::App, why, "is it running, and is the address right?")),
    }
    let wanted = WantedSpan { kind: Some(SpanKind::Server), ..WantedSpan::default() };
    let store = receiver.store();
    if let Some(span) = store.wait_for_span(&wanted, Instant::now() + request.patience) {
        let service = span.source.origin().service();
        holds
            .push(format!("the span `{}` of the service {service} arrived at {}", span.name, request.listen));
        return Ok(());
    }
    let traffic = receiver.traffic();
    if let Some(refused) = traffic.last_refused {
        let cure = format!(
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://{} and OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
            request.listen
        );
        return Err(broken(Link::Exporter, format!("what came was refused: {}", refused.detail), cure));
    }
    let counts = store.counts();
    if counts.spans > 0 {
        let why = format!("{} spans came, none of them of a request that is answered", counts.spans);
        return Err(broken(Link::Instrumentation, why, "the framework that serves the app is not observed"));
    }
    let what =
        if counts.logs + counts.points > 0 { "logs or metrics came, and no span" } else { "nothing came" };
    Err(broken(
        Link::Delivery,
        format!("{what} within {} s to {}, where this listens", request.patience.as_secs(), request.listen),
        format!(
            "start the app with PACKLIGHT_DESTINATION=otlp=http://{0} (any other: OTEL_EXPORTER_OTLP_ENDPOINT=http://{0}); in \
             a container 127.0.0.1 is the container itself: use --network host, or `packlight doctor IMAGE`",
            request.listen
        ),
    ))
}
