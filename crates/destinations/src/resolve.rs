//! From everything that names a destination to one plan: who wins for each signal, and what the exporters are told.
//!
//! For each signal the first of these that names one wins:
//!
//! 1. `OTEL_SDK_DISABLED=true` and `OTEL_<SIGNAL>_EXPORTER=none`: nothing is sent;
//! 2. `PACKLIGHT_DESTINATION`, in its order;
//! 3. bindings, by name;
//! 4. OpenTelemetry's own variables;
//! 5. a vendor's own key (`NEW_RELIC_LICENSE_KEY`, ...), when nothing before it named any destination.

use crate::bindings::{self, Binding};
use crate::named::{self, Claim};
use crate::presets::PRESETS;
use crate::{Plan, Signal, Variables, otel};
use std::collections::BTreeMap;

/// The variable that names destinations.
pub const VARIABLE: &str = "PACKLIGHT_DESTINATION";

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// What is sent where.
    pub plan: Plan,
    /// Variables that say so to the exporters.
    pub told: Variables,
    /// What bindings hold, as variables that are not set already.
    pub bound: Variables,
    /// Whether something is sent otherwise than it would be without the bindings.
    pub by_binding: bool,
}

/// Reads all of it; `agents` are the vendors that have an agent of their own in the image, to which their key is no
/// destination of OTLP. A destination that cannot be used is a note, and then nothing is sent at all: half of what was asked
/// for would look like all of it.
#[must_use]
pub fn resolve(variables: &Variables, bindings: &[Binding], agents: &[&str]) -> Resolved {
    let is_disabled =
        variables.get("OTEL_SDK_DISABLED").is_some_and(|it| it.trim().eq_ignore_ascii_case("true"));
    if is_disabled {
        return Resolved::default();
    }
    let (mut bound, mut claims) = bindings::read(bindings);
    bound.retain(|name, _| variables.get(name).is_none_or(String::is_empty));
    claims.retain(|it| !agents.contains(&it.preset.name));
    let mut all = variables.clone();
    all.extend(bound.clone());
    match route((variables, &all), claims, agents) {
        Ok((routes, notes)) => {
            let told = told(&all, routes);
            all.extend(told.clone());
            let mut plan = otel::plan(&all);
            plan.notes.splice(0..0, notes);
            let by_binding =
                !bindings.is_empty() && resolve(variables, &[], agents).plan.routes != plan.routes;
            Resolved { plan, told, bound, by_binding }
        }
        Err(problem) => {
            let notes = vec![format!("nothing is sent: {problem}")];
            Resolved {
                plan: Plan { notes, ..Plan::default() },
                told: Variables::new(),
                bound,
                by_binding: false,
            }
        }
    }
}

type Routes = BTreeMap<Signal, Vec<(String, String)>>;

/// What each signal is told by whoever names it first, and what lost.
fn route(
    (given, all): (&Variables, &Variables),
    of_bindings: Vec<Claim>,
    agents: &[&str],
) -> Result<(Routes, Vec<String>), String> {
    let mut claims = named::parse(given.get(VARIABLE).map_or("", String::as_str), VARIABLE)?;
    claims.extend(of_bindings);
    if claims.is_empty() && otel::plan(all).is_empty() {
        claims.extend(of_a_key(all, agents));
    }
    let is_off = |it: Signal| {
        given.get(&format!("OTEL_{}_EXPORTER", it.upper())).is_some_and(|it| it.trim() == "none")
    };
    let (mut routes, mut notes, mut winners) = (Routes::new(), Vec::new(), BTreeMap::new());
    for claim in &claims {
        let told = claim.told(all)?;
        let mut lost: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for told in told.into_iter().filter(|it| !is_off(it.signal)) {
            if let Some(winner) = winners.get(&told.signal) {
                lost.entry(*winner).or_default().push(told.signal.name());
                continue;
            }
            winners.insert(told.signal, claim.preset.name);
            routes.insert(told.signal, told.set);
        }
        for (winner, signals) in lost {
            let (name, from) = (claim.preset.name, &claim.from);
            notes.push(format!("{} do not go to {name} ({from}): {winner} comes first", signals.join(", ")));
        }
    }
    Ok((routes, notes))
}

