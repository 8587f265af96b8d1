//! Detect: the groups are tried in order, everybody in a group is asked at once, and the first group whose plans
//! agree builds.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#phase-1-detection>

mod search;

use crate::beneath::BeneathError;
use crate::buildpack::Room;
use crate::catalogue::{Catalogue, CatalogueError, Kind};
use crate::dirs::Dirs;
use crate::environment::Variables;
use crate::events::Events;
use crate::runner::Runner;
use crate::semantics::{Semantics, Verdict};
use crate::target;
use cnb::analyzed::TargetData;
use cnb::env::Environment;
use cnb::group::GroupToml;
use cnb::order::Order;
use cnb::plan::Plan;
use search::Search;

/// What detect is asked.
#[derive(Debug)]
pub struct DetectRequest<'a> {
    /// Where everything is.
    pub dirs: &'a Dirs,
    /// The buildpacks and extensions that there are.
    pub catalogue: &'a Catalogue,
    /// The groups to try.
    pub order: &'a Order,
    /// What the app will run on; `None` where the plan decides it: then no target is checked (see
    /// [`check_targets`]) and no `CNB_TARGET_*` is set.
    pub target: Option<&'a TargetData>,
    /// The execution environment, such as `production`; empty: platforms from before there were any, and nobody is
    /// passed over.
    pub exec_env: &'a str,
    /// The build image's environment with what this machine adds; only what the specification lists gets through.
    pub env: &'a Environment,
    /// The rules.
    pub semantics: Semantics,
}

/// What detect settled on.
#[derive(Debug, Clone, PartialEq)]
pub struct Detected {
    /// The group.
    pub group: GroupToml,
    /// The build plan.
    pub plan: Plan,
    /// What everybody that was asked said, in the order of the groups.
    pub said: Vec<Said>,
}

/// What one buildpack or extension said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// `id@version`.
    pub who: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// What its `bin/detect` printed.
    pub output: Vec<u8>,
}

/// A group that was tried and left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The members, `id@version`.
    pub members: Vec<String>,
    /// Why.
    pub reason: String,
}

/// Why detect chose nothing.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// No group passed.
    #[error("no group of buildpacks fits this application")]
    NothingPassed {
        /// What everybody that was asked said, in the order of the groups.
        said: Vec<Said>,
        /// The groups.
        groups: Vec<Left>,
    },
    /// A buildpack that the order names is not there or not readable.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// A buildpack does not run on the target.
    #[error("{who} {reason}")]
    Target {
        /// `id@version`.
        who: String,
        /// What it wants and what there is.
        reason: String,
    },
    /// What the platform hands over can't be read.
    #[error(transparent)]
    Files(#[from] BeneathError),
}

impl DetectError {
    /// Whether a buildpack had an error, beside those that only did not fit.
    #[must_use]
    pub fn is_a_buildpacks_fault(&self) -> bool {
        match self {
            Self::NothingPassed { said, .. } => said.iter().any(|it| matches!(it.verdict, Verdict::Error(_))),
            _ => false,
        }
    }
}

/// Chooses.
///
/// # Errors
/// When no group passes, or a buildpack can't be read.
pub fn detect(
    request: &DetectRequest<'_>,
    runner: &dyn Runner,
    events: &dyn Events,
) -> Result<Detected, DetectError> {
    let room = Room {
        dirs: request.dirs,
        target: request.target,
        exec_env: request.exec_env,
        runner,
        events,
        semantics: request.semantics,
    };
    let variables = Variables::new(request.env, request.dirs, request.semantics)?;
    let mut search = Search::new(request, room, variables);
    match search.run()? {
        Some((group, plan)) => Ok(Detected { group, plan, said: search.said() }),
        None => Err(DetectError::NothingPassed { said: search.said(), groups: search.left() }),
    }
}

/// Whether all chosen buildpacks run on `target`, for when it became known only after detection.
///
/// # Errors
/// Names the first buildpack that does not.
pub fn check_targets(
    catalogue: &Catalogue,
    group: &GroupToml,
    target: &TargetData,
) -> Result<(), DetectError> {
    for chosen in &group.group {
        let known = catalogue.get(Kind::Buildpack, &chosen.id, &chosen.version)?;
        target::fits(&known.targets, target)
            .map_err(|reason| DetectError::Target { who: known.full_name(), reason })?;
    }
    Ok(())
}
