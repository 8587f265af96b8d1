//! Settings: the one place where a public default has a name, and how a user overrides it.
//!
//! Order: a `PACKLIGHT_*` variable, the user's `config.toml`, the default below.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where short image names come from.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// Registries whose API is at another host than the one in image names.
pub const REGISTRY_APIS: &[(&str, &str)] = &[("docker.io", "registry-1.docker.io")];
/// Debian's archive, where neither a setting nor the machine names a mirror.
pub const DEFAULT_DEBIAN_MIRROR: &str = "http://ftp.debian.org/debian";
/// Debian's security archive, likewise.
pub const DEFAULT_DEBIAN_SECURITY_MIRROR: &str = "http://security.debian.org/debian-security";

/// The environment of the user's program, handed in by the program.
pub type Environment = BTreeMap<OsString, OsString>;

/// What the user has set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// Registry of short image names.
    pub default_registry: Option<String>,
    /// Where the store is.
    pub store: Option<PathBuf>,
    /// Debian's archive.
    pub debian: DebianSettings,
    /// Registries, by the host in image names.
    pub registries: BTreeMap<String, RegistrySettings>,
}

/// `[registries."registry.example.com"]` of `config.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RegistrySettings {
    /// It may be spoken to without TLS, or with a certificate that nobody vouches for.
    pub insecure: bool,
    /// Places to ask before it, in order: `host[:port][/path]`. Only pulls ask them.
    pub mirrors: Vec<String>,
    /// PEM files of authorities to trust besides the machine's own.
    pub certificates: Vec<PathBuf>,
}

/// `[debian]` of `config.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DebianSettings {
    /// Mirrors of the archive, tried in order; `PACKLIGHT_DEBIAN_MIRROR` (separated by spaces).
    pub mirrors: Vec<String>,
    /// Mirrors of the security archive; `PACKLIGHT_DEBIAN_SECURITY_MIRROR`.
    pub security_mirrors: Vec<String>,
    /// Accept an index whose validity is over; `PACKLIGHT_DEBIAN_ALLOW_EXPIRED=1`.
    pub allow_expired: bool,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("the settings could not be read")]
    Read(#[from] std::io::Error),
    /// The file is not what it should be.
    #[error("{}: {reason}", file.display())]
    Parse {
        /// The file.
        file: PathBuf,
        /// The parser's words.
        reason: String,
    },
    /// Neither a home nor a data directory is known.
    #[error("no place for the store is known: set HOME, XDG_DATA_HOME or PACKLIGHT_STORE")]
    NoHome,
}

impl Settings {
    /// Reads the user's settings.
    ///
    /// # Errors
    /// When `config.toml` is there and cannot be read or understood.
    pub fn load(env: &Environment) -> Result<Self, SettingsError> {
        let mut settings = match config_file(env) {
            Some(file) if file.exists() => read(&file)?,
            _ => Self::default(),
        };
        if let Some(text) = text(env, "PACKLIGHT_DEFAULT_REGISTRY") {
            settings.default_registry = Some(text);
        }
        if let Some(value) = env.get(OsString::from("PACKLIGHT_STORE").as_os_str()) {
            settings.store = Some(value.into());
        }
        if let Some(text) = text(env, "PACKLIGHT_DEBIAN_MIRROR") {
            settings.debian.mirrors = words(&text);
        }
        if let Some(text) = text(env, "PACKLIGHT_DEBIAN_SECURITY_MIRROR") {
            settings.debian.security_mirrors = words(&text);
        }
        if text(env, "PACKLIGHT_DEBIAN_ALLOW_EXPIRED").is_some_and(|it| it == "1" || it == "true") {
            settings.debian.allow_expired = true;
        }
        Ok(settings)
    }

    /// Registry of short image names.
    #[must_use]
    pub fn registry(&self) -> &str {
        self.default_registry.as_deref().unwrap_or(DEFAULT_REGISTRY)
    }

    /// Where the store is: the setting, else `$XDG_DATA_HOME/packlight`, else `~/.local/share/packlight`.
    ///
    /// # Errors
    /// When no home is known.
    pub fn store_dir(&self, env: &Environment) -> Result<PathBuf, SettingsError> {
        if let Some(dir) = &self.store {
            return Ok(dir.clone());
        }
        if let Some(data) = path(env, "XDG_DATA_HOME").filter(|it| it.is_absolute()) {
            return Ok(data.join("packlight"));
        }
        path(env, "HOME").map(|home| home.join(".local/share/packlight")).ok_or(SettingsError::NoHome)
    }

