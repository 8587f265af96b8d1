//! The places that telemetry can go to, one row each: how each is named, reached and shown a key.
//!
//! Between vendors three things differ: the address, one header, and whether sums are wanted since the start or since
//! the last time. A row's sources stand beside it.

use crate::Signal;

/// One place.
#[derive(Debug)]
pub struct Preset {
    /// What a user calls it: `--destination NAME=URL`.
    pub name: &'static str,
    /// What else bindings, and services of Cloud Foundry, call it; compared without case, `-`, `_` and spaces.
    pub words: &'static [&'static str],
    /// How its own variables begin, for what a binding has; empty: it has none.
    pub prefix: &'static str,
    /// Its variables for the address.
    pub url: &'static [&'static str],
    /// Its variables for the key: the first is the one that a binding's `key` becomes.
    pub key: &'static [Key],
    /// What it takes.
    pub takes: Takes,
}

/// A variable that holds a key, and how the key is shown to the place.
#[derive(Debug)]
pub struct Key {
    /// The variable.
    pub variable: &'static str,
    /// The header.
    pub header: &'static str,
    /// What stands before the key in it.
    pub before: &'static str,
}

/// What a place takes.
#[derive(Debug)]
pub enum Takes {
    /// OTLP over HTTP.
    Otlp(Otlp),
    /// Spans in Zipkin's own format.
    Zipkin,
    /// Metrics: pushed by OTLP since version 3, or scraped.
    Prometheus,
}

/// How a place takes OTLP.
#[derive(Debug)]
pub struct Otlp {
    /// Which signals.
    pub signals: &'static [Signal],
    /// The address when nobody names one; `{}` is filled in from the variable [`Otlp::site`].
    pub default: Option<&'static str>,
    /// The variable for that, and its usual value.
    pub site: Option<(&'static str, &'static str)>,
    /// The port of an `http://` address without one; 0: none is added.
    pub port: u16,
    /// The path of an address without one, before `/v1/<signal>`.
    pub path: &'static str,
    /// Ports of the same program that take something else, and what to do.
    pub wrong: &'static [(u16, &'static str)],
    /// Whether sums are wanted since the last time.
    pub delta: bool,
}

const ALL: &[Signal] = &Signal::ALL;
const USUAL: Otlp =
    Otlp { signals: ALL, default: None, site: None, port: 4318, path: "", wrong: &[], delta: false };

const fn key(variable: &'static str, header: &'static str, before: &'static str) -> Key {
    Key { variable, header, before }
}

