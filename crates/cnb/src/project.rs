//! `project.toml`: the project descriptor, versions 0.1 and 0.2.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/extensions/project-descriptor.md>

use crate::ParseError;
use serde::Deserialize;

/// What a project descriptor says, whatever its version.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Project {
    /// The project's id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Where its source is.
    pub source_url: Option<String>,
    /// Files that alone go into the build, as gitignore patterns.
    pub include: Vec<String>,
    /// Files that are left out, as gitignore patterns.
    pub exclude: Vec<String>,
    /// The builder that the project wants.
    pub builder: Option<String>,
    /// Variables of the build.
    pub env: Vec<(String, String)>,
    /// Packlight's own table, `[com.packlight]`: see [`Settings`].
    pub packlight: Settings,
}

/// `[com.packlight]`: what only Packlight understands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Debian packages beside those that the buildpacks ask for.
    #[serde(default)]
    pub debian: DebianPackages,
}

/// `[com.packlight.debian]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebianPackages {
    /// Packages that are there while the app is built.
    #[serde(default)]
    pub build: Vec<String>,
    /// Packages that are in the app image, and while it is built.
    #[serde(default)]
    pub run: Vec<String>,
}

/// Parses the text of the file called `file`.
///
/// # Errors
/// When it is not TOML, has a schema version that is not known, or has both `include` and `exclude`.
pub fn parse(file: &str, text: &str) -> Result<Project, ParseError> {
    let wrong = |reason: String| ParseError { file: file.to_owned(), reason };
    let raw: Raw = crate::parse(file, text)?;
    let project = match raw.head.schema_version.as_deref() {
        None | Some("0.1") => raw.v1(),
        Some("0.2") => raw.v2(),
        Some(other) => {
            return Err(wrong(format!(
                "schema-version `{other}` is not known; this version reads 0.1 and 0.2"
            )));
        }
    };
    if !project.include.is_empty() && !project.exclude.is_empty() {
        return Err(wrong("`include` and `exclude` cannot both be given; keep one".to_owned()));
    }
    Ok(project)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Raw {
    #[serde(rename = "_")]
    head: Head,
    project: Head,
    build: Build,
    io: Io,
    com: Com,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Head {
    schema_version: Option<String>,
    id: Option<String>,
    name: Option<String>,
    version: Option<String>,
    source_url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Build {
    include: Vec<String>,
    exclude: Vec<String>,
    builder: Option<String>,
    env: Vec<Variable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Io {
    buildpacks: Buildpacks,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Buildpacks {
    include: Vec<String>,
    exclude: Vec<String>,
    builder: Option<String>,
    build: BuildEnv,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BuildEnv {
    env: Vec<Variable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Com {
    packlight: Settings,
}

#[derive(Debug, Deserialize)]
struct Variable {
    name: String,
    #[serde(default)]
    value: String,
}

fn pairs(list: Vec<Variable>) -> Vec<(String, String)> {
    list.into_iter().map(|it| (it.name, it.value)).collect()
}

impl Raw {
    fn v1(self) -> Project {
        Project {
            id: self.project.id,
            name: self.project.name,
            version: self.project.version,
            source_url: self.project.source_url,
            include: self.build.include,
            exclude: self.build.exclude,
            builder: self.build.builder,
            env: pairs(self.build.env),
            packlight: self.com.packlight,
        }
    }

    fn v2(self) -> Project {
        Project {
            id: self.head.id,
            name: self.head.name,
            version: self.head.version,
            source_url: self.head.source_url,
            include: self.io.buildpacks.include,
            exclude: self.io.buildpacks.exclude,
            builder: self.io.buildpacks.builder,
            env: pairs(self.io.buildpacks.build.env),
            packlight: self.com.packlight,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schema_versions_say_the_same() {
        let one = parse("project.toml", "[project]\nversion = \"1\"\n[build]\nexclude = [\"*.md\"]\n[[build.env]]\nname = \"A\"\nvalue = \"b\"\n").unwrap();
        let two = parse("project.toml", "[_]\nschema-version = \"0.2\"\nversion = \"1\"\n[io.buildpacks]\nexclude = [\"*.md\"]\n[[io.buildpacks.build.env]]\nname = \"A\"\nvalue = \"b\"\n").unwrap();
        assert_eq!(one, two);
        assert_eq!(two.env, [("A".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn include_with_exclude_and_an_unknown_schema_are_refused() {
        let both = parse("project.toml", "[build]\ninclude = [\"a\"]\nexclude = [\"b\"]\n").unwrap_err();
        assert!(both.to_string().contains("cannot both be given"), "{both}");
        let newer = parse("project.toml", "[_]\nschema-version = \"9\"\n").unwrap_err();
        assert!(newer.to_string().contains("`9` is not known"), "{newer}");
    }

    #[test]
    fn debian_packages_stand_in_our_own_table() {
        let it = parse("project.toml", "[com.packlight.debian]\nrun = [\"libpq5\"]\n").unwrap();
        assert_eq!(it.packlight.debian.run, ["libpq5"]);
        assert!(parse("project.toml", "[com.packlight.debian]\nruns = [\"libpq5\"]\n").is_err());
    }
}
