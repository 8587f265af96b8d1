//! Files of an image whose layers lie unpacked side by side, read without mounting anything.
//!
//! An image may be hostile: only plain files and directories below a layer's own root are looked at; no link is
//! followed.

use oci::{Image, Store, StoreError};
use rustix::fs::FileType;
use sandbox::Mark;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The layers of an image, topmost first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trees<'a>(pub(crate) &'a [PathBuf]);

/// The layers of an image, unpacked, topmost first.
///
/// An image may have a layer twice (an empty one, often); the kernel refuses a tree twice in one overlay, and what the
/// lower one says the upper one says again.
pub(crate) fn unpacked(store: &Store, image: &Image) -> Result<Vec<PathBuf>, StoreError> {
    let trees: Result<Vec<_>, _> = image.diff_ids().iter().rev().map(|it| store.unpacked(it)).collect();
    Ok(each_once(trees?))
}

/// The trees without those that stand above already.
pub(crate) fn each_once(trees: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    trees.into_iter().filter(|it| seen.insert(it.clone())).collect()
}

/// What one layer says of a path.
enum Said {
    /// Nothing: a lower layer may.
    Nothing,
    /// It is gone, or no path that is followed.
    Gone,
    There(PathBuf, FileType),
}

impl Trees<'_> {
    /// The text of a file; none when it is not there, or is no plain file.
    ///
    /// # Errors
    /// When it is larger than any such file, or not UTF-8.
    pub(crate) fn text(&self, path: &str) -> std::io::Result<Option<String>> {
        match self.find(Path::new(path)) {
            Some((file, FileType::RegularFile)) => oci::bounded::read_text(&file).map(Some),
            _ => Ok(None),
        }
    }

    /// The same where a file that cannot be read is as good as none.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        self.text(path).ok().flatten()
    }

    /// The directories in a directory: name and path on this machine.
    pub(crate) fn directories(&self, path: &Path) -> BTreeMap<OsString, PathBuf> {
        let mut names = std::collections::BTreeSet::new();
        for layer in self.0 {
            if let Ok(entries) = fs_err::read_dir(layer.join(path)) {
                names.extend(entries.flatten().map(|it| it.file_name()));
            }
        }
        names
            .into_iter()
            .filter_map(|name| match self.find(&path.join(&name))? {
                (host, FileType::Directory) => Some((name, host)),
                _ => None,
            })
            .collect()
    }

    /// The topmost of a path.
    pub(crate) fn find(&self, path: &Path) -> Option<(PathBuf, FileType)> {
        for layer in self.0 {
            match say(layer, path) {
                Said::Nothing => {}
                Said::Gone => return None,
                Said::There(host, kind) => return Some((host, kind)),
            }
        }
        None
    }
}

/// <https://docs.kernel.org/filesystems/overlayfs.html>, "whiteouts and opaque directories"
fn say(layer: &Path, path: &Path) -> Said {
    let mut host = layer.to_owned();
    let mut is_opaque = false;
    let count = path.components().count();
    for (i, part) in path.components().enumerate() {
        host.push(part);
        let Ok(metadata) = fs_err::symlink_metadata(&host) else {
            return if is_opaque { Said::Gone } else { Said::Nothing };
        };
        let mark = sandbox::mark(&host, &metadata);
        if mark == Some(Mark::Gone) {
            return Said::Gone;
        }
        if i + 1 == count {
            return Said::There(host, FileType::from_raw_mode(metadata.mode()));
        }
        if !metadata.is_dir() {
            return Said::Gone;
        }
        is_opaque |= mark == Some(Mark::Opaque);
    }
    Said::Nothing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topmost_counts_and_what_is_gone_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (top, bottom) = (dir.path().join("top"), dir.path().join("bottom"));
        for (layer, file) in
            [(&bottom, "a/x"), (&bottom, "a/y"), (&bottom, "o/x"), (&top, "a/x"), (&top, "o/z")]
        {
            let file = layer.join(file);
            fs_err::create_dir_all(file.parent().unwrap()).unwrap();
            fs_err::write(&file, layer.file_name().unwrap().to_str().unwrap()).unwrap();
        }
        rustix::fs::setxattr(top.join("o"), "user.overlay.opaque", b"y", rustix::fs::XattrFlags::empty())
            .unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            top.join("a/y"),
            FileType::CharacterDevice,
            rustix::fs::Mode::empty(),
            0,
        )
        .unwrap();
        fs_err::os::unix::fs::symlink("/etc", top.join("link")).unwrap();
        let layers = [top, bottom];
        let trees = Trees(&layers);
        assert_eq!(trees.read("a/x").as_deref(), Some("top"));
        assert_eq!(trees.read("o/z").as_deref(), Some("top"));
        for gone in ["a/y", "o/x", "link", "link/passwd", "nowhere", "a"] {
            assert_eq!(trees.read(gone), None, "{gone}");
        }
        let file = fs_err::OpenOptions::new().write(true).open(layers[0].join("a/x")).unwrap();
        file.set_len(oci::bounded::BOUND + 1).unwrap();
        assert_eq!(trees.read("a/x"), None);
        assert!(trees.text("a/x").unwrap_err().to_string().contains("more than 16 MiB"));
        let names: Vec<_> = trees.directories(Path::new("")).into_keys().collect();
        assert_eq!(names, ["a", "o"]);
    }
}
