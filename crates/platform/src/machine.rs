//! What the user's machine uses to reach package indexes, handed to the build: settings, certificates, proxies.
//! Never a credential of a registry of images.

mod netrc;
mod others;

use crate::settings::{self, Environment};
use sandbox::{Access, Mount};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(crate) use others::for_others;

/// Settings of the machine as a build room takes them.
#[derive(Debug, Default, Clone)]
pub(crate) struct Machine {
    /// Variables, which become files of `/platform/env`.
    pub(crate) env: BTreeMap<String, String>,
    /// Files and folders that those variables and the configuration files name.
    pub(crate) mounts: Vec<Mount>,
    /// What the user has set and the build is given, for people: names of variables and files.
    given: Vec<String>,
    /// Variables that the build is not given, for there is a password in them.
    withheld: Vec<String>,
}

/// Variables by which the world outside is reached: handed over as they are, to any build.
const PROXIES: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
];

/// More of our own builder's that are handed over as they are: who may be asked, and whom to trust.
const HANDED_OVER: &[&str] = &[
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSL_CLIENT_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "UV_INDEX",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_INDEX_STRATEGY",
    "UV_FIND_LINKS",
    "UV_INSECURE_HOST",
    "UV_HTTP_TIMEOUT",
    "UV_HTTP_RETRIES",
    "UV_SYSTEM_CERTS",
    "UV_NATIVE_TLS",
    "UV_KEYRING_PROVIDER",
];

/// Variables that say where a language's own builds come from: handed over as they are, or else given with `--env`.
const MIRRORS: &[&str] = &["PACKLIGHT_PYTHON_MIRROR", "PACKLIGHT_PYTHON_INVENTORY"];

/// Variables that would send pip's or uv's work elsewhere, and so break the build.
const NOT_HANDED_OVER: &[&str] = &[
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_USER",
    "PIP_CACHE_DIR",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_PYTHON",
];