    /// The mirrors to use: the user's, else the machine's own apt sources, else the public default.
    #[must_use]
    pub fn mirrors(&self, etc_apt: &Path) -> debian::Mirrors {
        let sources = debian::apt_sources(etc_apt);
        let from_apt = |wanted: debian::SourceKind| -> Vec<String> {
            sources.iter().filter(|it| it.kind == wanted).map(|it| it.url.clone()).collect()
        };
        let choose = |set: &[String], apt: Vec<String>, default: &str| match (set.is_empty(), apt.is_empty())
        {
            (false, _) => set.to_vec(),
            (true, false) => apt,
            (true, true) => vec![default.to_owned()],
        };
        debian::Mirrors {
            archive: choose(
                &self.debian.mirrors,
                from_apt(debian::SourceKind::Archive),
                DEFAULT_DEBIAN_MIRROR,
            ),
            security: choose(
                &self.debian.security_mirrors,
                from_apt(debian::SourceKind::Security),
                DEFAULT_DEBIAN_SECURITY_MIRROR,
            ),
        }
    }
}

/// A variable as text, when it is set and not empty.
#[must_use]
pub fn text(env: &Environment, name: &str) -> Option<String> {
    env.get(std::ffi::OsStr::new(name))
        .map(|it| it.to_string_lossy().into_owned())
        .filter(|it| !it.is_empty())
}

/// A variable as a path, when it is set and not empty.
#[must_use]
pub fn path(env: &Environment, name: &str) -> Option<PathBuf> {
    env.get(std::ffi::OsStr::new(name)).filter(|it| !it.is_empty()).map(PathBuf::from)
}

/// `$XDG_CONFIG_HOME/packlight/config.toml`, or the same under `~/.config`.
fn config_file(env: &Environment) -> Option<PathBuf> {
    let dir = path(env, "XDG_CONFIG_HOME")
        .filter(|it| it.is_absolute())
        .or_else(|| path(env, "HOME").map(|home| home.join(".config")))?;
    Some(dir.join("packlight/config.toml"))
}

fn read(file: &Path) -> Result<Settings, SettingsError> {
    let text = fs_err::read_to_string(file)?;
    toml::from_str(&text)
        .map_err(|error| SettingsError::Parse { file: file.to_owned(), reason: error.to_string() })
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    #[test]
    fn the_store_follows_setting_then_data_home_then_home() {
        let store = |pairs: &[(&str, &str)]| {
            let env = env(pairs);
            Settings::load(&env).unwrap().store_dir(&env).unwrap()
        };
        assert_eq!(store(&[("HOME", "/h")]), Path::new("/h/.local/share/packlight"));
        assert_eq!(store(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d")]), Path::new("/d/packlight"));
        assert_eq!(store(&[("HOME", "/h"), ("PACKLIGHT_STORE", "/s")]), Path::new("/s"));
        assert!(Settings::default().store_dir(&Environment::new()).is_err());
    }

    #[test]
    fn a_mirror_that_is_set_wins_over_the_machines_own() {
        let set = Settings::load(&env(&[("PACKLIGHT_DEBIAN_MIRROR", "file:///m http://n")])).unwrap();
        let mirrors = set.mirrors(Path::new("/nonexistent"));
        assert_eq!(mirrors.archive, ["file:///m", "http://n"]);
        assert_eq!(mirrors.security, [DEFAULT_DEBIAN_SECURITY_MIRROR]);
    }

    #[test]
    fn a_misspelt_setting_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("packlight/config.toml");
        fs_err::create_dir_all(file.parent().unwrap()).unwrap();
        fs_err::write(&file, "[debian]\nmirors = []\n").unwrap();
        let home = dir.path().to_str().unwrap();
        let error = Settings::load(&env(&[("XDG_CONFIG_HOME", home)])).unwrap_err().to_string();
        assert!(error.contains("config.toml") && error.contains("mirors"), "{error}");
    }
}
