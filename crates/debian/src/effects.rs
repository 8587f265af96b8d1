//! What maintainer scripts would have done, done by us: this list is all of it.
//!
//! Before unpacking a run base:
//! - the links of the merged `/usr` (`/bin -> usr/bin` ...), `/var/run` and `/var/lock` (base-files)
//!
//! After unpacking a run base:
//! - `/etc/passwd`, `group`, `shadow`, `gshadow` from base-passwd's masters, with the users `cnb` (1000) and `app`
//!   (1001), both of group `cnb` (1000), and their homes
//! - `/etc/profile`, `/etc/motd`, root's dot files, `/etc/dpkg/origins/default`, `/mnt`, `/srv`, `/opt`, `/media`,
//!   `/var/mail`, `/usr/local/*` (base-files)
//! - `/etc/nsswitch.conf` (libc-bin), `/etc/shells` (debianutils)
//! - `/etc/ssl/certs/ca-certificates.crt`, a `.pem` link for each certificate, `/etc/ca-certificates.conf`, and
//!   `/usr/lib/ssl/cert.pem`, where OpenSSL looks (ca-certificates); no links by subject hash: OpenSSL reads the file
//! - `/etc/localtime` (UTC) and `/etc/timezone` (tzdata)
//! - empty `/etc/hostname`, `/etc/hosts`, `/etc/resolv.conf`, on which a container's own are mounted
//!
//! After unpacking any base:
//! - the alternatives of [`ALTERNATIVES`]
//! - returned as programs to run in the base ([`Finish`], `finish.rs`): `ldconfig`, and the bytecode of Python's modules
//!
//! Not done: users and services of packages that bring a daemon, caches of fonts, icons, GLib schemas and pixbuf
//! loaders (fontconfig makes its own when it is first used), locales other than C.UTF-8.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use oci::Owner;

use crate::compose::{ComposeError, Lower};
use crate::finish::{self, Finish};
use crate::tree::{Ownership, Parent, Tree};
use crate::unpack::{ALIASES, Unpacked};

/// A name that packages leave to the system's choice.
struct Alternative {
    package: &'static str,
    /// The name and the file it stands for, absolute.
    link: &'static str,
    target: &'static str,
}

const fn choice(package: &'static str, link: &'static str, target: &'static str) -> Alternative {
    Alternative { package, link, target }
}

/// Of several rows with one link the first whose package is there wins.
const ALTERNATIVES: &[Alternative] = &[
    choice("gawk", "/usr/bin/awk", "/usr/bin/gawk"),
    choice("mawk", "/usr/bin/awk", "/usr/bin/mawk"),
    choice("gcc", "/usr/bin/cc", "/usr/bin/gcc"),
    choice("clang", "/usr/bin/cc", "/usr/bin/clang"),
    choice("g++", "/usr/bin/c++", "/usr/bin/g++"),
    choice("clang", "/usr/bin/c++", "/usr/bin/clang++"),
    choice("less", "/usr/bin/pager", "/usr/bin/less"),
    choice("vim-tiny", "/usr/bin/vi", "/usr/bin/vim.tiny"),
    choice("vim-tiny", "/usr/bin/editor", "/usr/bin/vim.tiny"),
    choice("nano", "/usr/bin/editor", "/usr/bin/nano"),
    choice("netcat-openbsd", "/usr/bin/nc", "/usr/bin/nc.openbsd"),
    choice("netcat-traditional", "/usr/bin/nc", "/usr/bin/nc.traditional"),
    choice("debianutils", "/usr/bin/which", "/usr/bin/which.debianutils"),
    choice(
        "libopenblas0-pthread",
        "/usr/lib/x86_64-linux-gnu/libblas.so.3",
        "/usr/lib/x86_64-linux-gnu/openblas-pthread/libblas.so.3",
    ),
    choice(
        "libopenblas0-pthread",
        "/usr/lib/x86_64-linux-gnu/liblapack.so.3",
        "/usr/lib/x86_64-linux-gnu/openblas-pthread/liblapack.so.3",
    ),
    choice(
        "libopenblas0-pthread",
        "/usr/lib/x86_64-linux-gnu/libopenblas.so.0",
        "/usr/lib/x86_64-linux-gnu/openblas-pthread/libopenblas.so.0",
    ),
    choice(
        "libblas3",
        "/usr/lib/x86_64-linux-gnu/libblas.so.3",
        "/usr/lib/x86_64-linux-gnu/blas/libblas.so.3",
    ),
    choice(
        "liblapack3",
        "/usr/lib/x86_64-linux-gnu/liblapack.so.3",
        "/usr/lib/x86_64-linux-gnu/lapack/liblapack.so.3",
    ),
];

