//! What a build is asked.

use super::cache::BuildCache;
use super::network::BuildNetwork;
use crate::builder::{Choice, Named};
use crate::output::Output;
use crate::room::inside;
use crate::source::{LEFT_OUT, Place};
use cnb::project::Project;
use oci::ImageName;
use sandbox::{Access, Identity, Mount};
use std::path::PathBuf;

/// What a build is asked.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The image's name.
    pub name: ImageName,
    /// Further names.
    pub tags: Vec<ImageName>,
    /// The image whose layers may be used again, in place of the last one of the same name.
    pub previous_image: Option<ImageName>,
    /// The app's folder.
    pub path: PathBuf,
    /// The project descriptor; none: `project.toml` in the app's folder, where there is one.
    pub descriptor: Option<PathBuf>,
    /// The builder and its parts, where they are not Packlight's own.
    pub builder: Choice,
    /// Files and folders of this machine that the buildpacks see.
    pub volumes: Vec<Volume>,
    /// Variables for the buildpacks.
    pub env: Vec<(String, String)>,
    /// Where the image goes besides the store.
    pub outputs: Vec<Output>,
    /// The process type that the image starts, in place of the buildpacks' choice.
    pub default_process: Option<String>,
    /// What of the network the buildpacks reach while they build.
    pub network: BuildNetwork,
    /// Where the layers are kept that the next build takes over.
    pub cache: BuildCache,
    /// Whether cached layers are left aside.
    pub clear_cache: bool,
    /// What becomes of the lock.
    pub locking: Locking,
    /// The page that the image is asked for before it goes anywhere; none: it is not tried out.
    pub verify: Option<String>,
    /// What is written beside the image.
    pub papers: Papers,
    /// Where and as whom the buildpacks build, and what the image says of it.
    pub conditions: Conditions,
}

/// Where and as whom the buildpacks build, and what the image says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditions {
    /// When the image was made, in RFC 3339; none: the same time for all images, so that equal ones are equal.
    pub created: Option<String>,
    /// The execution environment.
    pub exec_env: String,
    /// Where the app is, in the build and in the image.
    pub workspace: PathBuf,
    /// The user's id, in place of the builder's.
    pub uid: Option<u32>,
    /// The group's id, in place of the builder's.
    pub gid: Option<u32>,
}

impl Default for Conditions {
    fn default() -> Self {
        let (exec_env, workspace) = ("production".to_owned(), inside::APP.into());
        Self { created: None, exec_env, workspace, uid: None, gid: None }
    }
}

impl Conditions {
    /// Who builds.
    pub(super) fn user(&self, builders: Identity) -> Identity {
        Identity { uid: self.uid.unwrap_or(builders.uid), gid: self.gid.unwrap_or(builders.gid) }
    }
}

/// A moment as a user says it, `now`, seconds since 1970 or RFC 3339, in RFC 3339.
///
/// # Errors
/// When it is none of these.
pub fn moment(text: &str) -> Result<String, String> {
    let seconds = |it: i64| jiff::Timestamp::from_second(it).map_err(|error| error.to_string());
    let moment = match (text, text.parse::<i64>()) {
        ("now", _) => seconds(jiff::Timestamp::now().as_second())?,
        (_, Ok(number)) => seconds(number)?,
        (text, _) => text.parse::<jiff::Timestamp>().map_err(|_| {
            "it is now, seconds since 1970 such as 1641013200, or a time such as 2022-01-01T05:00:00Z"
                .to_owned()
        })?,
    };
    Ok(moment.to_string())
}

/// What is written beside the image, and into which folders.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Papers {
    /// Where the Software Bills of Materials go.
    pub sbom: Option<PathBuf>,
    /// Where `report.toml` goes.
    pub report: Option<PathBuf>,
}

/// A file or folder of this machine that the buildpacks see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Here.
    pub source: PathBuf,
    /// There.
    pub target: PathBuf,
    /// Whether they may write.
    pub access: Access,
}

impl Volume {
    pub(super) fn mount(&self) -> Mount {
        Mount::Bind { source: self.source.clone(), target: self.target.clone(), access: self.access }
    }
}

/// What becomes of the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Locking {
    /// The one beside the source, else the store's; kept in the store.
    #[default]
    Keep,
    /// The same, and written beside the source.
    Write,
    /// Everything is resolved anew; kept in the store.
    Update,
    /// Everything is resolved anew, and written beside the source.
    UpdateAndWrite,
}

impl Locking {
    /// From the two switches of the command line.
    #[must_use]
    pub fn from_switches(lock: Option<()>, update: Option<()>) -> Self {
        match (lock, update) {
            (None, None) => Self::Keep,
            (Some(()), None) => Self::Write,
            (None, Some(())) => Self::Update,
            (Some(()), Some(())) => Self::UpdateAndWrite,
        }
    }

    /// Whether old pins are left aside.
    #[must_use]
    pub fn forgets(self) -> bool {
        matches!(self, Self::Update | Self::UpdateAndWrite)
    }

    /// Whether the lock goes beside the source.
    #[must_use]
    pub fn writes_beside_source(self) -> bool {
        matches!(self, Self::Write | Self::UpdateAndWrite)
    }
}

impl BuildRequest {
    /// The source.
    pub(crate) fn source(&self) -> Place<'_> {
        Place { dir: &self.path, descriptor: self.descriptor.as_deref() }
    }

    /// The image whose layers may be used again.
    #[must_use]
    pub fn previous(&self) -> &ImageName {
        self.previous_image.as_ref().unwrap_or(&self.name)
    }

    /// The registry that the image goes to, when it goes to one.
    pub(crate) fn registry(&self) -> Option<&str> {
        self.outputs.contains(&Output::Registry).then_some(self.name.registry.as_str())
    }

    /// What of the source is left out by default.
    pub(crate) fn left_out(&self, project: &Project) -> &'static [&'static str] {
        let by_project = self.builder.named == Named::Nothing && project.builder.is_some();
        match self.builder.builder.is_some() || by_project {
            false => LEFT_OUT,
            // As `pack` would put it.
            true => &[],
        }
    }

    /// All names of the image, its own first.
    pub fn names(&self) -> impl Iterator<Item = &ImageName> {
        std::iter::once(&self.name).chain(&self.tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_three_spellings() {
        assert_eq!(moment("1641013200").unwrap(), "2022-01-01T05:00:00Z");
        assert_eq!(moment("2022-01-01T06:00:00+01:00").unwrap(), "2022-01-01T05:00:00Z");
        assert_eq!(moment("0").unwrap(), "1970-01-01T00:00:00Z");
        assert!(*moment("now").unwrap() > *"2025");
        for wrong in ["", "yesterday", "2022-01-01", "99999999999999999"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
