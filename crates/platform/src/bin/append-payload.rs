//! `append-payload PROGRAM FOLDER OUTPUT`: writes OUTPUT, which is PROGRAM with FOLDER as its payload at the end.
//! It is a step of `make dist` and part of no release; the reader, and the picture of the format, is
//! `platform::payload`.
//!
//! The same two inputs give the same bytes: sorted paths, one owner, one time, equal contents once.

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, iter};

use fs_err as fs;
use oci::Digest;
use platform::payload::{self, Index, MAGIC, PayloadError};

/// A tar is made of blocks of this length.
const BLOCK: usize = 512;
/// 1980-01-01T00:00:01Z, the time of everything in an image of Packlight's.
const MTIME: u64 = 315_532_801;

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [program, folder, output] = arguments.as_slice() else {
        return fail("usage: append-payload PROGRAM FOLDER OUTPUT");
    };
    match append(program, folder, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

#[expect(clippy::print_stderr, reason = "a program")]
fn fail(reason: &str) -> ExitCode {
    eprintln!("append-payload: {reason}");
    ExitCode::FAILURE
}

fn append(program: &Path, folder: &Path, output: &Path) -> Result<(), PayloadError> {
    let mut index = payload::scan(folder)?;
    let mut bytes = fs::read(program)?;
    let tar = archive(folder, &mut index)?;
    let text = serde_json::to_vec(&index).map_err(io::Error::from)?;
    bytes.extend_from_slice(&tar);
    bytes.extend_from_slice(&text);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&(tar.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(Digest::of(&text).hex().as_bytes());

    let temporary = output.with_extension("new");
    let mut file = fs::File::create(&temporary)?;
    file.write_all(&bytes)?;
    file.set_permissions(PermissionsExt::from_mode(0o755))?;
    file.sync_all()?;
    fs::rename(temporary, output)?;
    Ok(())
}

/// The tar of the index's files; sets where each begins.
fn archive(folder: &Path, index: &mut Index) -> Result<Vec<u8>, PayloadError> {
    let mut tar = Vec::new();
    let mut placed: HashMap<Digest, (u64, String)> = HashMap::new();
    for entry in &mut index.files {
        let mode = if entry.executable { 0o755 } else { 0o644 };
        if let Some((offset, first)) = placed.get(&entry.digest) {
            entry.offset = *offset;
            tar.extend_from_slice(&header(&entry.path, mode, 0, Some(first))?);
            continue;
        }
        let content = fs::read(folder.join(&entry.path))?;
        tar.extend_from_slice(&header(&entry.path, mode, content.len(), None)?);
        entry.offset = tar.len() as u64;
        tar.extend_from_slice(&content);
        tar.extend(iter::repeat_n(0, content.len().next_multiple_of(BLOCK) - content.len()));
        placed.insert(entry.digest, (entry.offset, entry.path.clone()));
    }
    tar.extend(iter::repeat_n(0, 2 * BLOCK));
    Ok(tar)
}

/// A POSIX `ustar` header: <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html>.
fn header(path: &str, mode: u32, size: usize, link: Option<&str>) -> io::Result<[u8; BLOCK]> {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    for name in [Some(path), link].into_iter().flatten() {
        if name.len() > 100 {
            return Err(io::Error::other(format!("{name} is longer than the 100 bytes that ustar holds")));
        }
    }
    put(0, path.as_bytes());
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000"); // user and group
    put(116, b"0000000");
    put(124, format!("{size:011o}").as_bytes());
    put(136, format!("{MTIME:011o}").as_bytes());
    put(148, b"        "); // the checksum counts itself as blanks
    put(156, if link.is_some() { b"1" } else { b"0" });
    put(157, link.unwrap_or_default().as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}
