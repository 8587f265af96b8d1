//! How an app is reached: on a network of its own where `pasta` or `slirp4netns` is installed, else on this machine's.

use super::forward::Forwarder;
use super::telemetry::Telemetry;
use super::{Publish, RunError, RunRequest};
use crate::event::{Event, Events};
use crate::joined::{Joined, Tool};
use crate::settings::Environment;
use sandbox::{Isolation, Mount, Waiting};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

/// Which network an app has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AppNetwork {
    /// Its own, where a program that can connect it is installed.
    #[default]
    Best,
    /// This machine's.
    Host,
    /// None but its own loopback.
    None,
}

/// How an app will be reached.
pub(super) struct Reach {
    ports: Vec<Publish>,
    /// Whether the app is told its port by `PORT`.
    told: bool,
    telemetry: Telemetry,
    /// Whether the app could have a network of its own.
    may_be_own: bool,
    way: Way,
}

enum Way {
    /// The app shares this machine's network; these listeners lead to its ports.
    Shared(Vec<(TcpListener, u16)>),
    /// The app has a network of its own, and this program connects it.
    Own(Tool),
    /// Nothing is connected.
    Cut,
}

/// An app that is reached. Dropped, it is not any more.
pub(super) struct Connected {
    pub(super) ports: Vec<Publish>,
    /// Whether what comes from outside gets to the app's loopback interface.
    pub(super) reaches_loopback: bool,
    _forwarders: Vec<Forwarder>,
    _joined: Option<Joined>,
}

impl Reach {
    /// Decides how, and takes the ports: a port that is taken is an error before anything was started.
    pub(super) fn choose(
        request: &RunRequest,
        env: &Environment,
        isolation: &Isolation,
    ) -> Result<Self, RunError> {
        let may_be_own = *isolation == Isolation::Full;
        let telemetry = Telemetry::of(&request.env)?;
        let tool = match request.network {
            AppNetwork::None => {
                return Ok(Self { ports: Vec::new(), told: false, telemetry, may_be_own, way: Way::Cut });
            }
            AppNetwork::Host => None,
            AppNetwork::Best => Tool::find(env).filter(|_| may_be_own),
        };
        let mut ports = ports(request)?;
        let asked = telemetry.scraped.filter(|it| !ports.iter().any(|port| port.inside == *it));
        ports.extend(asked.map(|it| Publish { host: it, inside: it }));
        let told = !request.env.iter().any(|(name, _)| name == "PORT");
        let way = match tool {
            Some(tool) => {
                for port in &ports {
                    // Only tried: the tool itself will listen.
                    drop(listen(port.host, false)?);
                }
                Way::Own(tool.with_services(local_services(&telemetry.with(&request.env))))
            }
            None => Way::Shared(shared(&ports)?),
        };
        Ok(Self { ports, told, telemetry, may_be_own, way })
    }

    pub(super) fn is_own(&self) -> bool {
        matches!(self.way, Way::Own(_))
    }

    /// Whether the app has no network at all.
    pub(super) fn is_cut(&self) -> bool {
        matches!(self.way, Way::Cut)
    }

    /// Variables that the app gets unless the user says otherwise.
    pub(super) fn defaults(&self) -> Vec<(String, String)> {
        let first = self.ports.first().filter(|_| self.told);
        let port = first.map(|port| ("PORT".to_owned(), port.inside.to_string()));
        port.into_iter().chain(self.telemetry.listens(self.is_own())).collect()
    }

    /// What the app needs to see for its network.
    pub(super) fn mounts(&self) -> Vec<Mount> {
        match &self.way {
            Way::Own(tool) => tool.mounts(),
            _ => Vec::new(),
        }
    }

