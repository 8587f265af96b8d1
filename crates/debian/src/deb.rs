//! The `.deb` format: an `ar` archive of `debian-binary`, `control.tar.*` and `data.tar.*`.
//! <https://manpages.debian.org/deb.5>

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use fs_err as fs;

/// Why a package file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DebError {
    /// Not an `ar` archive, or its parts are not those of a package.
    #[error("{}: not a Debian package: {reason}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Compressed in a way that is not supported.
    #[error("{}: {member} is compressed with {method}, which is not supported; gzip and xz are", .path.display())]
    Compression {
        /// The file.
        path: PathBuf,
        /// Its part.
        member: String,
        /// The method.
        method: String,
    },
    /// It cannot be read or unpacked.
    #[error("{}: cannot be read: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
}

/// A package file whose parts have been found.
#[derive(Debug)]
pub(crate) struct Deb {
    path: PathBuf,
    control: Member,
    data: Member,
}

#[derive(Debug, Clone)]
struct Member {
    name: String,
    at: u64,
    size: u64,
}

/// The most memory, in KiB, that unpacking an `.xz` may take, whatever it asks for: `xz -9` takes 65 MiB.
const XZ_LIMIT: u32 = 100 << 10;

/// What an `.xz` holds.
pub(crate) fn unxz<R: Read>(compressed: R) -> lzma_rust2::XzReader<R> {
    lzma_rust2::XzReader::new_mem_limit(compressed, true, XZ_LIMIT)
}

/// A control archive larger than this is not one.
const CONTROL_LIMIT: u64 = 16 << 20;

impl Deb {
    pub(crate) fn open(path: &Path) -> Result<Self, DebError> {
        let members = members(path)?;
        let bad = |reason: &str| DebError::Format { path: path.to_owned(), reason: reason.to_owned() };
        if members.first().map(|member| member.name.as_str()) != Some("debian-binary") {
            return Err(bad("its first part is not debian-binary"));
        }
        let find = |prefix: &str| members.iter().find(|member| member.name.starts_with(prefix)).cloned();
        let control = find("control.tar").ok_or_else(|| bad("it has no control.tar"))?;
        let data = find("data.tar").ok_or_else(|| bad("it has no data.tar"))?;
        Ok(Self { path: path.to_owned(), control, data })
    }

    /// The text of a control file such as `control` or `md5sums`, if there is one.
    pub(crate) fn control_files(&self, names: &[&str]) -> Result<Vec<Option<String>>, DebError> {
        let mut found: Vec<Option<String>> = vec![None; names.len()];
        let mut archive = tar::Archive::new(self.reader(&self.control)?.take(CONTROL_LIMIT));
        let failed = |source| DebError::Io { path: self.path.clone(), source };
        for entry in archive.entries().map_err(failed)? {
            let mut entry = entry.map_err(failed)?;
            let path = entry.path_bytes().into_owned();
            let name = path.strip_prefix(b"./").unwrap_or(&path);
            let Some(at) = names.iter().position(|wanted| wanted.as_bytes() == name) else { continue };
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(failed)?;
            if let Some(slot) = found.get_mut(at) {
                *slot = Some(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        Ok(found)
    }

    /// The tar of the package's files, decompressed as it is read.
    pub(crate) fn data(&self) -> Result<Box<dyn Read>, DebError> {
        self.reader(&self.data)
    }

    fn reader(&self, member: &Member) -> Result<Box<dyn Read>, DebError> {
        let failed = |source| DebError::Io { path: self.path.clone(), source };
        let mut file = fs::File::open(&self.path).map_err(failed)?;
        file.seek(SeekFrom::Start(member.at)).map_err(failed)?;
        let bytes = BufReader::with_capacity(64 * 1024, file.take(member.size));
        let method = member.name.split_once(".tar").map(|(_, method)| method).unwrap_or_default();
        match method {
            "" => Ok(Box::new(bytes)),
            ".gz" => Ok(Box::new(flate2::bufread::GzDecoder::new(bytes))),
            ".xz" => Ok(Box::new(unxz(bytes))),
            other => Err(DebError::Compression {
                path: self.path.clone(),
                member: member.name.clone(),
                method: match other {
                    ".zst" => "zstd".to_owned(),
                    other => other.trim_start_matches('.').to_owned(),
                },
            }),
        }
    }
}

/// The table of contents of an `ar` archive: 60 bytes of header, the contents, a byte of padding if they are odd.
fn members(path: &Path) -> Result<Vec<Member>, DebError> {
    let failed = |source| DebError::Io { path: path.to_owned(), source };
    let bad = |reason: &str| DebError::Format { path: path.to_owned(), reason: reason.to_owned() };
    let mut file = fs::File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut magic = [0; 8];
    file.read_exact(&mut magic).map_err(|_| bad("it is too short"))?;
    if &magic != b"!<arch>\n" {
        return Err(bad("it is not an ar archive"));
    }
    let mut members = Vec::new();
    let mut at = 8_u64;
    while at + 60 <= length {
        let mut header = [0; 60];
        file.seek(SeekFrom::Start(at)).map_err(failed)?;
        file.read_exact(&mut header).map_err(failed)?;
        let text = |from: usize, to: usize| {
            header
                .get(from..to)
                .and_then(|bytes| std::str::from_utf8(bytes).ok())
                .unwrap_or_default()
                .trim_end()
        };
        let size: u64 = text(48, 58).parse().map_err(|_| bad("a part's header gives no size"))?;
        at += 60;
        if size > length - at {
            return Err(bad("it ends in the middle of a part"));
        }
        members.push(Member { name: text(0, 16).trim_end_matches('/').to_owned(), at, size });
        at += size + size % 2;
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The checksum of an `.xz` file's headers.
    fn crc32(bytes: &[u8]) -> [u8; 4] {
        let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        let crc = bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step));
        (!crc).to_le_bytes()
    }

    /// An `.xz` of one byte, whose header asks for a dictionary of the size that this property stands for.
    fn xz(dictionary: u8) -> Vec<u8> {
        let flags = [0, 0];
        let block = [2, 0, 0x21, 1, dictionary, 0, 0, 0];
        let data = [1, 0, 0, b'x', 0, 0, 0, 0];
        // The block's size without its padding, and that of its contents.
        let index = [0, 1, 17, 1];
        let footer = [1, 0, 0, 0, 0, 0];
        [
            &b"\xfd7zXZ\0"[..],
            &flags,
            &crc32(&flags),
            &block,
            &crc32(&block),
            &data,
            &index,
            &crc32(&index),
            &crc32(&footer),
            &footer,
            b"YZ",
        ]
        .concat()
    }

    #[test]
    fn a_dictionary_without_bound_is_refused() {
        let read = |dictionary| {
            let mut text = Vec::new();
            unxz(&*xz(dictionary)).read_to_end(&mut text).map(|_| text)
        };
        // 64 MiB, as `xz -9` asks for; then 128 MiB and 4 GiB.
        assert_eq!(read(28).unwrap(), b"x");
        for dictionary in [30, 40] {
            let error = read(dictionary).unwrap_err().to_string();
            assert!(error.contains("mem_limit"), "{error}");
        }
    }
}
