//! What the platform has bound: service bindings, and the services of Cloud Foundry, as values and as claims.
//!
//! A binding's entries become the variables that its vendor documents (`license-key` of a `NewRelic` binding is
//! `NEW_RELIC_LICENSE_KEY`), as the buildpacks of Paketo have it, so whatever reads variables reads bindings too.
//!
//! <https://servicebinding.io/spec/core/1.1.0/#workload-projection>

use crate::named::Claim;
use crate::presets::{PRESETS, Preset, find, plain};
use crate::{Variables, vcap};
use std::collections::BTreeMap;

/// One binding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Binding {
    /// Its name: a directory's, or a service's.
    pub name: String,
    /// What it is called by whoever bound it: a type, a provider; a label, tags.
    pub words: Vec<String>,
    /// What it holds: names and texts.
    pub entries: BTreeMap<String, String>,
}

/// Entries that are an address, and those that are a key, whatever the vendor.
const ADDRESSES: &[&str] = &["url", "uri", "endpoint", "otlpendpoint", "serverurl", "apiurl", "host"];
const KEYS: &[&str] = &["key", "apikey", "licensekey", "token", "accesstoken", "apitoken", "password"];

impl Binding {
    /// The place that it names; by its words, else by a word of its name.
    #[must_use]
    pub fn preset(&self) -> Option<&'static Preset> {
        let by_word = self.words.iter().find_map(|it| find(it));
        by_word.or_else(|| {
            let name = plain(&self.name);
            PRESETS
                .iter()
                .find(|it| name.contains(it.name) || it.words.iter().any(|word| name.contains(word)))
        })
    }

    /// The entries that can be a variable's value: the system takes none with a zero byte, and an app that was to have one
    /// could not be started.
    fn texts(&self) -> impl Iterator<Item = (&String, &String)> + Clone {
        self.entries.iter().filter(|(_, value)| !value.contains('\0'))
    }

    /// The entries as variables.
    fn variables(&self, preset: &Preset) -> Variables {
        let mut found = Variables::new();
        for (entry, value) in self.texts() {
            let value = value.trim().to_owned();
            if !preset.prefix.is_empty() {
                found.insert(variable(preset.prefix, entry), value.clone());
            }
            if let (Some(key), true) = (preset.key.first(), KEYS.contains(&plain(entry).as_str())) {
                let documented = preset.key.iter().any(|it| it.variable == variable(preset.prefix, entry));
                if !documented {
                    found.entry(key.variable.to_owned()).or_insert(value);
                }
            }
        }
        found
    }

    fn address(&self) -> Option<String> {
        let found = ADDRESSES.iter().find_map(|wanted| self.texts().find(|(name, _)| plain(name) == *wanted));
        found.map(|(_, value)| value.trim().to_owned()).filter(|it| !it.is_empty())
    }
}

/// `license-key` with `NEW_RELIC_` is `NEW_RELIC_LICENSE_KEY`; what begins so already, or with the prefix's first word
/// (`otel.exporter.otlp.endpoint`), is as it is.
fn variable(prefix: &str, entry: &str) -> String {
    let upper: String = entry
        .chars()
        .map(|it| if it.is_ascii_alphanumeric() { it.to_ascii_uppercase() } else { '_' })
        .collect();
    let first = prefix.split('_').next().unwrap_or_default();
    if upper.starts_with(&format!("{first}_")) { upper } else { format!("{prefix}{upper}") }
}

/// What bindings say: variables, in which the first of two bindings wins, and claims.
#[must_use]
pub fn read(bindings: &[Binding]) -> (Variables, Vec<Claim>) {
    let (mut variables, mut claims) = (Variables::new(), Vec::new());
    for binding in bindings {
        let Some(preset) = binding.preset() else { continue };
        for (name, value) in binding.variables(preset) {
            variables.entry(name).or_insert(value);
        }
        // Variables of OpenTelemetry's own say where by themselves.
        let says_itself = preset.name == "otlp" && variables.keys().any(|it| it.ends_with("_ENDPOINT"));
        if !says_itself {
            claims.push(Claim { preset, url: binding.address(), from: format!("binding {}", binding.name) });
        }
    }
    (variables, claims)
}

/// The services of `VCAP_SERVICES` as bindings; none of a text that is no such JSON.
#[must_use]
pub fn of_cloud_foundry(json: &str) -> Vec<Binding> {
    vcap::services(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(name: &str, words: &[&str], entries: &[(&str, &str)]) -> Binding {
        let words = words.iter().map(|it| (*it).to_owned()).collect();
        let entries = entries.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        Binding { name: name.to_owned(), words, entries }
    }

    #[test]
    fn entries_become_the_variables_that_the_vendor_documents() {
        for (kind, entry, variable) in [
            ("NewRelic", "license-key", "NEW_RELIC_LICENSE_KEY"),
            ("NewRelic", "license_key", "NEW_RELIC_LICENSE_KEY"),
            ("new-relic", "licenseKey", "NEW_RELIC_LICENSE_KEY"),
            ("Datadog", "api-key", "DD_API_KEY"),
            ("ElasticAPM", "secret_token", "ELASTIC_APM_SECRET_TOKEN"),
            ("opentelemetry", "otel.exporter.otlp.endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT"),
            ("opentelemetry", "endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT"),
            ("honeycomb", "key", "HONEYCOMB_API_KEY"),
        ] {
            let (variables, _) = read(&[binding("x", &[kind], &[(entry, " v\n")])]);
            assert_eq!(
                variables.get(variable).map(String::as_str),
                Some("v"),
                "{kind} {entry}: {variables:?}"
            );
        }
    }

    #[test]
    fn a_binding_is_known_by_its_type_its_provider_or_its_name() {
        let named = |name: &str, words: &[&str]| binding(name, words, &[]).preset().map(|it| it.name);
        assert_eq!(named("anything", &["Jaeger"]), Some("jaeger"));
        assert_eq!(named("anything", &["tracing", "zipkin"]), Some("zipkin"));
        assert_eq!(named("my-new-relic", &["user-provided"]), Some("newrelic"));
        assert_eq!(named("my-otel-collector", &[]), Some("otlp"));
        assert_eq!(named("db", &["postgresql"]), None);
    }

    #[test]
    fn what_no_variable_can_hold_is_left_out() {
        let (variables, claims) =
            read(&[binding("d", &["datadog"], &[("api-key", "a\0b"), ("site", "x"), ("url", "http://\0")])]);
        assert_eq!(variables.into_iter().collect::<Vec<_>>(), [("DD_SITE".to_owned(), "x".to_owned())]);
        assert_eq!(claims[0].url, None);
    }

    #[test]
    fn an_address_is_a_claim_and_opentelemetrys_own_variables_are_none() {
        let (_, claims) = read(&[binding("t", &["jaeger"], &[("uri", "http://j\n")])]);
        assert_eq!((claims[0].url.as_deref(), claims[0].from.as_str()), (Some("http://j"), "binding t"));
        let (variables, claims) = read(&[binding("o", &["otel"], &[("endpoint", "http://c:4318")])]);
        assert!(claims.is_empty() && variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://c:4318");
    }
}
