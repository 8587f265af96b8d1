//! The notes that an upper directory holds for the trees below it: the kernel's
//! (<https://docs.kernel.org/filesystems/overlayfs.html>, "whiteouts and opaque directories"), in both of its spellings.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, XattrFlags};
use rustix::io::Errno;

/// A whiteout of the second spelling: an empty file with this attribute.
const WHITEOUT: &str = "user.overlay.whiteout";
/// In the `user.` space when an ordinary user's overlay made it, or we did.
const OPAQUE: [&str; 2] = ["user.overlay.opaque", "trusted.overlay.opaque"];

/// What an entry of an upper directory says of the trees below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It is no file: what the trees below have by its name is gone.
    Gone,
    /// It is a directory, and hides the one below instead of adding to it.
    Opaque,
}

/// The note in an entry of an upper directory, whose metadata (of itself, if it is a link) are known already.
pub fn mark(path: &Path, metadata: &Metadata) -> Option<Mark> {
    let kind = metadata.file_type();
    let says = |name: &str| {
        let mut value = [0; 1];
        matches!(rustix::fs::lgetxattr(path, name, &mut value[..]), Ok(1)) && value[0] == b'y'
    };
    if kind.is_char_device() {
        return (metadata.rdev() == 0).then_some(Mark::Gone);
    }
    if kind.is_file() {
        return (metadata.len() == 0 && says(WHITEOUT)).then_some(Mark::Gone);
    }
    (kind.is_dir() && OPAQUE.iter().any(|name| says(name))).then_some(Mark::Opaque)
}

/// Makes a note that what the trees below have by this name is gone; one that is there already is fine.
///
/// It is a device 0:0, which anybody may make since Linux 5.8; but not on an overlay, such as a container's own root, and
/// there it is an empty file with an attribute.
pub(crate) fn make_gone(path: &Path) -> rustix::io::Result<()> {
    match rustix::fs::mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), 0) {
        Err(Errno::PERM) => make_empty_file(path),
        Err(Errno::EXIST) if is_gone(path) => Ok(()),
        made => made,
    }
}

fn make_empty_file(path: &Path) -> rustix::io::Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::from_raw_mode(0o644)) {
        Err(Errno::EXIST) if is_gone(path) => return Ok(()),
        file => file?,
    };
    rustix::fs::fsetxattr(file, WHITEOUT, b"y", XattrFlags::empty())
}

fn is_gone(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| mark(path, &metadata) == Some(Mark::Gone))
}

/// Makes a directory hide the one below.
pub(crate) fn make_opaque(path: &Path) -> rustix::io::Result<()> {
    rustix::fs::lsetxattr(path, OPAQUE[0], b"y", XattrFlags::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_whiteout_are_one_mark_and_an_empty_file_is_none() {
        let dir = std::env::temp_dir().join(format!("marks-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let at = |name: &str| dir.join(name);
        make_gone(&at("device")).unwrap();
        make_gone(&at("device")).unwrap();
        make_empty_file(&at("file")).unwrap();
        make_gone(&at("file")).unwrap();
        std::fs::write(at("empty"), "").unwrap();
        std::fs::create_dir(at("dir")).unwrap();
        std::fs::create_dir(at("opaque")).unwrap();
        make_opaque(&at("opaque")).unwrap();
        let found = |name: &str| mark(&at(name), &std::fs::symlink_metadata(at(name)).unwrap());
        let all = ["device", "file", "empty", "dir", "opaque"].map(found);
        assert_eq!(all, [Some(Mark::Gone), Some(Mark::Gone), None, None, Some(Mark::Opaque)]);
        assert!(make_gone(&at("empty")).is_err(), "a file is not made a mark");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
