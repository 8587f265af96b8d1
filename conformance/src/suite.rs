//! All cases, whatever kind they are of, and their runs against a lifecycle's programs or against a mutant.

use crate::case::{self, Case, Difference, Kind, Under};
use crate::mutants;
use crate::programs::{self, Programs};
use crate::whole::{self, Whole};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The folders of `cases/`, and what is in them.
const FOLDERS: &[(&str, Option<Kind>)] = &[
    ("detection", Some(Kind::Detection)),
    ("build-environment", Some(Kind::Build)),
    ("launch-environment", Some(Kind::Launch)),
    ("whole", None),
];

/// A case of either kind.
#[derive(Debug, Clone)]
pub enum Any {
    /// One phase.
    Phase(Kind, Case),
    /// A whole build.
    Whole(Whole),
}

/// A case with its name.
#[derive(Debug, Clone)]
pub struct Named {
    /// Folder and file without its ending.
    pub id: String,
    /// The case.
    pub case: Any,
}

impl Named {
    /// The mutants that must fail it.
    #[must_use]
    pub fn mutants(&self) -> &[String] {
        match &self.case {
            Any::Phase(_, it) => &it.mutants,
            Any::Whole(it) => &it.mutants,
        }
    }

    /// Whether it speaks a Platform API that not every lifecycle under test speaks.
    #[must_use]
    pub fn platform_api(&self) -> &str {
        match &self.case {
            Any::Phase(..) => "",
            Any::Whole(it) => &it.platform_api,
        }
    }

    /// Whether it speaks a Platform API that other lifecycles do not speak yet.
    #[must_use]
    pub fn is_later(&self) -> bool {
        self.platform_api() == "0.15"
    }

    /// Runs it with a lifecycle's programs.
    ///
    /// # Errors
    /// When it can't be laid out or run.
    pub fn run(&self, programs: &Programs) -> io::Result<Difference> {
        let room = empty_room()?;
        let room = room.path().join("room");
        match &self.case {
            Any::Phase(kind, it) => case::run(it, *kind, Under::Programs(programs), &room),
            Any::Whole(it) => whole::run(it, programs, &room),
        }
    }

    /// Runs it with a wrong lifecycle: `phases` is the program of that name.
    ///
    /// # Errors
    /// When there is no such mutant, or the case can't be laid out or run.
    pub fn run_wrong(&self, mutant: &str, phases: &Path, right: &Programs) -> io::Result<Difference> {
        if let (Any::Phase(kind, it), Some(_)) = (&self.case, mutants::find(mutant)) {
            let room = empty_room()?;
            let under = Under::Mutant { phases, name: mutant };
            return case::run(it, *kind, under, &room.path().join("room"));
        }
        let all = programs::wrapped()?;
        let found = all.iter().find(|it| it.name == mutant);
        let found = found.ok_or_else(|| io::Error::other(format!("there is no mutant `{mutant}`")))?;
        self.run(&right.wrong(found))
    }
}

/// A new directory whose name has small letters alone: a layout's path is a reference to an image, and the reference
/// lifecycle parses it as a name.
///
/// # Errors
/// When it can't be made.
pub fn empty_room() -> io::Result<tempfile::TempDir> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("case-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir()
}

/// Every case, by name.
///
/// # Errors
/// When a file can't be read or is no case.
pub fn all() -> io::Result<Vec<Named>> {
    let mut cases = Vec::new();
    for (folder, kind) in FOLDERS {
        for entry in fs_err::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").join(folder))? {
            let path: PathBuf = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let id = format!("{folder}/{name}");
            let text = fs_err::read_to_string(&path)?;
            let case = match kind {
                Some(kind) => Any::Phase(*kind, cnb::parse(&id, &text).map_err(io::Error::other)?),
                None => Any::Whole(cnb::parse(&id, &text).map_err(io::Error::other)?),
            };
            cases.push(Named { id, case });
        }
    }
    cases.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(cases)
}

/// Does something with each, a few side by side; what it says comes back in their order.
pub fn each<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((at, it)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    all.get(at).map(|it| (at, it))
                } {
                    let result = work(it);
                    if let Ok(mut done) = done.lock() {
                        done.push((at, result));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, it)| it).collect()
}
