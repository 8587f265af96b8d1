//! Where telemetry goes: the variables and bindings that name destinations, read into a plan of signals.
//! It is data and parsing: no I/O, no environment of its own, no vendor's agent, and nothing is ever sent from here.
//! Open [`resolve`](mod@resolve) next, for who wins; [`presets`] for the table of places; [`otel`] for the vocabulary of
//! OpenTelemetry's specification.

pub mod bindings;
pub mod endpoint;
pub mod named;
pub mod otel;
pub mod plan;
pub mod presets;
pub mod resolve;
mod vcap;

pub use bindings::Binding;
pub use plan::{Destination, Plan, Route, Signal};
pub use resolve::{Resolved, resolve};

/// Variables by name, as the launch environment has them.
pub type Variables = std::collections::BTreeMap<String, String>;

/// W3C Baggage's encoding, which lists in variables have. <https://www.w3.org/TR/baggage/#value>
#[must_use]
pub fn percent_encoded(value: &str) -> String {
    use std::fmt::Write as _;
    value.bytes().fold(String::with_capacity(value.len()), |mut text, byte| {
        if byte.is_ascii_graphic() && !br#",;=\"%"#.contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}