/// User and group that builds run as.
const CNB: Owner = Owner::new(1000, 1000);
/// User that apps run as; its group is that of builds.
const APP: Owner = Owner::new(1001, 1000);

/// Writes single files and remembers nothing; errors name the path in the base.
struct Pen<'a> {
    tree: &'a Tree,
}

impl Pen<'_> {
    fn text(&self, path: &str, contents: &str) -> Result<(), ComposeError> {
        self.file(path, 0o644, contents)
    }

    fn file(&self, path: &str, mode: u32, contents: &str) -> Result<(), ComposeError> {
        let mut bytes = contents.as_bytes();
        self.tree.file(Path::new(path), mode, &mut bytes, &mut Parent::default()).map(drop).map_err(at(path))
    }

    fn dir(&self, path: &str, mode: u32) -> Result<(), ComposeError> {
        self.tree.dir(Path::new(path), mode, &mut Parent::default()).map(drop).map_err(at(path))
    }

    fn link(&self, path: &str, target: &str) -> Result<(), ComposeError> {
        self.tree.symlink(Path::new(path), target.as_ref(), &mut Parent::default()).map_err(at(path))
    }

    fn has(&self, path: &str) -> bool {
        self.tree.kind(Path::new(path)).is_some()
    }

    fn read(&self, path: &str) -> Result<Option<String>, ComposeError> {
        if self.has(path) { self.tree.read(Path::new(path)).map(Some).map_err(at(path)) } else { Ok(None) }
    }

    fn copy(&self, from: &str, to: &str) -> Result<(), ComposeError> {
        match self.read(from)? {
            Some(contents) => self.text(to, &contents),
            None => Ok(()),
        }
    }
}

pub(crate) fn at(path: &str) -> impl FnOnce(io::Error) -> ComposeError {
    let path = PathBuf::from(path);
    move |source| ComposeError::Effect { path, source }
}

/// The links of a merged base, before any package is unpacked.
pub(crate) fn before(tree: &Tree) -> Result<(), ComposeError> {
    let pen = Pen { tree };
    for (alias, real) in ALIASES {
        let optional = matches!(*alias, "lib32" | "libx32");
        if !optional {
            pen.dir(real, if *real == "run/lock" { 0o1777 } else { 0o755 })?;
            let target = if alias.contains('/') { format!("/{real}") } else { (*real).to_owned() };
            pen.link(alias, &target)?;
        }
    }
    Ok(())
}

/// All that comes after unpacking; `names` are the packages of this tree.
pub(crate) fn after(
    tree: &Tree,
    (names, unpacked): (&[&str], &[Unpacked]),
    lower: Option<Lower<'_>>,
    ownership: &mut Ownership,
) -> Result<Vec<Finish>, ComposeError> {
    let pen = Pen { tree };
    if lower.is_none() {
        users(&pen, ownership)?;
        base_files(&pen, ownership)?;
        certificates(&pen)?;
        settings(&pen)?;
    }
    alternatives(&pen, names)?;
    finish::finish(tree, unpacked, lower)
}

/// `/etc/passwd` and its relatives. The masters have `*` as password; as Debian's `shadowconfig on` has it, that goes
/// to `shadow`.
fn users(pen: &Pen<'_>, ownership: &mut Ownership) -> Result<(), ComposeError> {
    let (Some(mut passwd), Some(mut group)) =
        (pen.read("usr/share/base-passwd/passwd.master")?, pen.read("usr/share/base-passwd/group.master")?)
    else {
        return Ok(());
    };
    passwd.push_str(
        "cnb:*:1000:1000:builds:/home/cnb:/bin/bash\napp:*:1001:1000:the app:/home/app:/bin/bash\n",
    );
    group.push_str("cnb:*:1000:\n");
    let names = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.split(':').next()).map(str::to_owned).collect()
    };
    // 3653: 1980-01-01 in days, as every date in an image.
    let shadow: String = names(&passwd).iter().map(|name| format!("{name}:*:3653:0:99999:7:::\n")).collect();
    let gshadow: String = names(&group).iter().map(|name| format!("{name}:*::\n")).collect();
    pen.text("etc/passwd", &passwd.replace(":*:", ":x:"))?;
    pen.text("etc/group", &group.replace(":*:", ":x:"))?;
    for (path, contents) in [("etc/shadow", shadow), ("etc/gshadow", gshadow)] {
        pen.file(path, 0o640, &contents)?;
        ownership.insert(path.into(), (Owner::new(0, 42), 0o640));
    }
    for (home, owner) in [("home/cnb", CNB), ("home/app", APP)] {
        pen.dir(home, 0o755)?;
        ownership.insert(home.into(), (owner, 0o755));
    }
    Ok(())
}

