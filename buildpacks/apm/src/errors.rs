//! Every word of an error that the user can do something about.

use crate::vendors::{NOT_YET, VENDORS};
use buildpack::{ToolFailure, UserError};

/// `PACKLIGHT_AGENT` names what is not there.
#[must_use]
pub fn unknown_vendor(asked: &str) -> UserError {
    let there: Vec<&str> = VENDORS.iter().map(|it| it.id).collect();
    let found = if NOT_YET.contains(&asked) {
        format!("PACKLIGHT_AGENT is `{asked}`: that agent is not there yet.")
    } else {
        format!("PACKLIGHT_AGENT is `{asked}`: there is no agent of that name.")
    };
    UserError::new(format!("no agent `{asked}`"), found)
        .cure(format!("Take one that is there: {}.", there.join(", ")))
        .cure("Or leave agents out with PACKLIGHT_AGENT=none.")
}

/// uv could not install the agent's packages.
#[must_use]
pub fn not_installed(failure: &ToolFailure) -> UserError {
    UserError::new(
        "the agent's packages could not be installed",
        format!("{failure}:\n\n{}", failure.stderr.trim()),
    )
    .cure("Check that the package index that pip is configured with can be reached and has these versions.")
    .cure("Choose versions anew with --update.")
    .cure("Or build without an agent: PACKLIGHT_AGENT=none.")
}

/// uv could not choose the agent's packages for a reason that is not the app's pins.
#[must_use]
pub fn not_resolved(failure: &ToolFailure) -> UserError {
    UserError::new(
        "the agent's packages could not be chosen",
        format!("{failure}:\n\n{}", failure.stderr.trim()),
    )
    .cure("Check that the package index that pip is configured with can be reached.")
    .cure("Or build without an agent: PACKLIGHT_AGENT=none.")
}

/// The app's interpreter could not compile the agent's files.
#[must_use]
pub fn not_compiled(failure: &ToolFailure) -> UserError {
    UserError::new(
        "the agent's files could not be compiled",
        format!("{failure}:\n\n{}", failure.stderr.trim()),
    )
    .cure("Build without an agent: PACKLIGHT_AGENT=none.")
}

/// No pip can be run to bring uv.
#[must_use]
pub fn no_pip(python: &str) -> UserError {
    UserError::new(
        "the agent's packages cannot be had",
        format!(
            "No buildpack before this one has brought uv, and {python} has no pip that could fetch it, \
             neither its own nor in ensurepip nor Debian's python3-pip-whl."
        ),
    )
    .cure("Use a build image with pip, or a buildpack that brings uv.")
    .cure("Or build without an agent: PACKLIGHT_AGENT=none.")
}

/// pip could not fetch uv.
#[must_use]
pub fn no_uv(failure: &ToolFailure) -> UserError {
    UserError::new(
        "uv, which chooses and installs the agent's packages, could not be fetched",
        format!("{failure}:\n\n{}", failure.stderr.trim()),
    )
    .cure("Check that the package index that pip is configured with can be reached and has uv.")
    .cure("Or build without an agent: PACKLIGHT_AGENT=none.")
}

/// A file of the buildpack itself is missing.
#[must_use]
pub fn incomplete(path: &str) -> UserError {
    UserError::new("the buildpack packlight/apm is not complete", format!("{path} is not there."))
        .cure("Install Packlight again.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_is_not_there_is_answered_with_those_that_are() {
        let expected = "error: no agent `splunk`\n\n  PACKLIGHT_AGENT is `splunk`: that agent is not there yet.\n\n  \
            What to do:\n  1. Take one that is there: opentelemetry, datadog, newrelic, elastic, sentry.\n  2. Or leave agents out with PACKLIGHT_AGENT=none.\n";
        assert_eq!(unknown_vendor("splunk").to_string(), expected);
        assert!(unknown_vendor("x").to_string().contains("there is no agent of that name"));
    }
}
