//! dpkg's database, so that scanners see what a base is made of: `status`, and `info/*.list` and `*.md5sums`.
//!
//! dpkg itself need not be there. The lists name only what is really in the base.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::compose::{ComposeError, Lower, Package};
use crate::control::{Paragraph, paragraphs};
use crate::leave_out::leaves_out;
use crate::tree::{Parent, Tree};
use crate::unpack::Unpacked;

const STATUS: &str = "var/lib/dpkg/status";
const INFO: &str = "var/lib/dpkg/info";

/// Writes the database of these packages, and of those in the tree below.
pub(crate) fn write(
    tree: &Tree,
    packages: &[Package],
    unpacked: &[Unpacked],
    lower: Option<Lower<'_>>,
) -> Result<(), ComposeError> {
    let below = match lower {
        Some(lower) => {
            let path = lower.root.join(STATUS);
            fs::read_to_string(&path)
                .map_err(|source| ComposeError::Effect { path: STATUS.into(), source })?
        }
        None => String::new(),
    };
    let mut status: BTreeMap<String, String> = paragraphs(&below)
        .map(|paragraph| (paragraph.get("Package").unwrap_or_default().to_owned(), paragraph.0.to_owned()))
        .collect();
    for (package, unpacked) in packages.iter().zip(unpacked) {
        status.insert(package.locked.name.clone(), installed(&package.control));
        info(tree, package, unpacked)?;
    }
    let mut text = String::new();
    for paragraph in status.values() {
        text.push_str(paragraph);
        text.push_str("\n\n");
    }
    put(tree, Path::new(STATUS), text.as_bytes())?;
    if lower.is_none() {
        put(tree, &Path::new(INFO).join("format"), b"1\n")?;
        put(tree, Path::new("var/lib/dpkg/available"), b"")?;
    }
    Ok(())
}

/// The control paragraph with the line that says that the package is installed.
fn installed(control: &str) -> String {
    let mut text = String::new();
    for (name, value) in Paragraph(control.trim_matches('\n')).fields() {
        let _ = writeln!(text, "{name}: {value}");
        if name == "Package" {
            text.push_str("Status: install ok installed\n");
        }
    }
    text.trim_end().to_owned()
}

fn info(tree: &Tree, package: &Package, unpacked: &Unpacked) -> Result<(), ComposeError> {
    let control = Paragraph(&package.control);
    // dpkg adds the architecture to the names of packages that may be installed for several at once.
    let name = match control.get("Multi-Arch") {
        Some("same") => format!("{}:{}", package.locked.name, package.locked.architecture),
        _ => package.locked.name.clone(),
    };
    let mut list = b"/.\n".to_vec();
    for path in unpacked.listed.iter().filter(|path| !path.as_os_str().is_empty()) {
        list.push(b'/');
        list.extend_from_slice(path.as_os_str().as_bytes());
        list.push(b'\n');
    }
    put(tree, &info_path(&name, "list"), &list)?;
    let kept = package.md5sums.lines().filter(|line| {
        line.split_once("  ").is_some_and(|(_, path)| !leaves_out(path.trim_start_matches("./")))
    });
    let md5sums: String = kept.flat_map(|line| [line, "\n"]).collect();
    if md5sums.is_empty() { Ok(()) } else { put(tree, &info_path(&name, "md5sums"), md5sums.as_bytes()) }
}

fn info_path(name: &str, kind: &str) -> PathBuf {
    Path::new(INFO).join(format!("{name}.{kind}"))
}

fn put(tree: &Tree, path: &Path, mut contents: &[u8]) -> Result<(), ComposeError> {
    tree.file(path, 0o644, &mut contents, &mut Parent::default())
        .map(drop)
        .map_err(|source| ComposeError::Effect { path: path.to_owned(), source })
}
