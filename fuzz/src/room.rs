//! A folder to unpack into, and a neighbour that shows what leaves it.

use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};

use fs_err as fs;

/// `into`, empty, beside `outside` with a file in it.
#[derive(Debug)]
pub struct Room {
    dir: tempfile::TempDir,
    /// What the machine's own root has in it.
    machine: Vec<String>,
}

impl Room {
    /// A new one.
    pub fn new() -> Self {
        let room =
            Self { dir: tempfile::tempdir().expect("a temporary folder"), machine: names(Path::new("/")) };
        fs::create_dir(room.inside()).expect("a folder");
        fs::create_dir(room.outside()).expect("a folder");
        fs::write(room.kept(), "kept").expect("a file");
        fs::set_permissions(room.kept(), PermissionsExt::from_mode(0o640)).expect("its mode");
        room
    }

    /// Where a target may write.
    pub fn inside(&self) -> PathBuf {
        self.dir.path().join("into")
    }

    /// Where it may not.
    pub fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    fn kept(&self) -> PathBuf {
        self.outside().join("kept")
    }

    /// Nothing but `into` has changed, and no entry has reached the machine's own root.
    pub fn assert_untouched(&self) {
        assert_eq!(names(self.dir.path()), ["into", "outside"]);
        assert_eq!(names(&self.outside()), ["kept"]);
        assert_eq!(fs::read(self.kept()).expect("it is there"), b"kept");
        let kept = fs::symlink_metadata(self.kept()).expect("it is there");
        assert_eq!((kept.mode() & 0o7777, kept.nlink()), (0o640, 1));
        assert_eq!(names(Path::new("/")), self.machine);
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Room {
    /// Folders that nobody may enter are made so that they can be removed.
    fn drop(&mut self) {
        open_up(&self.inside());
    }
}

fn open_up(dir: &Path) {
    let _ = fs::set_permissions(dir, PermissionsExt::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_type().is_ok_and(|it| it.is_dir()) {
            open_up(&entry.path());
        }
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a folder").filter_map(Result::ok);
    let mut names: Vec<_> = entries.map(|it| it.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Ends with an error where a reader gives more than `limit` bytes, so that what is compressed fills no disk.
pub fn no_larger_than(limit: u64, reader: impl Read) -> impl Read {
    let end = io::Error::other("more than is unpacked here");
    reader.take(limit).chain(Failing(Some(end)))
}

struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
