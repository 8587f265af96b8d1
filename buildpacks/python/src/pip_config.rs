//! What pip is configured with, said in uv's words: uv reads neither `pip.conf` nor `PIP_*`.
//!
//! `pip config list` is asked and not the files, because where they are and which one wins is pip's business.
//! <https://docs.astral.sh/uv/pip/compatibility/#configuration-files-and-environment-variables>

use crate::requirements::credentials;
use buildpack::Environment;
use std::collections::BTreeMap;
use std::ffi::OsStr;

/// pip's settings for `pip install`, by their long names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PipConfig(BTreeMap<String, String>);

/// What uv is started with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UvConfig {
    /// Variables; one that the user has set already is not among them.
    pub(crate) env: Vec<(&'static str, String)>,
    /// Arguments of `uv pip compile` and `uv pip install`.
    pub(crate) args: Vec<String>,
    /// Texts that must be shown to nobody.
    pub(crate) secrets: Vec<String>,
    /// Settings that have no counterpart, for the log: names only.
    pub(crate) left_out: Vec<String>,
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
    "prefer-binary", // uv takes the newest version that fits, and of it the wheel
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

impl PipConfig {
    /// Reads what `pip config list` prints: `global.index-url='https://...'`, values as Python writes them.
    pub(crate) fn parse(list: &str) -> Self {
        let mut all = BTreeMap::new();
        // Later wins: a command's section over the general one, a variable over every file.
        for section in ["global.", "install.", ":env:."] {
            for line in list.lines() {
                let Some((key, value)) = line.strip_prefix(section).and_then(|it| it.split_once('=')) else {
                    continue;
                };
                let value = unquote(value.trim());
                if !value.is_empty() {
                    all.insert(key.to_owned(), value);
                }
            }
        }
        Self(all)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn list(&self, name: &str) -> Vec<&str> {
        self.get(name).map(|it| it.split_whitespace().collect()).unwrap_or_default()
    }

    fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|it| {
            matches!(it.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on" | "y" | "t")
        })
    }

    /// Says it in uv's words; `env` is what uv will be started in.
    pub(crate) fn to_uv(&self, env: &Environment) -> UvConfig {
        let mut uv = UvConfig::default();
        self.indexes(&mut uv);
        self.connection(&mut uv);
        self.packages(&mut uv);
        uv.env.retain(|(name, _)| env.get(OsStr::new(name)).is_none_or(|it| it.is_empty()));
        for value in self.0.values() {
            uv.secrets.extend(secrets_in(value));
        }
        for (name, value) in env {
            let name = name.to_string_lossy();
            if name.starts_with("UV_") || name.to_ascii_lowercase().ends_with("_proxy") {
                uv.secrets.extend(secrets_in(&value.to_string_lossy()));
            }
        }
        uv.left_out = self.0.keys().filter(|it| !TRANSLATED.contains(&it.as_str())).cloned().collect();
        uv.left_out.retain(|it| !MEANINGLESS.contains(&it.as_str()));
        uv
    }

    fn indexes(&self, uv: &mut UvConfig) {
        if let Some(url) = self.get("index-url") {
            uv.env.push(("UV_DEFAULT_INDEX", url.to_owned()));
        }
        let extra = self.list("extra-index-url");
        if !extra.is_empty() {
            uv.env.push(("UV_INDEX", extra.join(" ")));
            // pip takes the best version of all indexes; uv by itself the first index that has the name.
            uv.env.push(("UV_INDEX_STRATEGY", "unsafe-best-match".to_owned()));
        }
        let links = self.list("find-links");
        if !links.is_empty() {
            uv.env.push(("UV_FIND_LINKS", links.join(",")));
        }
        if self.is_on("no-index") {
            uv.args.push("--no-index".to_owned());
        }
        if let Some(it @ "subprocess") = self.get("keyring-provider") {
            uv.env.push(("UV_KEYRING_PROVIDER", it.to_owned()));
        }
    }

    fn connection(&self, uv: &mut UvConfig) {
        match self.get("cert") {
            Some(cert) => uv.env.push(("SSL_CERT_FILE", cert.to_owned())),
            // Debian's pip trusts what the system trusts; uv by itself brings a list of its own.
            None => uv.env.push(("UV_SYSTEM_CERTS", "true".to_owned())),
        }
        if let Some(it) = self.get("client-cert") {
            uv.env.push(("SSL_CLIENT_CERT", it.to_owned()));
        }
        let trusted = self.list("trusted-host");
        if !trusted.is_empty() {
            uv.env.push(("UV_INSECURE_HOST", trusted.join(" ")));
        }
        if let Some(proxy) = self.get("proxy") {
            for name in ["HTTPS_PROXY", "HTTP_PROXY"] {
                uv.env.push((name, proxy.to_owned()));
            }
        }
        if let Some(it) = self.get("timeout").or_else(|| self.get("default-timeout")) {
            uv.env.push(("UV_HTTP_TIMEOUT", it.to_owned()));
        }
        if let Some(it) = self.get("retries") {
            uv.env.push(("UV_HTTP_RETRIES", it.to_owned()));
        }
    }

    fn packages(&self, uv: &mut UvConfig) {
        for name in ["no-binary", "only-binary"] {
            for package in self.get(name).into_iter().flat_map(|it| it.split([',', ' ', '\n'])) {
                if !package.is_empty() {
                    uv.args.extend([format!("--{name}"), package.to_owned()]);
                }
            }
        }
        if self.is_on("pre") {
            uv.args.extend(["--prerelease".to_owned(), "allow".to_owned()]);
        }
        if self.is_on("no-build-isolation") {
            uv.args.push("--no-build-isolation".to_owned());
        }
        for (name, variable) in [("constraint", "UV_CONSTRAINT"), ("build-constraint", "UV_BUILD_CONSTRAINT")]
        {
            let files = self.list(name);
            if !files.is_empty() {
                uv.env.push((variable, files.join(" ")));
            }
        }
    }
}

/// All that the functions above read.
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
    "proxy",
    "retries",
    "timeout",
    "trusted-host",
];

