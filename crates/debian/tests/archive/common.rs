//! A tiny Debian archive made on the spot: packages, index, keys and signatures of its own.
#![allow(unreachable_pub, reason = "a test program has no outside")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use debian::{Archive, ArchiveError, ArchiveKey, Event, LockedPackage, Mirrors, PackageIndex, Release};
use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedPublicKey, SignedSecretKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::ser::Serialize as _;
use pgp::types::{Duration, KeyDetails as _, Password, Timestamp};
use sha2::{Digest as _, Sha256};

/// The time at which everything here happens: 2026-06-01.
pub const NOW: i64 = 1_780_272_000;
const DAY: i64 = 86_400;

/// An entry of a package's data.
pub enum Item<'a> {
    Dir(&'a str, u32),
    File(&'a str, u32, &'a str),
    Owned(&'a str, u32, (u64, u64)),
    Link(&'a str, &'a str),
    Hard(&'a str, &'a str),
    Device(&'a str),
}

/// A package to be put into the archive.
pub struct Package<'a> {
    pub name: &'a str,
    pub version: &'a str,
    /// Further lines of its control file.
    pub fields: &'a str,
    pub items: &'a [Item<'a>],
    /// `gz`, `xz`, `zst` (not really) or nothing.
    pub compression: &'a str,
}

