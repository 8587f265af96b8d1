//! Doors for `fuzz/`, there only when it is built: parsers that nobody else has to reach.

use std::io::{self, Read as _};
use std::path::Path;

use jiff::Timestamp;

use crate::control::Paragraph;
use crate::deb::Deb;
use crate::depends::groups;
use crate::{ArchiveError, DebError, PackageIndex, Release, SignatureError};

/// Reads a package file as `compose` does, and no more than `limit` bytes of its files; returns how many it has.
///
/// # Errors
/// When it is none, or can't be read.
pub fn deb(path: &Path, limit: u64) -> Result<u64, DebError> {
    let deb = Deb::open(path)?;
    deb.control_files(&["control", "md5sums"])?;
    let failed = |source| DebError::Io { path: path.to_owned(), source };
    io::copy(&mut deb.data()?.take(limit), &mut io::sink()).map_err(failed)
}

/// What is kept of a `Packages.xz`.
///
/// # Errors
/// When it can't be unpacked, or is no text.
pub fn slim(compressed: &[u8]) -> io::Result<String> {
    crate::packages::slim(compressed)
}

/// The packages that a text lists, as those of a release's first suite.
///
/// # Errors
/// When it is too big.
pub fn index(release: &'static Release, text: &str) -> Result<PackageIndex, ArchiveError> {
    let suites = release.archive_suites.iter().take(1);
    PackageIndex::build(release, suites.map(|suite| (*suite, text.to_owned())).collect())
}

/// A relation printed, its name, and what it asks of a version.
pub type Printed<'a> = (String, &'a str, Option<(&'a str, &'a str)>);

/// Each relation of a dependency field.
pub fn relations(field: &str) -> Vec<Printed<'_>> {
    groups(field).flatten().map(|it| (it.to_string(), it.name, it.constraint)).collect()
}

/// What a signed index says, when a key of the release has signed it.
///
/// # Errors
/// When none has.
pub fn signed(message: &str, release: &Release) -> Result<String, SignatureError> {
    crate::signature::verify(message, release.keys, Timestamp::UNIX_EPOCH)
}

/// Digest and size of a file in a signed index, and its dates.
pub fn signed_index(text: &str, name: &str) -> (Option<(String, u64)>, [Option<Timestamp>; 2]) {
    let date = |field: &str| Paragraph(text).get(field).and_then(crate::index::parse_date);
    (crate::index::listed(text, name), [date("Date"), date("Valid-Until")])
}
