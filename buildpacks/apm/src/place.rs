//! What the place that an app runs in says of it: Kubernetes' downward API, Cloud Foundry, as resource attributes.
//!
//! <https://opentelemetry.io/docs/specs/semconv/resource/k8s/>,
//! <https://opentelemetry.io/docs/specs/semconv/resource/cloudfoundry/>

use destinations::Variables;
use std::collections::BTreeMap;

/// Attributes, and the variables that manifests usually give what the downward API knows; the first that is set counts.
/// <https://kubernetes.io/docs/concepts/workloads/pods/downward-api/>
const KUBERNETES: &[(&str, &[&str])] = &[
    ("k8s.pod.name", &["OTEL_RESOURCE_ATTRIBUTES_POD_NAME", "K8S_POD_NAME", "POD_NAME", "HOSTNAME"]),
    ("k8s.pod.uid", &["OTEL_RESOURCE_ATTRIBUTES_POD_UID", "K8S_POD_UID", "POD_UID"]),
    ("k8s.namespace.name", &["K8S_NAMESPACE_NAME", "K8S_NAMESPACE", "POD_NAMESPACE"]),
    ("k8s.node.name", &["OTEL_RESOURCE_ATTRIBUTES_NODE_NAME", "K8S_NODE_NAME", "NODE_NAME"]),
    ("k8s.container.name", &["K8S_CONTAINER_NAME", "CONTAINER_NAME"]),
    ("k8s.deployment.name", &["K8S_DEPLOYMENT_NAME"]),
];

/// Attributes, and keys of `VCAP_APPLICATION`.
/// <https://docs.cloudfoundry.org/devguide/deploy-apps/environment-variable.html#VCAP-APPLICATION>
const CLOUD_FOUNDRY: &[(&str, &str)] = &[
    ("cloudfoundry.app.id", "application_id"),
    ("cloudfoundry.app.name", "application_name"),
    ("cloudfoundry.space.id", "space_id"),
    ("cloudfoundry.space.name", "space_name"),
    ("cloudfoundry.org.id", "organization_id"),
    ("cloudfoundry.org.name", "organization_name"),
    ("cloudfoundry.process.id", "process_id"),
    ("cloudfoundry.process.type", "process_type"),
];

/// All that is known.
#[must_use]
pub fn attributes(variables: &Variables) -> BTreeMap<String, String> {
    let set = |name: &str| variables.get(name).filter(|it| !it.trim().is_empty());
    let mut found = BTreeMap::new();
    // Every pod is told where its API server is; elsewhere these names may mean anything.
    if set("KUBERNETES_SERVICE_HOST").is_some() {
        for (attribute, names) in KUBERNETES {
            if let Some(value) = names.iter().find_map(|it| set(it)) {
                found.insert((*attribute).to_owned(), value.clone());
            }
        }
    }
    let application =
        set("VCAP_APPLICATION").and_then(|it| serde_json::from_str::<serde_json::Value>(it).ok());
    for (attribute, key) in CLOUD_FOUNDRY {
        if let Some(text) = application.as_ref().and_then(|it| it.get(key)?.as_str()) {
            found.insert((*attribute).to_owned(), text.to_owned());
        }
    }
    if let (true, Some(index)) = (application.is_some(), set("CF_INSTANCE_INDEX")) {
        found.insert("cloudfoundry.app.instance.id".to_owned(), index.clone());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        let all = variables.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        attributes(&all).into_iter().collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn a_pod_knows_what_its_manifest_tells_it() {
        let pod = [("POD_NAMESPACE", "shop"), ("HOSTNAME", "web-1"), ("NODE_NAME", " ")];
        assert_eq!(of(&pod), []);
        let inside = [&pod[..], &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")]].concat();
        assert_eq!(of(&inside), pairs(&[("k8s.namespace.name", "shop"), ("k8s.pod.name", "web-1")]));
        let named = [inside.as_slice(), &[("POD_NAME", "web-2")]].concat();
        assert_eq!(of(&named)[1].1, "web-2");
    }

    #[test]
    fn an_app_of_cloud_foundry_knows_its_space() {
        let json = r#"{"application_name": "shop", "space_name": "prod", "limits": {"mem": 1}, "application_id": 3}"#;
        let told = [("VCAP_APPLICATION", json), ("CF_INSTANCE_INDEX", "2")];
        let expected = pairs(&[
            ("cloudfoundry.app.instance.id", "2"),
            ("cloudfoundry.app.name", "shop"),
            ("cloudfoundry.space.name", "prod"),
        ]);
        assert_eq!(of(&told), expected);
        assert_eq!(of(&[("VCAP_APPLICATION", "{"), ("CF_INSTANCE_INDEX", "2")]), []);
    }
}
