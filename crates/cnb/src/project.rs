//! `project.toml`: the project descriptor, versions 0.1 and 0.2.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/extensions/project-descriptor.md>

mod known;

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
    /// The buildpacks that the project wants, in place of the builder's order.
    pub group: Vec<Wanted>,
    /// Buildpacks before each group of the order.
    pub pre: Vec<Wanted>,
    /// Buildpacks after each group of the order.
    pub post: Vec<Wanted>,
    /// Variables of the build.
    pub env: Vec<(String, String)>,
    /// Packlight's own table, `[com.packlight]`: see [`Settings`].
    pub packlight: Settings,
    /// Keys in the tables of the descriptor that its version does not know: they have no effect.
    pub unknown: Vec<String>,
}

/// A buildpack that a project names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// Its id.
    pub id: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Where it is; none: in the builder.
    pub uri: Option<String>,
    /// What its `bin/build` is.
    pub script: Option<Script>,
}

/// An inline buildpack.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Script {
    /// The Buildpack API that it is written for.
    pub api: String,
    /// The text.
    pub inline: String,
    /// What runs it.
    #[serde(default)]
    pub shell: Option<String>,
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

impl Wanted {
    /// The clause: an id, a URI or both; a script instead of a URI, and then an id.
    fn check(&self) -> Result<(), String> {
        match (&self.id, &self.uri, &self.script) {
            (None, None, _) => Err("a buildpack has neither `id` nor `uri`; give one of them".to_owned()),
            (_, Some(uri), Some(_)) => {
                Err(format!("the buildpack with the uri `{uri}` cannot have a `script` too; keep one"))
            }
            (_, Some(uri), _) if self.version.is_some() => {
                Err(format!("the buildpack with the uri `{uri}` cannot have a `version` too; keep one"))
            }
            _ => Ok(()),
        }
    }
}

/// Parses the text of the file called `file`.
///
/// # Errors
/// When it is not TOML, has a schema version that is not known, or has both `include` and `exclude`.
pub fn parse(file: &str, text: &str) -> Result<Project, ParseError> {
    let wrong = |reason: String| ParseError { file: file.to_owned(), reason };
    let table: toml::Table = crate::parse(file, text)?;
    // Before anything else is understood: what stands in a table is the version's to say.
    let schema = schema(&table).map_err(&wrong)?;
    let raw: Raw = crate::parse(file, text)?;
    let unlicensed = |head: &Head| head.licenses.iter().any(|it| it.kind.is_none() && it.uri.is_none());
    if unlicensed(&raw.head) || unlicensed(&raw.project) {
        return Err(wrong("a license has neither `type` nor `uri`; give one of them".to_owned()));
    }
    let project = match schema {
        Schema::V1 => Project { unknown: known::unknown(&table, known::V1), ..raw.v1() },
        Schema::V2 => Project { unknown: known::unknown(&table, known::V2), ..raw.v2() },
    };
    if !project.include.is_empty() && !project.exclude.is_empty() {
        return Err(wrong("`include` and `exclude` cannot both be given; keep one".to_owned()));
    }
    for it in project.group.iter().chain(&project.pre).chain(&project.post) {
        it.check().map_err(&wrong)?;
    }
    Ok(project)
}

enum Schema {
    V1,
    V2,
}

