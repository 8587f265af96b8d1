//! Where the app's telemetry will go, as far as whoever starts the app must know it: the rest is decided in the image.

use super::RunError;
use destinations::{Destination, Signal, Variables};

/// The variable that names destinations.
pub const DESTINATION: &str = destinations::resolve::VARIABLE;
const PROMETHEUS_HOST: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";

/// What is known.
pub(super) struct Telemetry {
    /// What the exporters will be told.
    set: Variables,
    /// The port at which Prometheus asks the app.
    pub(super) scraped: Option<u16>,
    /// Whether the user says on which address.
    host_is_said: bool,
}

impl Telemetry {
    /// Reads the app's variables.
    ///
    /// # Errors
    /// When a destination is named that cannot be used: better said now than by an agent that sleeps.
    pub(super) fn of(env: &[(String, String)]) -> Result<Self, RunError> {
        let variables: Variables = env.iter().cloned().collect();
        let resolved = destinations::resolve(&variables, &[], &[]);
        let is_named = variables.get(DESTINATION).is_some_and(|it| !it.is_empty());
        if let (true, true, Some(note)) = (is_named, resolved.plan.is_empty(), resolved.plan.notes.first()) {
            return Err(RunError::Destination(note.trim_start_matches("nothing is sent: ").to_owned()));
        }
        let scraped = resolved.plan.to(Signal::Metrics).iter().find_map(|it| match it {
            Destination::Prometheus { port } => Some(*port),
            _ => None,
        });
        let host_is_said = variables.contains_key(PROMETHEUS_HOST);
        Ok(Self { set: resolved.told, scraped, host_is_said })
    }

    /// The user's variables with what the exporters will be told.
    pub(super) fn with(&self, env: &[(String, String)]) -> Vec<(String, String)> {
        let set = self.set.iter().map(|(name, value)| (name.clone(), value.clone()));
        env.iter().cloned().chain(set).collect()
    }

    /// The address on which the app waits for Prometheus. In a network of its own nobody else gets at it; on this
    /// machine's it is the loopback's alone.
    pub(super) fn listens(&self, own_network: bool) -> Option<(String, String)> {
        let host = if own_network { "0.0.0.0" } else { "127.0.0.1" };
        let wanted = self.scraped.is_some() && !self.host_is_said;
        wanted.then(|| (PROMETHEUS_HOST.to_owned(), host.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Telemetry, RunError> {
        let env: Vec<_> = variables.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        Telemetry::of(&env)
    }

    #[test]
    fn a_destination_that_cannot_be_right_is_refused_before_anything_starts() {
        let Err(error) = of(&[(DESTINATION, "jaeger=http://j:16686")]) else { panic!("not refused") };
        assert!(error.to_string().starts_with("destination jaeger: 16686 is"), "{error}");
        assert!(of(&[(DESTINATION, "jaeger=http://j")]).is_ok());
    }

    #[test]
    fn the_port_that_prometheus_asks_is_known_and_who_may_reach_it() {
        let scraped = of(&[(DESTINATION, "prometheus=:1234")]).unwrap();
        assert_eq!(scraped.scraped, Some(1234));
        assert_eq!(scraped.listens(false).unwrap().1, "127.0.0.1");
        assert_eq!(of(&[("OTEL_METRICS_EXPORTER", "prometheus")]).unwrap().scraped, Some(9464));
        let said = of(&[("OTEL_METRICS_EXPORTER", "prometheus"), (PROMETHEUS_HOST, "::")]).unwrap();
        assert_eq!(said.listens(true), None);
        assert_eq!(of(&[]).unwrap().listens(true), None);
    }
}
