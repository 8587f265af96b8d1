//! What is told: information on standard output, warnings and errors on standard error.

use crate::exit::{Code, Failure, fail};
use crate::inputs::Inputs;
use std::io::Write as _;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Who tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log {
    level: Level,
    color: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: Level::Info, color: true }
    }
}

const CYAN: u8 = 36;
const YELLOW: u8 = 33;
const RED: u8 = 31;

impl Log {
    pub(crate) fn set(&mut self, inputs: &Inputs) -> Result<(), Failure> {
        self.color = !inputs.switch("no-color");
        self.level = match inputs.text("log-level").to_ascii_lowercase().as_str() {
            "debug" => Level::Debug,
            "info" => Level::Info,
            "warn" | "warning" => Level::Warn,
            "error" | "fatal" => Level::Error,
            other => {
                let text = format!("`{other}` is no log level; choose one of debug, info, warn, error");
                return Err(fail(Code::Failed, text));
            }
        };
        Ok(())
    }

    pub(crate) fn debug(&self, text: &str) {
        if self.level <= Level::Debug {
            self.plain(text);
        }
    }

    pub(crate) fn info(&self, text: &str) {
        if self.level <= Level::Info {
            self.plain(text);
        }
    }

    /// The beginning of a phase, in the words that platforms show to their users.
    pub(crate) fn phase(&self, name: &str) {
        self.info(&self.colored(CYAN, &format!("===> {name}")));
    }

    pub(crate) fn warning(&self, text: &str) {
        if self.level <= Level::Warn {
            self.aside(&format!("{}{text}", self.colored(YELLOW, "Warning: ")));
        }
    }

    pub(crate) fn error(&self, text: &str) {
        self.aside(&format!("{}{text}", self.colored(RED, "ERROR: ")));
    }

    /// A line on standard output. Nobody listening any more is no reason to stop a build.
    pub(crate) fn plain(&self, text: &str) {
        let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
    }

    fn aside(&self, text: &str) {
        let _ = std::io::stdout().flush();
        let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end());
    }

    pub(crate) fn is_debug(&self) -> bool {
        self.level == Level::Debug
    }

    fn colored(&self, color: u8, text: &str) -> String {
        if self.color { format!("\u{1b}[{color}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