/// All of them, in the order in which they are named to a person.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "otlp",
        words: &["opentelemetry", "otel", "otelcollector", "opentelemetrycollector"],
        prefix: "OTEL_EXPORTER_OTLP_",
        url: &[],
        key: &[],
        takes: Takes::Otlp(USUAL),
    },
    // https://www.jaegertracing.io/docs/latest/apis/
    Preset {
        name: "jaeger",
        words: &[],
        prefix: "",
        url: &[],
        key: &[],
        takes: Takes::Otlp(Otlp {
            signals: &[Signal::Traces],
            wrong: &[
                (16686, "16686 is Jaeger's page; it takes OTLP over HTTP on 4318"),
                (14268, "14268 takes Jaeger's old format; it takes OTLP over HTTP on 4318"),
                (14250, "14250 takes Jaeger's old format; it takes OTLP over HTTP on 4318"),
                (6831, "6831 is the port of Jaeger's old agent; OTLP over HTTP goes to 4318"),
            ],
            ..USUAL
        }),
    },
    // https://zipkin.io/zipkin-api/
    Preset { name: "zipkin", words: &[], prefix: "", url: &[], key: &[], takes: Takes::Zipkin },
    // https://prometheus.io/docs/guides/opentelemetry/
    Preset { name: "prometheus", words: &[], prefix: "", url: &[], key: &[], takes: Takes::Prometheus },
    // https://www.elastic.co/docs/manage-data/ingest/otlp-endpoint
    Preset {
        name: "elasticsearch",
        words: &[],
        prefix: "ELASTICSEARCH_",
        url: &[],
        key: &[key("ELASTICSEARCH_API_KEY", "authorization", "ApiKey ")],
        takes: Takes::Otlp(Otlp { port: 9200, ..USUAL }),
    },
    // https://www.elastic.co/docs/solutions/observability/apm/opentelemetry
    Preset {
        name: "elastic",
        words: &["elasticapm", "apmserver"],
        prefix: "ELASTIC_APM_",
        url: &["ELASTIC_APM_SERVER_URL"],
        key: &[
            key("ELASTIC_APM_API_KEY", "authorization", "ApiKey "),
            key("ELASTIC_APM_SECRET_TOKEN", "authorization", "Bearer "),
        ],
        takes: Takes::Otlp(Otlp { port: 8200, ..USUAL }),
    },
    // https://docs.datadoghq.com/opentelemetry/setup/otlp_ingest/
    Preset {
        name: "datadog",
        words: &[],
        prefix: "DD_",
        url: &[],
        key: &[key("DD_API_KEY", "dd-api-key", "")],
        takes: Takes::Otlp(Otlp {
            default: Some("https://otlp.{}"),
            site: Some(("DD_SITE", "datadoghq.com")),
            wrong: &[
                (
                    8126,
                    "8126 takes the Datadog agent's own format; its OTLP receiver, once switched on, is on 4318",
                ),
                (
                    8125,
                    "8125 is the Datadog agent's DogStatsD; its OTLP receiver, once switched on, is on 4318",
                ),
            ],
            delta: true,
            ..USUAL
        }),
    },
    // https://docs.newrelic.com/docs/opentelemetry/best-practices/opentelemetry-otlp/
    Preset {
        name: "newrelic",
        words: &[],
        prefix: "NEW_RELIC_",
        url: &[],
        key: &[key("NEW_RELIC_LICENSE_KEY", "api-key", "")],
        takes: Takes::Otlp(Otlp { default: Some("https://otlp.nr-data.net"), delta: true, ..USUAL }),
    },
    // https://docs.honeycomb.io/send-data/opentelemetry/
    Preset {
        name: "honeycomb",
        words: &[],
        prefix: "HONEYCOMB_",
        url: &["HONEYCOMB_API_ENDPOINT"],
        key: &[key("HONEYCOMB_API_KEY", "x-honeycomb-team", "")],
        takes: Takes::Otlp(Otlp { default: Some("https://api.honeycomb.io"), ..USUAL }),
    },
    // https://grafana.com/docs/grafana-cloud/send-data/otlp/send-data-otlp/
    Preset {
        name: "grafana",
        words: &["grafanacloud"],
        prefix: "GRAFANA_CLOUD_",
        url: &["GRAFANA_CLOUD_OTLP_ENDPOINT"],
        key: &[key("GRAFANA_CLOUD_OTLP_TOKEN", "authorization", "Basic ")],
        takes: Takes::Otlp(Otlp { path: "/otlp", ..USUAL }),
    },
    // https://docs.dynatrace.com/docs/ingest-from/opentelemetry/otlp-api
    Preset {
        name: "dynatrace",
        words: &[],
        prefix: "DT_",
        url: &["DT_API_URL"],
        key: &[key("DT_API_TOKEN", "authorization", "Api-Token ")],
        takes: Takes::Otlp(Otlp { port: 0, path: "/api/v2/otlp", delta: true, ..USUAL }),
    },
];

/// The place of this name, or of a word that a binding has for it.
#[must_use]
pub fn find(word: &str) -> Option<&'static Preset> {
    let word = plain(word);
    PRESETS.iter().find(|it| it.name == word || it.words.contains(&word.as_str()))
}

/// Without case and separators.
pub(crate) fn plain(word: &str) -> String {
    word.chars().filter(|it| it.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
