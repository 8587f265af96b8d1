//! Who the user is at which registry: Docker's `config.json`, its helper programs, and `CNB_REGISTRY_AUTH`.
//!
//! A helper is asked when its registry is first spoken to, and never for another. What is secret is a [`Secret`], which
//! does not print itself.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::auth::locked;

/// A text that prints as `(secret)`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What is shown to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// A name and a password.
    Basic { user: String, password: Secret },
    /// What stands for both at the place that gives out tokens.
    Identity(Secret),
    /// A token that is shown as it is.
    Bearer(Secret),
}

/// Credentials that can't be used: which, and why. The text has none of them in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct CredentialError {
    /// The file, variable or helper.
    pub place: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Runs a program with `get` as its argument and a server's name as its input, and returns what it printed; or says why
/// it could not.
pub type Helper = Arc<dyn Fn(&str, &str) -> Result<Vec<u8>, String> + Send + Sync>;

/// Everything that is known of the user, asked in the order in which it was added.
#[derive(Clone, Default)]
pub struct Credentials {
    sources: Vec<Source>,
    helper: Option<Helper>,
}

#[derive(Clone)]
enum Source {
    /// Host and value of an `Authorization` header.
    Headers(BTreeMap<String, Secret>),
    Config(Box<Config>),
}

/// What is used of `config.json`, and of Podman's `auth.json`, which has the same form.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    #[serde(skip)]
    place: String,
    auths: Option<BTreeMap<String, Entry>>,
    creds_store: Option<String>,
    cred_helpers: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

/// What a helper prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// What Docker calls its own registry wherever it keeps credentials.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// The name with which a helper says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";

impl Credentials {
    /// Adds what a `config.json` says; `place` is its path, for messages.
    ///
    /// # Errors
    /// When the text is no such file.
    pub fn with_config(mut self, place: &str, text: &str) -> Result<Self, CredentialError> {
        let mut config: Config = serde_json::from_str(text).map_err(|error| not_json(place, &error))?;
        place.clone_into(&mut config.place);
        self.sources.push(Source::Config(Box::new(config)));
        Ok(self)
    }

    /// Adds the value of `CNB_REGISTRY_AUTH`: a JSON object of hosts and `Authorization` headers
    /// (<https://github.com/buildpacks/spec/blob/platform/v0.15/platform.md>).
    ///
    /// # Errors
    /// When the value is anything else.
    pub fn with_registry_auth(mut self, value: &str) -> Result<Self, CredentialError> {
        const PLACE: &str = "CNB_REGISTRY_AUTH";
        let headers: BTreeMap<String, String> =
            serde_json::from_str(value).map_err(|error| not_json(PLACE, &error))?;
        // The reference writes an empty one where it has found nothing.
        let headers = headers.into_iter().filter(|(_, header)| !header.is_empty());
        let headers: BTreeMap<_, _> = headers.map(|(host, header)| (host, Secret::new(header))).collect();
        for (host, header) in &headers {
            of_header(PLACE, host, header)?;
        }
        self.sources.push(Source::Headers(headers));
        Ok(self)
    }

    /// Says how a helper program is run; without it, helpers that a `config.json` names are an error.
    #[must_use]
    pub fn with_helper(mut self, helper: Helper) -> Self {
        self.helper = Some(helper);
        self
    }

    /// The same, asking each helper for each registry once: some take a second for an answer.
    #[must_use]
    pub(super) fn remembering(mut self) -> Self {
        if let Some(run) = self.helper.take() {
            let known: Mutex<HashMap<_, _>> = Mutex::default();
            self.helper = Some(Arc::new(move |program, server| {
                // Held while the helper runs, so that it runs once.
                let mut known = locked(&known);
                known
                    .entry((program.to_owned(), server.to_owned()))
                    .or_insert_with(|| run(program, server))
                    .clone()
            }));
        }
        self
    }

