//! `<layers>/config/metadata.toml`: what the builder tells the exporter and the launcher.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#metadatatoml-toml>

use crate::api::{ApiVersion, PlatformFeatures};
use crate::group::Chosen;
use crate::launch::{Command, Label, Slice};
use serde::{Deserialize, Serialize};

/// `metadata.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BuildMetadata {
    /// The process type that the image starts when nothing else is asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub buildpack_default_process_type: String,
    /// The buildpacks that built, in order.
    #[serde(default)]
    pub buildpacks: Vec<Chosen>,
    /// The extensions that took part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Chosen>,
    /// All process types.
    #[serde(default)]
    pub processes: Vec<LaunchProcess>,
    /// Parts of the app directory that become layers of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<Slice>,
    /// Labels of the app image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
}

/// A process type as the launcher reads it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LaunchProcess {
    /// Its name.
    #[serde(rename = "type")]
    pub kind: String,
    /// The program and the arguments that are always given.
    #[serde(default)]
    pub command: Command,
    /// Default arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Run without a shell.
    #[serde(default)]
    pub direct: bool,
    /// Whether the image starts it when nothing else is asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// The buildpack that asked for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub buildpack_id: String,
    /// Where it starts; empty: the app directory.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Execution environments that it is for; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exec_env: Vec<String>,
}

impl BuildMetadata {
    /// The Buildpack API of the buildpack called `id`.
    #[must_use]
    pub fn api_of(&self, id: &str) -> Option<ApiVersion> {
        self.buildpacks.iter().find(|it| it.id == id).map(|it| it.api)
    }

    /// The text of the file, as a launcher of this Platform API reads it.
    ///
    /// # Errors
    /// When something of it can't be said in TOML.
    pub fn print(&self, features: PlatformFeatures) -> Result<String, toml::ser::Error> {
        // A table has its keys sorted, as it comes out again when some of it is edited.
        let mut table = toml::Table::try_from(self)?;
        if features.command_list {
            return crate::print(&table);
        }
        let processes = table.get_mut("processes").and_then(toml::Value::as_array_mut);
        for process in processes.into_iter().flatten().filter_map(toml::Value::as_table_mut) {
            let list = |value: Option<&toml::Value>| value.and_then(toml::Value::as_array).cloned();
            let mut command = list(process.get("command")).unwrap_or_default().into_iter();
            if let Some(program) = command.next() {
                let args = command.chain(list(process.get("args")).unwrap_or_default()).collect();
                process.insert("command".to_owned(), program);
                process.insert("args".to_owned(), toml::Value::Array(args));
            }
        }
        crate::print(&table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_from_before_lists_get_one_string_and_the_rest_as_arguments() {
        let process = LaunchProcess {
            kind: "web".into(),
            command: Command(vec!["run".into(), "always".into()]),
            args: vec!["default".into()],
            ..LaunchProcess::default()
        };
        let metadata = BuildMetadata { processes: vec![process], ..BuildMetadata::default() };
        let of = |api: &str| metadata.print(crate::api::platform_features(api.parse().unwrap()).unwrap());
        let old = of("0.9").unwrap();
        assert!(old.contains("command = \"run\"\n"), "{old}");
        assert!(old.contains("args = [\"always\", \"default\"]\n"), "{old}");
        let new = of("0.10").unwrap();
        assert!(new.contains("args = [\"default\"]\ncommand = [\"run\", \"always\"]"), "{new}");
        let read: BuildMetadata = crate::parse("metadata.toml", &old).unwrap();
        assert_eq!(read.processes[0].command, Command(vec!["run".into()]));
    }
}
