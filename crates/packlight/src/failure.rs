//! What goes wrong, as a person reads it: what, what was said, what to do; and the exit code for a script.
//!
//! The words of an error stand where it happens; here is what a user can do about it, in one place to read through.

use crate::exit_code::ExitCode;
use platform::base::{BaseError, PushError, UpdateError};
use platform::build::{AddedError, BuildError, BuilderError};
use platform::doctor::DoctorError;
use platform::images::ImageError;
use platform::rebase::MatchError;
use platform::run::RunError;
use platform::sbom::SbomError;
use platform::world::WorldError;
use platform::{DetectError, StoreError, Verdict, lifecycle_errors as phase};
use serde::Serialize;
use std::error::Error;

/// A failure, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Failure {
    /// What was wrong, and where.
    #[serde(rename = "error")]
    pub(crate) message: String,
    /// What others said of it, line by line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) details: Vec<String>,
    /// What to do.
    #[serde(rename = "hint", skip_serializing_if = "Vec::is_empty")]
    pub(crate) hints: Vec<String>,
    /// What a script sees.
    #[serde(rename = "exit-code", serialize_with = "code")]
    pub(crate) code: ExitCode,
}

fn code<S: serde::Serializer>(code: &ExitCode, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u8(code.0)
}

impl Failure {
    pub(crate) fn new(code: ExitCode, message: &str) -> Self {
        Self { message: message.to_owned(), details: Vec::new(), hints: Vec::new(), code }
    }

    /// Arguments that make no sense.
    pub(crate) fn usage(message: &str) -> Self {
        Self::new(ExitCode::USAGE, message)
    }

    /// The same failure, with something to do about it.
    pub(crate) fn hint(mut self, hint: &str) -> Self {
        self.hints.push(hint.to_owned());
        self
    }

    /// The same failure in a store whose disk is full: whatever a buildpack's own words for it are. Where that is what
    /// the failure says, its hint is there already.
    pub(crate) fn on_a_full_disk(self) -> Self {
        match self.code {
            ExitCode::STORE => self,
            _ => self.hint("the disk of the store is full: `packlight prune`, or `--store DIR` elsewhere"),
        }
    }

    /// The same failure of who looked for an image in its registry, since the store has none of that name.
    pub(crate) fn not_in_store(self) -> Self {
        self.hint(
            "the store has no image of this name, so its registry was asked; `packlight images` lists the store",
        )
    }

    fn of(code: ExitCode, error: &dyn Error) -> Self {
        Self::new(code, &platform::error::chain(error))
    }

    fn details(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(lines);
        self
    }
}

/// What is promised and not there.
pub(crate) fn not_yet(what: &str) -> Failure {
    Failure::new(ExitCode::NOT_YET, &format!("not yet: {what}"))
}

impl From<platform::NameError> for Failure {
    fn from(error: platform::NameError) -> Self {
        Self::of(ExitCode::USAGE, &error)
    }
}

impl From<MatchError> for Failure {
    fn from(error: MatchError) -> Self {
        match error {
            MatchError::World(error) => (*error).into(),
            MatchError::Pattern(_) => Self::of(ExitCode::USAGE, &error),
            MatchError::Registry(_) => Self::of(ExitCode::GENERAL, &error),
        }
    }
}

impl From<PushError> for Failure {
    fn from(error: PushError) -> Self {
        match error {
            PushError::World(error) => (*error).into(),
            PushError::Base(error) => base(error),
            PushError::Store(error) => error.into(),
            PushError::Registry(_) => Self::of(ExitCode::OUTPUT, &error),
            other => Self::of(ExitCode::USAGE, &other),
        }
    }
}

impl From<DoctorError> for Failure {
    fn from(error: DoctorError) -> Self {
        match error {
            DoctorError::Image(error) => error.into(),
            DoctorError::Run(error) => error.into(),
            DoctorError::Store(error) => error.into(),
            other => Self::of(ExitCode::GENERAL, &other),
        }
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::World(error) => (*error).into(),
            ImageError::Store(error) => error.into(),
            ImageError::Name(error) => error.into(),
            other => Self::of(ExitCode::GENERAL, &other),
        }
    }
}

