//! Who the app is, from what the platform knows: resource attributes by the semantic conventions' names.
//!
//! <https://opentelemetry.io/docs/specs/semconv/resource/>, <https://opentelemetry.io/docs/specs/semconv/registry/attributes/vcs/>

use buildpack::{Context, Failure};
use std::collections::BTreeMap;

/// The platform's variable, the place in `project.toml` where another platform may have it, the attribute.
const FACTS: &[(&str, &str, &str)] = &[
    ("BP_OCI_TITLE", "name", "service.name"),
    ("BP_OCI_VERSION", "version", "service.version"),
    ("BP_OCI_SOURCE", "source-url", "vcs.repository.url.full"),
    ("BP_OCI_REVISION", "", "vcs.ref.head.revision"),
    ("BP_OCI_REF_NAME", "", "vcs.ref.head.name"),
];

/// The attributes that are known at build time.
///
/// # Errors
/// When `project.toml` is there and cannot be read.
pub fn attributes(context: &Context) -> Result<BTreeMap<String, String>, Failure> {
    let project = context.read_app("project.toml")?.unwrap_or_default();
    let table: toml::Table = toml::from_str(&String::from_utf8_lossy(&project)).unwrap_or_default();
    let mut found = BTreeMap::from([("deployment.environment.name".to_owned(), "production".to_owned())]);
    for (variable, key, attribute) in FACTS {
        let value = context.var(variable).map(str::to_owned).or_else(|| in_project(&table, key));
        if let Some(value) = value {
            found.insert((*attribute).to_owned(), without_userinfo(&value));
        }
    }
    Ok(found)
}

/// `[_]` of schema 0.2, `[project]` of 0.1.
fn in_project(table: &toml::Table, key: &str) -> Option<String> {
    let section = |name: &str| Some(table.get(name)?.get(key)?.as_str()?.to_owned());
    section("_").or_else(|| section("project"))
}

/// A repository's address may hold a token: it is not to go into an image.
fn without_userinfo(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    let host = rest[..end].rsplit_once('@').map_or(&rest[..end], |it| it.1);
    format!("{scheme}://{host}{}", &rest[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_the_repositorys_address_is_left_out() {
        assert_eq!(without_userinfo("https://u:token@h/a@b.git"), "https://h/a@b.git");
        assert_eq!(without_userinfo("git@h:a/b.git"), "git@h:a/b.git");
    }

    #[test]
    fn project_toml_is_read_in_both_schemas() {
        let new: toml::Table = toml::from_str("[_]\nname = \"a\"\n").unwrap();
        let old: toml::Table = toml::from_str("[project]\nname = \"b\"\n").unwrap();
        assert_eq!(in_project(&new, "name").as_deref(), Some("a"));
        assert_eq!(in_project(&old, "name").as_deref(), Some("b"));
    }
}
