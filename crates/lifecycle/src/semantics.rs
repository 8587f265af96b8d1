//! The rules that the phases go by, as one value.
//!
//! In production they are [`Semantics::SPECIFICATION`], but for platforms from before targets. The rules are functions
//! behind a value so that conformance/ can hand in a wrong one and prove that a case notices.

use crate::resolve::{self, Candidate, Resolution, Unresolved};
use crate::runner::ExitStatus;
use crate::target;
use cnb::analyzed::TargetData;
use cnb::buildpack_toml::Target;
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
    /// Whether what a buildpack runs on fits what there is; if not, in words.
    pub fits_target: fn(&[Target], &TargetData) -> Result<(), String>,
    /// Applies one directory of environment files of a layer.
    pub apply_env: fn(&mut Environment, &EnvFiles),
}

impl Semantics {
    /// The specification's rules.
    pub const SPECIFICATION: Self = Self {
        verdict: Verdict::of,
        resolve: resolve::resolve,
        composite: <[Group]>::to_vec,
        fits_target: target::fits,
        apply_env: cnb::env::apply,
    };

    /// The rules of platforms from before targets: what buildpacks say of them is not looked at.
    pub const WITHOUT_TARGETS: Self = Self { fits_target: |_, _| Ok(()), ..Self::SPECIFICATION };
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
