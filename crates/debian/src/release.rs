//! The Debian releases that a base can be made of: a row each, and what the rows say about their packages.
//!
//! To add a release: its keys under `keys/`, a row in [`RELEASES`], and a look at whether its package names still
//! match the lists below.

/// One release of Debian: where it stands in the archive, who signs it, what a base of it holds.
#[derive(Debug)]
pub struct Release {
    /// Code name, which is the name of the main suite (`trixie`).
    pub name: &'static str,
    /// Suites in the main archive, in order of preference for equal versions.
    pub archive_suites: &'static [&'static str],
    /// Suites in the security archive.
    pub security_suites: &'static [&'static str],
    /// Components of each suite.
    pub components: &'static [&'static str],
    /// Architectures that bases can be composed for today.
    pub architectures: &'static [&'static str],
    /// The keys that may sign its index.
    pub keys: &'static [ArchiveKey],
    /// Version of Debian's own Python (`3.13`).
    pub python: &'static str,
    /// Packages of every run base, whatever the app.
    pub run_core: &'static [&'static str],
    /// Packages that a build base has besides when it compiles: what configure scripts take for granted.
    pub build_core: &'static [&'static str],
    /// Packages by which one knows that it compiles, since no compiler comes without one of them.
    pub compilers: &'static [&'static str],
    /// Dependencies that are not followed.
    pub cuts: &'static [Cut],
}

/// A key of the archive, pinned by its fingerprint.
#[derive(Debug, Clone, Copy)]
pub struct ArchiveKey {
    /// What Debian calls it.
    pub name: &'static str,
    /// Fingerprint of the primary key, 40 upper-case hexadecimal digits.
    pub fingerprint: &'static str,
    /// The public key, binary.
    pub bytes: &'static [u8],
}

/// A dependency that serves maintainer scripts, which are never run, or a part that is left out.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// The package that has the dependency; `*` is every package.
    pub package: &'static str,
    /// The name it depends on, possibly virtual. Asked for by name it is installed all the same.
    pub dependency: &'static str,
    /// Why it is not needed.
    pub why: &'static str,
}

/// The releases that this program knows, newest first.
pub const RELEASES: &[Release] = &[
    Release {
        name: "trixie",
        archive_suites: &["trixie", "trixie-updates"],
        security_suites: &["trixie-security"],
        components: &["main"],
        architectures: &["amd64"],
        keys: &[
            TRIXIE_AUTOMATIC,
            TRIXIE_SECURITY_AUTOMATIC,
            TRIXIE_STABLE,
            BOOKWORM_AUTOMATIC,
            BOOKWORM_SECURITY_AUTOMATIC,
        ],
        python: "3.13",
        run_core: RUN_CORE,
        build_core: BUILD_CORE,
        compilers: COMPILERS,
        cuts: CUTS,
    },
    Release {
        name: "bookworm",
        archive_suites: &["bookworm", "bookworm-updates"],
        security_suites: &["bookworm-security"],
        components: &["main"],
        architectures: &["amd64"],
        keys: &[
            BOOKWORM_AUTOMATIC,
            BOOKWORM_SECURITY_AUTOMATIC,
            BOOKWORM_STABLE,
            TRIXIE_AUTOMATIC,
            TRIXIE_SECURITY_AUTOMATIC,
            BULLSEYE_SECURITY_AUTOMATIC,
        ],
        python: "3.11",
        run_core: RUN_CORE,
        build_core: BUILD_CORE,
        compilers: COMPILERS,
        cuts: CUTS,
    },
];

/// The row of a release.
#[must_use]
pub fn release(name: &str) -> Option<&'static Release> {
    RELEASES.iter().find(|release| release.name == name)
}

/// No apt, no perl, no dpkg: a shell, the small tools that start scripts use, certificates, time zones, names of
/// ports. The C library comes as everybody's dependency.
const RUN_CORE: &[&str] = &[
    "base-files",
    "base-passwd",
    "bash",
    "ca-certificates",
    "coreutils",
    "dash",
    "grep",
    "libc-bin",
    "ncurses-base",
    "netbase",
    "sed",
    "tzdata",
];

/// The rest of what Debian calls essential and a `configure` script or an sdist's build takes for granted. Without a
/// compiler nothing of that can be built, so it is 2 MB for nothing.
const BUILD_CORE: &[&str] = &["diffutils", "findutils", "gzip", "hostname", "mawk", "tar"];
const COMPILERS: &[&str] = &["binutils", "make"];

