//! Where telemetry goes: the variables (one day: bindings) that name destinations, read into a plan of signals.
//! It is data and parsing: no I/O, no environment of its own, no vendor's agent, and nothing is ever sent from here.
//! Open [`otel`] next: the vocabulary of OpenTelemetry's specification.

pub mod endpoint;
pub mod otel;
pub mod plan;

pub use plan::{Destination, Plan, Route, Signal};

/// Variables by name, as the launch environment has them.
pub type Variables = std::collections::BTreeMap<String, String>;

/// Reads every vocabulary there is and returns what is to be sent where.
///
/// A vendor's own vocabulary or a binding is one more function here that returns a [`Plan`].
#[must_use]
pub fn plan(variables: &Variables) -> Plan {
    otel::plan(variables)
}
