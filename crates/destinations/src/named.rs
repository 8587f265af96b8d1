//! A destination by name: from `jaeger=http://jaeger` to what each signal's exporter is told, or to what is wrong.

use crate::endpoint::{Endpoint, GRPC_PORT};
use crate::presets::{PRESETS, Preset, Takes, find};
use crate::{Signal, Variables, presets};

/// Where somebody asked for telemetry to go.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Which kind of place.
    pub preset: &'static Preset,
    /// Its address; none: the place's own variables, or its usual address, say.
    pub url: Option<String>,
    /// Who said so, for a person: `PACKLIGHT_DESTINATION`, `binding tracing`.
    pub from: String,
}

/// What one signal's exporter is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The signal.
    pub signal: Signal,
    /// Variables.
    pub set: Vec<(String, String)>,
}

/// Reads `NAME=URL` or `NAME`, several with commas between them.
///
/// # Errors
/// When there is no place of that name: in words.
pub fn parse(text: &str, from: &str) -> Result<Vec<Claim>, String> {
    let one = |item: &str| {
        let (name, url) = item.split_once('=').map_or((item, None), |(name, url)| (name, Some(url.trim())));
        let preset = find(name.trim()).ok_or_else(|| {
            let known: Vec<&str> = PRESETS.iter().map(|it| it.name).collect();
            format!("there is no destination `{}`; there are {}", name.trim(), known.join(", "))
        })?;
        let url = url.filter(|it| !it.is_empty()).map(str::to_owned);
        Ok(Claim { preset, url, from: from.to_owned() })
    };
    text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(one).collect()
}

impl Claim {
    /// What each signal that the place takes is told.
    ///
    /// # Errors
    /// When the address cannot be used, or a key is missing: in words, without a secret.
    pub fn told(&self, variables: &Variables) -> Result<Vec<Told>, String> {
        let told = match &self.preset.takes {
            Takes::Zipkin => self.zipkin().map(|it| vec![it]),
            Takes::Prometheus => self.prometheus(variables).map(|it| vec![it]),
            Takes::Otlp(otlp) => self.otlp(otlp, variables),
        };
        told.map_err(|problem| format!("destination {}: {problem}", self.preset.name))
    }

    fn address(&self, usual: &str) -> Result<Endpoint, String> {
        Endpoint::parse(self.url.as_deref().unwrap_or(usual)).map_err(|it| format!("its address {it}"))
    }

    fn zipkin(&self) -> Result<Told, String> {
        const PATH: &str = "/api/v2/spans";
        let mut address = self.address("http://localhost:9411")?.with_port_if_plain(9411);
        match address.path() {
            "" => address = address.with_path(PATH),
            PATH | "/api/v1/spans" => {}
            "/zipkin" => return Err("/zipkin is its page; leave the path out".to_owned()),
            _ if address.port() == Some(9411) => {
                return Err(format!("it takes spans at {PATH}; leave the path out"));
            }
            // Somebody else's service that speaks the same.
            _ => {}
        }
        let set = vec![exporter(Signal::Traces, "zipkin"), (ZIPKIN_ENDPOINT.to_owned(), address.url())];
        Ok(Told { signal: Signal::Traces, set })
    }

    fn prometheus(&self, variables: &Variables) -> Result<Told, String> {
        let scraped = self.url.as_deref().and_then(scrape_port);
        if let Some(port) = scraped {
            let mut set = vec![exporter(Signal::Metrics, "prometheus")];
            set.extend(port.map(|it| (PROMETHEUS_PORT.to_owned(), it.to_string())));
            // Whoever asks is outside of the container.
            if variables.get(PROMETHEUS_HOST).is_none_or(String::is_empty) {
                set.push((PROMETHEUS_HOST.to_owned(), "0.0.0.0".to_owned()));
            }
            return Ok(Told { signal: Signal::Metrics, set });
        }
        let mut address = self.address("http://localhost:9090")?.with_port_if_plain(9090);
        const BASE: &str = "/api/v1/otlp";
        match address.path() {
            "" | BASE => address = address.with_path("/api/v1/otlp/v1/metrics"),
            path if path.ends_with("/v1/metrics") => {}
            path if path.ends_with("/write") => {
                return Err(
                    "/write takes Prometheus' remote write; OTLP goes to /api/v1/otlp, leave the path out"
                        .to_owned(),
                );
            }
            "/metrics" => {
                return Err(
                    "/metrics is for being scraped; `prometheus=scrape` lets this app be scraped".to_owned()
                );
            }
            _ => {}
        }
        let mut set = vec![exporter(Signal::Metrics, "otlp")];
        set.extend(otlp_variables(Signal::Metrics, address.url(), String::new()));
        Ok(Told { signal: Signal::Metrics, set })
    }

