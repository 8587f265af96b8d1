//! What uv is told: where packages come from as pip is configured, and what a reproducible layer needs.
//!
//! uv reads neither `pip.conf` nor `PIP_*`; what the user has said to uv itself wins.
//! <https://docs.astral.sh/uv/pip/compatibility/#configuration-files-and-environment-variables>

use crate::pip::{Settings, netrc_secrets, secrets_in};
use crate::{Context, Environment, Failure, Tool};
use std::ffi::OsStr;
use std::path::Path;

/// What uv is started with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// How packages are reached: variables; one that the user has set already is not among them.
    pub reach: Vec<(&'static str, String)>,
    /// What of that is said by arguments of `uv pip`.
    pub reach_args: Vec<String>,
    /// Which of them are taken.
    pub choice: Choice,
    /// Texts that must be shown to nobody.
    pub secrets: Vec<String>,
    /// Settings of pip's that have no counterpart, for the log: names only.
    pub left_out: Vec<String>,
}

/// What the user's settings say of the packages that are taken, for the app's own packages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Variables.
    pub env: Vec<(&'static str, String)>,
    /// Arguments of `uv pip compile` and `uv pip install`.
    pub args: Vec<String>,
    /// An older version with a wheel is better than a newer one without. uv cannot weigh the two: it can only be asked
    /// for wheels alone first.
    pub prefer_binary: bool,
    /// All of it with the contents of the files that it names, for the key of what is made by it; empty by default.
    pub key: String,
}

/// Settings of pip's own output, cache and target, which mean nothing here.
const MEANINGLESS: &[&str] = &[
    "break-system-packages",
    "cache-dir",
    "config-file",
    "debug",
    "disable-pip-version-check",
    "exists-action",
    "format",
    "log",
    "no-cache-dir",
    "no-color",
    "no-compile",
    "no-input",
    "no-python-version-warning",
    "no-warn-conflicts",
    "no-warn-script-location",
    "prefix",
    "progress-bar",
    "quiet",
    "require-virtualenv",
    "root",
    "root-user-action",
    "src",
    "target",
    "use-feature",
    "use-deprecated",
    "user",
    "verbose",
    "version",
];

/// All that the functions below read.
const TRANSLATED: &[&str] = &[
    "build-constraint",
    "cert",
    "client-cert",
    "constraint",
    "default-timeout",
    "extra-index-url",
    "find-links",
    "index-url",
    "keyring-provider",
    "no-binary",
    "no-build-isolation",
    "no-index",
    "only-binary",
    "pre",
    "prefer-binary",
    "proxy",
    "retries",
    "timeout",
    "trusted-host",
];

/// What the user may have said to uv itself that decides what is taken.
const CHOICES_OF_UV: &[&str] = &[
    "UV_BUILD_CONSTRAINT",
    "UV_CONSTRAINT",
    "UV_EXCLUDE_NEWER",
    "UV_NO_BINARY",
    "UV_NO_BINARY_PACKAGE",
    "UV_NO_BUILD",
    "UV_NO_BUILD_ISOLATION",
    "UV_NO_BUILD_PACKAGE",
    "UV_OVERRIDE",
    "UV_PRERELEASE",
    "UV_RESOLUTION",
];

/// What would make uv work on another environment, or with an interpreter of its own choice.
const REMOVED: &[&str] = &[
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYTHONPATH",
    "PYTHONHOME",
    "UV_PROJECT_ENVIRONMENT",
    "UV_SYSTEM_PYTHON",
];

const OWN: &[(&str, &str)] = &[
    ("UV_LINK_MODE", "copy"), // the cache is another layer, and a hard link would tie the two
    ("UV_NO_PROGRESS", "true"), // the platform draws bars
    ("UV_PYTHON_DOWNLOADS", "never"), // an interpreter is the base's business
    ("UV_NO_MANAGED_PYTHON", "true"),
    ("UV_NO_COLOR", "1"),
    ("NO_COLOR", "1"),
    ("PYC_INVALIDATION_MODE", "UNCHECKED_HASH"), // no time in a .pyc, and no look at the source at start
    ("PYTHONHASHSEED", "0"),
    ("SOURCE_DATE_EPOCH", "315532801"),
];

impl Config {
    /// What pip is configured with in this build, said in uv's words.
    ///
    /// # Errors
    /// When a file of pip's configuration, or one that it names, cannot be read.
    pub fn of(context: &Context) -> Result<Self, Failure> {
        let mut config = Self::translate(&Settings::of(context)?, &context.env);
        config.secrets.extend(netrc_secrets(context)?);
        config.choice.key = config.choice.key(context)?;
        Ok(config)
    }

