//! Colour, where it is wanted.

use crate::cli::Color;
use platform::settings::{Environment, text};

/// The few ways in which words stand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Styles {
    on: bool,
}

impl Styles {
    #[cfg(test)]
    pub(super) const PLAIN: Self = Self { on: false };
    #[cfg(test)]
    pub(super) const COLOURED: Self = Self { on: true };

    /// By the command line, then NO_COLOR (<https://no-color.org>), then CLICOLOR_FORCE
    /// (<https://bixense.com/clicolors>), then whether it is a terminal.
    pub(super) fn choose(color: Color, env: &Environment, terminal: bool) -> Self {
        let set = |name: &str| text(env, name);
        let on = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if set("NO_COLOR").is_some() => false,
            Color::Auto if set("CLICOLOR_FORCE").is_some_and(|it| it != "0") => true,
            Color::Auto => terminal && !dumb(env) && set("CLICOLOR").is_none_or(|it| it != "0"),
        };
        Self { on }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.paint("1;33", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.paint("1;32", text)
    }

    pub(crate) fn cyan(self, text: &str) -> String {
        self.paint("36", text)
    }
}

/// A terminal that knows no cursor.
pub(super) fn dumb(env: &Environment) -> bool {
    text(env, "TERM").is_some_and(|it| it == "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(color: Color, pairs: &[(&str, &str)], terminal: bool) -> bool {
        let env = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Styles::choose(color, &env, terminal).on
    }

    #[test]
    fn colour_is_for_terminals_unless_somebody_says_otherwise() {
        assert!(chosen(Color::Auto, &[], true));
        assert!(!chosen(Color::Auto, &[], false));
        assert!(!chosen(Color::Auto, &[("NO_COLOR", "1")], true));
        assert!(chosen(Color::Auto, &[("NO_COLOR", "")], true), "an empty NO_COLOR says nothing");
        assert!(chosen(Color::Auto, &[("CLICOLOR_FORCE", "1")], false));
        assert!(!chosen(Color::Auto, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true));
        assert!(!chosen(Color::Auto, &[("TERM", "dumb")], true));
        assert!(chosen(Color::Always, &[("NO_COLOR", "1")], false));
        assert!(!chosen(Color::Never, &[("CLICOLOR_FORCE", "1")], true));
    }
}
