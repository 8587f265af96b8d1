//! Where an image comes from, as a user says it.

use oci::{ImageName, NameError};
use std::fmt;
use std::path::{Path, PathBuf};

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A registry; short names are completed as Docker does.
    Registry(ImageName),
    /// The Docker engine.
    Engine(ImageName),
    /// An OCI layout, and which of its images.
    Layout(PathBuf, Option<String>),
    /// A tar of an OCI layout, or what `docker save` writes.
    Archive(PathBuf, Option<String>),
}

impl Source {
    /// Reads what a user says: `registry.example.com/team/name:tag`, `docker:NAME`, `oci:DIR[:TAG]`,
    /// `oci-archive:FILE[:TAG]` or `docker-archive:FILE[:TAG]`.
    ///
    /// # Errors
    /// When it is no name.
    pub fn parse(text: &str, default_registry: &str) -> Result<Self, NameError> {
        Ok(match text.split_once(':') {
            // As pack and skopeo spell a registry's image.
            Some(("docker", name)) if name.starts_with("//") => {
                Self::Registry(ImageName::parse(name.trim_start_matches("//"), default_registry)?)
            }
            Some(("docker", name)) if name.split('/').next().is_none_or(|it| it.parse::<u16>().is_err()) => {
                Self::Engine(ImageName::parse(name, default_registry)?)
            }
            Some(("oci", path)) => of_path(path, Self::Layout),
            Some(("oci-archive" | "docker-archive", path)) => of_path(path, Self::Archive),
            _ => Self::Registry(ImageName::parse(text, default_registry)?),
        })
    }
}

/// A path may have colons in it: the tag is what stands behind the last one where the whole is not there.
fn of_path(text: &str, make: impl FnOnce(PathBuf, Option<String>) -> Source) -> Source {
    match text.rsplit_once(':') {
        Some((path, tag)) if !Path::new(text).exists() => make(path.into(), Some(tag.to_owned())),
        _ => make(text.into(), None),
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tag = |tag: &Option<String>| tag.as_ref().map_or_else(String::new, |it| format!(":{it}"));
        match self {
            Self::Registry(name) => write!(f, "{}", name.short()),
            Self::Engine(name) => write!(f, "docker:{}", name.short()),
            Self::Layout(path, it) => write!(f, "oci:{}{}", path.display(), tag(it)),
            Self::Archive(path, it) => write!(f, "oci-archive:{}{}", path.display(), tag(it)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_told_by_its_prefix() {
        let say = |text: &str| Source::parse(text, "docker.io").map(|it| format!("{it:?}")).unwrap();
        assert!(say("team/builder:1").starts_with("Registry"));
        assert!(say("localhost:5000/builder").starts_with("Registry"));
        assert!(say("docker:5000/builder").starts_with("Registry"), "a host of this name has a port");
        assert!(say("docker:builder:jammy").starts_with("Engine"));
        assert!(say("docker://team/builder").starts_with("Registry"));
        assert_eq!(say("oci:/no/such:1"), "Layout(\"/no/such\", Some(\"1\"))");
        assert_eq!(say("oci:/tmp"), "Layout(\"/tmp\", None)");
        assert_eq!(say("docker-archive:a.tar"), "Archive(\"a.tar\", None)");
        assert!(Source::parse("UPPER", "docker.io").is_err());
    }
}
