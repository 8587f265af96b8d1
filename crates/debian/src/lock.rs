//! One package as a lock file names it: enough to fetch and verify it without any index.

use serde::{Deserialize, Serialize};

/// A package pinned to one version and one file of the archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// Binary package name.
    pub name: String,
    /// Debian version, epoch included.
    pub version: String,
    /// `amd64` or `all`.
    pub architecture: String,
    /// The suite it was found in (`trixie`, `trixie-updates`, `trixie-security`); tells archive from security mirrors.
    pub suite: String,
    /// Path below the mirror (`pool/main/...`).
    pub filename: String,
    /// Size of the file in bytes.
    pub size: u64,
    /// Lower-case hexadecimal SHA-256 of the file.
    pub sha256: String,
}

impl LockedPackage {
    /// The name under which [`crate::fetch`] keeps the file in its cache.
    #[must_use]
    pub fn cache_name(&self) -> String {
        let version = self.version.replace(':', "%3a");
        format!(
            "{}_{}_{}_{}.deb",
            self.name,
            version,
            self.architecture,
            self.sha256.get(..12).unwrap_or("0")
        )
    }

    /// Whether the package belongs to the security archive rather than to the main one.
    #[must_use]
    pub fn is_security(&self) -> bool {
        self.suite.ends_with("-security")
    }
}
