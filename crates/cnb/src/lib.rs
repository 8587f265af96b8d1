//! The files and labels of the Cloud Native Buildpacks specification as Rust types: parse and print.
//! It does no input or output, runs nothing and decides nothing; who reads and writes the files is in `lifecycle`,
//! `buildpack`, `launcher` and `platform`.
//! Open [`api`] next: the one table that says what each API version means.
//!
//! Clauses are cited from <https://github.com/buildpacks/spec/tree/b745fcf> (Platform 0.15, Buildpack 0.12).

pub mod analyzed;
pub mod api;
pub mod builder;
pub mod buildpack_toml;
pub mod env;
pub mod group;
pub mod id;
pub mod labels;
pub mod launch;
pub mod layer;
pub mod metadata;
pub mod order;
pub mod package;
pub mod plan;
pub mod project;
pub mod report;
pub mod run;
pub mod system;

/// A TOML file that could not be understood.
#[derive(Debug, thiserror::Error)]
#[error("{file} is not what the specification asks for: {reason}")]
pub struct ParseError {
    /// The file's name as its author knows it.
    pub file: String,
    /// The parser's words, with line and column.
    pub reason: String,
}

/// Parses the text of the file called `file`.
///
/// # Errors
/// When the text is not TOML or does not have the shape of `T`.
pub fn parse<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, ParseError> {
    toml::from_str(text).map_err(|error| ParseError {
        file: file.to_owned(),
        reason: error.to_string().trim_end().to_owned(),
    })
}

/// Prints a value as TOML.
///
/// # Errors
/// When the value holds something that TOML cannot say (a null, a map whose keys are not strings).
pub fn print<T: serde::Serialize>(value: &T) -> Result<String, toml::ser::Error> {
    toml::to_string(value)
}
