//! The programs that Packlight brings along (launcher, buildpacks, extension): a folder in development, an archive at
//! the end of the one executable that a user installs.
//!
//! ```text
//! executable | tar | index (JSON) | magic, length of tar, length of index, sha256 of index
//! ```
//!
//! The index alone is read to open a payload, so that costs the same whatever the archive holds; each file is
//! verified when it is unpacked. The format's page is `docs/formats/payload.md`; `bin/append-payload.rs` writes it.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use oci::Digest;
use serde::{Deserialize, Serialize};

/// The first bytes of the footer: who wrote it, and the version of the format.
pub const MAGIC: &[u8; 20] = b"packlight-payload-1\n";
/// Length of the footer: magic, two 64-bit lengths (little endian), the index's sha256 in hexadecimal digits.
pub const FOOTER_BYTES: usize = MAGIC.len() + 8 + 8 + 64;
/// What every payload has; a folder without them is something else.
const REQUIRED: [&str; 2] = ["launcher", "order.toml"];

/// The list of an archive's files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Index {
    /// The files, sorted by path.
    pub files: Vec<Entry>,
}

/// One file of a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path below the payload's root, with `/`.
    pub path: String,
    /// Whether it is a program.
    pub executable: bool,
    /// Sha256 of its content.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
    /// Where its content begins, in bytes from the beginning of the tar; equal contents share one place.
    pub offset: u64,
}

/// A payload that can be installed.
#[derive(Debug)]
pub struct Payload {
    index: Index,
    digest: Digest,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Folder(PathBuf),
    /// The executable, and where the tar begins in it.
    Appended(PathBuf, u64),
}

/// Why there is no payload to work with.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// A development build without the folder.
    #[error(
        "this packlight carries no payload ({}); run `make payload` and set PACKLIGHT_PAYLOAD to target/payload",
        .0.display()
    )]
    None(PathBuf),
    /// The named folder holds something else.
    #[error("{} is no payload: {missing} is missing; run `make payload` and name target/payload", .folder.display())]
    Incomplete {
        /// The folder.
        folder: PathBuf,
        /// What it should hold.
        missing: &'static str,
    },
    /// The archive is not what its index says.
    #[error("the payload of {} is damaged: {what}; download packlight again", .exe.display())]
    Damaged {
        /// The executable.
        exe: PathBuf,
        /// What does not match.
        what: String,
    },
    /// A payload holds files and folders only.
    #[error("{} is neither a file nor a folder, and so has no place in a payload", .0.display())]
    Foreign(PathBuf),
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Opens the payload in `folder` or, without one, at the end of the executable `exe` (`/proc/self/exe`).
///
/// # Errors
/// When there is none, or when it is damaged.
pub fn open(folder: Option<&Path>, exe: &Path) -> Result<Payload, PayloadError> {
    let (index, source) = match folder {
        Some(folder) => (scan(folder)?, Source::Folder(folder.to_owned())),
        None => {
            let (index, tar_start) = read_index(exe)?;
            (index, Source::Appended(exe.to_owned(), tar_start))
        }
    };
    Ok(Payload { digest: content_digest(&index), index, source })
}

impl Payload {
    /// The digest of paths, modes and contents: the same for a folder and for the archive made of it.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The folder of the payload's files: unpacked once into `<into>/<digest>`, or the development folder itself.
    ///
    /// # Errors
    /// When the archive is damaged, or when the folder cannot be written.
    pub fn install(&self, into: &Path) -> Result<PathBuf, PayloadError> {
        let (exe, tar_start) = match &self.source {
            Source::Folder(folder) => return Ok(folder.clone()),
            Source::Appended(exe, tar_start) => (exe, *tar_start),
        };
        let target = into.join(self.digest.hex());
        if target.is_dir() {
            return Ok(target);
        }
        fs::create_dir_all(into)?;
        let lock = fs::File::create(into.join(".lock"))?;
        lock.file().lock()?; // released with the file
        if !target.is_dir() {
            // One name under the lock: what a killed install left is replaced by the next.
            let partial = into.join(".partial");
            if partial.exists() {
                fs::remove_dir_all(&partial)?;
            }
            self.unpack(exe, tar_start, &partial)?;
            fs::rename(&partial, &target)?;
            fs::File::open(into)?.sync_all()?;
        }
        Ok(target)
    }

    fn unpack(&self, exe: &Path, tar_start: u64, root: &Path) -> Result<(), PayloadError> {
        let archive = fs::File::open(exe)?;
        let mut written: HashMap<(u64, bool), PathBuf> = HashMap::new();
        for entry in &self.index.files {
            let path = root.join(&entry.path);
            make_parents(root, &path)?;
            if let Some(same) = written.get(&(entry.offset, entry.executable)) {
                fs::hard_link(same, &path)?;
                continue;
            }
            let mut content = vec![0; usize::try_from(entry.size).unwrap_or(usize::MAX)];
            archive.file().read_exact_at(&mut content, tar_start + entry.offset)?;
            if Digest::of(&content) != entry.digest {
                return Err(damaged(exe, format!("{} has another sha256", entry.path)));
            }
            write_synced(&path, &content, entry.executable)?;
            written.insert((entry.offset, entry.executable), path);
        }
        Ok(())
    }
}

