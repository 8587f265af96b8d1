//! What of the network buildpacks reach.
//!
//! Services on this machine's loopback and the metadata addresses of clouds hand out credentials to whoever asks, so
//! buildpacks of somebody else build behind `pasta`, which knows the way out and no other.

use crate::joined::Tool;
use crate::settings::Environment;
use sandbox::{Isolation, Mount, Network};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BuildNetwork {
    /// For our own buildpacks this machine's; for somebody else's the way out alone, where `pasta` is installed.
    #[default]
    Best,
    /// This machine's, with its loopback.
    Host,
    /// None.
    None,
}

/// What is reached in each phase.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    pub(crate) detect: Network,
    pub(crate) build: Network,
    /// Connects a [`Network::Outward`].
    pub(crate) tool: Option<Tool>,
    /// What a user should know.
    pub(crate) notice: Option<&'static str>,
}

impl Reach {
    /// `own`: whether the buildpacks are ours alone.
    pub(crate) fn choose(asked: BuildNetwork, own: bool, isolation: &Isolation, env: &Environment) -> Self {
        let of = |network| Self { detect: network, build: network, tool: None, notice: None };
        match asked {
            BuildNetwork::None => of(Network::None),
            BuildNetwork::Host => of(Network::Host),
            BuildNetwork::Best if own => of(Network::Host),
            BuildNetwork::Best => match Tool::outward(env).filter(|_| *isolation == Isolation::Full) {
                Some(tool) => Self { tool: Some(tool), ..of(Network::Outward) },
                None => Self {
                    notice: Some(
                        "the builder's programs reach this machine's loopback and link-local addresses; with `pasta` of \
                         Debian's package passt, and a /dev/net/tun that you may use, they do not",
                    ),
                    ..of(Network::Host)
                },
            },
        }
    }

    /// What programs need to see for a network of their own.
    pub(crate) fn mounts(&self) -> Vec<Mount> {
        self.tool.as_ref().map(Tool::mounts).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_somebody_elses_programs_are_kept_from_this_machines_services() {
        let of = |asked, own| {
            let reach = Reach::choose(asked, own, &Isolation::Full, &Environment::new());
            (reach.detect, reach.build, reach.notice.is_some())
        };
        assert_eq!(of(BuildNetwork::Best, true), (Network::Host, Network::Host, false));
        assert_eq!(of(BuildNetwork::Host, false), (Network::Host, Network::Host, false));
        assert_eq!(of(BuildNetwork::None, false), (Network::None, Network::None, false));
        // Nothing on the path can connect a network.
        assert_eq!(of(BuildNetwork::Best, false), (Network::Host, Network::Host, true));
    }
}
