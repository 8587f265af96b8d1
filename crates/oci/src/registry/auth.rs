//! Tokens: fetched when a registry wants one, kept while they last, fetched again when they do not
//! (<https://distribution.github.io/distribution/spec/auth/token/>, <https://distribution.github.io/distribution/spec/auth/oauth/>).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Deserialize;
use ureq::http::Method;
use url::Url;

use super::{
    challenge::Challenge,
    client::{Client, MAX_DOCUMENT},
    credentials::{Credential, Secret, basic_header},
    error::{Problem, Said},
    site::{Site, is_loopback},
    transport::{Answer, Body, Outgoing, server},
};

/// The tokens that were had, by host and scopes. Each has a lock of its own, held while it is fetched: others want the
/// same one, or do not care.
#[derive(Default)]
pub(super) struct Auth(Mutex<HashMap<(String, String), Kept>>);

type Kept = Arc<Mutex<Option<Token>>>;

pub(super) struct Token {
    header: Secret,
    /// A little before its end.
    until: Instant,
}

/// Who wants to do what where.
pub(super) struct Wish<'a> {
    pub(super) site: &'a Site,
    pub(super) repository: &'a str,
    /// `repository:name:pull` and the like.
    pub(super) scopes: &'a [String],
    /// A header that was just refused.
    pub(super) refused: Option<&'a Secret>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    expires_in: Option<u64>,
}

/// What a token without a word about it lasts, by the standard.
const USUAL_LIFE: u64 = 60;

impl Client {
    /// The header with which a wish is granted, as far as that is known before asking.
    pub(super) fn authorization(
        &self,
        wish: &Wish<'_>,
        challenge: Option<&Challenge>,
    ) -> Result<Option<Secret>, Problem> {
        let Some(challenge) = challenge else { return Ok(None) };
        let credential = self.credential(wish)?;
        let header = match (challenge, &credential) {
            (_, Some(Credential::Bearer(token))) => Some(Secret::new(format!("Bearer {}", token.reveal()))),
            (Challenge::Basic, Some(Credential::Basic { user, password })) => {
                Some(basic_header(user, password))
            }
            (Challenge::Basic, _) => None,
            (Challenge::Bearer { .. }, _) => {
                return self.token(wish, challenge, credential.as_ref()).map(Some);
            }
        };
        // The same once more would be refused once more.
        if wish.refused.is_some() && header.as_ref() == wish.refused {
            return Err(self.unauthorized(wish.site, true, Said::default()));
        }
        Ok(header)
    }

    pub(super) fn unauthorized(&self, site: &Site, known: bool, said: Said) -> Problem {
        Problem::Unauthorized { host: site.registry.clone(), known, said }
    }

    /// Whether anything is known of the user there.
    pub(super) fn is_known(&self, site: &Site, repository: &str) -> bool {
        let wish = Wish { site, repository, scopes: &[], refused: None };
        self.credential(&wish).is_ok_and(|it| it.is_some())
    }

    fn credential(&self, wish: &Wish<'_>) -> Result<Option<Credential>, Problem> {
        Ok(self.settings.credentials.find(&wish.site.registry, wish.repository)?)
    }

    fn token(
        &self,
        wish: &Wish<'_>,
        challenge: &Challenge,
        credential: Option<&Credential>,
    ) -> Result<Secret, Problem> {
        let key = (wish.site.host.clone(), wish.scopes.join(" "));
        let kept = Arc::clone(locked(&self.auth.0).entry(key).or_default());
        let mut kept = locked(&kept);
        if let Some(token) = kept.as_ref()
            && Some(&token.header) != wish.refused
            && Instant::now() < token.until
        {
            return Ok(token.header.clone());
        }
        let token = self.fetch_token(wish, challenge, credential)?;
        let header = token.header.clone();
        *kept = Some(token);
        Ok(header)
    }

