//! The name of an image, by Docker's rules: <https://github.com/distribution/reference/blob/v0.6.0/reference.go>.

use std::fmt;

use crate::Digest;

/// Where an image is or shall be: `registry/repository:tag@digest`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName {
    /// A host, with a port where one was given; `docker.io` for Docker Hub.
    pub registry: String,
    /// The path in the registry, such as `library/my-app`.
    pub repository: String,
    /// `latest` when neither a tag nor a digest was given.
    pub tag: Option<String>,
    /// The manifest's digest, when one was given.
    pub digest: Option<Digest>,
}

/// A text that names no image: which part of it is wrong, and how a right one looks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("image name {name:?} is not valid: {problem}; a valid one looks like {example}")]
pub struct NameError {
    /// What was given.
    pub name: String,
    /// The part that is wrong, and what is allowed there.
    pub problem: String,
    /// A valid name, as near to what was given as can be made.
    pub example: String,
}

/// Docker Hub, whose short names (`ubuntu`) stand for `docker.io/library/ubuntu`.
const HUB: &str = "docker.io";
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

impl ImageName {
    /// Reads a name as Docker does.
    ///
    /// The first component is a registry when it has a dot or a colon or is `localhost`; otherwise the name is in
    /// `default_registry`. In `docker.io` (also spelled `index.docker.io`), and only there, a name of one component
    /// gets `library/` in front. Without tag and digest the tag is `latest`.
    ///
    /// # Errors
    /// When a part has a character that is not allowed there, or is too long or missing.
    pub fn parse(text: &str, default_registry: &str) -> Result<Self, NameError> {
        let fail = |problem: String| NameError { name: text.to_owned(), problem, example: example(text) };
        if text.is_empty() {
            return Err(fail("it is empty".to_owned()));
        }
        let (rest, digest) = match text.split_once('@') {
            None => (text, None),
            Some((rest, digest)) => (rest, Some(digest.parse::<Digest>().map_err(|e| fail(e.to_string()))?)),
        };
        // A colon after the last slash begins the tag; one before it belongs to a port.
        let path_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (path, tag) = match rest[path_start..].split_once(':') {
            None => (rest, None),
            Some((last, tag)) => (&rest[..path_start + last.len()], Some(tag)),
        };
        if let Some(tag) = tag {
            check_tag(tag).map_err(&fail)?;
        }
        let (registry, repository) = split_registry(path, default_registry);
        check_registry(&registry).map_err(&fail)?;
        check_repository(&repository).map_err(&fail)?;
        let tag = match (tag, digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, None) => Some("latest".to_owned()),
            (None, Some(_)) => None,
        };
        Ok(Self { registry, repository, tag, digest })
    }

    /// The name as Docker's own lists show it: without `docker.io/library/`.
    pub fn short(&self) -> String {
        let full = self.to_string();
        let Some(rest) = full.strip_prefix("docker.io/") else { return full };
        rest.strip_prefix("library/").filter(|name| !name.contains('/')).unwrap_or(rest).to_owned()
    }

    /// The last component of the repository: `web` for `ghcr.io/acme/web:1`.
    pub fn last_component(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }

    /// Registry and repository, without tag and digest.
    pub fn without_tag(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

fn split_registry(path: &str, default_registry: &str) -> (String, String) {
    let (registry, repository) = match path.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => (default_registry.trim_end_matches('/'), path),
    };
    if !matches!(registry, HUB | "index.docker.io") {
        return (registry.to_owned(), repository.to_owned());
    }
    let library = if repository.contains('/') { "" } else { "library/" };
    (HUB.to_owned(), format!("{library}{repository}"))
}

fn check_registry(registry: &str) -> Result<(), String> {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (registry, None),
    };
    if port.is_some_and(|port| port.is_empty() || !port.bytes().all(|c| c.is_ascii_digit())) {
        return Err(format!("the port of the registry {registry:?} is not a number"));
    }
    let is_v6 = host.starts_with('[') && host.ends_with(']');
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c) || (is_v6 && "[]:".contains(c));
    match host.chars().find(|c| !allowed(*c)) {
        Some(bad) => Err(format!("the registry {registry:?} has {bad:?}, which no host name has")),
        None if host.is_empty() || host.split('.').any(str::is_empty) => {
            Err(format!("the registry {registry:?} is not a host name"))
        }
        None => Ok(()),
    }
}

fn check_repository(repository: &str) -> Result<(), String> {
    if repository.len() > MAX_REPOSITORY {
        return Err(format!("it is longer than {MAX_REPOSITORY} characters"));
    }
    repository.split('/').try_for_each(check_component)
}

