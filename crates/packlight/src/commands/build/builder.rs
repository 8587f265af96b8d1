//! The flags of `packlight build` that are about somebody else's builder.

use crate::failure::Failure;
use clap::{Args, ValueEnum};
use platform::Access;
use platform::build::{Added, Choice, Named, Volume};
use platform::images::{PullPolicy, Source};
use platform::isolation::Foreign;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(next_help_heading = "Another builder")]
pub(super) struct BuilderArguments {
    /// Build with this builder: an image's name, docker:NAME (of the engine), oci:DIR, oci-archive:FILE or
    /// docker-archive:FILE; `packlight` is Packlight's own [default: project.toml's, else Packlight's own]
    #[arg(long, short = 'B', value_name = "BUILDER")]
    builder: Option<String>,
    /// The run image, in place of the builder's
    #[arg(long, value_name = "IMAGE", requires = "builder")]
    run_image: Option<String>,
    /// Build with these buildpacks in place of the builder's order: a folder, a .cnb or .tgz file or its URL, an image,
    /// ID@VERSION of the builder, or from=builder for its order
    #[arg(long, short, value_name = "BUILDPACK", value_delimiter = ',')]
    buildpack: Vec<String>,
    /// A buildpack before each group of the order
    #[arg(long, value_name = "BUILDPACK", value_delimiter = ',')]
    pre_buildpack: Vec<String>,
    /// A buildpack after each group of the order
    #[arg(long, value_name = "BUILDPACK", value_delimiter = ',')]
    post_buildpack: Vec<String>,
    /// When registries are asked for images that are in the store
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pull_policy: Pull,
    /// Let somebody else's buildpacks run where this machine forbids full isolation
    #[arg(long)]
    allow_unisolated: bool,
    /// A file or folder that the buildpacks see; `:rw` lets them write [default: :ro]
    #[arg(long, value_name = "HERE:THERE[:ro|:rw]")]
    volume: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Pull {
    /// Each time; what is here already is not sent again.
    #[default]
    Always,
    /// When the store has no image of that name.
    IfNotPresent,
    /// Not at all.
    Never,
}

/// The name of Packlight's own builder.
const OWN: &str = "packlight";

impl BuilderArguments {
    /// `agents`: whether the user asked for one.
    pub(super) fn choice(&self, default_registry: &str, agents: bool) -> Result<Choice, Failure> {
        let source = |text: &String| Source::parse(text, default_registry);
        let added = |list: &[String]| -> Result<Vec<Added>, Failure> {
            list.iter().map(|it| Added::parse(it, default_registry).map_err(Failure::from)).collect()
        };
        Ok(Choice {
            named: if self.builder.is_some() { Named::Builder } else { Named::Nothing },
            builder: self.builder.as_ref().filter(|it| *it != OWN).map(source).transpose()?,
            run_image: self.run_image.as_ref().map(source).transpose()?,
            buildpacks: added(&self.buildpack)?,
            pre: added(&self.pre_buildpack)?,
            post: added(&self.post_buildpack)?,
            pull_policy: match self.pull_policy {
                Pull::Always => PullPolicy::Always,
                Pull::IfNotPresent => PullPolicy::IfNotPresent,
                Pull::Never => PullPolicy::Never,
            },
            agents,
            unisolated: if self.allow_unisolated { Foreign::Allowed } else { Foreign::Refused },
        })
    }

    /// None may hide the app, which is in `workspace`.
    pub(super) fn volumes(&self, workspace: &Path) -> Result<Vec<Volume>, Failure> {
        self.volume.iter().map(|it| volume(it, workspace)).collect()
    }
}

/// Where the lifecycle's own things are; a volume there would hide them.
const TAKEN: &[&str] = &["/cnb", "/layers"];

fn volume(text: &str, workspace: &Path) -> Result<Volume, Failure> {
    let wrong = |reason: &str| Failure::usage(&format!("--volume {text}: {reason}"));
    let mut parts = text.split(':');
    let (Some(here), Some(there)) = (parts.next().filter(|it| !it.is_empty()), parts.next()) else {
        return Err(wrong("it is HERE:THERE, two paths"));
    };
    let access = match (parts.next(), parts.next()) {
        (None | Some("ro"), None) => Access::ReadOnly,
        (Some("rw"), None) => Access::ReadWrite,
        _ => return Err(wrong("behind the two paths it takes ro or rw")),
    };
    let target = PathBuf::from(there);
    if !target.is_absolute() || target.components().any(|it| it == std::path::Component::ParentDir) {
        return Err(wrong("the path there begins with / and has no `..`"));
    }
    let taken = TAKEN.iter().any(|it| target.starts_with(it)) || target.starts_with(workspace);
    if taken || workspace.starts_with(&target) {
        return Err(wrong("that place is the lifecycle's; choose another, such as /platform/bindings/NAME"));
    }
    let source = std::path::absolute(here).map_err(|error| wrong(&error.to_string()))?;
    if !source.exists() {
        return Err(wrong("there is nothing at the path here"));
    }
    Ok(Volume { source, target, access })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_two_paths_and_hides_nothing_of_the_lifecycles() {
        let volume = |text: &str| volume(text, Path::new("/srv/app"));
        let found = volume("/tmp:/platform/bindings/tmp").unwrap();
        assert_eq!((found.target.to_str(), found.access), (Some("/platform/bindings/tmp"), Access::ReadOnly));
        assert_eq!(volume("/tmp:/data:rw").unwrap().access, Access::ReadWrite);
        let say = |text: &str| volume(text).unwrap_err().message;
        assert_eq!(say("/tmp"), "--volume /tmp: it is HERE:THERE, two paths");
        for (text, reason) in [
            ("/tmp:/data:rwx", "ro or rw"),
            ("/tmp:data", "begins with /"),
            ("/tmp:/data/../cnb", "no `..`"),
            ("/tmp:/cnb/lifecycle", "is the lifecycle's"),
            ("/tmp:/", "is the lifecycle's"),
            ("/tmp:/srv/app/x", "is the lifecycle's"),
            ("/tmp:/srv", "is the lifecycle's"),
            ("/no/such:/data", "nothing at the path here"),
        ] {
            assert!(say(text).contains(reason), "{}", say(text));
        }
    }
}