    /// Connects an app that waits to begin, so that it does not see the network come up.
    pub(super) fn connect(self, waiting: &Waiting, events: Events<'_>) -> Result<Connected, RunError> {
        let reaches_loopback = !matches!(&self.way, Way::Own(tool) if !tool.reaches_loopback());
        let mut connected =
            Connected { ports: self.ports, reaches_loopback, _forwarders: Vec::new(), _joined: None };
        match self.way {
            Way::Cut => {}
            Way::Own(tool) => connected._joined = Some(Joined::join(&tool, &connected.ports, waiting.pid())?),
            Way::Shared(listeners) => {
                for (listener, to) in listeners {
                    connected._forwarders.push(
                        Forwarder::start(listener, to)
                            .map_err(|source| RunError::Port { port: to, source })?,
                    );
                }
                let open: BTreeSet<String> = connected.ports.iter().map(|it| it.inside.to_string()).collect();
                if !open.is_empty() {
                    let open = open.into_iter().collect::<Vec<_>>().join(", ");
                    let advice = match self.may_be_own {
                        true => {
                            " (with `pasta` of Debian's package passt, and a /dev/net/tun that you may use, it has its own)"
                        }
                        false => "",
                    };
                    events(Event::Notice {
                        text: format!(
                            "port {open} is open on this machine: the app shares its network{advice}"
                        ),
                    });
                }
            }
        }
        Ok(connected)
    }
}

/// The ports that were asked for; else the one of `PORT`; else a free one. A program that somebody talks with needs none.
fn ports(request: &RunRequest) -> Result<Vec<Publish>, RunError> {
    if !request.ports.is_empty() || request.entrypoint.is_some() {
        return Ok(request.ports.clone());
    }
    let port = match request.env.iter().rev().find(|(name, _)| name == "PORT") {
        Some((_, value)) => match value.parse() {
            Ok(port) => port,
            Err(_) => return Ok(Vec::new()),
        },
        None => free()?,
    };
    Ok(vec![Publish { host: port, inside: port }])
}

pub(super) fn free() -> Result<u16, RunError> {
    let listener = listen(0, false)?;
    let address = listener.local_addr().map_err(|source| RunError::Port { port: 0, source })?;
    Ok(address.port())
}

/// The listeners that lead to the app's ports; a port that leads to itself needs none.
fn shared(ports: &[Publish]) -> Result<Vec<(TcpListener, u16)>, RunError> {
    let mut listeners = Vec::new();
    for port in ports {
        drop(listen(port.inside, true)?);
        if port.host != port.inside {
            listeners.push((listen(port.host, false)?, port.inside));
        }
    }
    Ok(listeners)
}

fn listen(port: u16, shared: bool) -> Result<TcpListener, RunError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => RunError::PortInUse { port, shared },
        _ => RunError::Port { port, source },
    })
}

/// Ports of this machine's loopback that the user's variables name, such as `http://localhost:4318`: an app with a
/// network of its own reaches them as one that shares this machine's does.
fn local_services(env: &[(String, String)]) -> BTreeSet<u16> {
    let of = |value: &str| {
        let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = host.rsplit_once(':')?;
        ["localhost", "127.0.0.1", "[::1]"].contains(&host).then(|| port.parse().ok()).flatten()
    };
    // What an exporter takes when nobody names an endpoint.
    let exports = |(name, value): &(String, String)| {
        name.starts_with("OTEL_") && name.ends_with("_EXPORTER") && value.contains("otlp")
    };
    let default = env.iter().any(exports).then_some(OTLP_HTTP);
    env.iter().filter_map(|(_, value)| of(value)).chain(default).collect()
}

/// <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>
const OTLP_HTTP: u16 = 4318;

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn services_of_this_machine_are_found_in_variables() {
        let env = pairs(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318/v1"),
            ("DATABASE_URL", "postgres://me:pw@127.0.0.1:5432/db"),
            ("CACHE", "localhost:6379"),
            ("OTHER", "http://example.com:80"),
            ("PORT", "8000"),
        ]);
        assert_eq!(local_services(&env).into_iter().collect::<Vec<_>>(), [4318, 5432, 6379]);
        let of = |value: &str| local_services(&pairs(&[("OTEL_TRACES_EXPORTER", value)])).into_iter().next();
        assert_eq!((of("otlp"), of("console")), (Some(4318), None));
    }

    #[test]
    fn a_port_that_is_taken_is_an_error_that_says_which() {
        let taken = listen(0, false).unwrap();
        let port = taken.local_addr().unwrap().port();
        let asked = [Publish { host: port, inside: port }];
        let error = shared(&asked).unwrap_err().to_string();
        assert_eq!(error, format!("port {port} of this machine is in use (the app would share it)"));
    }
}
