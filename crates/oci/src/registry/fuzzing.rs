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

/// Where the next page of a list is, by the address of this one and its `Link` header.
pub fn next_page(base: &str, link: &str) -> Option<String> {
    let base = url::Url::parse(base).ok()?;
    super::site::adopt(&base, super::list::next_of(link)?).map(String::from)
}

/// The wait that a `Retry-After` asks for, in whole seconds.
pub fn retry_after(value: &str) -> Option<u64> {
    super::retry::retry_after(value, jiff::Timestamp::UNIX_EPOCH).map(|it| it.as_secs())
}

/// How much of an upload a registry has, by its `Range` header.
pub fn held(range: &str) -> Option<u64> {
    super::upload::held_of(range)
}

/// Code and message of a refusal's body.
pub fn said(body: &[u8]) -> (String, String) {
    let said = super::error::Said::read(body);
    (said.code, said.message)
}
