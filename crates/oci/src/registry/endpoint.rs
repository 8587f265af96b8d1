//! How a registry is reached: found out with its first request, and remembered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use ureq::http::Method;
use url::Url;

use super::{
    auth::locked,
    challenge::{self, Challenge},
    client::{Client, Task, bad_address},
    error::Problem,
    site::Site,
    transport::{Answer, Body, Outgoing, server},
};

/// What is known of each host. Each has a lock of its own, held while it is asked: the others want to know the same, or
/// do not care.
#[derive(Default)]
pub(super) struct Endpoints(Mutex<HashMap<String, Kept>>);

type Kept = Arc<Mutex<Option<Endpoint>>>;

#[derive(Clone)]
pub(super) struct Endpoint {
    /// `https://host/v2/`
    pub(super) base: Url,
    pub(super) challenge: Option<Challenge>,
}

impl Client {
    /// Remembers what a registry wants to be shown, when asking `/v2/` did not tell.
    pub(super) fn learn(&self, task: &Task, challenge: Option<&Challenge>) {
        let kept = self.kept_endpoint(task);
        if let Some(endpoint) = locked(&kept).as_mut()
            && endpoint.challenge.is_none()
        {
            endpoint.challenge = challenge.cloned();
        }
    }

    fn kept_endpoint(&self, task: &Task) -> Kept {
        Arc::clone(locked(&self.endpoints.0).entry(task.site.host.clone()).or_default())
    }

    /// How a registry is reached, asked once: with or without TLS, and what it wants to be shown.
    pub(super) fn endpoint(&self, task: &Task) -> Result<Endpoint, Problem> {
        let kept = self.kept_endpoint(task);
        let mut kept = locked(&kept);
        if let Some(known) = kept.as_ref() {
            return Ok(known.clone());
        }
        let found = self.find(&task.site)?;
        *kept = Some(found.clone());
        Ok(found)
    }

    fn find(&self, site: &Site) -> Result<Endpoint, Problem> {
        let retry = &self.settings.retry;
        let mut tries = 1;
        loop {
            let mut first = None;
            for scheme in site.schemes() {
                match self.knock(site, scheme) {
                    Ok(found) => return Ok(found),
                    // The first scheme is the likelier one: its words say more.
                    Err(problem) => _ = first.get_or_insert(problem),
                }
            }
            let problem = first.unwrap_or_else(bad_address);
            match problem.may_pass() {
                Some(asked) if tries < retry.tries && asked <= retry.longest_asked => {
                    std::thread::sleep(asked.max(retry.pause(tries)));
                    tries += 1;
                }
                _ => return Err(problem.after(tries)),
            }
        }
    }

    fn knock(&self, site: &Site, scheme: &str) -> Result<Endpoint, Problem> {
        let base = site.base(scheme).map_err(Problem::Setting)?;
        let answer = self.steadily(1, || {
            self.transport.send(&Outgoing {
                method: Method::GET,
                url: base.clone(),
                headers: &[],
                authorization: None,
                body: Body::None,
                strict: site.strict,
            })
        })?;
        let says_so = answer.header("docker-distribution-api-version").is_some();
        match answer.status {
            200..=299 | 401 | 403 => Ok(Endpoint { base, challenge: challenges(&answer) }),
            _ if says_so => Ok(Endpoint { base, challenge: None }),
            status => Err(Problem::NotARegistry { host: server(&base), status }),
        }
    }
}

pub(super) fn challenges(answer: &Answer) -> Option<Challenge> {
    if answer.status != 401 {
        return None;
    }
    let values = answer.headers.get_all("www-authenticate").iter();
    challenge::parse(values.filter_map(|value| value.to_str().ok()))
}
