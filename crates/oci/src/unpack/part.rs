//! One directory of a layer's blob, proven by the layer's diff id.

use std::{
    io::{self, BufRead, Read},
    path::Path,
};

use sha2::{Digest as _, Sha256};

use super::{Ids, UnpackError, UnpackRules, Whiteouts, decompressed, unpack_beneath};
use crate::Digest;

/// Why a layer's directory could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// The blob can't be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// Its tar can't be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// It is another layer, or a damaged one.
    #[error("its contents have the digest {found}, not {expected}")]
    Other {
        /// What was asked for.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
}

/// The tar in a layer's blob.
///
/// # Errors
/// When it can't be read, or is compressed in a way that is not read.
pub fn layer_tar<'a>(blob: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    decompressed(blob)
}

/// Unpacks what a layer has in its directory `at` into the directory `into`; the files are the caller's.
///
/// # Errors
/// When it can't be unpacked or is not the layer with this diff id; what is in `into` then is worth nothing.
pub fn unpack_part(blob: impl BufRead, diff_id: &Digest, at: &Path, into: &Path) -> Result<(), PartError> {
    let mut tar = Hashing { inner: layer_tar(blob)?, sha: Sha256::new() };
    let rules = UnpackRules { ids: Ids::Caller, whiteouts: Whiteouts::Keep };
    unpack_beneath(&mut tar, at, into, rules)?;
    // The end of the archive comes before the end of the file, and all of the file counts.
    io::copy(&mut tar, &mut io::sink())?;
    match Digest::from_hasher(tar.sha) {
        found if found == *diff_id => Ok(()),
        found => Err(PartError::Other { expected: *diff_id, found }),
    }
}

struct Hashing<R> {
    inner: R,
    sha: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.sha.update(&buffer[..got]);
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LayerSpec, Owner, Store};

    fn blob(spec: &LayerSpec) -> (tempfile::TempDir, Vec<u8>, Digest) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let record = store.add_layer(spec, None).unwrap().record;
        let blob = fs_err::read(store.blob_path(&record.digest)).unwrap();
        fs_err::create_dir(dir.path().join("into")).unwrap();
        (dir, blob, record.diff_id)
    }

    #[test]
    fn a_directory_of_a_layer_becomes_a_directory_of_another_name() {
        let spec = LayerSpec::new("").file("/layers/a/b/x/file", 0o600, Owner::ROOT, "x");
        let (dir, blob, diff_id) = blob(&spec);
        let into = dir.path().join("into");
        unpack_part(&*blob, &diff_id, Path::new("/layers/a/b"), &into).unwrap();
        assert_eq!(fs_err::read_to_string(into.join("x/file")).unwrap(), "x");
        assert_eq!(fs_err::read_dir(&into).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_keeps_that_it_hands_its_group_on_and_a_program_loses_its_users() {
        use std::os::unix::fs::PermissionsExt;
        let spec = LayerSpec::new("").dir("/layers/a/b/x", 0o2755, Owner::ROOT).file(
            "/layers/a/b/x/su",
            0o6755,
            Owner::ROOT,
            "x",
        );
        let (dir, blob, diff_id) = blob(&spec);
        let into = dir.path().join("into");
        unpack_part(&*blob, &diff_id, Path::new("/layers/a/b"), &into).unwrap();
        let mode = |path: &str| fs_err::metadata(into.join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("x"), mode("x/su")), (0o2755, 0o755));
    }

    #[test]
    fn what_lies_elsewhere_in_a_layer_is_refused() {
        let spec = LayerSpec::new("").file("/layers/a/b/file", 0o600, Owner::ROOT, "x").file(
            "/layers/other",
            0o600,
            Owner::ROOT,
            "y",
        );
        let (dir, blob, diff_id) = blob(&spec);
        let into = dir.path().join("into");
        let error = unpack_part(&*blob, &diff_id, Path::new("/layers/a/b"), &into).unwrap_err();
        assert!(error.to_string().contains("layers/other"), "{error}");
    }

    #[test]
    fn another_layer_is_noticed() {
        let spec = LayerSpec::new("").file("/layers/a/b/file", 0o600, Owner::ROOT, "x");
        let (dir, blob, _) = blob(&spec);
        let into = dir.path().join("into");
        let error = unpack_part(&*blob, &Digest::of(""), Path::new("/layers/a/b"), &into).unwrap_err();
        assert!(matches!(error, PartError::Other { .. }), "{error}");
    }
}
