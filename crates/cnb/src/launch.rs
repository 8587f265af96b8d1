//! `launch.toml`: processes, labels and slices that a buildpack asks for.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#launchtoml-toml>

use serde::{Deserialize, Serialize};

/// `launch.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LaunchToml {
    /// Labels of the app image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// Process types.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<Process>,
    /// Parts of the app directory that become layers of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<Slice>,
}

/// One label.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Label {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// One process type as a buildpack writes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Process {
    /// Its name, such as `web`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The program and the arguments that are always given.
    #[serde(default)]
    pub command: Command,
    /// Default arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Old buildpacks only: run without a shell. `None` where it was not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct: Option<bool>,
    /// Whether the image starts it when nothing else is asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// Where it starts; empty: the app directory.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Execution environments that it is for; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exec_env: Vec<String>,
}

/// A command: a list, or the one string of old files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Command(pub Vec<String>);

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> serde::de::Visitor<'de> for Either {
            type Value = Command;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a command: a list of strings, or one string")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Command, E> {
                Ok(Command(if text.is_empty() { Vec::new() } else { vec![text.to_owned()] }))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Command, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element()? {
                    list.push(item);
                }
                Ok(Command(list))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Paths that become one layer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Slice {
    /// Glob patterns relative to the app directory.
    #[serde(default)]
    pub paths: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_may_be_one_string_or_a_list() {
        let text = "[[processes]]\ntype = \"a\"\ncommand = \"run me\"\n[[processes]]\ntype = \"b\"\ncommand = [\"run\", \"me\"]\n";
        let launch: LaunchToml = crate::parse("launch.toml", text).unwrap();
        assert_eq!(launch.processes[0].command, Command(vec!["run me".into()]));
        assert_eq!(launch.processes[1].command, Command(vec!["run".into(), "me".into()]));
    }

    #[test]
    fn what_is_printed_is_parsed_back() {
        let launch = LaunchToml {
            labels: vec![Label { key: "k".into(), value: "v".into() }],
            processes: vec![Process {
                kind: "web".into(),
                command: Command(vec!["gunicorn".into()]),
                args: vec!["app:app".into()],
                default: true,
                ..Process::default()
            }],
            slices: vec![Slice { paths: vec!["static/**".into()] }],
        };
        let text = crate::print(&launch).unwrap();
        assert_eq!(crate::parse::<LaunchToml>("launch.toml", &text).unwrap(), launch);
    }
}