    /// `uv pip <verb>`, with all that it is to know but [`Choice`].
    #[must_use]
    pub fn pip(&self, program: &Path, env: &Environment, verb: &str) -> Tool {
        self.tool(program, env).args(["pip", verb]).args(&self.reach_args)
    }

    /// uv, likewise.
    #[must_use]
    pub fn tool(&self, program: &Path, env: &Environment) -> Tool {
        let mut env = env.clone();
        for name in REMOVED {
            env.remove(OsStr::new(name));
        }
        let reach = self.reach.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in OWN.iter().copied().chain(reach) {
            env.insert(name.into(), value.into());
        }
        Tool::new(program, &env).secrets(self.secrets.clone())
    }

    fn translate(pip: &Settings, env: &Environment) -> Self {
        let mut reach = indexes(pip);
        reach.extend(connection(pip));
        let is_free = |name: &str| env.get(OsStr::new(name)).is_none_or(|it| it.is_empty());
        reach.retain(|(name, _)| is_free(name));
        let mut choice = choice(pip);
        choice.env.retain(|(name, _)| is_free(name));
        let mut secrets: Vec<String> = pip.iter().flat_map(|(_, value)| secrets_in(value)).collect();
        for (name, value) in env {
            let name = name.to_string_lossy();
            if name.starts_with("UV_") || name.to_ascii_lowercase().ends_with("_proxy") {
                secrets.extend(secrets_in(&value.to_string_lossy()));
            }
        }
        let is_known = |it: &&str| TRANSLATED.contains(it) || MEANINGLESS.contains(it);
        let left_out =
            pip.iter().map(|(name, _)| name).filter(|it| !is_known(it)).map(str::to_owned).collect();
        let no_index = pip.is_on("no-index").then(|| "--no-index".to_owned());
        Self { reach, reach_args: no_index.into_iter().collect(), choice, secrets, left_out }
    }
}

fn indexes(pip: &Settings) -> Vec<(&'static str, String)> {
    let mut env = Vec::new();
    if let Some(url) = pip.get("index-url") {
        env.push(("UV_DEFAULT_INDEX", url.to_owned()));
    }
    let extra = pip.list("extra-index-url");
    if !extra.is_empty() {
        env.push(("UV_INDEX", extra.join(" ")));
        // pip takes the best version of all indexes; uv by itself the first index that has the name.
        env.push(("UV_INDEX_STRATEGY", "unsafe-best-match".to_owned()));
    }
    let links = pip.list("find-links");
    if !links.is_empty() {
        env.push(("UV_FIND_LINKS", links.join(",")));
    }
    if let Some(it @ "subprocess") = pip.get("keyring-provider") {
        env.push(("UV_KEYRING_PROVIDER", it.to_owned()));
    }
    env
}

fn connection(pip: &Settings) -> Vec<(&'static str, String)> {
    let mut env = Vec::new();
    match pip.get("cert") {
        Some(cert) => env.push(("SSL_CERT_FILE", cert.to_owned())),
        // Debian's pip trusts what the system trusts; uv by itself brings a list of its own.
        None => env.push(("UV_SYSTEM_CERTS", "true".to_owned())),
    }
    if let Some(it) = pip.get("client-cert") {
        env.push(("SSL_CLIENT_CERT", it.to_owned()));
    }
    let trusted = pip.list("trusted-host");
    if !trusted.is_empty() {
        env.push(("UV_INSECURE_HOST", trusted.join(" ")));
    }
    if let Some(proxy) = pip.get("proxy") {
        env.extend(["HTTPS_PROXY", "HTTP_PROXY"].map(|it| (it, proxy.to_owned())));
    }
    if let Some(it) = pip.get("timeout").or_else(|| pip.get("default-timeout")) {
        env.push(("UV_HTTP_TIMEOUT", it.to_owned()));
    }
    if let Some(it) = pip.get("retries") {
        env.push(("UV_HTTP_RETRIES", it.to_owned()));
    }
    env
}

