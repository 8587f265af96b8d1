//! Why there is no set of packages, and whose versions are in the way.

use crate::depends::Relation;

/// Why there is no set of packages for the wanted names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// A wanted name that the release does not have.
    #[error("{release} has no package {name}{}", did_you_mean(.near))]
    Unknown {
        /// The name as it was asked for.
        name: String,
        /// The release.
        release: &'static str,
        /// Names that may have been meant, best first.
        near: Vec<String>,
    },
    /// A dependency that nothing in the release satisfies.
    #[error("{package} needs {relation}, which nothing in {release} satisfies{}", wanted_by(.chain))]
    Unsatisfied {
        /// The package that has the dependency.
        package: String,
        /// The dependency, as its control file spells it.
        relation: String,
        /// The release.
        release: &'static str,
        /// Who asked for the package, up to a wanted name.
        chain: Vec<String>,
    },
    /// A dependency on another version of a package that is already in the base below.
    #[error(
        "{package} needs {relation}, but the base has {held}: update the lock so that both come from one index"
    )]
    Held {
        /// The package that has the dependency.
        package: String,
        /// The dependency.
        relation: String,
        /// Name and version in the base.
        held: String,
    },
    /// Two packages of the set exclude each other.
    #[error("{first} and {second} cannot be installed together ({relation})")]
    Conflict {
        /// The package that declares it.
        first: String,
        /// The one it excludes.
        second: String,
        /// The declared relation.
        relation: String,
    },
    /// A package whose entry in the index lacks a field or has a strange one.
    #[error("the index entry of {package} is not usable: no sound {field}")]
    Entry {
        /// The package.
        package: String,
        /// The field.
        field: &'static str,
    },
}

fn did_you_mean(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) }
}

fn wanted_by(chain: &[String]) -> String {
    if chain.is_empty() { String::new() } else { format!(" (wanted by {})", chain.join(", by ")) }
}

/// There is no such set, and whose versions are to blame.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: ResolveError,
    /// Packages with another version of which it might go, the likeliest first.
    pub(crate) concerned: Vec<String>,
}

impl From<ResolveError> for Refusal {
    fn from(error: ResolveError) -> Self {
        Self { error, concerned: Vec::new() }
    }
}

/// What a dependency names, then who has it.
pub(crate) fn concerned(package: &str, group: &[Relation<'_>]) -> Vec<String> {
    group.iter().map(|relation| relation.name).chain([package]).map(str::to_owned).collect()
}
