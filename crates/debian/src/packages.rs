//! The packages that an index lists, kept as text and looked up by name: tens of thousands of them cost little memory.

use std::collections::HashMap;

use crate::control::{Paragraph, paragraphs};
use crate::index::ArchiveError;
use crate::release::Release;

/// The packages of a release, from all of its suites.
#[derive(Debug)]
pub struct PackageIndex {
    pub(crate) release: &'static Release,
    suites: Vec<(&'static str, String)>,
    entries: Vec<Entry>,
    by_name: HashMap<Box<str>, Vec<u32>>,
    providers: HashMap<Box<str>, Vec<u32>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    suite: u8,
    start: u32,
    end: u32,
}

/// One package of one suite.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) suite: &'static str,
    pub(crate) paragraph: Paragraph<'a>,
}

impl<'a> Candidate<'a> {
    pub(crate) fn field(self, name: &str) -> &'a str {
        self.paragraph.get(name).unwrap_or_default()
    }

    pub(crate) fn name(self) -> &'a str {
        self.field("Package")
    }

    pub(crate) fn version(self) -> &'a str {
        self.field("Version")
    }
}

/// For an index that unpacks to more than this many bytes somebody is playing with us.
const PACKAGES_LIMIT: u64 = 1 << 30;
/// What resolution and the lock read; the rest of a paragraph is not kept.
const KEPT: &[&str] = &[
    "Package",
    "Version",
    "Architecture",
    "Priority",
    "Pre-Depends",
    "Depends",
    "Provides",
    "Conflicts",
    "Breaks",
    "Filename",
    "Size",
    "SHA256",
];

/// Reads a `Packages.xz` and keeps the fields of [`KEPT`], a line at a time: the whole would be fifty megabytes.
pub(crate) fn slim(compressed: impl std::io::Read) -> Result<String, std::io::Error> {
    use std::io::{BufRead as _, BufReader, Read as _};
    let reader = crate::deb::unxz(BufReader::new(compressed));
    let mut reader = BufReader::with_capacity(256 * 1024, reader.take(PACKAGES_LIMIT));
    let mut text = String::new();
    let mut line = Vec::new();
    let mut keeping = false;
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        match line.first() {
            Some(b'\n') => keeping = true,
            Some(b' ' | b'\t') => {}
            _ => {
                let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
                keeping = KEPT.iter().any(|kept| kept.as_bytes() == name);
            }
        }
        if keeping {
            text.push_str(std::str::from_utf8(&line).map_err(std::io::Error::other)?);
        }
    }
    if !text.is_empty() && !text.ends_with("\n\n") {
        text.push('\n');
    }
    Ok(text)
}

impl PackageIndex {
    /// An index of the kept fields of each suite's packages.
    pub(crate) fn build(
        release: &'static Release,
        suites: Vec<(&'static str, String)>,
    ) -> Result<Self, ArchiveError> {
        let mut index =
            Self { release, suites, entries: Vec::new(), by_name: HashMap::new(), providers: HashMap::new() };
        for (at, (suite, text)) in index.suites.iter().enumerate() {
            let too_big = || ArchiveError::Unreadable {
                suite: (*suite).to_owned(),
                reason: "it is too big".to_owned(),
            };
            for paragraph in paragraphs(text) {
                let start = paragraph.0.as_ptr() as usize - text.as_ptr() as usize;
                let entry = Entry {
                    suite: u8::try_from(at).map_err(|_| too_big())?,
                    start: u32::try_from(start).map_err(|_| too_big())?,
                    end: u32::try_from(start + paragraph.0.len()).map_err(|_| too_big())?,
                };
                let number = u32::try_from(index.entries.len()).map_err(|_| too_big())?;
                for (name, value) in paragraph.fields() {
                    match name {
                        "Package" => index.by_name.entry(value.into()).or_default().push(number),
                        "Provides" => {
                            for provided in crate::depends::groups(value).flatten() {
                                index.providers.entry(provided.name.into()).or_default().push(number);
                            }
                        }
                        _ => {}
                    }
                }
                index.entries.push(entry);
            }
        }
        Ok(index)
    }

    fn candidate(&self, number: u32) -> Option<Candidate<'_>> {
        let entry = self.entries.get(number as usize)?;
        let (suite, text) = self.suites.get(usize::from(entry.suite))?;
        let paragraph = Paragraph(text.get(entry.start as usize..entry.end as usize)?);
        Some(Candidate { suite, paragraph })
    }

    /// The newest package of that name; of equal versions the first suite's.
    pub(crate) fn newest(&self, name: &str) -> Option<Candidate<'_>> {
        self.named(name).reduce(|best, next| {
            if crate::version::compare(next.version(), best.version()).is_gt() { next } else { best }
        })
    }

    /// All versions of a package, in the order of the suites.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = Candidate<'_>> {
        self.by_name.get(name).into_iter().flatten().filter_map(|number| self.candidate(*number))
    }

    /// The packages that provide a name.
    pub(crate) fn providing(&self, name: &str) -> impl Iterator<Item = Candidate<'_>> {
        self.providers.get(name).into_iter().flatten().filter_map(|number| self.candidate(*number))
    }

    /// Every name of a real package.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(|name| &**name)
    }
}
