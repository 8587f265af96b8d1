//! Packages into the tree of a base: unpack all, do the effects, write dpkg's database.
//!
//! A build base is a second tree above a run base's: only the packages that the run base lacks, and a database that
//! names both. The same packages give the same tree, whoever composes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::control::Paragraph;
use crate::deb::{Deb, DebError};
use crate::dpkg;
use crate::effects;
use crate::finish::Finish;
use crate::lock::LockedPackage;
use crate::tree::{Ownership, Tree};
use crate::unpack::{self, Unpacked};

/// Why a base could not be composed; the tree is then to be thrown away.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// A package file cannot be read.
    #[error(transparent)]
    Deb(#[from] DebError),
    /// A package file is of another package than the lock says.
    #[error("{} holds {found}, not {expected}", .path.display())]
    OtherPackage {
        /// The file.
        path: PathBuf,
        /// Name and version in the lock.
        expected: String,
        /// Name and version in the file.
        found: String,
    },
    /// Two packages ship the same file, and neither says that it replaces the other.
    #[error("{first} and {second} both ship /{}", .path.display())]
    SameFile {
        /// The path in the base.
        path: PathBuf,
        /// The package that comes first.
        first: String,
        /// The other.
        second: String,
    },
    /// An entry that a base cannot hold.
    #[error("{package} ships /{} as {what}, which a base cannot hold", .path.display())]
    Strange {
        /// The package.
        package: String,
        /// The path in the base.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// A file of a package cannot be written.
    #[error("cannot unpack /{} of {package}: {source}", .path.display())]
    Unpack {
        /// The package.
        package: String,
        /// The path in the base.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// A file that is made besides the packages cannot be written, or one below it cannot be read.
    #[error("cannot make /{} of the base: {source}", .path.display())]
    Effect {
        /// The path in the base.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The folder for the tree.
    #[error("cannot make the folder of a base")]
    Folder(#[from] std::io::Error),
}

/// The run base that a build base stands on.
#[derive(Debug, Clone, Copy)]
pub struct Lower<'a> {
    /// Its tree, finished.
    pub root: &'a Path,
}

/// What there is to know of a composed tree besides its files.
#[derive(Debug, Clone, PartialEq)]
pub struct Composed {
    /// Entries that are not root's or that have set-id bits, by path in the tree: owner, and mode with those bits
    /// (which the tree on disk never has). All other entries are root's with the mode that they have on disk.
    pub ownership: Ownership,
    /// Programs of the base to run in it, in this order, before it is complete.
    pub finish: Vec<Finish>,
    /// What was unpacked, in the order of the names.
    pub packages: Vec<PackageSize>,
}

/// How much of a package went into the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageSize {
    /// Package name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Bytes of files in the tree.
    pub bytes: u64,
    /// Bytes of files that were left out.
    pub left_out: u64,
}

/// One package on its way into a tree.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) locked: LockedPackage,
    pub(crate) deb: Deb,
    pub(crate) control: String,
    pub(crate) md5sums: String,
}

/// Unpacks `debs` into the empty folder `into` (made if it is missing) and does what their maintainer scripts would
/// have done as far as it matters; see `effects.rs`. With `lower`, the tree is one to be stacked above that one.
///
/// # Errors
/// A package that cannot be read, that is not the one its lock names, or that cannot be unpacked beside the others.
pub fn compose(
    debs: &[(LockedPackage, PathBuf)],
    lower: Option<Lower<'_>>,
    into: &Path,
) -> Result<Composed, ComposeError> {
    fs::create_dir_all(into)?;
    let packages = open_all(debs)?;
    let tree = Tree::open(into)?;
    let mut ownership = Ownership::new();
    if lower.is_none() {
        effects::before(&tree)?;
    }
    let unpacked = unpack::unpack_all(&tree, &packages, &mut ownership)?;
    let names: Vec<&str> = packages.iter().map(|package| package.locked.name.as_str()).collect();
    let finish = effects::after(&tree, (&names, &unpacked), lower, &mut ownership)?;
    dpkg::write(&tree, &packages, &unpacked, lower)?;
    Ok(Composed { ownership, finish, packages: sizes(&packages, &unpacked) })
}

/// Opens every package, `base-files` first (its directories give the modes), then by name.
fn open_all(debs: &[(LockedPackage, PathBuf)]) -> Result<Vec<Package>, ComposeError> {
    let mut packages = debs.iter().map(|(locked, path)| open(locked, path)).collect::<Result<Vec<_>, _>>()?;
    packages.sort_by(|left, right| {
        let key = |package: &Package| (package.locked.name != "base-files", package.locked.name.clone());
        key(left).cmp(&key(right))
    });
    Ok(packages)
}

fn open(locked: &LockedPackage, path: &Path) -> Result<Package, ComposeError> {
    let deb = Deb::open(path)?;
    let mut files = deb.control_files(&["control", "md5sums"])?.into_iter();
    let control = files.next().flatten().unwrap_or_default();
    let md5sums = files.next().flatten().unwrap_or_default();
    let paragraph = Paragraph(&control);
    let (name, version) =
        (paragraph.get("Package").unwrap_or_default(), paragraph.get("Version").unwrap_or_default());
    if name != locked.name || version != locked.version {
        return Err(ComposeError::OtherPackage {
            path: path.to_owned(),
            expected: format!("{} {}", locked.name, locked.version),
            found: format!("{name} {version}"),
        });
    }
    Ok(Package { locked: locked.clone(), deb, control, md5sums })
}

fn sizes(packages: &[Package], unpacked: &[Unpacked]) -> Vec<PackageSize> {
    let by_name: BTreeMap<&str, PackageSize> = packages
        .iter()
        .zip(unpacked)
        .map(|(package, unpacked)| {
            let size = PackageSize {
                name: package.locked.name.clone(),
                version: package.locked.version.clone(),
                bytes: unpacked.bytes,
                left_out: unpacked.left_out,
            };
            (package.locked.name.as_str(), size)
        })
        .collect();
    by_name.into_values().collect()
}