/// The version that a descriptor says; none is 0.1.
fn schema(table: &toml::Table) -> Result<Schema, String> {
    let said = table.get("_").and_then(|it| it.get("schema-version"));
    match said.map(|it| (it, it.as_str())) {
        None | Some((_, Some("0.1"))) => Ok(Schema::V1),
        Some((_, Some("0.2"))) => Ok(Schema::V2),
        Some((_, Some(other))) => Err(format!(
            "schema-version `{other}` is not known; this program reads 0.1 and 0.2, so take a newer one, or write the file \
             in one of these"
        )),
        Some((other, None)) => {
            Err(format!("schema-version is a text: write schema-version = \"0.2\" in place of {other}"))
        }
    }
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
    id: Option<String>,
    name: Option<String>,
    version: Option<String>,
    source_url: Option<String>,
    licenses: Vec<License>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct License {
    #[serde(rename = "type")]
    kind: Option<String>,
    uri: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Build {
    include: Vec<String>,
    exclude: Vec<String>,
    builder: Option<String>,
    buildpacks: Vec<Wanted>,
    env: Vec<Variable>,
    pre: GroupOf,
    post: GroupOf,
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
    group: Vec<Wanted>,
    pre: GroupOf,
    post: GroupOf,
    build: BuildEnv,
    env: EnvBuild,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GroupOf {
    group: Vec<Wanted>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BuildEnv {
    env: Vec<Variable>,
}

/// How 0.2 was spelt at first; `pack` reads it where the other is not there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EnvBuild {
    build: Vec<Variable>,
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
            group: self.build.buildpacks,
            pre: self.build.pre.group,
            post: self.build.post.group,
            env: pairs(self.build.env),
            packlight: self.com.packlight,
            unknown: Vec::new(),
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
            group: self.io.buildpacks.group,
            pre: self.io.buildpacks.pre.group,
            post: self.io.buildpacks.post.group,
            env: pairs(match self.io.buildpacks.build.env {
                none if none.is_empty() => self.io.buildpacks.env.build,
                env => env,
            }),
            packlight: self.com.packlight,
            unknown: Vec::new(),
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
    fn buildpacks_are_named_by_id_by_place_or_written_in_line() {
        let text = "[_]\nschema-version = \"0.2\"\n[[io.buildpacks.group]]\nid = \"a/b\"\nversion = \"1\"\n\
            [[io.buildpacks.pre.group]]\nuri = \"./mine\"\n\
            [[io.buildpacks.post.group]]\nid = \"c\"\nscript = { api = \"0.10\", inline = \"true\" }\n";
        let project = parse("project.toml", text).unwrap();
        assert_eq!(project.group[0].id.as_deref(), Some("a/b"));
        assert_eq!(project.pre[0].uri.as_deref(), Some("./mine"));
        assert_eq!(project.post[0].script.as_ref().unwrap().inline, "true");
        for (wrong, words) in [
            ("version = \"1\"", "neither `id` nor `uri`"),
            ("uri = \"x\"\nversion = \"1\"", "cannot have a `version`"),
            ("uri = \"x\"\nscript = { api = \"0.10\", inline = \"\" }", "cannot have a `script`"),
        ] {
            let text = format!("[_]\nschema-version = \"0.2\"\n[[io.buildpacks.group]]\n{wrong}\n");
            let error = parse("project.toml", &text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn include_with_exclude_and_an_unknown_schema_are_refused() {
        let both = parse("project.toml", "[build]\ninclude = [\"a\"]\nexclude = [\"b\"]\n").unwrap_err();
        assert!(both.to_string().contains("cannot both be given"), "{both}");
        // What a newer version means by its tables does not matter.
        let newer = parse("project.toml", "[_]\nschema-version = \"9\"\nname = 1\n[build]\ninclude = 1\n")
            .unwrap_err();
        assert!(newer.to_string().contains("schema-version `9` is not known"), "{newer}");
        let number = parse("project.toml", "[_]\nschema-version = 0.2\n").unwrap_err();
        assert!(number.to_string().contains("write schema-version = \"0.2\" in place of 0.2"), "{number}");
    }

    #[test]
    fn variables_have_an_older_spelling_and_0_1_has_buildpacks_before_and_after() {
        let older =
            "[_]\nschema-version = \"0.2\"\n[[io.buildpacks.env.build]]\nname = \"A\"\nvalue = \"b\"\n";
        assert_eq!(parse("project.toml", older).unwrap().env, [("A".to_owned(), "b".to_owned())]);
        let both = format!("{older}[[io.buildpacks.build.env]]\nname = \"C\"\nvalue = \"d\"\n");
        assert_eq!(parse("project.toml", &both).unwrap().env, [("C".to_owned(), "d".to_owned())]);
        let before = parse("project.toml", "[[build.pre.group]]\nid = \"a\"\n").unwrap();
        assert_eq!(before.pre[0].id.as_deref(), Some("a"));
        let error = parse("project.toml", "[[project.licenses]]\n").unwrap_err().to_string();
        assert!(error.contains("neither `type` nor `uri`"), "{error}");
    }

    #[test]
    fn debian_packages_stand_in_our_own_table() {
        let it = parse("project.toml", "[com.packlight.debian]\nrun = [\"libpq5\"]\n").unwrap();
        assert_eq!(it.packlight.debian.run, ["libpq5"]);
        assert!(parse("project.toml", "[com.packlight.debian]\nruns = [\"libpq5\"]\n").is_err());
    }
}
