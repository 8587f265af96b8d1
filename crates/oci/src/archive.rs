//! Writing a tar of the store's own blobs, for formats that are one file.

use std::{
    io::{self, Write},
    path::Path,
};

use crate::{
    Digest, Store, StoreError,
    layer::{BLOCK, Header, Kind, Owner, padding},
};

/// A tar that goes to `out`.
pub(crate) struct Archive<W> {
    out: W,
}

impl<W: Write> Archive<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }

    /// An entry for a directory; its name ends with a slash.
    pub(crate) fn dir(&mut self, name: &str) -> io::Result<()> {
        self.header(name, Kind::Dir, 0)
    }

    pub(crate) fn file(&mut self, name: &str, contents: &[u8]) -> io::Result<()> {
        self.header(name, Kind::File, contents.len() as u64)?;
        self.out.write_all(contents)?;
        self.pad(contents.len() as u64)
    }

    /// An entry for a blob, whose length must be `size`.
    pub(crate) fn blob(&mut self, store: &Store, digest: &Digest, size: u64) -> Result<(), StoreError> {
        let path = store.blob_path(digest);
        let missing = || StoreError::Missing { digest: *digest, path: path.clone() };
        let file = match fs_err::File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
            other => other?,
        };
        if file.metadata()?.len() != size {
            return Err(missing());
        }
        self.header(&blob_name(digest), Kind::File, size)?;
        let copied = io::copy(&mut io::Read::take(file, size), &mut self.out)?;
        if copied != size {
            return Err(missing());
        }
        Ok(self.pad(size)?)
    }

    /// An entry with the contents of a file of the host.
    pub(crate) fn copy(&mut self, name: &str, from: &Path) -> Result<(), StoreError> {
        let file = fs_err::File::open(from)?;
        let size = file.metadata()?.len();
        self.header(name, Kind::File, size)?;
        if io::copy(&mut io::Read::take(file, size), &mut self.out)? != size {
            let short = io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read");
            return Err(StoreError::at(from, short));
        }
        Ok(self.pad(size)?)
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn header(&mut self, name: &str, kind: Kind, size: u64) -> io::Result<()> {
        let mode = if kind == Kind::Dir { 0o755 } else { 0o644 };
        let header = Header { name: name.as_bytes(), kind, mode, owner: Owner::ROOT, size, target: b"" };
        self.out.write_all(&header.encode())
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        self.out.write_all(&[0; BLOCK][..padding(size)])
    }
}

/// A blob's path in an OCI layout.
pub(crate) fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Writes a file beside its final place and renames it there when it is complete.
pub(crate) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let permissions = std::fs::Permissions::from_mode(0o666); // less the umask
    let file = tempfile::Builder::new().prefix(".packlight-").permissions(permissions).tempfile_in(dir);
    let file = file.map_err(|error| StoreError::at(dir, error))?;
    let mut out = io::BufWriter::with_capacity(1 << 20, file);
    write(&mut out).map_err(|error| match error {
        // The store's own errors have a path already; what the output says has none.
        StoreError::Io(error) if error.raw_os_error().is_some() => StoreError::at(path, error),
        other => other,
    })?;
    let file = out.into_inner().map_err(|error| StoreError::at(path, error.into_error()))?;
    file.persist(path).map_err(|error| StoreError::at(path, error.error))?;
    Ok(())
}
