//! The variables of OpenTelemetry's specification.
//!
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>

use crate::endpoint::Endpoint;
use crate::{Destination, Plan, Route, Signal, Variables};

/// Names for OTLP that other exporters' packages have brought into use.
const OTLP_NAMES: [&str; 4] = ["otlp", "otlp_proto_http", "otlp_proto_grpc", "otlp_json_http"];

/// Reads the plan: an exporter list for each signal, else OTLP where an endpoint is named.
#[must_use]
pub fn plan(variables: &Variables) -> Plan {
    let reader = Reader { variables };
    let mut plan = Plan::default();
    if reader.get("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true")) {
        return plan;
    }
    for signal in Signal::ALL {
        let to = reader.destinations(signal, &mut plan.notes);
        if !to.is_empty() {
            plan.routes.push(Route { signal, to });
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    plan.notes.retain(|it| seen.insert(it.clone()));
    plan
}

/// The exporter list of a signal as an SDK is to read it: every decision of [`plan`] made explicit.
#[must_use]
pub fn exporter_variable(plan: &Plan, signal: Signal) -> (String, String) {
    let names: Vec<&str> = plan
        .to(signal)
        .iter()
        .map(|it| match it {
            Destination::Console => "console",
            Destination::Otlp { .. } => "otlp",
            Destination::Zipkin { .. } => "zipkin",
            Destination::Prometheus { .. } => "prometheus",
        })
        .collect();
    let value = if names.is_empty() { "none".to_owned() } else { names.join(",") };
    (format!("OTEL_{}_EXPORTER", signal.upper()), value)
}

struct Reader<'a> {
    variables: &'a Variables,
}