    /// What to show to a registry, asked for as image names spell it.
    pub(super) fn find(
        &self,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Credential>, CredentialError> {
        for source in &self.sources {
            let found = match source {
                Source::Headers(headers) => headers
                    .iter()
                    .find(|(host, _)| host_of(host) == registry)
                    .map(|(host, header)| of_header("CNB_REGISTRY_AUTH", host, header))
                    .transpose()?,
                Source::Config(config) => self.find_in(config, registry, repository)?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn find_in(
        &self,
        config: &Config,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Credential>, CredentialError> {
        let own = config.cred_helpers.iter().flatten().find(|(host, _)| host_of(host) == registry);
        let helper = own.map(|(_, helper)| helper).or(config.creds_store.as_ref());
        if let Some(helper) = helper.filter(|it| !it.is_empty())
            && let Some(found) = self.ask_helper(helper, registry)?
        {
            return Ok(Some(found));
        }
        // Podman's keys may go on with a part of the repository; the longest that fits is meant.
        let full = format!("{registry}/{repository}");
        let fits = |key: &str| full == key || full.starts_with(&format!("{key}/"));
        let keys = config.auths.iter().flatten().map(|(key, entry)| (key_of(key), key, entry));
        let mut fitting: Vec<_> = keys.filter(|(short, ..)| fits(short)).collect();
        fitting.sort_by_key(|(short, ..)| std::cmp::Reverse(short.len()));
        for (_, key, entry) in fitting {
            let place = format!("{}, auths[{key:?}]", config.place);
            if let Some(found) = entry.credential(&place)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn ask_helper(&self, helper: &str, registry: &str) -> Result<Option<Credential>, CredentialError> {
        let program = format!("docker-credential-{helper}");
        let fail = |problem: String| CredentialError { place: program.clone(), problem };
        let Some(run) = &self.helper else {
            return Err(fail("helper programs can't be run here".to_owned()));
        };
        if helper.contains('/') {
            return Err(fail("the name of a helper has no '/'".to_owned()));
        }
        let server = if registry == "docker.io" { HUB_KEY } else { registry };
        let printed = match run(&program, server) {
            Ok(printed) => printed,
            // The words with which every helper says that it has nothing.
            Err(problem) if problem.contains("credentials not found") => return Ok(None),
            Err(problem) => return Err(fail(problem)),
        };
        let answer: HelperAnswer =
            serde_json::from_slice(&printed).map_err(|error| not_json(&program, &error))?;
        let secret = Secret(answer.secret);
        Ok(Some(match answer.username.as_str() {
            TOKEN_USER => Credential::Identity(secret),
            _ => Credential::Basic { user: answer.username, password: secret },
        }))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({} sources)", self.sources.len())
    }
}

impl Entry {
    fn credential(&self, place: &str) -> Result<Option<Credential>, CredentialError> {
        let is = |text: &str| !text.is_empty();
        Ok(if is(&self.registrytoken) {
            Some(Credential::Bearer(Secret::new(&self.registrytoken)))
        } else if is(&self.identitytoken) {
            Some(Credential::Identity(Secret::new(&self.identitytoken)))
        } else if is(&self.auth) {
            Some(of_basic(place, &self.auth)?)
        } else if is(&self.username) {
            Some(Credential::Basic { user: self.username.clone(), password: Secret::new(&self.password) })
        } else {
            None
        })
    }
}

/// The credential that a header's value is.
fn of_header(place: &str, host: &str, header: &Secret) -> Result<Credential, CredentialError> {
    let place = format!("{place}, {host:?}");
    match header.reveal().trim().split_once(' ') {
        Some((scheme, value)) if scheme.eq_ignore_ascii_case("basic") => of_basic(&place, value),
        Some((scheme, value)) if scheme.eq_ignore_ascii_case("bearer") => {
            Ok(Credential::Bearer(Secret::new(value.trim())))
        }
        // No header's scheme, but what the reference writes for an identity token.
        Some((scheme, value)) if scheme.eq_ignore_ascii_case("x-identity") => {
            Ok(Credential::Identity(Secret::new(value.trim())))
        }
        _ => {
            let problem =
                "the value begins with none of \"Basic \", \"Bearer \" and \"X-Identity \"".to_owned();
            Err(CredentialError { place, problem })
        }
    }
}

/// The credential that is `user:password` in base64.
fn of_basic(place: &str, text: &str) -> Result<Credential, CredentialError> {
    let decoded = STANDARD.decode(text.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.as_deref().map(|it| it.trim_end_matches('\0'));
    match decoded.and_then(|it| it.split_once(':')) {
        Some((TOKEN_USER, secret)) => Ok(Credential::Identity(Secret::new(secret))),
        Some((user, password)) => {
            Ok(Credential::Basic { user: user.to_owned(), password: Secret::new(password) })
        }
        None => {
            let problem = "the value is not user:password in base64; log in again".to_owned();
            Err(CredentialError { place: place.to_owned(), problem })
        }
    }
}

/// `https://user:…` for HTTP's basic scheme.
pub(super) fn basic_header(user: &str, password: &Secret) -> Secret {
    Secret(format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.reveal()))))
}

/// The key of an entry without what Docker's old keys have around the host: `https://host/v1/`.
fn key_of(key: &str) -> String {
    let plain = key.split_once("://").map_or(key, |(_, rest)| rest).trim_end_matches('/');
    let plain = plain.strip_suffix("/v1").or_else(|| plain.strip_suffix("/v2")).unwrap_or(plain);
    let (host, rest) = plain.split_once('/').map_or((plain, None), |(host, rest)| (host, Some(rest)));
    // Docker's own registry has three names.
    let host = if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host };
    rest.map_or_else(|| host.to_owned(), |rest| format!("{host}/{rest}"))
}

fn host_of(key: &str) -> String {
    let key = key_of(key);
    key.split_once('/').map_or(key.as_str(), |(host, _)| host).to_owned()
}

/// serde_json's own message would quote what it stumbled over.
fn not_json(place: &str, error: &serde_json::Error) -> CredentialError {
    let problem = match error.classify() {
        serde_json::error::Category::Data => "a value has another type than expected",
        _ => "it is not valid JSON",
    };
    let (line, column) = (error.line(), error.column());
    CredentialError { place: place.to_owned(), problem: format!("{problem} (line {line}, column {column})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user: &str, password: &str) -> Option<Credential> {
        Some(Credential::Basic { user: user.to_owned(), password: Secret::new(password) })
    }

    fn encoded(text: &str) -> String {
        STANDARD.encode(text)
    }

    #[test]
    fn an_entry_is_found_however_docker_spelt_its_key() {
        let config = format!(
            r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{}"}},"ghcr.io":{{"auth":"{}"}},
               "https://old.example/v2/":{{"username":"u","password":"p"}},"empty.example":{{}},
               "quay.example/team":{{"identitytoken":"i"}},"quay.example":{{"registrytoken":"r"}}}},"HttpHeaders":{{}},"credHelpers":null}}"#,
            encoded("hub:a:b"),
            encoded("me:pw"),
        );
        let all = Credentials::default().with_config("config.json", &config).unwrap();
        let find = |registry: &str, repository: &str| all.find(registry, repository).unwrap();
        assert_eq!(find("docker.io", "library/a"), basic("hub", "a:b"));
        assert_eq!(find("ghcr.io", "a"), basic("me", "pw"));
        assert_eq!(find("old.example", "a"), basic("u", "p"));
        assert_eq!(find("empty.example", "a"), None);
        assert_eq!(find("ghcr.io.evil.example", "a"), None);
        assert_eq!(find("quay.example", "team/a"), Some(Credential::Identity(Secret::new("i"))));
        assert_eq!(find("quay.example", "teams/a"), Some(Credential::Bearer(Secret::new("r"))));
    }

    #[test]
    fn a_helper_is_asked_for_its_registry_and_for_no_other() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let helper: Helper = Arc::new(move |program, server| {
            log.lock().unwrap().push(format!("{program} {server}"));
            match server {
                "gone.example" => Err("credentials not found in native keychain".to_owned()),
                "token.example" => Ok(br#"{"ServerURL":"","Username":"<token>","Secret":"t"}"#.to_vec()),
                "broken.example" => Ok(br#"{"Username":"u","Secret":["hush"]}"#.to_vec()),
                _ => Ok(br#"{"ServerURL":"","Username":"u","Secret":"s"}"#.to_vec()),
            }
        });
        let config = format!(
            r#"{{"credHelpers":{{"docker.io":"own","token.example":"own","gone.example":"own","broken.example":"own"}},
               "auths":{{"gone.example":{{"auth":"{}"}},"plain.example":{{"auth":"{}"}}}}}}"#,
            encoded("a:b"),
            encoded("c:d"),
        );
        let none = Credentials::default().with_config("c", &config).unwrap();
        assert!(none.find("docker.io", "x").unwrap_err().to_string().contains("docker-credential-own"));
        let all = none.with_helper(helper);
        assert_eq!(all.find("docker.io", "x").unwrap(), basic("u", "s"));
        assert_eq!(all.find("token.example", "x").unwrap(), Some(Credential::Identity(Secret::new("t"))));
        assert_eq!(all.find("gone.example", "x").unwrap(), basic("a", "b"));
        assert_eq!(all.find("plain.example", "x").unwrap(), basic("c", "d"));
        let error = all.find("broken.example", "x").unwrap_err().to_string();
        assert!(error.contains("docker-credential-own") && !error.contains("hush"), "{error}");
        assert_eq!(
            *asked.lock().unwrap(),
            [
                "docker-credential-own https://index.docker.io/v1/",
                "docker-credential-own token.example",
                "docker-credential-own gone.example",
                "docker-credential-own broken.example"
            ]
        );
    }

    #[test]
    fn registry_auth_comes_first_and_is_checked_at_once() {
        let value = format!(
            r#"{{"ghcr.io":"Basic {}","quay.io":"Bearer tok","id.example":"X-Identity i=","none.example":""}}"#,
            encoded("cnb:pw")
        );
        let config = format!(r#"{{"auths":{{"ghcr.io":{{"auth":"{}"}}}}}}"#, encoded("me:pw"));
        let all =
            Credentials::default().with_registry_auth(&value).unwrap().with_config("c", &config).unwrap();
        assert_eq!(all.find("ghcr.io", "a").unwrap(), basic("cnb", "pw"));
        assert_eq!(all.find("quay.io", "a").unwrap(), Some(Credential::Bearer(Secret::new("tok"))));
        assert_eq!(all.find("id.example", "a").unwrap(), Some(Credential::Identity(Secret::new("i="))));
        assert_eq!(all.find("none.example", "a").unwrap(), None);
        for bad in [r#"{"a":"Digest hush"}"#, r#"{"a":"Basic hush!"}"#, r#"["hush"]"#, r#"{"a":"hush"#] {
            let error = Credentials::default().with_registry_auth(bad).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains("CNB_REGISTRY_AUTH") && !text.contains("hush"), "{text}");
        }
    }

    #[test]
    fn no_secret_prints_itself() {
        let config = format!(r#"{{"auths":{{"a.example":{{"auth":"{}"}}}}}}"#, encoded("u:hush"));
        let all = Credentials::default().with_config("c", &config).unwrap();
        let shown = format!("{all:?} {:?} {:?}", all.find("a.example", "x").unwrap(), Secret::new("hush"));
        assert!(!shown.contains("hush") && !shown.contains(&encoded("u:hush")), "{shown}");
        let settings = super::super::Settings {
            credentials: all,
            proxies: super::super::Proxies {
                https: Some(Secret::new("http://u:hush@p")),
                ..Default::default()
            },
            ..Default::default()
        };
        assert!(!format!("{settings:?}").contains("hush"));
    }
}
