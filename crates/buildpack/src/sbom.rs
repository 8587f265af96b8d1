//! SBOM files of a layer: CycloneDX 1.6, SPDX 2.3 and Syft JSON, the same bytes for the same packages.
//!
//! No file has a time of its making or a random id: names that must be unique are derived from the contents.
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#software-bill-of-materials>

use crate::digest::sha256;
use serde_json::{Value, json};

/// The end of the file name of each format.
pub const EXTENSIONS: [&str; 3] = ["cdx.json", "spdx.json", "syft.json"];

/// For `sbom-formats` of `buildpack.toml`, in the order of [`EXTENSIONS`].
pub const MEDIA_TYPES: [&str; 3] =
    ["application/vnd.cyclonedx+json", "application/spdx+json", "application/vnd.syft+json"];

/// A component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its package URL, such as `pkg:pypi/flask@3.1.2`.
    pub purl: String,
    /// Facts in words, such as why something was left out: name and value.
    pub properties: Vec<(String, String)>,
}

impl Package {
    /// A package of Python's index.
    #[must_use]
    pub fn pypi(name: &str, version: &str) -> Self {
        let purl = format!(
            "pkg:pypi/{}@{}",
            name.to_lowercase().replace(['_', '.'], "-"),
            version.replace('+', "%2B")
        );
        Self { name: name.to_owned(), version: version.to_owned(), purl, properties: Vec::new() }
    }

    /// A binary package of Debian's.
    #[must_use]
    pub fn deb(name: &str, version: &str, architecture: &str) -> Self {
        let escaped = version.replace('+', "%2B").replace(':', "%3A").replace('~', "%7E");
        let purl = format!("pkg:deb/debian/{name}@{escaped}?arch={architecture}");
        Self { name: name.to_owned(), version: version.to_owned(), purl, properties: Vec::new() }
    }
}

/// What is in a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sbom {
    packages: Vec<Package>,
}

impl Sbom {
    /// An SBOM of these packages, in any order.
    #[must_use]
    pub fn new(mut packages: Vec<Package>) -> Self {
        packages.sort();
        packages.dedup();
        Self { packages }
    }

    /// The end of the file name and the text of each format.
    #[must_use]
    pub fn files(&self) -> [(&'static str, String); 3] {
        let [cyclonedx, spdx, syft] = EXTENSIONS;
        [(cyclonedx, self.cyclonedx()), (spdx, self.spdx()), (syft, self.syft())]
    }

    fn cyclonedx(&self) -> String {
        let components: Vec<Value> = self
            .packages
            .iter()
            .map(|it| {
                let mut component = json!({"type": "library", "bom-ref": it.purl, "name": it.name,
                    "version": it.version, "purl": it.purl});
                if !it.properties.is_empty() {
                    let list =
                        it.properties.iter().map(|(name, value)| json!({"name": name, "value": value}));
                    component["properties"] = list.collect();
                }
                component
            })
            .collect();
        text(&json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}))
    }

    fn spdx(&self) -> String {
        let packages: Vec<Value> = self
            .packages
            .iter()
            .map(|it| {
                let mut package = json!({"SPDXID": spdx_id(it), "name": it.name, "versionInfo": it.version,
                    "downloadLocation": "NOASSERTION", "filesAnalyzed": false, "externalRefs": [{
                        "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": it.purl}]});
                if !it.properties.is_empty() {
                    let words: Vec<String> =
                        it.properties.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                    package["comment"] = words.join("\n").into();
                }
                package
            })
            .collect();
        let related: Vec<Value> = self
            .packages
            .iter()
            .map(|it| {
                json!({"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
                "relatedSpdxElement": spdx_id(it)})
            })
            .collect();
        let namespace = sha256(text(&json!(packages)).as_bytes());
        text(&json!({"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
            "name": "layer", "documentNamespace": format!("urn:packlight:sbom:{namespace}"),
            "creationInfo": {"created": "1980-01-01T00:00:01Z", "creators": ["Tool: packlight"]},
            "packages": packages, "relationships": related}))
    }

    fn syft(&self) -> String {
        let artifacts: Vec<Value> = self
            .packages
            .iter()
            .map(|it| {
                json!({"id": &sha256(it.purl.as_bytes())[..16], "name": it.name, "version": it.version,
                "type": syft_type(&it.purl), "foundBy": "packlight", "locations": [], "licenses": [],
                "language": "", "cpes": [], "purl": it.purl})
            })
            .collect();
        text(&json!({"artifacts": artifacts, "artifactRelationships": [],
            "source": {"id": "layer", "name": "layer", "version": "", "type": "directory", "metadata": {}}, "distro": {},
            "descriptor": {"name": "packlight", "version": env!("CARGO_PKG_VERSION")},
            "schema": {"version": "16.0.34",
                "url": "https://raw.githubusercontent.com/anchore/syft/main/schema/json/schema-16.0.34.json"}}))
    }
}

fn spdx_id(package: &Package) -> String {
    format!("SPDXRef-Package-{}", &sha256(package.purl.as_bytes())[..16])
}

fn syft_type(purl: &str) -> &str {
    match purl.strip_prefix("pkg:").and_then(|it| it.split('/').next()) {
        Some("pypi") => "python",
        Some(other) => other,
        None => "unknown",
    }
}

fn text(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_packages_in_another_order_give_the_same_bytes() {
        let [a, b] = [Package::pypi("Flask", "3.1.2"), Package::pypi("torch", "2.0+cpu")];
        let one = Sbom::new(vec![a.clone(), b.clone()]);
        assert_eq!(one.files(), Sbom::new(vec![b, a]).files());
        let [cyclonedx, spdx, syft] = one.files();
        for (name, text) in [&cyclonedx, &spdx, &syft] {
            let _: Value = serde_json::from_str(text).unwrap();
            assert!(text.contains("pkg:pypi/flask@3.1.2"), "{name}: {text}");
            assert!(text.contains("pkg:pypi/torch@2.0%2Bcpu"), "{name}: {text}");
        }
        assert!(cyclonedx.1.contains("\"specVersion\": \"1.6\""));
        assert!(spdx.1.contains("SPDX-2.3"));
    }
}