fn check_component(part: &str) -> Result<(), String> {
    const ALLOWED: &str = "lower-case letters, digits and single '.', '_', '__' or '-' between them";
    if part.is_empty() {
        return Err("a part between two slashes, or before or after one, is empty".to_owned());
    }
    if let Some(bad) = part.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-')) {
        let why = if bad.is_ascii_uppercase() { "an upper-case letter" } else { "not allowed" };
        return Err(format!("{bad:?} in {part:?} is {why}: a name has {ALLOWED}"));
    }
    let is_separator = |c: char| matches!(c, '.' | '_' | '-');
    if part.starts_with(is_separator) || part.ends_with(is_separator) {
        return Err(format!("{part:?} begins or ends with a separator: a name has {ALLOWED}"));
    }
    for run in part.split(|c: char| !is_separator(c)) {
        if run.len() > 1 && run != "__" && !run.bytes().all(|c| c == b'-') {
            return Err(format!("{run:?} in {part:?} is no separator: a name has {ALLOWED}"));
        }
    }
    Ok(())
}

fn check_tag(tag: &str) -> Result<(), String> {
    if tag.is_empty() {
        return Err("the tag after ':' is empty".to_owned());
    }
    if tag.len() > MAX_TAG {
        return Err(format!("the tag is longer than {MAX_TAG} characters"));
    }
    if let Some(bad) = tag.chars().find(|c| !c.is_ascii_alphanumeric() && !"_.-".contains(*c)) {
        return Err(format!(
            "{bad:?} in the tag {tag:?} is not allowed: a tag has letters, digits, '_', '.' and '-'"
        ));
    }
    if tag.starts_with(['.', '-']) {
        return Err(format!("the tag {tag:?} begins with '.' or '-'"));
    }
    Ok(())
}

/// A valid name that resembles what was given.
fn example(text: &str) -> String {
    let path = text.split(['@', ':']).next().unwrap_or_default();
    let mut name = String::new();
    for c in path.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default().chars() {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => name.push(c),
            _ if name.is_empty() || name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    let name = name.trim_end_matches('-');
    let name = if name.is_empty() || name.len() > 100 { "my-app" } else { name };
    format!("{name}, {name}:1.0 or registry.example.com/team/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(text: &str) -> String {
        ImageName::parse(text, "docker.io").unwrap().to_string()
    }

    #[test]
    fn names_are_completed_as_docker_completes_them() {
        assert_eq!(hub("my-app"), "docker.io/library/my-app:latest");
        assert_eq!(hub("acme/my-app:1.0"), "docker.io/acme/my-app:1.0");
        assert_eq!(hub("index.docker.io/my-app"), "docker.io/library/my-app:latest");
        assert_eq!(hub("localhost/my-app"), "localhost/my-app:latest");
        assert_eq!(hub("localhost:5000/a/b:c"), "localhost:5000/a/b:c");
        assert_eq!(hub("ghcr.io/acme/web__x--y"), "ghcr.io/acme/web__x--y:latest");
        assert_eq!(hub("[::1]:5000/web"), "[::1]:5000/web:latest");
        let digest = Digest::of("");
        assert_eq!(hub(&format!("web@{digest}")), format!("docker.io/library/web@{digest}"));
        assert_eq!(hub(&format!("web:1@{digest}")), format!("docker.io/library/web:1@{digest}"));
    }

    #[test]
    fn another_default_registry_gets_no_library() {
        let name = ImageName::parse("my-app", "registry.example.com").unwrap();
        assert_eq!(name.to_string(), "registry.example.com/my-app:latest");
        assert_eq!(name.short(), name.to_string());
    }

    #[test]
    fn the_short_form_is_dockers() {
        for (name, short) in [
            ("my-app", "my-app:latest"),
            ("acme/my-app", "acme/my-app:latest"),
            ("library/my-app", "my-app:latest"),
            ("ghcr.io/library/x", "ghcr.io/library/x:latest"),
        ] {
            assert_eq!(ImageName::parse(name, "docker.io").unwrap().short(), short);
        }
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_wrong_part_and_a_right_one() {
        for (name, problem) in [
            ("My App", "' ' in \"My App\""),
            ("MyApp", "'M' in \"MyApp\" is an upper-case letter"),
            ("my app", "' ' in \"my app\" is not allowed"),
            ("", "it is empty"),
            ("a//b", "a part between two slashes"),
            ("-a", "begins or ends with a separator"),
            ("a..b", "\"..\" in \"a..b\" is no separator"),
            ("a:", "the tag after ':' is empty"),
            ("a:b c", "' ' in the tag \"b c\""),
            ("a:-b", "begins with '.' or '-'"),
            ("a@sha256:12", "is no digest"),
            ("host:port/a", "the port of the registry \"host:port\" is not a number"),
            ("../a", "the registry \"..\" is not a host name"),
            ("é", "'é' in \"é\""),
        ] {
            let error = ImageName::parse(name, "docker.io").unwrap_err();
            let found = error.problem.contains(problem) || (name == "My App" && error.problem.contains('M'));
            assert!(found, "{name}: {error}");
            let example = error.example.split(',').next().unwrap();
            ImageName::parse(example, "docker.io").unwrap();
        }
        assert_eq!(
            ImageName::parse("Acme/My_App", "docker.io").unwrap_err().to_string(),
            "image name \"Acme/My_App\" is not valid: 'A' in \"Acme\" is an upper-case letter: a name has lower-case \
             letters, digits and single '.', '_', '__' or '-' between them; a valid one looks like my-app, my-app:1.0 \
             or registry.example.com/team/my-app"
        );
    }
}