fn choice(pip: &Settings) -> Choice {
    let mut choice = Choice { prefer_binary: pip.is_on("prefer-binary"), ..Choice::default() };
    for name in ["no-binary", "only-binary"] {
        let packages = pip.get(name).into_iter().flat_map(|it| it.split([',', ' ', '\n']));
        for package in packages.filter(|it| !it.is_empty()) {
            choice.args.extend([format!("--{name}"), package.to_owned()]);
        }
    }
    if pip.is_on("pre") {
        choice.args.extend(["--prerelease".to_owned(), "allow".to_owned()]);
    }
    if pip.is_on("no-build-isolation") {
        choice.args.push("--no-build-isolation".to_owned());
    }
    for (name, variable) in [("constraint", "UV_CONSTRAINT"), ("build-constraint", "UV_BUILD_CONSTRAINT")] {
        let files = pip.list(name);
        if !files.is_empty() {
            choice.env.push((variable, files.join(" ")));
        }
    }
    choice
}

impl Choice {
    fn key(&self, context: &Context) -> Result<String, Failure> {
        let mut lines: Vec<String> = self.args.clone();
        if self.prefer_binary {
            lines.push("prefer-binary".to_owned());
        }
        let own = CHOICES_OF_UV.iter().filter_map(|it| Some((*it, context.var(it)?)));
        for (name, value) in self.env.iter().map(|(name, value)| (*name, value.as_str())).chain(own) {
            lines.push(format!("{name}={value}"));
            for file in
                value.split_whitespace().filter(|_| name.ends_with("CONSTRAINT") || name == "UV_OVERRIDE")
            {
                let bytes = crate::context::read_optional(&context.app.join(file))?.unwrap_or_default();
                lines.push(crate::digest::sha256(&bytes));
            }
        }
        Ok(lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uv<const N: usize>(pip: [(&str, &str); N]) -> Config {
        Config::translate(&Settings::from(pip), &Environment::new())
    }

    fn env<'a>(uv: &'a Config, name: &str) -> Option<&'a str> {
        uv.reach.iter().find(|(it, _)| *it == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn indexes_certificates_and_limits_are_said_in_uvs_words() {
        let uv = uv([
            ("index-url", "https://mirror.example/simple"),
            ("extra-index-url", "\nhttps://one.example/simple\nhttps://two.example/simple"),
            ("cert", "/etc/ca.pem"),
            ("trusted-host", "a.example\nb.example"),
            ("find-links", "/opt/wheels /opt/more"),
            ("no-index", "1"),
            ("timeout", "60"),
            ("proxy", "http://proxy.example:3128"),
        ]);
        for (name, value) in [
            ("UV_DEFAULT_INDEX", "https://mirror.example/simple"),
            ("UV_INDEX", "https://one.example/simple https://two.example/simple"),
            ("UV_INDEX_STRATEGY", "unsafe-best-match"),
            ("SSL_CERT_FILE", "/etc/ca.pem"),
            ("UV_INSECURE_HOST", "a.example b.example"),
            ("UV_FIND_LINKS", "/opt/wheels,/opt/more"),
            ("HTTPS_PROXY", "http://proxy.example:3128"),
            ("UV_HTTP_TIMEOUT", "60"),
        ] {
            assert_eq!(env(&uv, name), Some(value), "{name}");
        }
        assert_eq!(uv.reach_args, ["--no-index"]);
        assert!(uv.left_out.is_empty());
        assert_eq!(uv.choice, Choice::default());
    }

    #[test]
    fn what_decides_which_package_is_taken_is_apart() {
        let choice = uv([
            ("no-binary", "numpy,scipy"),
            ("only-binary", ":all:"),
            ("pre", "true"),
            ("prefer-binary", "yes"),
            ("constraint", "/c.txt"),
        ])
        .choice;
        assert_eq!(
            choice.args.join(" "),
            "--no-binary numpy --no-binary scipy --only-binary :all: --prerelease allow"
        );
        assert!(choice.prefer_binary);
        assert_eq!(choice.env, [("UV_CONSTRAINT", "/c.txt".to_owned())]);
    }

    #[test]
    fn what_the_user_told_uv_stays_and_what_has_no_counterpart_is_named() {
        let mut set = Environment::new();
        set.insert("UV_DEFAULT_INDEX".into(), "https://own/".into());
        let pip =
            Settings::from([("index-url", "https://me:hunter2@pip/"), ("platform", "x"), ("no-color", "1")]);
        let uv = Config::translate(&pip, &set);
        assert_eq!(env(&uv, "UV_DEFAULT_INDEX"), None);
        assert_eq!(uv.left_out, ["platform"]);
        assert_eq!(uv.secrets, ["hunter2"]);
    }
}
