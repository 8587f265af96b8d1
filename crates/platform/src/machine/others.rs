//! What a builder of somebody else is given of this machine: how the world outside is reached, and no password but a
//! proxy's own, without which nothing is reached at all.

use super::{Machine, PROXIES};
use crate::settings::Environment;

/// Handed over unless there is a password in them.
const INDEXES_AND_AUTHORITIES: &[&str] = &[
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_NO_INDEX",
    "PIP_TRUSTED_HOST",
    "PIP_CERT",
    "PIP_PROXY",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_TIMEOUT",
    "PIP_RETRIES",
    "UV_INDEX",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_INDEX_STRATEGY",
    "UV_FIND_LINKS",
    "UV_INSECURE_HOST",
    "NPM_CONFIG_REGISTRY",
    "NPM_CONFIG_CAFILE",
    "NPM_CONFIG_PROXY",
    "NPM_CONFIG_HTTPS_PROXY",
    "NPM_CONFIG_NOPROXY",
    "npm_config_registry",
    "npm_config_cafile",
    "npm_config_proxy",
    "npm_config_https_proxy",
    "npm_config_noproxy",
];

/// Gathers it from the user's environment. Files of settings (`pip.conf`, `.netrc`) stay here: they are where passwords
/// are kept.
#[must_use]
pub(crate) fn for_others(env: &Environment) -> Machine {
    let mut machine = Machine::default();
    for (name, value) in env {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
        // A proxy's password included, as `pack` does.
        let is_proxy = PROXIES.contains(&name);
        if value.is_empty() || !(is_proxy || INDEXES_AND_AUTHORITIES.contains(&name)) {
            continue;
        }
        if !is_proxy && has_password(value) {
            machine.withheld.push(name.to_owned());
            continue;
        }
        machine.give(name, value);
    }
    machine
}

/// Whether an address in a value says who asks: `https://user:password@index.example/simple`.
fn has_password(value: &str) -> bool {
    let authority = |rest: &str| rest.split(['/', '?', '#']).next().unwrap_or_default().contains('@');
    value.split("://").skip(1).any(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Machine {
        for_others(&pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect())
    }

    #[test]
    fn somebody_elses_builder_is_given_settings_and_no_password_but_a_proxys() {
        let machine = given(&[
            ("https_proxy", "http://me:secret@proxy.example:3128"),
            ("NO_PROXY", "localhost"),
            ("PIP_INDEX_URL", "https://index.example/simple"),
            ("PIP_EXTRA_INDEX_URL", "https://a.example/x https://me:hunter2@b.example/y"),
            ("npm_config_registry", "https://token@npm.example"),
            ("PIP_TARGET", "/elsewhere"),
            ("SSL_CLIENT_CERT", "/etc/hostname"),
            ("CNB_REGISTRY_AUTH", "{}"),
            ("HOME", "/home/me"),
        ]);
        let names: Vec<&str> = machine.env.keys().map(String::as_str).collect();
        assert_eq!(names, ["NO_PROXY", "PIP_INDEX_URL", "https_proxy"]);
        assert!(machine.mounts.is_empty(), "{:?}", machine.mounts);
        let notices = machine.notices();
        assert_eq!(notices[0], "the build is given this machine's NO_PROXY, PIP_INDEX_URL and https_proxy");
        assert!(notices[1].starts_with("PIP_EXTRA_INDEX_URL has a password in it"), "{notices:?}");
        assert!(notices[1].contains("`-e PIP_EXTRA_INDEX_URL`"), "{notices:?}");
        assert!(notices[2].starts_with("npm_config_registry has"), "{notices:?}");
        assert!(!notices.concat().contains("hunter2") && !notices.concat().contains("secret"));
        assert!(given(&[]).notices().is_empty());
    }

    #[test]
    fn the_certificates_that_a_setting_names_are_in_the_room() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        fs_err::write(&file, "").unwrap();
        let machine = given(&[("SSL_CERT_FILE", file.to_str().unwrap())]);
        assert!(machine.mounts.iter().any(|it| super::super::target(it) == file), "{:?}", machine.mounts);
    }
}
