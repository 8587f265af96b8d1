//! A `.netrc` without what opens a registry of images: such a password is handed to no build.
//!
//! <https://www.gnu.org/software/inetutils/manual/html_node/The-_002enetrc-file.html>

/// Registries that everybody knows; those of the user are in Docker's configuration.
const REGISTRIES: &[&str] = &[
    "docker.io",
    "ghcr.io",
    "quay.io",
    "gcr.io",
    "azurecr.io",
    "public.ecr.aws",
    "registry.gitlab.com",
    "registry.redhat.io",
];

/// The entries of `text` for hosts that are no registry of images: neither well known as one, nor named in Docker's
/// configuration. A host that the settings of package indexes name as well stays: its password is an index's too.
///
/// An entry for every host (`default`) could be a registry's and goes; so do macros.
pub(super) fn without_registries(text: &str, docker: &str, indexes: &str) -> String {
    let known = docker_hosts(docker);
    let is_registry = |host: &str| {
        let is_known = REGISTRIES.iter().any(|it| host == *it || host.ends_with(&format!(".{it}")))
            || host.ends_with("-docker.pkg.dev")
            || (host.contains(".dkr.ecr.") && host.contains(".amazonaws.com"))
            || known.iter().any(|it| it == host);
        is_known && !names_host(indexes, host)
    };
    let kept = entries(text).into_iter().filter(|(host, _)| !is_registry(host));
    kept.map(|(host, rest)| format!("machine {host}{rest}\n")).collect()
}

/// Each host with its words as they are written: a quoted password may hold anything but a blank.
fn entries(text: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let (mut open, mut in_macro) = (false, false);
    for line in text.lines() {
        // A macro ends with an empty line.
        in_macro &= !line.trim().is_empty();
        let mut words = line.split_whitespace();
        while let (Some(word), false) = (words.next(), in_macro) {
            match word {
                _ if word.starts_with('#') && !open_value(&all, open) => break,
                "machine" => {
                    open = true;
                    all.extend(words.next().map(|it| (it.trim_matches('"').to_lowercase(), String::new())));
                }
                "default" => open = false,
                "macdef" => (open, in_macro) = (false, true),
                _ => {
                    if let (Some((_, rest)), true) = (all.last_mut(), open) {
                        rest.push(' ');
                        rest.push_str(word);
                    }
                }
            }
        }
    }
    all
}

/// Whether the next word is the value of the last: `password #1` is no comment.
fn open_value(all: &[(String, String)], open: bool) -> bool {
    let last = all.last().filter(|_| open).and_then(|(_, rest)| rest.split_whitespace().next_back());
    let names = all.last().map_or(0, |(_, rest)| rest.split_whitespace().count());
    names % 2 == 1 && matches!(last, Some("login" | "password" | "account"))
}

/// Hosts of `auths` and `credHelpers`, which are written as hosts or as addresses.
fn docker_hosts(config: &str) -> Vec<String> {
    let config: serde_json::Value = serde_json::from_str(config).unwrap_or_default();
    let keys = ["auths", "credHelpers"].iter().filter_map(|it| config.get(it)?.as_object());
    keys.flat_map(|it| it.keys()).map(|it| host_of(it).to_lowercase()).collect()
}

fn host_of(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.split(':').next().unwrap_or_default()
}

fn names_host(text: &str, host: &str) -> bool {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '=' | ',' | '"' | '\''));
    words.filter(|it| it.contains("://")).any(|it| host_of(it).eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_their_words_and_macros_comments_and_the_default_go() {
        let text = "# mine\nmachine A.example\n  login me\n  password #1\n\ndefault login x password y\n\
                    macdef init\nmachine b.example login z password z\n\nmachine c.example password p # why\n";
        assert_eq!(
            without_registries(text, "", ""),
            "machine a.example login me password #1\nmachine c.example password p\n"
        );
    }

    #[test]
    fn a_registry_of_images_is_known_by_its_name_or_by_dockers_configuration() {
        let hosts = [
            "index.docker.io",
            "eu.gcr.io",
            "europe-docker.pkg.dev",
            "1234.dkr.ecr.eu-west-1.amazonaws.com",
            "hub.example",
            "helped.example",
        ];
        let text: String =
            hosts.iter().map(|it| format!("machine {it} login me password s3cret\n")).collect();
        let docker = r#"{"auths": {"hub.example:5000": {}}, "credHelpers": {"helped.example": "pass"}}"#;
        assert_eq!(without_registries(&text, docker, ""), "");
        let indexes = "index-url = https://me@hub.example/simple";
        assert!(without_registries(&text, docker, indexes).starts_with("machine hub.example"));
    }
}