/// The index of a folder; offsets are 0, there is no archive yet.
///
/// # Errors
/// When the folder lacks what every payload has, or holds something but files and folders.
pub fn scan(folder: &Path) -> Result<Index, PayloadError> {
    for missing in REQUIRED {
        if !folder.join(missing).is_file() {
            return Err(PayloadError::Incomplete { folder: folder.to_owned(), missing });
        }
    }
    let mut index = Index::default();
    // `bin/detect` and `bin/build` are one file with two names: it is read once.
    let mut known: HashMap<(u64, u64), Digest> = HashMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        for entry in fs::read_dir(&current)? {
            let path = entry?.path();
            let facts = fs::symlink_metadata(&path)?;
            if facts.is_dir() {
                folders.push(path);
                continue;
            }
            let relative = path.strip_prefix(folder).ok().and_then(Path::to_str);
            let (true, Some(relative)) = (facts.is_file(), relative) else {
                return Err(PayloadError::Foreign(path));
            };
            let digest = match known.get(&(facts.dev(), facts.ino())) {
                Some(digest) => *digest,
                None => Digest::of(fs::read(&path)?),
            };
            known.insert((facts.dev(), facts.ino()), digest);
            let executable = facts.permissions().mode() & 0o100 != 0;
            index.files.push(Entry {
                path: relative.to_owned(),
                executable,
                digest,
                size: facts.len(),
                offset: 0,
            });
        }
    }
    index.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(index)
}

/// The index at the end of `exe`, and where the tar begins.
fn read_index(exe: &Path) -> Result<(Index, u64), PayloadError> {
    let mut file = fs::File::open(exe)?;
    let length = file.metadata()?.len();
    let mut footer = [0; FOOTER_BYTES];
    let footer_start = length.saturating_sub(FOOTER_BYTES as u64);
    file.seek(SeekFrom::Start(footer_start))?;
    if length < FOOTER_BYTES as u64 || file.read_exact(&mut footer).is_err() || !footer.starts_with(MAGIC) {
        return Err(PayloadError::None(exe.to_owned()));
    }
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&footer[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let (tar_length, index_length) = (number(MAGIC.len()), number(MAGIC.len() + 8));
    let places = || {
        let index_start = footer_start.checked_sub(index_length)?;
        Some((index_start, index_start.checked_sub(tar_length)?, usize::try_from(index_length).ok()?))
    };
    let Some((index_start, tar_start, index_length)) = places() else {
        return Err(damaged(exe, "its lengths exceed the file".to_owned()));
    };
    let mut text = vec![0; index_length];
    file.seek(SeekFrom::Start(index_start))?;
    file.read_exact(&mut text)?;
    if Digest::of(&text).hex().as_bytes() != &footer[MAGIC.len() + 16..] {
        return Err(damaged(exe, "its index has another sha256".to_owned()));
    }
    let index: Index = serde_json::from_slice(&text)
        .map_err(|error| damaged(exe, format!("its index cannot be read: {error}")))?;
    check(&index, tar_length).map_err(|what| damaged(exe, what))?;
    Ok((index, tar_start))
}

/// An index names files inside the tar, below the root.
fn check(index: &Index, tar_length: u64) -> Result<(), String> {
    for Entry { path, offset, size, .. } in &index.files {
        let mut parts = Path::new(path).components();
        if path.is_empty() || !parts.all(|part| matches!(part, Component::Normal(_))) {
            return Err(format!("{path:?} is no path below it"));
        }
        if offset.checked_add(*size).is_none_or(|end| end > tar_length) {
            return Err(format!("{path} lies outside of it"));
        }
    }
    Ok(())
}

fn damaged(exe: &Path, what: String) -> PayloadError {
    PayloadError::Damaged { exe: exe.to_owned(), what }
}

/// What a payload contains, wherever it lies.
fn content_digest(index: &Index) -> Digest {
    let lines = index.files.iter().map(|it| format!("{}\0{}\0{}\n", it.path, it.executable, it.digest));
    Digest::of(lines.collect::<String>())
}

/// The folders between `root` and `path`, readable by all whatever the umask: a build runs as another user.
fn make_parents(root: &Path, path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent().filter(|parent| parent.starts_with(root)) else { return Ok(()) };
    if !parent.is_dir() {
        make_parents(root, parent)?;
        fs::create_dir(parent)?;
        fs::set_permissions(parent, PermissionsExt::from_mode(0o755))?;
    }
    Ok(())
}

fn write_synced(path: &Path, content: &[u8], executable: bool) -> io::Result<()> {
    let mode = if executable { 0o755 } else { 0o644 };
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.set_permissions(PermissionsExt::from_mode(mode))?;
    file.sync_all()
}