    fn fetch_token(
        &self,
        wish: &Wish<'_>,
        challenge: &Challenge,
        credential: Option<&Credential>,
    ) -> Result<Token, Problem> {
        let Challenge::Bearer { realm, service, scope } = challenge else {
            return Err(Problem::BadAnswer("it wants no token".to_owned()));
        };
        let url = self.realm(wish.site, realm)?;
        let mut scopes: Vec<&str> = wish.scopes.iter().map(String::as_str).collect();
        // Only the answer to a request asks for more than was thought of; the one to `/v2/` knows nothing of it.
        let more = scope.iter().flat_map(|it| it.split_whitespace()).filter(|_| wish.refused.is_some());
        for scope in more {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        let asked = Instant::now();
        let answer = match credential {
            Some(Credential::Identity(token)) => {
                self.trade(wish.site, &url, service.as_deref(), (&scopes, token))?
            }
            other => self.ask_for_token(wish.site, url, service.as_deref(), (&scopes, other))?,
        };
        match answer.status {
            200 => {}
            400 | 401 | 403 => {
                let said = Said::read(&answer.refusal());
                return Err(self.unauthorized(wish.site, credential.is_some(), said));
            }
            status => return Err(Problem::Refused { status, said: Said::read(&answer.refusal()) }),
        }
        let document = answer.document(MAX_DOCUMENT).map_err(|_| no_token())?.ok_or_else(no_token)?;
        let read: TokenAnswer = serde_json::from_slice(&document).map_err(|_| no_token())?;
        let token = if read.token.is_empty() { read.access_token } else { read.token };
        if token.is_empty() {
            return Err(no_token());
        }
        let life = Duration::from_secs(read.expires_in.filter(|it| *it > 0).unwrap_or(USUAL_LIFE));
        let margin = (life / 10).min(Duration::from_secs(15));
        let until = asked.checked_add(life - margin).unwrap_or(asked);
        Ok(Token { header: Secret::new(format!("Bearer {token}")), until })
    }

    /// The place that gives out tokens. A registry with TLS may not have passwords sent about without.
    fn realm(&self, site: &Site, realm: &str) -> Result<Url, Problem> {
        let url = Url::parse(realm)
            .map_err(|_| Problem::BadAnswer("its place for tokens is no address".to_owned()))?;
        let plain_is_fine = !site.strict || is_loopback(url.host_str().unwrap_or_default());
        match url.scheme() {
            "https" => Ok(url),
            "http" if plain_is_fine => Ok(url),
            _ => Err(Problem::BadAnswer(format!(
                "it wants tokens to be fetched from {} without TLS",
                server(&url)
            ))),
        }
    }

    fn ask_for_token(
        &self,
        site: &Site,
        mut url: Url,
        service: Option<&str>,
        (scopes, credential): (&[&str], Option<&Credential>),
    ) -> Result<Answer, Problem> {
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(service.map(|service| ("service", service)));
            query.extend_pairs(scopes.iter().map(|scope| ("scope", *scope)));
        }
        let header = match credential {
            Some(Credential::Basic { user, password }) => Some(basic_header(user, password)),
            _ => None,
        };
        self.steadily(self.settings.retry.tries, || {
            self.transport.send(&Outgoing {
                method: Method::GET,
                url: url.clone(),
                headers: &[],
                authorization: header.as_ref(),
                body: Body::None,
                strict: site.strict,
            })
        })
    }

    fn trade(
        &self,
        site: &Site,
        url: &Url,
        service: Option<&str>,
        (scopes, token): (&[&str], &Secret),
    ) -> Result<Answer, Problem> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token").append_pair("client_id", "packlight");
        form.extend_pairs(service.map(|service| ("service", service)));
        form.append_pair("scope", &scopes.join(" ")).append_pair("refresh_token", token.reveal());
        let form = form.finish();
        self.steadily(self.settings.retry.tries, || {
            self.transport.send(&Outgoing {
                method: Method::POST,
                url: url.clone(),
                headers: &[("Content-Type", "application/x-www-form-urlencoded".to_owned())],
                authorization: None,
                body: Body::Secret(form.as_bytes()),
                strict: site.strict,
            })
        })
    }
}

fn no_token() -> Problem {
    Problem::BadAnswer("there is no token in what its place for tokens sends".to_owned())
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
