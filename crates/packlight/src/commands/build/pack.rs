//! Flags of `pack build` that mean something else here, or nothing: whoever brings a command line along gets an answer and
//! no riddle. They are in no help text.

use crate::failure::{Failure, not_yet};
use clap::Args;
use platform::settings::Settings;

#[derive(Debug, Args)]
pub(super) struct PackArguments {
    #[arg(long, hide = true)]
    trust_builder: bool,
    #[arg(long, hide = true)]
    trust_extra_buildpacks: bool,
    #[arg(long, hide = true, value_name = "IMAGE")]
    lifecycle_image: Option<String>,
    #[arg(long, hide = true)]
    userns_host: bool,
    #[arg(long, hide = true)]
    interactive: bool,
    #[arg(long, hide = true, value_name = "HOST")]
    docker_host: Option<String>,
    #[arg(long, hide = true)]
    sparse: bool,
    #[arg(long, hide = true)]
    disable_system_buildpacks: bool,
    #[arg(long, hide = true, value_name = "EXTENSION")]
    extension: Vec<String>,
    #[arg(long, short = 'r', hide = true, value_name = "NAME")]
    buildpack_registry: Option<String>,
    #[arg(long, hide = true, value_name = "HOST")]
    insecure_registry: Vec<String>,
}

impl PackArguments {
    /// What is said of flags that change nothing.
    pub(super) fn notices(&self) -> Vec<String> {
        let trust = "without effect: no buildpack sees a credential, so there is nothing to trust it with";
        [
            (self.trust_builder, "--trust-builder", trust),
            (self.trust_extra_buildpacks, "--trust-extra-buildpacks", trust),
            (
                self.lifecycle_image.is_some(),
                "--lifecycle-image",
                "without effect: Packlight is a lifecycle of its own",
            ),
            (self.userns_host, "--userns-host", "without effect: a build has namespaces of its own"),
            (
                self.disable_system_buildpacks,
                "--disable-system-buildpacks",
                "without effect: a builder's system buildpacks are not there yet",
            ),
            (self.interactive, "--interactive", "without effect: what happens is shown as it happens"),
        ]
        .into_iter()
        .filter(|it| it.0)
        .map(|(_, name, words)| format!("{name} is {words}"))
        .collect()
    }

    /// Refuses what would change something, and cannot.
    pub(super) fn refuse(&self) -> Result<(), Failure> {
        if self.docker_host.is_some() {
            return Err(Failure::usage("--docker-host: no build reaches a Docker engine")
                .hint("DOCKER_HOST names the engine that the image goes to"));
        }
        if self.sparse {
            return Err(Failure::usage("--sparse: a layout has all layers, or other tools could not use it")
                .hint("`--output oci:DIR` writes one"));
        }
        for (is_given, what) in [
            (!self.extension.is_empty(), "image extensions (--extension)"),
            (self.buildpack_registry.is_some(), "buildpacks of a public index (--buildpack-registry)"),
        ] {
            if is_given {
                return Err(not_yet(what));
            }
        }
        Ok(())
    }

    /// Registries that this build may speak to without TLS.
    pub(super) fn add_to(&self, settings: &mut Settings) {
        for host in &self.insecure_registry {
            let host = host.split_once("://").map_or(host.as_str(), |it| it.1);
            settings.registries.entry(host.to_owned()).or_default().insecure = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_insecure_under_its_host_whatever_the_scheme() {
        let pack = PackArguments {
            trust_builder: false,
            trust_extra_buildpacks: false,
            lifecycle_image: None,
            userns_host: false,
            interactive: false,
            docker_host: None,
            sparse: false,
            disable_system_buildpacks: false,
            extension: Vec::new(),
            buildpack_registry: None,
            insecure_registry: vec!["http://a.example:5000".to_owned(), "b.example".to_owned()],
        };
        let mut settings = Settings::default();
        pack.add_to(&mut settings);
        let insecure: Vec<_> = settings.registries.iter().filter(|it| it.1.insecure).map(|it| it.0).collect();
        assert_eq!(insecure, ["a.example:5000", "b.example"]);
        assert!(pack.notices().is_empty() && pack.refuse().is_ok());
    }
}
