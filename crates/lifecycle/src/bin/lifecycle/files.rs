//! The files through which the programs hand on their work.

use crate::exit::{Code, Failure, OrFail as _, fail};
use lifecycle::Dir;
use lifecycle::beneath::Beneath;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::Path;

/// Reads a TOML file; `None` when there is none.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Failure> {
    let text = match fs_err::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(Code::Failed, error)),
    };
    cnb::parse(&path.display().to_string(), &text).map(Some).or_fail(Code::Failed)
}

/// Reads a TOML file that an earlier program must have written.
pub(crate) fn need<T: DeserializeOwned>(path: &Path, by: &str) -> Result<T, Failure> {
    read(path)?.ok_or_else(|| {
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
