//! Exit codes, and why a program ends with one.
//!
//! The specification leaves the last digit to the lifecycle; these are the reference's, since platforms know them.

/// Why a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Anything that no other code is for.
    Failed = 1,
    /// A flag that is not known.
    Usage = 2,
    /// Arguments that can't be.
    Arguments = 3,
    /// Platform API incompatibility error.
    PlatformApi = 11,
    /// Buildpack API incompatibility error.
    BuildpackApi = 12,
    /// All buildpacks groups have failed to detect without error.
    NothingDetected = 20,
    /// All buildpack groups have failed to detect and at least one buildpack has errored.
    DetectErrors = 21,
    /// Detection-specific.
    Detect = 22,
    /// Analysis-specific.
    Analyze = 32,
    /// Restoration-specific.
    Restore = 42,
    /// A buildpack failed to build.
    BuildpackFailed = 51,
    /// Build-specific.
    Build = 52,
    /// Export-specific.
    Export = 62,
    /// Rebase-specific.
    Rebase = 72,
    /// Generation-specific.
    Generate = 92,
    /// Extension-specific.
    Extend = 102,
}

impl Code {
    pub(crate) fn number(self) -> u8 {
        self as u8
    }
}

/// Why a program ended, for machines and for people.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) text: String,
}

#[expect(clippy::needless_pass_by_value, reason = "texts and errors are handed on")]
pub(crate) fn fail(code: Code, text: impl ToString) -> Failure {
    Failure { code, text: text.to_string() }
}

/// Gives an error its exit code.
pub(crate) trait OrFail<T> {
    fn or_fail(self, code: Code) -> Result<T, Failure>;
}

impl<T, E: std::error::Error> OrFail<T> for Result<T, E> {
    fn or_fail(self, code: Code) -> Result<T, Failure> {
        self.map_err(|error| {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(it) = cause {
                let said = it.to_string();
                // Transparent errors say their cause's words.
                if !text.contains(&said) {
                    text = format!("{text}: {said}");
                }
                cause = it.source();
            }
            fail(code, text)
        })
    }
}