/// The first vendor whose key is there: a key alone says where, for each that has one usual address or a variable for it.
fn of_a_key(variables: &Variables, agents: &[&str]) -> Option<Claim> {
    let is_set = |it: &&str| variables.get(*it).is_some_and(|it| !it.trim().is_empty());
    PRESETS.iter().filter(|it| !agents.contains(&it.name)).find_map(|preset| {
        let key = preset.key.iter().map(|it| it.variable).find(is_set)?;
        let claim = Claim { preset, url: None, from: key.to_owned() };
        claim.told(variables).is_ok().then_some(claim)
    })
}

/// The variables of the winners. Headers that are for every receiver are the user's own receiver's: they stay with the
/// signals that go there, and no other place is shown them.
fn told(all: &Variables, routes: Routes) -> Variables {
    const GENERAL: &str = "OTEL_EXPORTER_OTLP_HEADERS";
    let mut set = Variables::new();
    if let Some(headers) = all.get(GENERAL).filter(|it| !it.is_empty() && !routes.is_empty()) {
        set.insert(GENERAL.to_owned(), String::new());
        for signal in Signal::ALL.into_iter().filter(|it| !routes.contains_key(it)) {
            let own = format!("OTEL_EXPORTER_OTLP_{}_HEADERS", signal.upper());
            if all.get(&own).is_none_or(String::is_empty) {
                set.insert(own, headers.clone());
            }
        }
    }
    set.extend(routes.into_values().flatten());
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(variables: &[(&str, &str)], bound: &[Binding]) -> Resolved {
        resolve(&variables.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(), bound, &[])
    }

    fn to(destination: &str) -> String {
        ask(&[(VARIABLE, destination)], &[]).plan.to_string()
    }

    fn wrong(destination: &str) -> String {
        let resolved = ask(&[(VARIABLE, destination)], &[]);
        assert!(resolved.plan.is_empty() && resolved.told.is_empty(), "{resolved:?}");
        resolved.plan.notes.join("\n")
    }

    #[test]
    fn a_name_and_an_address_are_enough() {
        assert_eq!(to("jaeger=http://j"), "traces → http://j:4318");
        assert_eq!(to("jaeger=https://j.example/base"), "traces → https://j.example/base");
        assert_eq!(to("otlp=c:4318"), "traces, metrics, logs → http://c:4318");
        assert_eq!(to("zipkin=http://z/"), "traces → zipkin http://z:9411/api/v2/spans");
        assert_eq!(to("zipkin"), "traces → zipkin http://localhost:9411/api/v2/spans");
        assert_eq!(to("prometheus=http://p:9090/api/v1/otlp"), "metrics → http://p:9090/api/v1/otlp");
        assert_eq!(to("prometheus=scrape"), "metrics → prometheus, which scrapes port 9464");
        assert_eq!(to("prometheus=:1234"), "metrics → prometheus, which scrapes port 1234");
        assert_eq!(to("elasticsearch=https://e:9200/_otlp"), "traces, metrics, logs → https://e:9200/_otlp");
        assert_eq!(
            to("jaeger=http://j,prometheus=scrape"),
            "traces → http://j:4318; metrics → prometheus, which scrapes port 9464"
        );
    }

    #[test]
    fn a_wrong_address_is_answered_with_the_right_one() {
        for (destination, words) in [
            ("jager=http://j", "there is no destination `jager`; there are otlp, jaeger, "),
            ("jaeger=http://j:16686", "16686 is Jaeger's page"),
            ("jaeger=http://j:4317", "4317 takes OTLP over gRPC"),
            ("jaeger=http://j:4318/v1/traces", "write it without /v1/"),
            ("jaeger=ftp://j", "does not begin with http://"),
            ("zipkin=http://z:9411/zipkin", "is its page"),
            ("zipkin=http://z:9411/api/v3", "it takes spans at /api/v2/spans"),
            ("prometheus=http://p:9090/api/v1/write", "remote write"),
            ("prometheus=http://p:9090/metrics", "prometheus=scrape"),
            ("elasticsearch=http://e:9200", "put the OpenTelemetry Collector"),
            ("datadog=http://agent:8126", "8126 takes the Datadog agent's own format"),
            ("newrelic", "no key is set; it is read from NEW_RELIC_LICENSE_KEY"),
            ("dynatrace", "it needs an address: dynatrace=https://…, or set DT_API_URL"),
            ("jaeger=http://me:hunter2@h:99999", "has a port that is no number"),
        ] {
            let said = wrong(destination);
            assert!(said.starts_with("nothing is sent: ") && said.contains(words), "{destination}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn a_vendor_gets_its_address_its_header_and_its_temporality() {
        let resolved = ask(&[("NEW_RELIC_LICENSE_KEY", "eu01xabc")], &[]);
        assert_eq!(resolved.plan.to_string(), "traces, metrics, logs → https://otlp.eu01.nr-data.net");
        assert_eq!(resolved.told["OTEL_EXPORTER_OTLP_TRACES_HEADERS"], "api-key=eu01xabc");
        assert_eq!(resolved.told["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"], "delta");
        let resolved = ask(&[(VARIABLE, "datadog"), ("DD_API_KEY", "k"), ("DD_SITE", "datadoghq.eu")], &[]);
        assert_eq!(resolved.plan.to_string(), "traces, metrics, logs → https://otlp.datadoghq.eu");
        let elastic = [("ELASTIC_APM_SERVER_URL", "http://apm"), ("ELASTIC_APM_SECRET_TOKEN", "s t")];
        let resolved = ask(&elastic, &[]);
        assert_eq!(resolved.told["OTEL_EXPORTER_OTLP_LOGS_HEADERS"], "authorization=Bearer%20s%20t");
        assert_eq!(resolved.told["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"], "http://apm:8200/v1/logs");
    }

    #[test]
    fn the_order_is_explicit_binding_opentelemetry_vendor_and_the_loser_is_said() {
        let bound = Binding {
            name: "tracing".into(),
            words: vec!["zipkin".into()],
            entries: [("url".to_owned(), "http://z".to_owned())].into(),
        };
        let otel = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
        let key = ("HONEYCOMB_API_KEY", "k");
        let resolved = ask(&[(VARIABLE, "jaeger=http://j"), otel, key], std::slice::from_ref(&bound));
        assert_eq!(resolved.plan.to_string(), "traces → http://j:4318; metrics, logs → http://c:4318");
        assert_eq!(resolved.plan.notes, ["traces do not go to zipkin (binding tracing): jaeger comes first"]);
        let resolved = ask(&[otel, key], &[bound]);
        assert_eq!(
            resolved.plan.to_string(),
            "traces → zipkin http://z:9411/api/v2/spans; metrics, logs → http://c:4318"
        );
        assert_eq!(ask(&[otel, key], &[]).plan.to_string(), "traces, metrics, logs → http://c:4318");
        assert_eq!(ask(&[key], &[]).plan.to_string(), "traces, metrics, logs → https://api.honeycomb.io");
    }

    #[test]
    fn none_and_disabled_are_respected() {
        let jaeger = (VARIABLE, "jaeger=http://j");
        assert!(ask(&[jaeger, ("OTEL_SDK_DISABLED", "TRUE")], &[]).plan.is_empty());
        assert!(ask(&[jaeger, ("OTEL_TRACES_EXPORTER", "none")], &[]).plan.is_empty());
        let partly = ask(&[("HONEYCOMB_API_KEY", "k"), ("OTEL_LOGS_EXPORTER", "none")], &[]);
        assert_eq!(partly.plan.to_string(), "traces, metrics → https://api.honeycomb.io");
    }

    #[test]
    fn headers_for_the_users_receiver_are_shown_to_no_other() {
        let variables = [
            (VARIABLE, "jaeger=http://j"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret"),
        ];
        let set = ask(&variables, &[]).told;
        assert_eq!(set["OTEL_EXPORTER_OTLP_HEADERS"], "");
        assert_eq!(set["OTEL_EXPORTER_OTLP_TRACES_HEADERS"], "");
        assert_eq!(set["OTEL_EXPORTER_OTLP_LOGS_HEADERS"], "x-key=secret");
    }

    #[test]
    fn without_anything_nothing_is_set() {
        assert_eq!(ask(&[("DD_SERVICE", "x"), ("OTEL_SERVICE_NAME", "y")], &[]), Resolved::default());
    }

    #[test]
    fn a_key_is_no_destination_of_otlp_where_its_vendors_own_agent_is() {
        let key = [("NEW_RELIC_LICENSE_KEY".to_owned(), "k".to_owned())].into();
        assert!(resolve(&key, &[], &["newrelic", "opentelemetry"]).plan.is_empty());
        assert!(!resolve(&key, &[], &["opentelemetry"]).plan.is_empty());
        let bound = Binding {
            name: "nr".into(),
            words: vec!["NewRelic".into()],
            entries: [("license-key".to_owned(), "k".to_owned())].into(),
        };
        let resolved = resolve(&Variables::new(), &[bound], &["newrelic"]);
        assert!(resolved.plan.is_empty() && resolved.bound["NEW_RELIC_LICENSE_KEY"] == "k", "{resolved:?}");
    }
}
