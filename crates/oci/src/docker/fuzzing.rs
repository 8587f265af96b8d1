//! Doors for `fuzz/`, there only when it is built: parsers that nobody else has to reach.

use std::io;

/// Status and body of an answer.
///
/// # Errors
/// When it is none.
pub fn answer(bytes: &[u8]) -> io::Result<(u16, Vec<u8>)> {
    super::http::read_response(bytes).map(|it| (it.status, it.body))
}