/// The certificates that the machine trusts, its administrator's own included.
const TRUST_STORES: &[&str] =
    &["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Where the room looks for them: Debian's place.
const ROOM_TRUST_STORE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The home of the build user.
pub(crate) const ROOM_HOME: &str = "/home/cnb";

/// Gathers what this machine uses, and the paths that the user's own variables of this build name as mirrors.
#[must_use]
pub(crate) fn gather(env: &Environment, given: &[(String, String)]) -> Machine {
    let mut machine = Machine::default();
    machine.variables(env);
    for (_, value) in given.iter().filter(|(name, _)| MIRRORS.contains(&name.as_str())) {
        machine.paths_in(value);
    }
    machine.trust_store();
    machine.configuration(env);
    machine.netrc(env);
    machine.mounts.sort_by_key(|it| target(it).components().count());
    machine
}

impl Machine {
    fn variables(&mut self, env: &Environment) {
        for (name, value) in env {
            let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
            let wanted = PROXIES.contains(&name)
                || HANDED_OVER.contains(&name)
                || MIRRORS.contains(&name)
                || (name.starts_with("PIP_") && !NOT_HANDED_OVER.contains(&name));
            if wanted && !value.is_empty() {
                self.give(name, value);
            }
        }
    }

    /// Hands a variable over, and what it names.
    fn give(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
        self.given.push(name.to_owned());
        self.paths_in(value);
    }

    /// What a user should know of it.
    pub(crate) fn notices(&self) -> Vec<String> {
        let given = match self.given.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            [most @ .., last] => Some(format!("{} and {last}", most.join(", "))),
        };
        let given = given.map(|it| format!("the build is given this machine's {it}"));
        let withheld = self.withheld.iter().map(|name| {
            format!(
                "{name} has a password in it, so the builder's programs are not given it; `-e {name}` does so"
            )
        });
        given.into_iter().chain(withheld).collect()
    }

    fn trust_store(&mut self) {
        if let Some(store) = TRUST_STORES.iter().map(Path::new).find(|it| it.is_file()) {
            self.bind_at(store, Path::new(ROOM_TRUST_STORE));
            self.env.entry("SSL_CERT_FILE".to_owned()).or_insert_with(|| ROOM_TRUST_STORE.to_owned());
        }
    }

    /// pip's and uv's configuration files, put where the same programs look for them inside. They go in as contents,
    /// not as mounts of the file: a file that only its owner may read must be readable for the room's user.
    fn configuration(&mut self, env: &Environment) {
        let home = settings::path(env, "HOME");
        let config =
            settings::path(env, "XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|it| it.join(".config")));
        let inside = Path::new(ROOM_HOME);
        let mut files = vec![
            (PathBuf::from("/etc/pip.conf"), PathBuf::from("/etc/pip.conf")),
            (PathBuf::from("/etc/xdg/pip/pip.conf"), PathBuf::from("/etc/xdg/pip/pip.conf")),
            (PathBuf::from("/etc/uv/uv.toml"), PathBuf::from("/etc/uv/uv.toml")),
        ];
        if let Some(home) = home {
            files.push((home.join(".pip/pip.conf"), inside.join(".pip/pip.conf")));
        }
        if let Some(config) = config {
            files.push((config.join("pip/pip.conf"), inside.join(".config/pip/pip.conf")));
            files.push((config.join("uv/uv.toml"), inside.join(".config/uv/uv.toml")));
        }
        if let Some(file) = settings::path(env, "PIP_CONFIG_FILE").filter(|it| it.is_absolute()) {
            files.push((file.clone(), file));
        }
        for (file, target) in files {
            let Ok(contents) = fs_err::read(&file) else { continue };
            if !file.is_file() {
                continue;
            }
            self.given.push(file.display().to_string());
            self.paths_in(&String::from_utf8_lossy(&contents));
            self.mounts.retain(|it| self::target(it) != target);
            self.mounts.push(Mount::File { target, contents, mode: 0o400 });
        }
    }

    /// The passwords that the user keeps for pip, uv, git and curl, but none of a registry of images.
    fn netrc(&mut self, env: &Environment) {
        let home = settings::path(env, "HOME");
        let named = settings::path(env, "NETRC").or_else(|| Some(home.as_ref()?.join(".netrc")));
        let Some(file) = named.filter(|it| it.is_file()) else { return };
        let Ok(text) = fs_err::read_to_string(&file) else { return };
        let docker = settings::path(env, "DOCKER_CONFIG").or_else(|| Some(home?.join(".docker")));
        let docker = docker.and_then(|it| fs_err::read_to_string(it.join("config.json")).ok());
        let indexes = self.settings_text();
        let kept = netrc::without_registries(&text, &docker.unwrap_or_default(), &indexes);
        if !kept.is_empty() {
            let target = Path::new(ROOM_HOME).join(".netrc");
            self.given.push(file.display().to_string());
            self.mounts.push(Mount::File { target, contents: kept.into_bytes(), mode: 0o400 });
        }
    }

    /// All that says where packages come from, as text.
    fn settings_text(&self) -> String {
        let files = self.mounts.iter().filter_map(|it| match it {
            Mount::File { contents, .. } => Some(String::from_utf8_lossy(contents).into_owned()),
            _ => None,
        });
        files.chain(self.env.values().cloned()).collect::<Vec<_>>().join("\n")
    }

    /// Binds every absolute path of a value, or after the `=` of a line of a configuration file.
    pub(crate) fn paths_in(&mut self, text: &str) {
        for word in text.split(|c: char| c.is_whitespace() || matches!(c, '=' | ',' | '"' | '\'')) {
            let path = Path::new(word.strip_prefix("file://").unwrap_or(word));
            if path.is_absolute() && path.parent().is_some() && path.exists() {
                self.bind_at(path, path);
            }
        }
    }

    fn bind_at(&mut self, source: &Path, target: &Path) {
        let known = self.mounts.iter().any(|it| self::target(it) == target);
        if !known && !hides_the_room(target) {
            self.mounts.push(Mount::Bind {
                source: source.to_owned(),
                target: target.to_owned(),
                access: Access::ReadOnly,
            });
        }
    }
}

/// A setting that names `/usr` must not put the machine's in place of the room's.
fn hides_the_room(target: &Path) -> bool {
    const OURS: &[&str] = &[
        "/",
        "/bin",
        "/cnb",
        "/dev",
        "/etc",
        "/home",
        "/layers",
        "/lib",
        "/lib64",
        "/platform",
        "/proc",
        "/run",
        "/sbin",
        "/sys",
        "/tmp",
        "/usr",
        "/usr/bin",
        "/usr/lib",
        "/usr/local",
        "/var",
        "/workspace",
    ];
    OURS.iter().any(|it| Path::new(it) == target)
        || ["/dev", "/proc", "/sys"].iter().any(|it| target.starts_with(it))
}

/// Where a mount is seen.
pub(crate) fn target(mount: &Mount) -> &Path {
    match mount {
        Mount::Bind { target, .. }
        | Mount::Overlay { target, .. }
        | Mount::Tmpfs { target }
        | Mount::File { target, .. } => target,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    #[test]
    fn index_settings_are_handed_over_and_others_are_not() {
        let machine = gather(
            &env(&[
                ("PIP_INDEX_URL", "https://index.example/simple"),
                ("PIP_TARGET", "/elsewhere"),
                ("https_proxy", "http://proxy:3128"),
                ("DOCKER_CONFIG", "/home/me/.docker"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("CNB_REGISTRY_AUTH", "{}"),
            ]),
            &[],
        );
        let names: Vec<&str> =
            machine.env.keys().map(String::as_str).filter(|it| *it != "SSL_CERT_FILE").collect();
        assert_eq!(names, ["PIP_INDEX_URL", "https_proxy"]);
    }

    #[test]
    fn a_folder_that_a_setting_names_is_in_the_room_at_the_same_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        let machine = gather(&env(&[("PIP_FIND_LINKS", path)]), &[]);
        assert!(machine.mounts.iter().any(|it| target(it) == dir.path()), "{:?}", machine.mounts);
        let machine = gather(&env(&[("PIP_FIND_LINKS", "/usr")]), &[]);
        assert!(!machine.mounts.iter().any(|it| target(it) == Path::new("/usr")));
    }

    #[test]
    fn the_users_netrc_is_in_the_rooms_home_without_the_registries_of_images() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        fs_err::write(
            path(".netrc"),
            "machine index.example login me password hunter2\nmachine ghcr.io login me password s3cret\n",
        )
        .unwrap();
        let inside = |pairs: &[(&str, &str)]| {
            let machine = gather(&env(pairs), &[]);
            machine.mounts.into_iter().find_map(|it| match it {
                Mount::File { target, contents, mode: 0o400 } if target.ends_with(".netrc") => {
                    assert_eq!(target, Path::new("/home/cnb/.netrc"));
                    Some(String::from_utf8(contents).unwrap())
                }
                _ => None,
            })
        };
        let home_text = home.path().to_str().unwrap();
        let text = inside(&[("HOME", home_text)]).unwrap();
        assert_eq!(text, "machine index.example login me password hunter2\n");
        fs_err::create_dir(path(".docker")).unwrap();
        fs_err::write(path(".docker/config.json"), r#"{"auths": {"https://index.example/v1/": {}}}"#)
            .unwrap();
        assert_eq!(inside(&[("HOME", home_text)]), None);
        let index = ("PIP_INDEX_URL", "https://index.example/simple");
        assert!(inside(&[("HOME", home_text), index]).is_some(), "it is an index too");
        fs_err::rename(path(".netrc"), path("other")).unwrap();
        assert_eq!(inside(&[("HOME", home_text), index]), None);
        assert!(inside(&[("NETRC", path("other").to_str().unwrap()), index]).is_some());
    }

    #[test]
    fn the_users_pip_configuration_is_where_pip_looks_for_it_inside() {
        let home = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(home.path().join(".config/pip")).unwrap();
        fs_err::write(home.path().join(".config/pip/pip.conf"), "[global]\ntimeout = 9\n").unwrap();
        let machine = gather(&env(&[("HOME", home.path().to_str().unwrap())]), &[]);
        let file = machine.mounts.iter().find(|it| target(it) == Path::new("/home/cnb/.config/pip/pip.conf"));
        assert!(matches!(file, Some(Mount::File { contents, .. }) if contents.ends_with(b"9\n")));
    }
}
