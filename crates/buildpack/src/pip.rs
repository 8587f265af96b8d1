//! What pip is configured with for `pip install`: its files and its variables, the ones that win over the others.
//!
//! They are read here and not asked of pip: an unchanged build must know them too, and starts no Python.
//! <https://pip.pypa.io/en/stable/topics/configuration/>

use crate::context::read_optional;
use crate::{Context, Failure, UserError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// pip's settings for `pip install`, by their long names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, String>);

/// All sections of all files: by section and name.
type Sections = BTreeMap<String, BTreeMap<String, String>>;

impl Settings {
    /// The settings that pip would have in this build.
    ///
    /// # Errors
    /// When a configuration file cannot be read or understood, where pip would fail as well.
    pub fn of(context: &Context) -> Result<Self, Failure> {
        let mut sections = Sections::new();
        for file in files(context) {
            if let Some(bytes) = read_optional(&file)? {
                read_ini(&file, &String::from_utf8_lossy(&bytes), &mut sections)?;
            }
        }
        let variables = context.env.iter().filter_map(|(name, value)| {
            let name = name.to_str()?.strip_prefix("PIP_")?;
            Some((long_name(name), value.to_str()?.to_owned()))
        });
        sections.insert(":env:".to_owned(), variables.collect());
        Ok(Self::merged(&sections))
    }

    /// A command's section wins over the general one, a variable over every file; an empty value counts as none.
    fn merged(sections: &Sections) -> Self {
        let mut all = BTreeMap::new();
        for (name, value) in
            ["global", "install", ":env:"].iter().filter_map(|it| sections.get(*it)).flatten()
        {
            if !value.is_empty() {
                all.insert(name.clone(), value.clone());
            }
        }
        Self(all)
    }

    /// The value of a setting.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The values of a setting that may have several.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.get(name).map(|it| it.split_whitespace().collect()).unwrap_or_default()
    }

    /// Whether a setting is switched on.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|it| {
            matches!(it.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on" | "y" | "t")
        })
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Settings {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }
}

/// Where pip looks, in the order in which later ones win.
fn files(context: &Context) -> Vec<PathBuf> {
    let named = context.var("PIP_CONFIG_FILE");
    if named == Some("/dev/null") {
        return Vec::new();
    }
    let global = context.var("XDG_CONFIG_DIRS").unwrap_or("/etc/xdg").split(':');
    let mut all: Vec<PathBuf> = global.map(|it| Path::new(it).join("pip/pip.conf")).collect();
    all.push("/etc/pip.conf".into());
    if !named.is_some_and(|it| Path::new(it).exists()) {
        let home = context.var("HOME").map(Path::new);
        let config = context.var("XDG_CONFIG_HOME").map(PathBuf::from);
        all.extend(home.map(|it| it.join(".pip/pip.conf")));
        all.extend(config.or_else(|| Some(home?.join(".config"))).map(|it| it.join("pip/pip.conf")));
    }
    all.extend(named.map(PathBuf::from));
    all
}

fn long_name(name: &str) -> String {
    name.to_lowercase().replace('_', "-").trim_start_matches("--").to_owned()
}

/// Adds a file in the form of Python's `configparser`: a further line of a value is indented deeper than its name.
fn read_ini(file: &Path, text: &str, all: &mut Sections) -> Result<(), Failure> {
    let mut own = Sections::new();
    let (mut section, mut key, mut depth) = (None, None::<String>, 0);
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with(['#', ';']) {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let open = section.as_ref().and_then(|it| own.get_mut(it));
        if let (Some(open), Some(key), true) = (open, &key, indent > depth) {
            let value = open.entry(key.clone()).or_default();
            value.push('\n');
            value.push_str(bare);
        } else if let Some(name) =
            bare.strip_prefix('[').and_then(|it| it.split(']').next()).filter(|it| !it.is_empty())
        {
            own.entry(name.to_owned()).or_default();
            (section, key) = (Some(name.to_owned()), None);
        } else if let (Some((name, value)), Some(section)) = (bare.split_once(['=', ':']), &section) {
            let name = long_name(name.trim());
            own.entry(section.clone()).or_default().insert(name.clone(), value.trim().to_owned());
            (key, depth) = (Some(name), indent);
        } else {
            return Err(not_understood(file, index + 1).into());
        }
    }
    let everywhere = own.remove("DEFAULT").unwrap_or_default();
    for (name, values) in own {
        let to = all.entry(name).or_default();
        to.extend(everywhere.clone());
        to.extend(values);
    }
    Ok(())
}

/// The line itself is not shown: it may hold a password.
fn not_understood(file: &Path, line: usize) -> UserError {
    let found = format!("{}:{line} is neither `[section]` nor `name = value`.", file.display());
    UserError::new("pip cannot read its own configuration", found)
        .cure("See what it says on this machine:\n\n  pip config debug")
}

