//! Which keys a project descriptor has, by version: what is misspelt shall not go unnoticed.

use toml::{Table, Value};

/// Keys of a table, and the tables or lists of tables in it.
pub(super) struct Known {
    keys: &'static [&'static str],
    tables: &'static [(&'static str, Known)],
}

impl Known {
    const fn keys(keys: &'static [&'static str]) -> Self {
        Self { keys, tables: &[] }
    }
}

const HEAD: Known = Known {
    keys: &[
        "schema-version",
        "id",
        "name",
        "version",
        "authors",
        "documentation-url",
        "source-url",
        // anything may stand in this one
        "metadata",
    ],
    tables: &[("licenses", Known::keys(&["type", "uri"]))],
};
const BUILDPACK: Known = Known {
    keys: &["id", "version", "uri"],
    tables: &[("script", Known::keys(&["api", "inline", "shell"]))],
};
const GROUP: Known = Known { keys: &[], tables: &[("group", BUILDPACK)] };
const ENV: Known = Known::keys(&["name", "value"]);

/// The tables of version 0.1; others are anybody's.
pub(super) const V1: &[(&str, Known)] = &[
    ("_", Known::keys(&["schema-version"])),
    ("project", HEAD),
    (
        "build",
        Known {
            keys: &["include", "exclude", "builder"],
            tables: &[("buildpacks", BUILDPACK), ("env", ENV), ("pre", GROUP), ("post", GROUP)],
        },
    ),
];

/// The tables of version 0.2.
pub(super) const V2: &[(&str, Known)] = &[
    ("_", HEAD),
    (
        "io",
        Known {
            // Not the descriptor's: anybody may have one.
            keys: &[],
            tables: &[(
                "buildpacks",
                Known {
                    keys: &["include", "exclude", "builder"],
                    tables: &[
                        ("group", BUILDPACK),
                        ("pre", GROUP),
                        ("post", GROUP),
                        ("build", Known { keys: &[], tables: &[("env", ENV)] }),
                        ("env", Known { keys: &[], tables: &[("build", ENV)] }),
                    ],
                },
            )],
        },
    ),
];

/// The keys that are not known, as paths.
pub(super) fn unknown(table: &Table, known: &[(&str, Known)]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, inner) in known {
        for table in table.get(*name).into_iter().flat_map(tables) {
            search(table, name, inner, &mut found);
        }
    }
    found.dedup();
    found
}

fn search(table: &Table, at: &str, known: &Known, found: &mut Vec<String>) {
    for (key, value) in table {
        match known.tables.iter().find(|it| it.0 == key) {
            Some((_, inner)) => {
                tables(value).for_each(|it| search(it, &format!("{at}.{key}"), inner, found));
            }
            // `[io.anything]` is another tool's.
            None if at == "io" => {}
            None if known.keys.contains(&key.as_str()) => {}
            None => found.push(format!("{at}.{key}")),
        }
    }
}

fn tables(value: &Value) -> impl Iterator<Item = &Table> {
    let list = value.as_array().into_iter().flatten().filter_map(Value::as_table);
    value.as_table().into_iter().chain(list)
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn what_a_version_does_not_know_is_named_and_what_is_anybodys_is_not() {
        let unknown = |text: &str| parse("project.toml", text).unwrap().unknown;
        let text = "[_]\nschema-version = \"0.2\"\nsource = \"x\"\n[_.metadata]\nx = 1\n\
            [io.buildpacks]\nexcludes = []\n[[io.buildpacks.group]]\nid = \"a\"\noptional = true\n\
            [io.other]\nx = 1\n[com.example]\nx = 1\n[project]\nx = 1\n";
        assert_eq!(unknown(text), ["_.source", "io.buildpacks.excludes", "io.buildpacks.group.optional"]);
        assert_eq!(
            unknown("[build]\nexcludes = []\n[project]\nsource-url = \"\"\nx = 1\n"),
            ["project.x", "build.excludes"]
        );
    }
}