pub fn package<'a>(name: &'a str, fields: &'a str, items: &'a [Item<'a>]) -> Package<'a> {
    Package { name, version: "1.0-1", fields, items, compression: "gz" }
}

fn tar_of(items: &[Item<'_>]) -> Vec<u8> {
    let mut tar = Vec::new();
    for item in items {
        let (path, mode, kind, owner, link, contents) = match item {
            Item::Dir(path, mode) => (path, *mode, b'5', (0, 0), "", ""),
            Item::File(path, mode, contents) => (path, *mode, b'0', (0, 0), "", *contents),
            Item::Owned(path, mode, owner) => (path, *mode, b'0', *owner, "", "owned"),
            Item::Link(path, target) => (path, 0o777, b'2', (0, 0), *target, ""),
            Item::Hard(path, target) => (path, 0o644, b'1', (0, 0), *target, ""),
            Item::Device(path) => (path, 0o644, b'3', (0, 0), "", ""),
        };
        let mut header = [0_u8; 512];
        header[..path.len()].copy_from_slice(path.as_bytes());
        let mut put = |at: usize, width: usize, value: u64| {
            header[at..at + width].copy_from_slice(format!("{value:0w$o}\0", w = width - 1).as_bytes());
        };
        put(100, 8, u64::from(mode));
        put(108, 8, owner.0);
        put(116, 8, owner.1);
        put(124, 12, contents.len() as u64);
        put(136, 12, 0);
        header[156] = kind;
        header[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[148..156].copy_from_slice(b"        ");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend_from_slice(&header);
        tar.extend_from_slice(contents.as_bytes());
        tar.resize(tar.len().div_ceil(512) * 512, 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

pub fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut out = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

impl Package<'_> {
    fn control(&self) -> String {
        format!("Package: {}\nVersion: {}\nArchitecture: amd64\n{}", self.name, self.version, self.fields)
    }

    pub fn deb(&self) -> Vec<u8> {
        let control = format!("{}Description: for tests\n", self.control());
        let control = tar_of(&[Item::File("./control", 0o644, &control)]);
        let data = tar_of(self.items);
        let (suffix, data) = match self.compression {
            "gz" => (".gz", gz(&data)),
            "xz" => (".xz", xz(&data)),
            "zst" => (".zst", data),
            _ => ("", data),
        };
        let mut deb = b"!<arch>\n".to_vec();
        for (name, contents) in [
            ("debian-binary", b"2.0\n".to_vec()),
            ("control.tar.gz", gz(&control)),
            (&format!("data.tar{suffix}"), data),
        ] {
            writeln!(deb, "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`", 0, 0, 0, 100_644, contents.len())
                .unwrap();
            deb.extend_from_slice(&contents);
            if contents.len() % 2 == 1 {
                deb.push(b'\n');
            }
        }
        deb
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A signing key, and how it signs.
pub struct Signer {
    pub secret: SignedSecretKey,
    pub public: SignedPublicKey,
    pub created: i64,
    pub lasts: Option<u32>,
}

impl Signer {
    pub fn new() -> Self {
        let secret = SecretKeyParamsBuilder::default()
            .key_type(KeyType::Ed25519Legacy)
            .can_certify(true)
            .can_sign(true)
            .created_at(Timestamp::from_secs(u32::try_from(NOW - 100 * DAY).unwrap()))
            .primary_user_id("Archive of the tests <nobody@example.test>".to_owned())
            .build()
            .unwrap()
            .generate(rand::thread_rng())
            .unwrap();
        let public = secret.to_public_key();
        Self { secret, public, created: NOW - DAY, lasts: None }
    }

    fn config(&self, kind: SignatureType) -> SignatureConfig {
        let key = &self.secret.primary_key;
        let mut config = SignatureConfig::v4(kind, key.algorithm(), HashAlgorithm::Sha512);
        let created = Timestamp::from_secs(u32::try_from(self.created).unwrap());
        config.hashed_subpackets = vec![
            Subpacket::regular(SubpacketData::SignatureCreationTime(created)).unwrap(),
            Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint())).unwrap(),
        ];
        if let Some(lasts) = self.lasts {
            let lasts = SubpacketData::SignatureExpirationTime(Duration::from_secs(lasts));
            config.hashed_subpackets.push(Subpacket::regular(lasts).unwrap());
        }
        config
    }

    /// The key, expired so many seconds after it was made.
    pub fn expiring(mut self, lasts: u32) -> Self {
        let mut config = self.config(SignatureType::CertPositive);
        let lasts = SubpacketData::KeyExpirationTime(Duration::from_secs(lasts));
        config.hashed_subpackets.push(Subpacket::regular(lasts).unwrap());
        let user = self.public.details.users[0].id.clone();
        let key = &self.secret.primary_key;
        let certification = config
            .sign_certification(
                key,
                &self.public.primary_key,
                &Password::empty(),
                pgp::types::Tag::UserId,
                &user,
            )
            .unwrap();
        self.public.details.users[0].signatures = vec![certification];
        self
    }

    pub fn revoked(mut self) -> Self {
        let config = self.config(SignatureType::KeyRevocation);
        let revocation =
            config.sign_key(&self.secret.primary_key, &Password::empty(), &self.public.primary_key).unwrap();
        self.public.details.revocation_signatures.push(revocation);
        self
    }

    pub fn sign(&self, text: &str) -> String {
        let config = self.config(SignatureType::Text);
        CleartextSignedMessage::new(text, config, &self.secret.primary_key, &Password::empty())
            .unwrap()
            .to_armored_string(ArmorOptions::default())
            .unwrap()
    }

    /// The key as a release pins it.
    pub fn pinned(&self) -> ArchiveKey {
        ArchiveKey {
            name: "the test archive's key",
            fingerprint: self.public.primary_key.fingerprint().to_string().to_uppercase().leak(),
            bytes: self.public.to_bytes().unwrap().leak(),
        }
    }
}

/// A mirror in a folder, with the archive and the security archive in one place.
pub struct Mirror {
    pub folder: tempfile::TempDir,
    pub signer: Signer,
    pub release: &'static Release,
    packages: BTreeMap<&'static str, String>,
}

/// How a suite's index is published.
pub struct Publish {
    pub date: i64,
    pub valid_until: Option<i64>,
    pub codename: Option<&'static str>,
}

impl Default for Publish {
    fn default() -> Self {
        Self { date: NOW - DAY, valid_until: Some(NOW + 7 * DAY), codename: None }
    }
}

pub const SUITES: [&str; 2] = ["tiny", "tiny-security"];

impl Mirror {
    pub fn new(packages: &[Package<'_>]) -> Self {
        Self::signed_by(Signer::new(), packages)
    }

    pub fn signed_by(signer: Signer, packages: &[Package<'_>]) -> Self {
        let keys: &'static [ArchiveKey] = vec![signer.pinned()].leak();
        let release = Box::leak(Box::new(Release {
            name: "tiny",
            archive_suites: &["tiny"],
            security_suites: &["tiny-security"],
            components: &["main"],
            architectures: &["amd64"],
            keys,
            python: "3.99",
            run_core: &["base"],
            build_core: &["awk"],
            compilers: &["cc"],
            cuts: &[debian::Cut { package: "*", dependency: "debconf", why: "as in the real releases" }],
        }));
        let folder = tempfile::tempdir().unwrap();
        let mut mirror = Self { folder, signer, release, packages: BTreeMap::new() };
        mirror.add("tiny", packages);
        for suite in SUITES {
            mirror.publish(suite, &Publish::default());
        }
        mirror
    }

    /// Puts packages into the pool and into the list of a suite, which is then to be published.
    pub fn add(&mut self, suite: &'static str, packages: &[Package<'_>]) {
        for package in packages {
            let deb = package.deb();
            let filename = format!("pool/main/{}_{}_amd64.deb", package.name, package.version);
            self.write(&filename, &deb);
            let entry = format!(
                "{}Filename: {filename}\nSize: {}\nSHA256: {}\nDescription: for tests\n of the archive\n\n",
                package.control(),
                deb.len(),
                sha256(&deb)
            );
            self.packages.entry(suite).or_default().push_str(&entry);
        }
    }

    pub fn write(&self, path: &str, contents: &[u8]) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }

    pub fn publish(&self, suite: &'static str, how: &Publish) {
        let packages = xz(self.packages.get(suite).map(String::as_str).unwrap_or_default().as_bytes());
        let digest = sha256(&packages);
        let binary = format!("dists/{suite}/main/binary-amd64");
        self.write(&format!("{binary}/by-hash/SHA256/{digest}"), &packages);
        self.write(&format!("{binary}/Packages.xz"), &packages);
        let date = |seconds: i64| {
            jiff::Timestamp::from_second(seconds).unwrap().strftime("%a, %d %b %Y %H:%M:%S UTC").to_string()
        };
        let mut text = format!(
            "Origin: Tests\nCodename: {}\nDate: {}\nAcquire-By-Hash: yes\n",
            how.codename.unwrap_or(suite),
            date(how.date)
        );
        if let Some(valid_until) = how.valid_until {
            text.push_str(&format!("Valid-Until: {}\n", date(valid_until)));
        }
        text.push_str(&format!("SHA256:\n {digest} {} main/binary-amd64/Packages.xz\n", packages.len()));
        self.write(&format!("dists/{suite}/InRelease"), self.signer.sign(&text).as_bytes());
    }

    pub fn in_release(&self) -> PathBuf {
        self.folder.path().join("dists/tiny/InRelease")
    }

    pub fn url(&self) -> String {
        format!("file://{}", self.folder.path().display())
    }

    pub fn mirrors(&self) -> Mirrors {
        Mirrors { archive: vec![self.url()], security: vec![self.url()] }
    }

    pub fn archive(&self, cache: &Path) -> Archive {
        Archive {
            release: self.release,
            mirrors: self.mirrors(),
            cache: cache.to_owned(),
            now: jiff::Timestamp::from_second(NOW).unwrap(),
            allow_expired: false,
        }
    }

    pub fn refresh(&self) -> Result<PackageIndex, ArchiveError> {
        let cache = tempfile::tempdir().unwrap();
        debian::refresh(&self.archive(cache.path()), &|_| {})
    }

    /// Resolves and fetches.
    pub fn debs(
        &self,
        wanted: &[&str],
        already: &[LockedPackage],
        cache: &Path,
    ) -> Vec<(LockedPackage, PathBuf)> {
        let index = self.refresh().unwrap();
        let packages = debian::resolve(&index, wanted, already).unwrap();
        let files = debian::fetch(&self.mirrors(), cache, &packages, &|_| {}).unwrap();
        packages.into_iter().zip(files).collect()
    }
}

/// Collects events.
#[derive(Default)]
pub struct Events(pub RefCell<Vec<Event>>);

impl Events {
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.borrow_mut())
    }
}

/// Everything of a tree that an image would have: path, kind, mode, contents or target.
pub fn picture(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
            let what = if metadata.is_symlink() {
                format!("-> {}", path.read_link().unwrap().display())
            } else if metadata.is_dir() {
                todo.push(path.clone());
                format!("{mode:o}/")
            } else {
                format!("{mode:o} {}", sha256(&std::fs::read(&path).unwrap()))
            };
            found.insert(path.strip_prefix(root).unwrap().to_owned(), what);
        }
    }
    found
}
