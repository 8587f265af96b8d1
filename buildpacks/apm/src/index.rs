//! What pip is configured with, in uv's words, for the one index question and the one download of this buildpack.
//!
//! It reads the variables and the file that the platform hands over. What the user said to uv itself wins.
//! <https://docs.astral.sh/uv/pip/compatibility/#configuration-files-and-environment-variables>

use buildpack::{Context, Failure};
use std::collections::BTreeMap;
use std::path::Path;

/// pip's setting, uv's variable, how a list is written for uv.
const SETTINGS: &[(&str, &str, &str)] = &[
    ("index-url", "UV_DEFAULT_INDEX", " "),
    ("extra-index-url", "UV_INDEX", " "),
    ("find-links", "UV_FIND_LINKS", ","),
    ("trusted-host", "UV_INSECURE_HOST", " "),
    ("cert", "SSL_CERT_FILE", " "),
    ("client-cert", "SSL_CLIENT_CERT", " "),
    ("proxy", "HTTPS_PROXY", " "),
    ("keyring-provider", "UV_KEYRING_PROVIDER", " "),
    ("timeout", "UV_HTTP_TIMEOUT", " "),
    ("no-index", "UV_NO_INDEX", " "),
];

/// Variables for uv, and what must be shown to nobody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UvSettings {
    /// Variables to add.
    pub variables: BTreeMap<String, String>,
    /// Passwords in addresses.
    pub secrets: Vec<String>,
}

/// Translates.
///
/// # Errors
/// When pip's configuration file is named and cannot be read.
pub fn settings(context: &Context) -> Result<UvSettings, Failure> {
    let mut pip = BTreeMap::new();
    if let Some(file) = context.var("PIP_CONFIG_FILE").filter(|it| *it != "/dev/null") {
        let text = buildpack::context::read_optional(Path::new(file))?.unwrap_or_default();
        pip = read_ini(&String::from_utf8_lossy(&text));
    }
    for (setting, _, _) in SETTINGS {
        let variable = format!("PIP_{}", setting.to_uppercase().replace('-', "_"));
        if let Some(value) = context.var(&variable) {
            pip.insert((*setting).to_owned(), value.to_owned());
        }
    }
    Ok(translate(&pip, |name| context.var(name).is_some()))
}

fn translate(pip: &BTreeMap<String, String>, is_set: impl Fn(&str) -> bool) -> UvSettings {
    let mut uv = UvSettings::default();
    for (setting, variable, separator) in SETTINGS {
        let Some(value) = pip.get(*setting) else { continue };
        uv.secrets.extend(value.split_whitespace().filter_map(password));
        if !is_set(variable) {
            let value = value.split_whitespace().collect::<Vec<_>>().join(separator);
            uv.variables.insert((*variable).to_owned(), value);
        }
    }
    if uv.variables.contains_key("UV_INDEX") {
        // pip takes the best version of all indexes; uv by itself the first index that has the name.
        uv.variables.insert("UV_INDEX_STRATEGY".to_owned(), "unsafe-best-match".to_owned());
    }
    if !pip.contains_key("cert") && !is_set("SSL_CERT_FILE") {
        // Debian's pip trusts what the system trusts; uv by itself brings a list of its own.
        uv.variables.insert("UV_SYSTEM_CERTS".to_owned(), "true".to_owned());
    }
    uv
}

fn password(url: &str) -> Option<String> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let (_, password) = authority.rsplit_once('@')?.0.split_once(':')?;
    (!password.is_empty()).then(|| password.to_owned())
}

/// `[install]` wins over `[global]`; a value's further lines are indented.
fn read_ini(text: &str) -> BTreeMap<String, String> {
    let mut sections: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    let (mut section, mut key) = ("", String::new());
    for line in text.lines().filter(|it| !it.trim_start().starts_with(['#', ';'])) {
        if let Some(name) = line.trim().strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            section = name;
        } else if line.starts_with([' ', '\t']) && !key.is_empty() {
            let value = sections.entry(section).or_default().entry(key.clone()).or_default();
            value.push(' ');
            value.push_str(line.trim());
        } else if let Some((name, value)) = line.split_once(['=', ':']) {
            key = name.trim().to_lowercase().replace('_', "-");
            sections.entry(section).or_default().insert(key.clone(), value.trim().to_owned());
        }
    }
    let mut all = sections.remove("global").unwrap_or_default();
    all.extend(sections.remove("install").unwrap_or_default());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pips_file_is_read_with_its_lists_and_said_to_uv() {
        let pip = read_ini(
            "[global]\nindex-url = https://u:hunter2@one/simple\nfind_links =\n  /a\n  /b\n# x\n[install]\nextra-index-url: https://two\n",
        );
        let uv = translate(&pip, |name| name == "SSL_CERT_FILE");
        let expected = [
            ("UV_DEFAULT_INDEX", "https://u:hunter2@one/simple"),
            ("UV_FIND_LINKS", "/a,/b"),
            ("UV_INDEX", "https://two"),
            ("UV_INDEX_STRATEGY", "unsafe-best-match"),
        ];
        assert_eq!(uv.variables, expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into());
        assert_eq!(uv.secrets, ["hunter2"]);
    }

    #[test]
    fn what_was_said_to_uv_wins() {
        let pip = BTreeMap::from([("index-url".to_owned(), "https://a".to_owned())]);
        assert!(
            !translate(&pip, |name| name == "UV_DEFAULT_INDEX").variables.contains_key("UV_DEFAULT_INDEX")
        );
    }
}
