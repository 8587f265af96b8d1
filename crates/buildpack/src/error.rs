//! What a user is told when a buildpack cannot go on.

use std::fmt;

/// An error that the user can do something about: a heading, what was found, numbered things to do, an exit code.
///
/// Its words live in the buildpack's `errors.rs` and are tested as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserError {
    /// One line, no full stop: what is wrong.
    pub heading: String,
    /// Whole sentences: what was found, and where. May have several lines.
    pub found: String,
    /// What to do, the likeliest first; each may have several lines.
    pub cures: Vec<String>,
    /// The program's exit code; never 0 and never 100, which means "not for me" in detection.
    pub exit_code: u8,
}

impl UserError {
    /// An error with exit code 1 and no cure yet.
    pub fn new(heading: impl Into<String>, found: impl Into<String>) -> Self {
        Self { heading: heading.into(), found: found.into(), cures: Vec::new(), exit_code: 1 }
    }

    /// Adds one thing to do.
    #[must_use]
    pub fn cure(mut self, text: impl Into<String>) -> Self {
        self.cures.push(text.into());
        self
    }
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.heading)?;
        if !self.found.is_empty() {
            writeln!(f)?;
            for line in self.found.lines() {
                writeln!(f, "{}", format!("  {line}").trim_end())?;
            }
        }
        if !self.cures.is_empty() {
            writeln!(f, "\n  What to do:")?;
        }
        for (index, cure) in self.cures.iter().enumerate() {
            let mut lines = cure.lines();
            writeln!(f, "  {}. {}", index + 1, lines.next().unwrap_or_default())?;
            for line in lines {
                writeln!(f, "{}", format!("     {line}").trim_end())?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for UserError {}

/// Why `detect` or `build` could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The user can do something about it.
    #[error("{0}")]
    User(#[from] UserError),
    /// A file could not be read or written.
    #[error("error: {0}")]
    Io(#[from] std::io::Error),
    /// A file that the platform wrote is not what the specification asks for.
    #[error("error: {0}")]
    Parse(#[from] cnb::ParseError),
    /// A value could not be written as TOML.
    #[error("error: a value cannot be written as TOML: {0}")]
    Print(#[from] toml::ser::Error),
    /// The platform did not say something that it must.
    #[error("error: the platform gave no {0}")]
    NotGiven(&'static str),
}

impl Failure {
    /// The program's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::User(error) => error.exit_code,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_a_heading_what_was_found_and_numbered_cures() {
        let error = UserError::new("no way", "`a` is not there.\n\nNor is `b`.")
            .cure("Make `a`:\n\n  touch a")
            .cure("Or make `b`.");
        let expected = "error: no way\n\n  `a` is not there.\n\n  Nor is `b`.\n\n  What to do:\n  1. Make `a`:\n\n       touch a\n  2. Or make `b`.\n";
        assert_eq!(error.to_string(), expected);
    }
}
