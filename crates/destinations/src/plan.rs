//! What a plan is: for each signal, the destinations that somebody asked for.

use std::fmt;

/// A kind of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Measurements.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// All signals, in the order in which they are named to a person.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// `traces`, as in an OTLP path.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// `TRACES`, as in a variable's name.
    #[must_use]
    pub fn upper(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }
}

/// One place telemetry goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Console,
    /// Zipkin.
    Zipkin {
        /// Where, likewise.
        shown: String,
    },
    /// Prometheus comes and asks, at this port.
    Prometheus {
        /// The port.
        port: u16,
    },
    /// An OTLP receiver over HTTP.
    Otlp {
        /// Where, without user, password and query: it may be shown.
        shown: String,
    },
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Console => f.write_str("console"),
            Self::Otlp { shown } => f.write_str(shown),
            Self::Zipkin { shown } => write!(f, "zipkin {shown}"),
            Self::Prometheus { port } => write!(f, "prometheus, which scrapes port {port}"),
        }
    }
}

/// Where one signal goes; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The signal.
    pub signal: Signal,
    /// Its destinations.
    pub to: Vec<Destination>,
}

/// What is sent where. Without routes there is nothing to do and no agent to wake.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Signals that have a destination.
    pub routes: Vec<Route>,
    /// What the user should know: a value that cannot be used, a protocol that is replaced. No secret is in it.
    pub notes: Vec<String>,
}

impl Plan {
    /// The destinations of a signal.
    #[must_use]
    pub fn to(&self, signal: Signal) -> &[Destination] {
        self.routes.iter().find(|it| it.signal == signal).map_or(&[], |it| &it.to)
    }

    /// Whether anything is sent at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }
}

impl fmt::Display for Plan {
    /// `traces, logs → http://collector:4318; metrics → console`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut groups: Vec<(Vec<&str>, String)> = Vec::new();
        for route in &self.routes {
            let place = |it: &Destination| match it {
                // The signal's own path is no news: the base address says where.
                Destination::Otlp { shown } => {
                    shown.strip_suffix(&format!("/v1/{}", route.signal.name())).unwrap_or(shown).to_owned()
                }
                it => it.to_string(),
            };
            let to = route.to.iter().map(place).collect::<Vec<_>>().join(" and ");
            match groups.iter_mut().find(|it| it.1 == to) {
                Some(group) => group.0.push(route.signal.name()),
                None => groups.push((vec![route.signal.name()], to)),
            }
        }
        let words: Vec<String> =
            groups.iter().map(|(names, to)| format!("{} → {to}", names.join(", "))).collect();
        f.write_str(&words.join("; "))
    }
}