    fn otlp(&self, otlp: &presets::Otlp, variables: &Variables) -> Result<Vec<Told>, String> {
        let address = self.base(otlp, variables)?;
        let headers = self.headers(variables);
        if headers.is_empty() && self.url.is_none() && !self.preset.key.is_empty() {
            return Err(format!("no key is set; it is read from {}", self.preset.key[0].variable));
        }
        let told = |signal: &Signal| {
            let mut set = vec![exporter(*signal, "otlp")];
            set.extend(otlp_variables(*signal, address.clone().for_signal(*signal).url(), headers.clone()));
            if otlp.delta && *signal == Signal::Metrics && !variables.contains_key(TEMPORALITY) {
                set.push((TEMPORALITY.to_owned(), "delta".to_owned()));
            }
            Told { signal: *signal, set }
        };
        Ok(otlp.signals.iter().map(told).collect())
    }

    /// The address before `/v1/<signal>`.
    fn base(&self, otlp: &presets::Otlp, variables: &Variables) -> Result<Endpoint, String> {
        let named = self.preset.url.iter().find_map(|it| variables.get(*it)).filter(|it| !it.is_empty());
        let given =
            self.url.clone().or_else(|| named.cloned()).or_else(|| usual(self.preset, otlp, variables));
        let Some(given) = given else {
            let how = self.preset.url.first().map(|it| format!(", or set {it}")).unwrap_or_default();
            return Err(format!("it needs an address: {}=https://…{how}", self.preset.name));
        };
        let address = Endpoint::parse(&given).map_err(|it| format!("its address {it}"))?;
        let address = if otlp.port == 0 { address } else { address.with_port_if_plain(otlp.port) };
        if let Some((_, what)) = otlp.wrong.iter().find(|it| address.port() == Some(it.0)) {
            return Err((*what).to_owned());
        }
        if address.port() == Some(GRPC_PORT) {
            return Err(
                "4317 takes OTLP over gRPC; over HTTP, which is spoken here, it is usually 4318".to_owned()
            );
        }
        if Signal::ALL.iter().any(|it| address.path().ends_with(&format!("/v1/{}", it.name()))) {
            return Err("its address ends with a signal's path; write it without /v1/…".to_owned());
        }
        if self.preset.name == "elasticsearch" && !address.path().ends_with("/_otlp") {
            return Err(ELASTICSEARCH.to_owned());
        }
        Ok(if address.has_path() { address } else { address.with_path(otlp.path) })
    }

    fn headers(&self, variables: &Variables) -> String {
        let set = |it: &&presets::Key| variables.get(it.variable).is_some_and(|it| !it.trim().is_empty());
        let Some(key) = self.preset.key.iter().find(set) else { return String::new() };
        format!(
            "{}={}",
            key.header,
            crate::percent_encoded(&format!("{}{}", key.before, variables[key.variable]))
        )
    }
}

const ELASTICSEARCH: &str = "Elasticsearch takes OTLP from version 9.2 on, at https://…:9200/_otlp; in front of an \
                             older one put the OpenTelemetry Collector, and name that: otlp=http://collector:4318";
const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
const ZIPKIN_ENDPOINT: &str = "OTEL_EXPORTER_ZIPKIN_ENDPOINT";
const PROMETHEUS_HOST: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";
const PROMETHEUS_PORT: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";

fn exporter(signal: Signal, name: &str) -> (String, String) {
    (format!("OTEL_{}_EXPORTER", signal.upper()), name.to_owned())
}

fn otlp_variables(signal: Signal, url: String, headers: String) -> [(String, String); 3] {
    let name = |it: &str| format!("OTEL_EXPORTER_OTLP_{}_{it}", signal.upper());
    [(name("ENDPOINT"), url), (name("HEADERS"), headers), (name("PROTOCOL"), "http/protobuf".to_owned())]
}

/// `scrape`, `:9464`: to be scraped, at a port or the usual one.
fn scrape_port(text: &str) -> Option<Option<u16>> {
    match text.strip_prefix("scrape").unwrap_or(text) {
        "" => Some(None),
        rest => rest.strip_prefix(':')?.parse().ok().map(Some),
    }
}

/// The place's usual address, once a key says that it is meant.
fn usual(preset: &Preset, otlp: &presets::Otlp, variables: &Variables) -> Option<String> {
    let pattern = otlp.default?;
    // https://docs.newrelic.com/docs/accounts/accounts-billing/account-setup/choose-your-data-center/#license-keys
    let is_european = || variables.get(preset.key[0].variable).is_some_and(|it| it.starts_with("eu01x"));
    if preset.name == "newrelic" && is_european() {
        return Some("https://otlp.eu01.nr-data.net".to_owned());
    }
    let site = otlp.site.map(|(variable, usual)| variables.get(variable).map_or(usual, String::as_str));
    Some(pattern.replace("{}", site.unwrap_or_default()))
}