impl Reader<'_> {
    /// An empty value counts as not set, as the specification says.
    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|it| it.trim()).filter(|it| !it.is_empty())
    }

    /// The signal's own form of a setting, else the general one; with the name that was found.
    fn otlp(&self, signal: Signal, setting: &str) -> Option<(String, &str)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{setting}", signal.upper());
        let general = format!("OTEL_EXPORTER_OTLP_{setting}");
        [own, general].into_iter().find_map(|name| {
            let value = self.get(&name)?;
            Some((name, value))
        })
    }

    fn destinations(&self, signal: Signal, notes: &mut Vec<String>) -> Vec<Destination> {
        let name = format!("OTEL_{}_EXPORTER", signal.upper());
        let endpoint_named = self.otlp(signal, "ENDPOINT").is_some();
        let asked = self.get(&name).unwrap_or(if endpoint_named { "otlp" } else { "none" });
        let mut to = Vec::new();
        for exporter in asked.split(',').map(|it| it.trim().to_ascii_lowercase()) {
            let destination = match exporter.as_str() {
                "" | "none" => None,
                "console" => Some(Destination::Console),
                it if OTLP_NAMES.contains(&it) => self.receiver(signal, notes),
                "zipkin" if signal == Signal::Traces => self.zipkin(notes),
                "prometheus" if signal == Signal::Metrics => self.prometheus(notes),
                other => {
                    let also = match signal {
                        Signal::Traces => "zipkin, ",
                        Signal::Metrics => "prometheus, ",
                        Signal::Logs => "",
                    };
                    notes.push(format!(
                        "{name}: there is no `{other}`; there are otlp, {also}console and none"
                    ));
                    None
                }
            };
            to.extend(destination.filter(|it| !to.contains(it)));
        }
        to
    }

    /// <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#zipkin-exporter>
    fn zipkin(&self, notes: &mut Vec<String>) -> Option<Destination> {
        const NAME: &str = "OTEL_EXPORTER_ZIPKIN_ENDPOINT";
        match Endpoint::parse(self.get(NAME).unwrap_or("http://localhost:9411/api/v2/spans")) {
            Ok(endpoint) => Some(Destination::Zipkin { shown: endpoint.shown() }),
            Err(error) => {
                notes.push(format!("traces are not sent: {NAME} {error}"));
                None
            }
        }
    }

    /// <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#prometheus-exporter>
    fn prometheus(&self, notes: &mut Vec<String>) -> Option<Destination> {
        const NAME: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";
        match self.get(NAME).unwrap_or("9464").parse() {
            Ok(port) if port != 0 => Some(Destination::Prometheus { port }),
            _ => {
                notes.push(format!("metrics are not served: {NAME} is no number from 1 to 65535"));
                None
            }
        }
    }

    fn receiver(&self, signal: Signal, notes: &mut Vec<String>) -> Option<Destination> {
        let protocol = self.otlp(signal, "PROTOCOL").map_or("", |it| it.1).to_ascii_lowercase();
        let own = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.upper());
        let (name, value) = self
            .otlp(signal, "ENDPOINT")
            .unwrap_or(("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), "http://localhost:4318"));
        let mut endpoint = match Endpoint::parse(value) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                notes.push(format!("{} are not sent: {name} {error}", signal.name()));
                return None;
            }
        };
        match protocol.as_str() {
            "" | "http/protobuf" | "http/json" => {}
            "grpc" => notes.push("protocol grpc: protobuf over HTTP is used instead".to_owned()),
            _ => notes.push(
                "OTEL_EXPORTER_OTLP_PROTOCOL is none of http/protobuf, http/json: http/protobuf is used"
                    .to_owned(),
            ),
        }
        // For gRPC an address has no path, so the signal's is added even to its own variable.
        let mut needs_path = name != own || (protocol == "grpc" && !endpoint.has_path());
        if endpoint.is_grpc_port() {
            if matches!(protocol.as_str(), "" | "grpc") {
                notes.push("port 4317 is gRPC's: HTTP goes to port 4318 of the same host".to_owned());
                needs_path |= !endpoint.has_path();
                endpoint = endpoint.on_http_port();
            } else {
                notes.push(format!(
                    "{name} names port 4317, which is usually gRPC's; HTTP is usually on 4318"
                ));
            }
        }
        let endpoint = if needs_path { endpoint.for_signal(signal) } else { endpoint };
        Some(Destination::Otlp { shown: endpoint.shown() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], expected: &str, notes: &[&str]) {
        let variables = variables.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let plan = plan(&variables);
        assert_eq!(plan.to_string(), expected);
        assert_eq!(plan.notes, notes);
    }

    #[test]
    fn without_a_destination_nothing_is_sent() {
        check(&[], "", &[]);
        check(&[("OTEL_SERVICE_NAME", "x"), ("OTEL_TRACES_EXPORTER", "none")], "", &[]);
        check(&[("OTEL_SDK_DISABLED", "True"), ("OTEL_TRACES_EXPORTER", "console")], "", &[]);
    }

    #[test]
    fn a_console_for_traces_turns_on_nothing_else() {
        check(&[("OTEL_TRACES_EXPORTER", "console")], "traces → console", &[]);
        check(
            &[("OTEL_TRACES_EXPORTER", "console"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")],
            "traces → console; metrics, logs → http://c:4318",
            &[],
        );
    }

    #[test]
    fn a_base_endpoint_takes_all_signals_and_a_signals_endpoint_its_own() {
        check(
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/")],
            "traces, metrics, logs → http://c:4318",
            &[],
        );
        check(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://h/x")], "traces → https://h/x", &[]);
        check(&[("OTEL_TRACES_EXPORTER", "otlp,console")], "traces → http://localhost:4318 and console", &[]);
    }

    #[test]
    fn grpc_is_replaced_and_said() {
        let grpc = "protocol grpc: protobuf over HTTP is used instead";
        let port = "port 4317 is gRPC's: HTTP goes to port 4318 of the same host";
        check(
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            "traces, metrics, logs → http://c:4318",
            &[grpc, port],
        );
        check(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4317")], "traces → http://c:4318", &[port]);
    }

    #[test]
    fn a_bad_url_is_said_without_its_password() {
        check(
            &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://u:hunter2@h:99999/")],
            "",
            &[
                "traces are not sent: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT has a port that is no number from 1 to 65535",
            ],
        );
        check(
            &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://h")],
            "",
            &[
                "traces are not sent: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT does not begin with http:// or https://",
            ],
        );
        check(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://u:pw@h/p?key=1")], "traces → http://h/p", &[]);
    }

    #[test]
    fn an_exporter_that_is_not_there_yet_is_said() {
        check(
            &[("OTEL_TRACES_EXPORTER", "jaeger"), ("OTEL_LOGS_EXPORTER", "zipkin")],
            "",
            &[
                "OTEL_TRACES_EXPORTER: there is no `jaeger`; there are otlp, zipkin, console and none",
                "OTEL_LOGS_EXPORTER: there is no `zipkin`; there are otlp, console and none",
            ],
        );
    }

    #[test]
    fn zipkin_and_prometheus_have_their_own_variables() {
        check(
            &[("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_METRICS_EXPORTER", "prometheus")],
            "traces → zipkin http://localhost:9411/api/v2/spans; metrics → prometheus, which scrapes port 9464",
            &[],
        );
        let port = "metrics are not served: OTEL_EXPORTER_PROMETHEUS_PORT is no number from 1 to 65535";
        check(
            &[("OTEL_METRICS_EXPORTER", "prometheus"), ("OTEL_EXPORTER_PROMETHEUS_PORT", "x")],
            "",
            &[port],
        );
    }

    #[test]
    fn the_plan_is_handed_on_as_explicit_lists() {
        let variables = Variables::from([("OTEL_TRACES_EXPORTER".to_owned(), "console".to_owned())]);
        let plan = plan(&variables);
        assert_eq!(exporter_variable(&plan, Signal::Traces).1, "console");
        assert_eq!(
            exporter_variable(&plan, Signal::Logs),
            ("OTEL_LOGS_EXPORTER".to_owned(), "none".to_owned())
        );
    }
}