const CUTS: &[Cut] = &[
    Cut { package: "*", dependency: "debconf", why: "asks questions for maintainer scripts" },
    Cut { package: "*", dependency: "debconf-2.0", why: "asks questions for maintainer scripts" },
    Cut { package: "*", dependency: "dpkg", why: "named for its version or for maintainer scripts' helpers" },
    Cut { package: "*", dependency: "install-info", why: "info pages are left out" },
    Cut { package: "*", dependency: "adduser", why: "makes users in maintainer scripts" },
    Cut { package: "*", dependency: "ucf", why: "merges configuration files in maintainer scripts" },
    Cut { package: "*", dependency: "init-system-helpers", why: "starts services in maintainer scripts" },
    Cut { package: "*", dependency: "sysvinit-utils", why: "nothing is started by init scripts" },
    Cut { package: "*", dependency: "lsb-base", why: "nothing is started by init scripts" },
    Cut {
        package: "*",
        dependency: "debianutils",
        why: "its programs keep the list of shells, which is ours here",
    },
    Cut {
        package: "base-files",
        dependency: "awk",
        why: "used by its maintainer script; build bases with a compiler have mawk",
    },
    Cut {
        package: "base-passwd",
        dependency: "libdebconfclient0",
        why: "for update-passwd, which is left out",
    },
    Cut { package: "base-passwd", dependency: "libselinux1", why: "for update-passwd, which is left out" },
    Cut { package: "ca-certificates", dependency: "openssl", why: "for update-ca-certificates, done by us" },
    // 0.3 MB compressed. Nothing loads it unless OpenSSL's configuration says so; named in `run`, it is there again.
    Cut { package: "libssl3t64", dependency: "openssl-provider-legacy", why: "ciphers of the past" },
    // 0.9 MB compressed. `dbm` falls back to its other implementations; named in `run`, the library is there again.
    Cut { package: "libpython3.13-stdlib", dependency: "libdb5.3t64", why: "only for the module dbm.ndbm" },
    Cut { package: "libpython3.11-stdlib", dependency: "libdb5.3", why: "only for the module dbm.ndbm" },
    // With them go Kerberos' libraries.
    Cut { package: "libpython3.11-stdlib", dependency: "libnsl2", why: "only for the module nis" },
    Cut { package: "libpython3.11-stdlib", dependency: "libtirpc3", why: "only for the module nis" },
    Cut {
        package: "coreutils",
        dependency: "libsystemd0",
        why: "for who, users, uptime and pinky, left out with it",
    },
];

macro_rules! key {
    ($constant:ident, $name:literal, $fingerprint:literal, $file:literal) => {
        const $constant: ArchiveKey = ArchiveKey {
            name: $name,
            fingerprint: $fingerprint,
            bytes: include_bytes!(concat!("../keys/", $file)),
        };
    };
}

key!(
    TRIXIE_AUTOMATIC,
    "Debian Archive Automatic Signing Key (13/trixie)",
    "04B54C3CDCA79751B16BC6B5225629DF75B188BD",
    "trixie-automatic.gpg"
);
key!(
    TRIXIE_SECURITY_AUTOMATIC,
    "Debian Security Archive Automatic Signing Key (13/trixie)",
    "5E04A1E3223A19A20706E20F9904613D4CCE68C6",
    "trixie-security-automatic.gpg"
);
key!(
    TRIXIE_STABLE,
    "Debian Stable Release Key (13/trixie)",
    "41587F7DB8C774BCCF131416762F67A0B2C39DE4",
    "trixie-stable.gpg"
);
key!(
    BOOKWORM_AUTOMATIC,
    "Debian Archive Automatic Signing Key (12/bookworm)",
    "B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8",
    "bookworm-automatic.gpg"
);
key!(
    BOOKWORM_SECURITY_AUTOMATIC,
    "Debian Security Archive Automatic Signing Key (12/bookworm)",
    "05AB90340C0C5E797F44A8C8254CF3B5AEC0A8F0",
    "bookworm-security-automatic.gpg"
);
key!(
    BOOKWORM_STABLE,
    "Debian Stable Release Key (12/bookworm)",
    "4D64FEC119C2029067D6E791F8D2585B8783D481",
    "bookworm-stable.gpg"
);
key!(
    BULLSEYE_SECURITY_AUTOMATIC,
    "Debian Security Archive Automatic Signing Key (11/bullseye)",
    "AC530D520F2F3269F5E98313A48449044AAD5C5D",
    "bullseye-security-automatic.gpg"
);
