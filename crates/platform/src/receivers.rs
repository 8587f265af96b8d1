//! The receivers of telemetry that a user has started on this machine: each leaves its code in the store, which nobody else may
//! read, so that its code need not stand on a command line, where everybody may.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;

use oci::Store;

/// A receiver's code in the store, until this is dropped.
#[derive(Debug)]
pub struct Remembered {
    path: PathBuf,
}

impl Drop for Remembered {
    fn drop(&mut self) {
        // Whoever finds a code that is left over is told by the receiver that it is wrong.
        let _ = fs_err::remove_file(&self.path);
    }
}

/// A code that nobody can guess: 128 bits from the kernel, in hexadecimal.
///
/// # Errors
///
/// The kernel gives none.
pub fn new_code() -> io::Result<String> {
    let mut bytes = [0; 16];
    let read = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    if read < bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes.iter().map(|it| format!("{it:02x}")).collect())
}

/// Leaves the code of the receiver that listens there.
///
/// # Errors
///
/// The store cannot be written.
pub fn remember(store: &Store, address: SocketAddr, code: &str) -> io::Result<Remembered> {
    let path = path(store, address);
    let dir = path.parent().unwrap_or(store.root());
    fs_err::create_dir_all(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(code.as_bytes())?;
    file.persist(&path).map_err(|it| it.error)?;
    Ok(Remembered { path })
}

/// The code of the receiver that was started with this store and listens there; none where there is none.
#[must_use]
pub fn recall(store: &Store, address: SocketAddr) -> Option<String> {
    fs_err::read_to_string(path(store, address)).ok()
}

fn path(store: &Store, address: SocketAddr) -> PathBuf {
    store.root().join("telemetry").join(format!("{}.code", address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_code_is_there_for_its_user_while_its_receiver_is() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let address = "127.0.0.1:4318".parse().unwrap();
        assert_eq!(recall(&store, address), None);
        let code = new_code().unwrap();
        assert!(code.len() == 32 && code != new_code().unwrap());
        let remembered = remember(&store, address, &code).unwrap();
        assert_eq!(recall(&store, address), Some(code));
        assert_eq!(fs_err::metadata(&remembered.path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(remembered);
        assert_eq!(recall(&store, address), None);
    }
}
