//! Identifiers: buildpack ids, and how they become directory names.

/// The directory name of a buildpack id: `/` becomes `_`.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#buildpacks-directory-layout>
#[must_use]
pub fn escape(id: &str) -> String {
    id.replace('/', "_")
}

/// Whether `id` may name a buildpack: digits, letters, `.`, `/`, `-`; not a reserved word.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#buildpacktoml-toml>
#[must_use]
pub fn is_valid(id: &str) -> bool {
    !id.is_empty()
        && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-'))
        && !matches!(id, "app" | "config" | "generated" | "sbom")
        && id.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

/// Whether `name` may name a layer: one path component, not one of the three reserved names.
#[must_use]
pub fn is_valid_layer(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(['/', '\0'])
        && !matches!(name, "." | ".." | "build" | "launch" | "store")
}

/// Whether `name` may name a process type: what a file name in `/cnb/process` can hold.
#[must_use]
pub fn is_valid_process(name: &str) -> bool {
    !name.is_empty()
        && !matches!(name, "." | "..")
        && !name.contains(['/', '>', '<', ':', '|', '&', '\\', '\0', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_in_an_id_becomes_an_underscore() {
        assert_eq!(escape("packlight/python"), "packlight_python");
    }

    #[test]
    fn ids_that_would_leave_their_directory_or_collide_with_ours_are_refused() {
        for bad in ["", "config", "sbom", "../x", "a//b", "a b", "a/.."] {
            assert!(!is_valid(bad), "{bad:?}");
        }
        assert!(is_valid("samples/hello-world.2"));
    }

    #[test]
    fn reserved_layer_names_are_refused() {
        for bad in ["build", "launch", "store", "..", "a/b", ""] {
            assert!(!is_valid_layer(bad), "{bad:?}");
        }
        assert!(is_valid_layer("venv"));
    }
}