impl From<SbomError> for Failure {
    fn from(error: SbomError) -> Self {
        match error {
            SbomError::Image(error) => error.into(),
            SbomError::NotRemote(_) => Self::of(ExitCode::USAGE, &error),
            other => Self::of(ExitCode::GENERAL, &other),
        }
    }
}

impl From<AddedError> for Failure {
    fn from(error: AddedError) -> Self {
        let code = match &error {
            AddedError::NotYet(..) => ExitCode::NOT_YET,
            AddedError::Download(_) => ExitCode::BUILDER,
            _ => ExitCode::USAGE,
        };
        Self::of(code, &error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let failure = Self::of(ExitCode::STORE, &error);
        match error {
            StoreError::NoSpace { .. } => failure.hint("`packlight prune` frees what nothing uses any more"),
            StoreError::Missing { .. } | StoreError::Corrupt { .. } | StoreError::UnknownLayer { .. } => {
                failure.hint(
                    "`packlight store check` lists what is damaged; building the image again repairs it",
                )
            }
            StoreError::OtherVersion { .. } | StoreError::NotAStore { .. } => {
                failure.hint("`--store DIR` or PACKLIGHT_STORE choose another directory")
            }
            _ => failure,
        }
    }
}

impl From<WorldError> for Failure {
    fn from(error: WorldError) -> Self {
        match error {
            WorldError::Store(error) => error.into(),
            WorldError::Payload(error) if platform::error::is_disk_full(&error) => disk_full(&error),
            WorldError::Foreign { .. } => Self::of(ExitCode::STORE, &error),
            WorldError::Payload(error) => Self::of(ExitCode::GENERAL, &error)
                .hint("in a checkout: `make payload`, then PACKLIGHT_PAYLOAD=target/payload"),
            other => Self::of(ExitCode::GENERAL, &other),
        }
    }
}

/// Wherever it shows: the store's disk is what is full.
fn disk_full(error: &(dyn Error + 'static)) -> Failure {
    Failure::of(ExitCode::STORE, error)
        .hint("`packlight prune` frees what no image needs; `--store DIR` takes another disk")
}

fn builder(error: BuilderError) -> Failure {
    match error {
        BuilderError::Store(error) => error.into(),
        BuilderError::Added(error) => error.into(),
        BuilderError::Base(error) => base(*error),
        BuilderError::RunImageAlone => Failure::of(ExitCode::USAGE, &error),
        error => Failure::of(ExitCode::BUILDER, &error),
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            error if platform::error::is_disk_full(&error) => disk_full(&error),
            BuildError::Forbidden(error) => forbidden(&error),
            BuildError::Unisolated(error) => Self::of(ExitCode::FORBIDDEN, &error)
                .hint("`--allow-unisolated` runs them all the same, if you trust the builder as you trust a program of yours")
                .hint(error.why.cure.trim_end()),
            BuildError::Source(error) => Self::of(ExitCode::SOURCE, &error),
            BuildError::Store(error) => error.into(),
            BuildError::Analyze(error) => Self::of(ExitCode::ANALYZE, &error),
            BuildError::Detect(error) => detect(&error),
            BuildError::Builder(error) => builder(error),
            BuildError::Base(error) => base(error),
            BuildError::Cache(error) => Self::of(ExitCode::RESTORE, &error),
            BuildError::Restore(error) => Self::of(ExitCode::RESTORE, &error),
            BuildError::Build(error @ phase::BuildError::Failed { .. }) => {
                Self::of(ExitCode::BUILDPACK, &error)
            }
            BuildError::Build(error) => Self::of(ExitCode::BUILD, &error),
            BuildError::Export(error) => Self::of(ExitCode::EXPORT, &error),
            BuildError::Output(error) => Self::of(ExitCode::OUTPUT, &error),
            BuildError::Papers(_) => Self::of(ExitCode::OUTPUT, &error),
            BuildError::Verify(_) => Self::of(ExitCode::UNVERIFIED, &error),
            BuildError::Unverified(ref broken) => {
                let cure = broken.cure.clone();
                Self::of(ExitCode::UNVERIFIED, &error).hint(&cure)
            }
            other => Self::of(ExitCode::GENERAL, &other),
        }
    }
}

impl From<BaseError> for Failure {
    fn from(error: BaseError) -> Self {
        base(error)
    }
}

impl From<UpdateError> for Failure {
    fn from(error: UpdateError) -> Self {
        match error {
            UpdateError::Base(error) => base(error),
            UpdateError::Store(error) => error.into(),
            other => Self::of(ExitCode::GENERAL, &other),
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let failure = Self::of(ExitCode::RUN, &error);
        match error {
            RunError::Forbidden(error) => forbidden(&error),
            RunError::Store(error) => error.into(),
            RunError::NoImage { name, near } => {
                let failure = match near.is_empty() {
                    true => failure,
                    false => failure.hint(&format!("there is {}", near.join(", "))),
                };
                failure.hint(&format!("in the app's folder, `packlight build {name}` makes it"))
            }
            RunError::NoProcess { .. } => failure
                .hint("`--entrypoint COMMAND` starts any program of the image, `--entrypoint bash` a shell"),
            RunError::Destination(_) => Self { code: ExitCode::USAGE, ..failure },
            RunError::VolumeWritable(_) => {
                failure.hint("`:ro` after the volume gives the app a copy that it can read")
            }
            RunError::Network { .. } => {
                failure.hint("`--network host` shares this machine's network with the app")
            }
            RunError::PortInUse { .. } => {
                failure.hint("choose another with `-p`; without `-p` a free one is taken")
            }
            RunError::ProgramMissing { .. } => Self { code: ExitCode::RUN_MISSING, ..failure },
            RunError::ProgramRefused { .. } => Self { code: ExitCode::RUN_EXEC, ..failure },
            _ => failure,
        }
    }
}

fn forbidden(error: &platform::Forbidden) -> Failure {
    Failure::of(ExitCode::FORBIDDEN, error).hint(error.cure.trim_end())
}

fn base(error: BaseError) -> Failure {
    match error {
        BaseError::Store(error) => error.into(),
        BaseError::Forbidden(error) => forbidden(&error),
        error if platform::error::is_disk_full(&error) => disk_full(&error),
        BaseError::Archive(_) | BaseError::Fetch(_) => Failure::of(ExitCode::BASE, &error)
            .hint("PACKLIGHT_DEBIAN_MIRROR and PACKLIGHT_DEBIAN_SECURITY_MIRROR name other mirrors"),
        error => Failure::of(ExitCode::BASE, &error),
    }
}

/// Who said what, and why.
fn detect(error: &DetectError) -> Failure {
    let DetectError::NothingPassed { said, .. } = error else {
        return Failure::of(ExitCode::DETECT_ERRED, error);
    };
    let erred = said.iter().any(|it| matches!(it.verdict, Verdict::Error(_)));
    let code = if erred { ExitCode::DETECT_ERRED } else { ExitCode::NOTHING_PASSED };
    let mut lines = Vec::new();
    for one in said {
        let verdict = match &one.verdict {
            Verdict::Pass => "passed".to_owned(),
            Verdict::Fail => "does not take it".to_owned(),
            Verdict::Error(reason) => format!("failed: {reason}"),
            Verdict::NotForThis(reason) => format!("was not asked: {reason}"),
        };
        lines.push(format!("{}: {verdict}", one.who));
        lines.extend(
            String::from_utf8_lossy(&one.output).lines().map(|line| format!("    {}", line.trim_end())),
        );
    }
    let failure = Failure::new(code, "no buildpack takes this app").details(lines);
    match erred {
        true => failure,
        false => failure.hint(
            "Python apps are known by requirements.txt, pyproject.toml or uv.lock in the app's folder; is --path right?",
        ),
    }
}

/// Instead of a backtrace: one sentence that can be passed on.
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let message = payload.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or_default();
        let place = panic.location().map(|it| format!(" at {}:{}", it.file(), it.line())).unwrap_or_default();
        let version = env!("CARGO_PKG_VERSION");
        let text = format!(
            "error: packlight {version} has a mistake in it{place}: {message}\n\
             hint: please report this line, with the command that you gave\n"
        );
        drop(std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()));
        #[expect(
            clippy::exit,
            reason = "unwinding ends in code 101, aborting in a core file; neither helps anybody"
        )]
        std::process::exit(ExitCode::MISTAKE.0.into());
    }));
}
