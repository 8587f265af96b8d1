//! API versions, and the one table that says what each means.
//!
//! Nothing outside this file compares a version: the phases ask for a named feature.

use std::fmt;
use std::str::FromStr;

/// `<major>.<minor>`; `<major>` alone means `<major>.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

/// A text that is not an API version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an API version; write it as \"0.10\"")]
pub struct NotAVersion(pub String);

impl FromStr for ApiVersion {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let number = |part: &str| {
            if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
                return Err(NotAVersion(text.to_owned()));
            }
            part.parse().map_err(|_| NotAVersion(text.to_owned()))
        };
        match text.split_once('.') {
            Some((major, minor)) => Ok(Self { major: number(major)?, minor: number(minor)? }),
            None => Ok(Self { major: number(text)?, minor: 0 }),
        }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl serde::Serialize for ApiVersion {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ApiVersion {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a buildpack of a given Buildpack API expects of the lifecycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildpackFeatures {
    /// Inputs come as `CNB_*` variables, not only as arguments (0.8).
    pub inputs_as_variables: bool,
    /// A process has a working directory of its own (0.8).
    pub working_dir: bool,
    /// A process is run without a shell, always (0.9); before, `direct = false` is a script.
    pub no_shell: bool,
    /// `command` is a list and `args` are defaults that a user's arguments replace (0.9).
    pub overridable_args: bool,
    /// `CNB_TARGET_*` describe the target (0.10).
    pub target_variables: bool,
    /// A requirement has a `version` key of its own (until 0.10).
    pub requires_version: bool,
    /// `CNB_EXEC_ENV` and `exec-env` lists (0.12).
    pub exec_env: bool,
}

type Change<F> = fn(&mut F);

/// Each row is the row above plus what this version changed.
/// Source: the "Buildpack API" release notes and
/// <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md>.
const BUILDPACK: &[(u32, Change<BuildpackFeatures>)] = &[
    (7, |_| ()),
    (8, |f| {
        f.inputs_as_variables = true;
        f.working_dir = true;
    }),
    (9, |f| {
        f.no_shell = true;
        f.overridable_args = true;
    }),
    (10, |f| f.target_variables = true),
    (11, |f| f.requires_version = false),
    (12, |f| f.exec_env = true),
];

/// The Buildpack APIs that the lifecycle speaks, oldest first.
pub fn buildpack_apis() -> impl Iterator<Item = ApiVersion> {
    BUILDPACK.iter().map(|(minor, _)| ApiVersion { major: 0, minor: *minor })
}

/// What `api` expects; `None` when the lifecycle does not speak it.
#[must_use]
pub fn buildpack_features(api: ApiVersion) -> Option<BuildpackFeatures> {
    let oldest = BuildpackFeatures {
        inputs_as_variables: false,
        working_dir: false,
        no_shell: false,
        overridable_args: false,
        target_variables: false,
        requires_version: true,
        exec_env: false,
    };
    fold(BUILDPACK, api, oldest)
}

/// What a platform of a given Platform API expects of the lifecycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlatformFeatures {
    /// Bills of materials are a layer of the image and of the cache, and are restored (0.8).
    pub sbom_layers: bool,
    /// The analyzer takes `-skip-layers` and `-launch-cache` (0.9).
    pub analysis_may_skip_layers: bool,
    /// `SOURCE_DATE_EPOCH` is the image's time (0.9).
    pub source_date_epoch: bool,
    /// `command` of a process is written as a list (0.10).
    pub command_list: bool,
    /// Image extensions: `-extensions`, `-generated`, `-build-image` (0.10).
    pub extensions: bool,
    /// `store.toml` is restored even when no layers are (0.10).
    pub store_is_always_restored: bool,
    /// The operator's variables, in `-build-config` (0.11).
    pub build_config: bool,
    /// The launcher's own bill of materials, in `-launcher-sbom` (0.11).
    pub launcher_sbom: bool,
    /// The rebaser takes `-previous-image` (0.11).
    pub rebase_to_another_name: bool,
    /// `run.toml` and targets in place of `stack.toml` and mixins (0.12).
    pub targets: bool,
    /// Images on the disk, as OCI layouts (0.12).
    pub layout: bool,
    /// The run image may be extended (0.12).
    pub run_image_extension: bool,
    /// The rebaser takes `-force` (0.12).
    pub forced_rebase: bool,
    /// Layers are listed in the image's history (0.12).
    pub history: bool,
    /// `-insecure-registry` (0.13).
    pub insecure_registries: bool,
    /// Metadata of launch and cache layers comes from the cache when the app image lacks it (0.14).
    pub restore_from_cache_alone: bool,
    /// The restorer takes `-run` (0.14).
    pub run_file_at_restore: bool,
    /// Execution environments (0.15).
    pub exec_env: bool,
    /// `system.toml` (0.15).
    pub system_buildpacks: bool,
}

/// Source: <https://github.com/buildpacks/spec/blob/b745fcf/platform.md>.
const PLATFORM: &[(u32, Change<PlatformFeatures>)] = &[
    (7, |_| ()),
    (8, |f| f.sbom_layers = true),
    (9, |f| {
        f.analysis_may_skip_layers = true;
        f.source_date_epoch = true;
    }),
    (10, |f| {
        f.command_list = true;
        f.extensions = true;
        f.store_is_always_restored = true;
    }),
    (11, |f| {
        f.build_config = true;
        f.launcher_sbom = true;
        f.rebase_to_another_name = true;
    }),
    (12, |f| {
        f.targets = true;
        f.layout = true;
        f.run_image_extension = true;
        f.forced_rebase = true;
        f.history = true;
    }),
    (13, |f| f.insecure_registries = true),
    (14, |f| {
        f.restore_from_cache_alone = true;
        f.run_file_at_restore = true;
    }),
    (15, |f| {
        f.exec_env = true;
        f.system_buildpacks = true;
    }),
];

/// The Platform APIs that the lifecycle speaks, oldest first.
pub fn platform_apis() -> impl Iterator<Item = ApiVersion> {
    PLATFORM.iter().map(|(minor, _)| ApiVersion { major: 0, minor: *minor })
}

/// The Platform API that Packlight's own platform speaks with the lifecycle.
pub const OWN_PLATFORM_API: ApiVersion = ApiVersion { major: 0, minor: 15 };

/// What `api` expects; `None` when the lifecycle does not speak it.
#[must_use]
pub fn platform_features(api: ApiVersion) -> Option<PlatformFeatures> {
    fold(PLATFORM, api, PlatformFeatures::default())
}

/// What an image was made for that names `api`; one of a newer version counts as of the newest that is known.
#[must_use]
pub fn image_features(api: ApiVersion) -> PlatformFeatures {
    let newest = platform_apis().filter(|it| *it <= api).last();
    newest.and_then(platform_features).unwrap_or_default()
}

fn fold<F>(table: &[(u32, Change<F>)], api: ApiVersion, mut features: F) -> Option<F> {
    let last = table.iter().position(|(minor, _)| api.major == 0 && *minor == api.minor)?;
    for (_, change) in &table[..=last] {
        change(&mut features);
    }
    Some(features)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(text: &str) -> ApiVersion {
        text.parse().unwrap()
    }

    #[test]
    fn a_major_alone_is_its_zeroth_minor() {
        assert_eq!(v("1"), ApiVersion { major: 1, minor: 0 });
        for bad in ["", "0.", ".1", "0.1.2", "v0.1", "0.x"] {
            assert!(bad.parse::<ApiVersion>().is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_outside_the_tables_have_no_features() {
        assert!(buildpack_features(v("0.6")).is_none());
        assert!(buildpack_features(v("0.13")).is_none());
        assert!(buildpack_features(v("1.10")).is_none());
        assert!(platform_features(v("0.16")).is_none());
    }

    #[test]
    fn each_version_adds_to_the_one_before() {
        assert!(!buildpack_features(v("0.8")).unwrap().no_shell);
        let ten = buildpack_features(v("0.10")).unwrap();
        assert!(ten.no_shell && ten.overridable_args && ten.target_variables && !ten.exec_env);
        assert!(platform_features(v("0.15")).unwrap().targets);
        assert!(image_features(v("1.0")).targets && !image_features(v("0.11")).targets);
        assert!(!image_features(v("0.3")).sbom_layers);
    }
}
