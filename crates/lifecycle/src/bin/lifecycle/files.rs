//! The files through which the programs hand on their work.
//!
//! What lies in the layers directory, a buildpack can have put there: those files are opened beneath it, following no
//! link, lest a parser's message show the contents of some other file. What a platform mounts elsewhere may be links.

use crate::Site;
use crate::exit::{Code, Failure, OrFail as _, fail};
use lifecycle::Dir;
use lifecycle::beneath::{Beneath, BeneathError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::Path;

/// Reads a TOML file; `None` when there is none.
pub(crate) fn read<T: DeserializeOwned>(site: &Site, path: &Path) -> Result<Option<T>, Failure> {
    let layers = site.inputs.path("layers");
    let bytes = match path.strip_prefix(&layers) {
        Ok(rest) => beneath(&layers, rest).or_fail(Code::Failed)?,
        Err(_) => match oci::bounded::read(path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(fail(Code::Failed, error)),
        },
    };
    let Some(bytes) = bytes else { return Ok(None) };
    let name = path.display().to_string();
    let text = String::from_utf8(bytes).map_err(|_| fail(Code::Failed, format!("{name} is not UTF-8")))?;
    cnb::parse(&name, &text).map(Some).or_fail(Code::Failed)
}

fn beneath(layers: &Path, path: &Path) -> Result<Option<Vec<u8>>, BeneathError> {
    let mut dir = match Beneath::open(&Dir::same(layers)) {
        Err(BeneathError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    for parent in path.parent().into_iter().flat_map(Path::components) {
        match dir.dir(parent.as_os_str())? {
            Some(inner) => dir = inner,
            None => return Ok(None),
        }
    }
    dir.read(path.file_name().unwrap_or_default())
}

/// Reads a TOML file that an earlier program must have written.
pub(crate) fn need<T: DeserializeOwned>(site: &Site, path: &Path, by: &str) -> Result<T, Failure> {
    read(site, path)?.ok_or_else(|| {
        fail(Code::Failed, format!("{} is not there; {by} comes first and writes it", path.display()))
    })
}

/// Writes a TOML file, whole or not at all.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), Failure> {
    let text =
        cnb::print(value).map_err(|error| fail(Code::Failed, format!("{}: {error}", path.display())))?;
    write_text(path, &text)
}

/// The same with a text.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), Failure> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(fail(Code::Failed, format!("{} is no path of a file", path.display())));
    };
    fs_err::create_dir_all(dir).or_fail(Code::Failed)?;
    Beneath::open(&Dir::same(dir))
        .and_then(|open| open.write(name, text.as_bytes(), None))
        .or_fail(Code::Failed)
}
