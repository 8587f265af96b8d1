//! Cloud Foundry's `VCAP_SERVICES`: services by their label, name and tags, as its buildpacks look for them.
//!
//! <https://docs.cloudfoundry.org/devguide/deploy-apps/environment-variable.html#VCAP-SERVICES>

use crate::bindings::Binding;
use serde_json::Value;
use std::collections::BTreeMap;

/// The label of a service that a user has described by hand: it says nothing of what the service is.
const USER_PROVIDED: &str = "user-provided";

/// The services; none of a text that is no such JSON.
pub(crate) fn services(json: &str) -> Vec<Binding> {
    let Ok(Value::Object(labels)) = serde_json::from_str::<Value>(json) else { return Vec::new() };
    let all = labels.into_iter().filter_map(|(label, list)| Some((label, list.as_array()?.clone())));
    all.flat_map(|(label, list)| list.into_iter().map(move |it| service(&label, &it))).collect()
}

fn service(label: &str, service: &Value) -> Binding {
    let text = |key: &str| service.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let tags = service.get("tags").and_then(Value::as_array).into_iter().flatten();
    let label = Some(label.to_owned()).filter(|it| it != USER_PROVIDED);
    let words = label.into_iter().chain(tags.filter_map(|it| it.as_str().map(str::to_owned))).collect();
    let mut entries = BTreeMap::new();
    for (name, value) in service.get("credentials").and_then(Value::as_object).into_iter().flatten() {
        match value {
            Value::String(text) => drop(entries.insert(name.clone(), text.clone())),
            Value::Number(_) | Value::Bool(_) => drop(entries.insert(name.clone(), value.to_string())),
            Value::Null | Value::Array(_) | Value::Object(_) => {}
        }
    }
    Binding { name: text("name"), words, entries }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_found_by_label_name_and_tag() {
        let json = r#"{
            "newrelic": [{"name": "nr", "tags": ["monitoring"], "credentials": {"licenseKey": "k", "n": 1, "o": {}}}],
            "user-provided": [
                {"name": "our-datadog", "tags": [], "credentials": {"api_key": "d"}},
                {"name": "x", "tags": ["jaeger"], "credentials": {"uri": "http://j"}}
            ]
        }"#;
        let found = services(json);
        let named: Vec<_> = found.iter().map(|it| it.preset().map(|it| it.name)).collect();
        assert_eq!(named, [Some("newrelic"), Some("datadog"), Some("jaeger")]);
        assert_eq!(found[0].entries["licenseKey"], "k");
        assert_eq!(found[0].entries.keys().collect::<Vec<_>>(), ["licenseKey", "n"]);
    }

    #[test]
    fn whatever_else_it_holds_is_nothing() {
        for json in
            ["", "[]", "{\"a\": 1}", "{\"a\": [1, null, {\"tags\": 3, \"credentials\": []}]}", "\u{0}"]
        {
            assert!(services(json).iter().all(|it| it.preset().is_none()), "{json}");
        }
    }
}
