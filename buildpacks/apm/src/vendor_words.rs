//! Vendors' own vocabularies at launch: the variables that name a vendor's backend, and how it calls what every vendor asks.

/// One vendor's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// The vendor's id.
    pub vendor: &'static str,
    /// Any of these, set and not empty, claims the process for the vendor.
    pub claims: &'static [&'static str],
    /// Attributes of OpenTelemetry's conventions and the vendor's variables for the same.
    pub facts: &'static [(&'static str, &'static str)],
}

/// In the order in which claims count: whoever has named a vendor means it, OTLP is the language that many speak.
pub const WORDS: &[Words] = &[
    // https://docs.datadoghq.com/tracing/trace_collection/library_config/python/
    Words {
        vendor: "datadog",
        claims: &["DD_AGENT_HOST", "DD_TRACE_AGENT_URL", "DD_API_KEY"],
        facts: &[
            ("service.name", "DD_SERVICE"),
            ("service.version", "DD_VERSION"),
            ("deployment.environment.name", "DD_ENV"),
        ],
    },
    // https://docs.newrelic.com/docs/apm/agents/python-agent/configuration/python-agent-configuration/
    Words {
        vendor: "newrelic",
        claims: &["NEW_RELIC_LICENSE_KEY"],
        facts: &[("service.name", "NEW_RELIC_APP_NAME")],
    },
    // https://www.elastic.co/docs/reference/apm/agents/python/configuration
    Words {
        vendor: "elastic",
        claims: &["ELASTIC_APM_SERVER_URL"],
        facts: &[
            ("service.name", "ELASTIC_APM_SERVICE_NAME"),
            ("service.version", "ELASTIC_APM_SERVICE_VERSION"),
            ("deployment.environment.name", "ELASTIC_APM_ENVIRONMENT"),
        ],
    },
    // https://docs.sentry.io/platforms/python/configuration/options/
    Words {
        vendor: "sentry",
        claims: &["SENTRY_DSN"],
        facts: &[
            ("service.version", "SENTRY_RELEASE"),
            ("deployment.environment.name", "SENTRY_ENVIRONMENT"),
        ],
    },
];