/// `user` and `password` of `user:password@host/...`.
#[must_use]
pub fn credentials(after_scheme: &str) -> Option<(&str, &str)> {
    let authority = after_scheme.split(['/', '?', '#']).next()?;
    let (userinfo, _) = authority.rsplit_once('@')?;
    let (user, password) = userinfo.split_once(':')?;
    // `${TOKEN}` is filled in from the environment and is not a secret itself.
    (!password.starts_with("${")).then_some((user, password))
}

/// The passwords of all URLs in `text`, as they are written and as they are meant.
#[must_use]
pub fn secrets_in(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (_, rest) in text.split(char::is_whitespace).filter_map(|it| it.split_once("://")) {
        if let Some((_, password)) = credentials(rest) {
            all.push(password.to_owned());
            let decoded = percent_decode(password);
            if decoded != password {
                all.push(decoded);
            }
        }
        // A token may stand where the user's name does: `https://token@host/`.
        let authority = rest.split('/').next().and_then(|it| it.rsplit_once('@'));
        let alone = |user: &str| !user.contains(':') && !user.starts_with("${");
        all.extend(authority.filter(|(user, _)| alone(user)).map(|(user, _)| user.to_owned()));
    }
    all.retain(|it| it.len() > 2 && it != "git");
    all
}

/// The passwords of the user's `.netrc`, which pip, uv, git and curl send to the hosts that it names.
///
/// # Errors
/// When it is there and cannot be read.
pub fn netrc_secrets(context: &Context) -> Result<Vec<String>, Failure> {
    let named = context.var("NETRC").map(PathBuf::from);
    let Some(file) = named.or_else(|| Some(Path::new(context.var("HOME")?).join(".netrc"))) else {
        return Ok(Vec::new());
    };
    let text = read_optional(&file)?.unwrap_or_default();
    Ok(netrc_passwords(&String::from_utf8_lossy(&text)))
}

fn netrc_passwords(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().map(|it| it.trim_matches('"')).collect();
    let after = |pair: &[&str]| (pair[0] == "password" && pair[1].len() > 2).then(|| pair[1].to_owned());
    words.windows(2).filter_map(after).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Result<Settings, Failure> {
        let mut sections = Sections::new();
        for text in texts {
            read_ini(Path::new("pip.conf"), text, &mut sections)?;
        }
        Ok(Settings::merged(&sections))
    }

    #[test]
    fn a_file_is_read_as_pip_reads_it() {
        let text = "\u{feff}# x\n[global]\nINDEX_URL = https://one/simple\nfind-links =\n  /a\n ; no\n\n  /b\n[install]\n  extra-index-url: https://two/?a=b:c\n\
                    timeout = 9\n[freeze]\ntimeout = 1\nproxy = x\n";
        let expected = Settings::from([
            ("index-url", "https://one/simple"),
            ("find-links", "\n/a\n/b"),
            ("extra-index-url", "https://two/?a=b:c"),
            ("timeout", "9"),
        ]);
        let read = read(&[text]).unwrap();
        assert_eq!(read, expected);
        assert_eq!(read.list("find-links"), ["/a", "/b"]);
    }

    #[test]
    fn a_later_file_wins_over_an_earlier_and_a_commands_section_over_the_general() {
        let first = "[install]\nretries = 1\n[global]\nretries = 2\ntimeout = 3\n";
        let found = read(&[first, "[global]\nretries = 4\ntimeout = 5\nproxy =\n"]).unwrap();
        assert_eq!(found, Settings::from([("retries", "1"), ("timeout", "5")]));
        let defaults = read(&["[DEFAULT]\ncert = /c\ntimeout = 1\n[global]\ntimeout = 2\n"]).unwrap();
        assert_eq!(defaults, Settings::from([("cert", "/c"), ("timeout", "2")]));
    }

    #[test]
    fn what_pip_would_stumble_over_is_named_by_its_line_and_not_shown() {
        for text in ["[global]\n\nhunter2\n", "index-url = https://hunter2@host\n"] {
            let error = read(&[text]).unwrap_err().to_string();
            assert!(error.contains("pip.conf:"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn passwords_are_known_as_written_and_as_meant() {
        let found = secrets_in("https://me:p%40ss-word@host/simple\nhttps://a-token@host/s ssh://git@host/");
        assert_eq!(found, ["p%40ss-word", "p@ss-word", "a-token"]);
        let netrc = "# hosts\nmachine a.example login me password hunter2\nmachine b\n\tlogin x\n\tpassword \"s3cret\"\n";
        assert_eq!(netrc_passwords(netrc), ["hunter2", "s3cret"]);
    }
}
