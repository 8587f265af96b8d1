//! Doors for `fuzz/`, there only when it is built: parsers that nobody else has to reach.

use super::{CredentialError, Credentials, challenge};

/// Whether there is something to be shown to a registry.
///
/// # Errors
/// As the client's: what was found can't be used.
pub fn finds(credentials: &Credentials, registry: &str, repository: &str) -> Result<bool, CredentialError> {
    Ok(credentials.find(registry, repository)?.is_some())
}

/// How a registry wants to be told who asks, by its header, printed.
pub fn challenge(header: &str) -> Option<String> {
    challenge::parse([header]).map(|it| format!("{it:?}"))
}