fn base_files(pen: &Pen<'_>, ownership: &mut Ownership) -> Result<(), ComposeError> {
    for (from, to) in [
        ("dot.profile", "root/.profile"),
        ("dot.bashrc", "root/.bashrc"),
        ("profile", "etc/profile"),
        ("motd", "etc/motd"),
    ] {
        pen.copy(&format!("usr/share/base-files/{from}"), to)?;
    }
    if pen.has("etc/dpkg/origins/debian") {
        pen.link("etc/dpkg/origins/default", "debian")?;
    }
    for path in ["mnt", "srv", "opt", "media", "etc/opt", "var/opt"] {
        pen.dir(path, 0o755)?;
    }
    for name in ["bin", "etc", "games", "include", "lib", "libexec", "sbin", "share", "src"] {
        pen.dir(&format!("usr/local/{name}"), 0o755)?;
    }
    pen.dir("tmp", 0o1777)?;
    pen.dir("var/tmp", 0o1777)?;
    pen.dir("var/mail", 0o775)?;
    ownership.insert("var/mail".into(), (Owner::new(0, 8), 0o2775));
    pen.link("var/spool/mail", "../mail")
}

/// As `update-ca-certificates` does: every certificate of the package, in the order of their paths.
fn certificates(pen: &Pen<'_>) -> Result<(), ComposeError> {
    const SHARE: &str = "usr/share/ca-certificates";
    let names = pen.tree.names(&Path::new(SHARE).join("mozilla")).map_err(at(SHARE))?;
    let mut bundle = String::new();
    let mut settings = String::new();
    for name in names {
        let Some(name) = name.to_str().filter(|name| name.ends_with(".crt")) else { continue };
        let path = format!("{SHARE}/mozilla/{name}");
        let certificate = pen.read(&path)?.unwrap_or_default();
        bundle.push_str(&certificate);
        if !certificate.ends_with('\n') {
            bundle.push('\n');
        }
        settings.push_str(&format!("mozilla/{name}\n"));
        let plain: String = name
            .trim_end_matches(".crt")
            .chars()
            .map(|letter| match letter {
                ' ' | ',' => '_',
                '(' | ')' => '=',
                other => other,
            })
            .collect();
        pen.link(&format!("etc/ssl/certs/{plain}.pem"), &format!("/{path}"))?;
    }
    if bundle.is_empty() {
        return Ok(());
    }
    pen.text("etc/ca-certificates.conf", &settings)?;
    pen.text("etc/ssl/certs/ca-certificates.crt", &bundle)?;
    pen.link("usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt")?;
    if !pen.has("usr/lib/ssl/certs") {
        pen.link("usr/lib/ssl/certs", "/etc/ssl/certs")?;
    }
    Ok(())
}

fn settings(pen: &Pen<'_>) -> Result<(), ComposeError> {
    // trixie's libc-bin brings its own; before that base-files did.
    pen.copy("usr/share/base-files/nsswitch.conf", "etc/nsswitch.conf")?;
    pen.copy("usr/share/libc-bin/nsswitch.conf", "etc/nsswitch.conf")?;
    if pen.has("usr/share/zoneinfo/Etc/UTC") {
        pen.link("etc/localtime", "/usr/share/zoneinfo/Etc/UTC")?;
        pen.text("etc/timezone", "Etc/UTC\n")?;
    }
    let shells = ["sh", "bash", "dash"].into_iter().filter(|shell| pen.has(&format!("usr/bin/{shell}")));
    let shells: String = shells.map(|shell| format!("/bin/{shell}\n/usr/bin/{shell}\n")).collect();
    pen.text("etc/shells", &format!("# /etc/shells: valid login shells\n{shells}"))?;
    for path in ["etc/hostname", "etc/hosts", "etc/resolv.conf"] {
        pen.text(path, "")?;
    }
    Ok(())
}

fn alternatives(pen: &Pen<'_>, names: &[&str]) -> Result<(), ComposeError> {
    let mut made = BTreeSet::new();
    for row in ALTERNATIVES.iter().filter(|row| names.contains(&row.package)) {
        let name = row.link.rsplit('/').next().unwrap_or(row.link);
        if pen.has(row.link.trim_start_matches('/')) && !made.contains(row.link) || !made.insert(row.link) {
            continue;
        }
        pen.link(&format!("etc/alternatives/{name}"), row.target)?;
        pen.link(row.link.trim_start_matches('/'), &format!("/etc/alternatives/{name}"))?;
    }
    Ok(())
}