/// The passwords of all URLs in `text`, as they are written and as they are meant.
pub(crate) fn secrets_in(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for word in text.split(char::is_whitespace) {
        let Some((_, password)) = word.split_once("://").and_then(|(_, rest)| credentials(rest)) else {
            continue;
        };
        all.push(password.to_owned());
        let decoded = percent_decode(password);
        if decoded != password {
            all.push(decoded);
        }
    }
    // A token may stand where the user's name does: `https://token@host/`.
    for word in text.split(char::is_whitespace) {
        let authority = word.split_once("://").and_then(|(_, rest)| rest.split('/').next()?.rsplit_once('@'));
        if let Some((user, _)) = authority.filter(|(user, _)| !user.contains(':') && !user.starts_with("${"))
        {
            all.push(user.to_owned());
        }
    }
    all.retain(|it| it.len() > 2 && it != "git");
    all
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut all = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match pair.and_then(|it| u8::from_str_radix(it, 16).ok()) {
            Some(byte) => {
                all.push(byte);
                at += 3;
            }
            None => {
                all.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// The text of a Python string literal.
fn unquote(literal: &str) -> String {
    let quoted = |quote: char| literal.strip_prefix(quote).and_then(|it| it.strip_suffix(quote));
    let Some(inside) = quoted('\'').or_else(|| quoted('"')) else { return literal.to_owned() };
    let mut all = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => all.push('\n'),
            ('\\', Some('t')) => all.push('\t'),
            ('\\', Some('r')) => all.push('\r'),
            ('\\', Some(other)) => all.push(other),
            (c, _) => all.push(c),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uv(list: &str) -> UvConfig {
        PipConfig::parse(list).to_uv(&Environment::new())
    }

    fn env<'a>(uv: &'a UvConfig, name: &str) -> Option<&'a str> {
        uv.env.iter().find(|(it, _)| *it == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn indexes_certificates_and_limits_are_said_in_uvs_words() {
        let uv = uv(concat!(
            "global.index-url='https://mirror.example/simple'\n",
            "global.extra-index-url='\\nhttps://one.example/simple\\nhttps://two.example/simple'\n",
            "global.cert='/etc/ca.pem'\nglobal.trusted-host='a.example\\nb.example'\n",
            "install.find-links='/opt/wheels /opt/more'\n",
            "global.no-binary='numpy,scipy'\nglobal.only-binary=':all:'\nglobal.pre='true'\n",
            "global.timeout='60'\nglobal.proxy='http://proxy.example:3128'\n",
        ));
        assert_eq!(env(&uv, "UV_DEFAULT_INDEX"), Some("https://mirror.example/simple"));
        assert_eq!(env(&uv, "UV_INDEX"), Some("https://one.example/simple https://two.example/simple"));
        assert_eq!(env(&uv, "UV_INDEX_STRATEGY"), Some("unsafe-best-match"));
        assert_eq!(env(&uv, "SSL_CERT_FILE"), Some("/etc/ca.pem"));
        assert_eq!(env(&uv, "UV_INSECURE_HOST"), Some("a.example b.example"));
        assert_eq!(env(&uv, "UV_FIND_LINKS"), Some("/opt/wheels,/opt/more"));
        assert_eq!(env(&uv, "HTTPS_PROXY"), Some("http://proxy.example:3128"));
        assert_eq!(env(&uv, "UV_HTTP_TIMEOUT"), Some("60"));
        assert_eq!(
            uv.args,
            [
                "--no-binary",
                "numpy",
                "--no-binary",
                "scipy",
                "--only-binary",
                ":all:",
                "--prerelease",
                "allow"
            ]
        );
        assert!(uv.left_out.is_empty());
    }

    #[test]
    fn a_variable_wins_over_a_command_and_a_command_over_the_general_section() {
        let all =
            ":env:.index-url='https://c/'\nglobal.index-url='https://a/'\ninstall.index-url='https://b/'\n";
        assert_eq!(env(&uv(all), "UV_DEFAULT_INDEX"), Some("https://c/"));
        let two: String = all.lines().skip(1).map(|it| format!("{it}\n")).collect();
        assert_eq!(env(&uv(&two), "UV_DEFAULT_INDEX"), Some("https://b/"));
    }

    #[test]
    fn what_the_user_told_uv_stays_and_what_has_no_counterpart_is_named() {
        let mut set = Environment::new();
        set.insert("UV_DEFAULT_INDEX".into(), "https://own/".into());
        let uv = PipConfig::parse("global.index-url='https://pip/'\nglobal.platform='x'\n").to_uv(&set);
        assert_eq!(env(&uv, "UV_DEFAULT_INDEX"), None);
        assert_eq!(uv.left_out, ["platform"]);
    }

    #[test]
    fn passwords_are_known_as_written_and_as_meant() {
        let uv = uv(
            "global.index-url='https://me:p%40ss-word@host/simple'\nglobal.extra-index-url='https://a-token@host/s'\n",
        );
        for secret in ["p%40ss-word", "p@ss-word", "a-token"] {
            assert!(uv.secrets.iter().any(|it| it == secret), "{secret} in {:?}", uv.secrets);
        }
    }
}
