//! The C library is the base's: whether it is new enough for what was unpacked.

use crate::errors;
use crate::packages::Part;
use crate::wanted::Wanted;
use buildpack::Failure;
use fs_err as fs;
use std::path::{Path, PathBuf};

/// Where Debian and Ubuntu have it.
const LIBC: &str = "/lib/x86_64-linux-gnu/libc.so.6";
/// How a symbol's version begins: `GLIBC_2.38`. <https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html>
const PREFIX: &[u8] = b"GLIBC_2.";

/// Refuses a base that is too old: programs would end with a line of the linker's that no user understands.
pub(crate) fn check(parts: &[Part], wanted: &Wanted) -> Result<(), Failure> {
    let Ok(library) = fs::read(LIBC) else { return Err(errors::no_glibc(wanted.release.name).into()) };
    let has = newest(&library).unwrap_or_default();
    for part in parts {
        for file in elf_files(&part.root.join("usr"))? {
            let needs = newest(&fs::read(&file)?).unwrap_or_default();
            if needs > has {
                let name = file.strip_prefix(&part.root).unwrap_or(&file).display().to_string();
                let versions = (format!("2.{needs}"), format!("2.{has}"));
                return Err(errors::old_glibc(wanted.release.name, (&name, &versions.0), &versions.1).into());
            }
        }
    }
    Ok(())
}

/// The newest minor version that the names in a file's string table tell of.
fn newest(bytes: &[u8]) -> Option<u32> {
    let at = |position: usize| {
        let digits = bytes.get(position + PREFIX.len()..)?;
        let end = digits.iter().position(|it| !it.is_ascii_digit())?;
        std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
    };
    let starts = bytes.windows(PREFIX.len()).enumerate().filter(|(_, it)| *it == PREFIX);
    starts.filter_map(|(position, _)| at(position)).max()
}

fn elf_files(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let entry = entry?;
            let kind = entry.file_type()?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file()
                && (name.contains(".so") || !name.contains('.') || name.starts_with("python"))
            {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_counts_and_private_symbols_do_not() {
        assert_eq!(newest(b"\0GLIBC_2.2.5\0GLIBC_2.38\0GLIBC_2.4\0GLIBC_PRIVATE\0"), Some(38));
        assert_eq!(newest(b"nothing"), None);
    }
}
