//! What `packlight` exits with: one table, which `packlight help exit-codes` and docs/reference/exit-codes.md show.
//!
//! Codes from 20 on are the lifecycle's own, so that a script that knows `pack` or `/cnb/lifecycle` reads these:
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#outputs>. Codes from 125 on are what `docker run` uses.

/// An exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExitCode(pub(crate) u8);

/// Every code with its meaning.
pub(crate) const TABLE: &[(ExitCode, &str)] = &[
    (ExitCode::OK, "it worked"),
    (ExitCode::GENERAL, "something failed that has no code of its own"),
    (ExitCode::USAGE, "the arguments make no sense; nothing was done"),
    (ExitCode::FORBIDDEN, "this machine does not allow the sandbox; the hint says how to allow it"),
    (ExitCode::STORE, "the store cannot be used: its disk is full, it is damaged, or of another version"),
    (ExitCode::SOURCE, "the app's folder or its project.toml cannot be used"),
    (ExitCode::NOT_YET, "it is promised, and not there yet"),
    (ExitCode::NOTHING_PASSED, "detect: no buildpack takes the app"),
    (ExitCode::DETECT_ERRED, "detect: no buildpack takes the app, and one of them failed"),
    (ExitCode::ANALYZE, "analyze failed"),
    (ExitCode::RESTORE, "restore failed"),
    (ExitCode::BUILDPACK, "build: a buildpack failed"),
    (ExitCode::BUILD, "build failed, without a buildpack's fault"),
    (ExitCode::EXPORT, "export failed"),
    (ExitCode::OUTPUT, "the image is in the store, but could not be handed over to an engine or a file"),
    (ExitCode::REBASE, "rebase: at least one image was not put on its run image"),
    (ExitCode::AGENT, "agent: at least one image was not changed"),
    (ExitCode::DOCTOR, "doctor: a link between the app and its spans is broken"),
    (ExitCode::UNVERIFIED, "build: the image is in the store, and --verify saw no span of it"),
    (ExitCode::MISTAKE, "packlight has a mistake in it; the message says where"),
    (ExitCode::BUILDER, "the builder or its run image cannot be had or used"),
    (ExitCode::BASE, "the base could not be composed: no network, a wrong signature, an unknown package"),
    (ExitCode::RUN, "run: the app was not started"),
    (ExitCode::RUN_EXEC, "run: the app's program is there, and cannot be started"),
    (ExitCode::RUN_MISSING, "run: the app's program is not in the image"),
];

impl ExitCode {
    pub(crate) const OK: Self = Self(0);
    pub(crate) const GENERAL: Self = Self(1);
    pub(crate) const USAGE: Self = Self(2);
    pub(crate) const FORBIDDEN: Self = Self(3);
    pub(crate) const STORE: Self = Self(4);
    pub(crate) const SOURCE: Self = Self(5);
    pub(crate) const NOT_YET: Self = Self(6);
    pub(crate) const NOTHING_PASSED: Self = Self(20);
    pub(crate) const DETECT_ERRED: Self = Self(21);
    pub(crate) const ANALYZE: Self = Self(32);
    pub(crate) const RESTORE: Self = Self(42);
    pub(crate) const BUILD: Self = Self(52);
    pub(crate) const BUILDPACK: Self = Self(51);
    pub(crate) const EXPORT: Self = Self(62);
    pub(crate) const OUTPUT: Self = Self(63);
    pub(crate) const REBASE: Self = Self(72);
    pub(crate) const AGENT: Self = Self(73);
    pub(crate) const DOCTOR: Self = Self(74);
    pub(crate) const UNVERIFIED: Self = Self(64);
    pub(crate) const MISTAKE: Self = Self(70);
    pub(crate) const BUILDER: Self = Self(101);
    pub(crate) const BASE: Self = Self(102);
    pub(crate) const RUN: Self = Self(125);
    pub(crate) const RUN_EXEC: Self = Self(126);
    pub(crate) const RUN_MISSING: Self = Self(127);
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        code.0.into()
    }
}
