//! The rules that the phases go by, as one value.
//!
//! There is one value in production: [`Semantics::SPECIFICATION`]. The rules are functions behind a value so that
//! conformance/ can hand in a wrong one and prove that a case notices.

use crate::resolve::{self, Candidate, Resolution, Unresolved};
use crate::runner::ExitStatus;
use cnb::env::Environment;
use cnb::order::Group;
use std::collections::BTreeMap;
use std::ffi::OsString;

/// The files of one directory of environment files: name and contents.
pub type EnvFiles = BTreeMap<OsString, Vec<u8>>;

/// The rules.
#[derive(Debug, Clone, Copy)]
pub struct Semantics {
    /// What the end of a `bin/detect` means.
    pub verdict: fn(ExitStatus) -> Verdict,
    /// Settles on a plan for the members of a group that passed.
    pub resolve: fn(&[Candidate]) -> Result<Resolution, Unresolved>,
    /// The groups that are tried in place of a composite buildpack, in order.
    pub composite: fn(&[Group]) -> Vec<Group>,
    /// Applies one directory of environment files of a layer.
    pub apply_env: fn(&mut Environment, &EnvFiles),
}

impl Semantics {
    /// The specification's rules.
    pub const SPECIFICATION: Self = Self {
        verdict: Verdict::of,
        resolve: resolve::resolve,
        composite: <[Group]>::to_vec,
        apply_env: cnb::env::apply,
    };
}

/// What a `bin/detect` said of an application.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#detection>
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Exit code 0.
    Pass,
    /// Exit code 100.
    Fail,
    /// Anything else, or an answer that can't be understood; with what to tell a user.
    Error(String),
    /// It does not run on this target or is not for this execution environment, and was not asked.
    NotForThis(String),
}

impl Verdict {
    fn of(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Code(0) => Self::Pass,
            ExitStatus::Code(100) => Self::Fail,
            other => Self::Error(format!("bin/detect ended with {other}")),
        }
    }
}
