//! Files of somebody else that are read as a whole: descriptors, documents, bills of materials. How large they are is
//! theirs to say, and this machine's memory is not.

use std::io::{self, Read};
use std::path::Path;

/// The most that is read of one, in bytes. The largest known, bills of materials of thousands of packages, have some
/// megabytes.
pub const BOUND: u64 = 16 << 20;

/// A file's bytes.
///
/// # Errors
/// When it can't be read, or is larger than [`BOUND`]; the error names the file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs_err::File::open(path)?.take(BOUND + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BOUND {
        let text = format!("{}: more than {} MiB, which no such file needs", path.display(), BOUND >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

/// A file's text.
///
/// # Errors
/// When it can't be read, is larger than [`BOUND`] or not UTF-8; the error names the file.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: it is not UTF-8", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_a_bound_and_named_where_it_has_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        fs_err::write(&path, "x").unwrap();
        assert_eq!(read_text(&path).unwrap(), "x");
        let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(BOUND).unwrap();
        assert_eq!(read(&path).unwrap().len() as u64, BOUND);
        file.set_len(BOUND + 1).unwrap();
        let error = read(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(error.to_string().contains("a.toml: more than 16 MiB"), "{error}");
        // Whatever its size is said to be.
        assert!(read(Path::new("/dev/zero")).is_err());
        fs_err::write(&path, b"\xff").unwrap();
        assert!(read_text(&path).unwrap_err().to_string().contains("a.toml: it is not UTF-8"));
        assert!(read(&dir.path().join("b")).unwrap_err().to_string().contains("/b"));
    }
}
