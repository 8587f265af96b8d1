//! The client, and how it asks: the registry found, the right header shown, tried again where that may help.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    sync::Mutex,
};

use jiff::Timestamp;
use ureq::http::Method;
use url::Url;

use super::{
    Error,
    auth::{Auth, Wish, locked},
    challenge::Challenge,
    credentials::Secret,
    endpoint::{Endpoints, challenges},
    error::{Problem, Said},
    push::Pushing,
    retry::{is_passing, retry_after},
    settings::Settings,
    site::{Site, same_server},
    transport::{Answer, Body, Fault, Headers, Outgoing, Transport, server},
};
use crate::{Digest, ImageName};

/// The most that is read of a manifest, a configuration or a list.
pub(super) const MAX_DOCUMENT: u64 = 4 << 20;

/// Talks to registries. It may be used by many threads, and remembers what it has learnt: how each registry is
/// reached, tokens, and which repositories have which blobs.
pub struct Client {
    pub(super) settings: Settings,
    pub(super) transport: Transport,
    pub(super) auth: Auth,
    pub(super) endpoints: Endpoints,
    /// By registry and blob the repositories that have it: it need not be sent there, and can be mounted from there.
    pub(super) seen: Mutex<HashMap<(String, Digest), BTreeSet<String>>>,
    pub(super) pushing: Pushing,
    /// Mirrors that did not answer: they are not asked again.
    down: Mutex<HashSet<String>>,
}

/// A request by its parts that differ.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) to: To,
    pub(super) headers: Headers,
    pub(super) body: Body<'a>,
    /// Once only: who asks must look first what became of it.
    pub(super) once: bool,
}

/// Where a request goes.
#[derive(Clone)]
pub(super) enum To {
    /// Below `/v2/`.
    Path(String),
    /// Where the registry said.
    Url(Url),
}

impl<'a> Request<'a> {
    pub(super) fn get(path: String) -> Self {
        Self { method: Method::GET, to: To::Path(path), headers: Vec::new(), body: Body::None, once: false }
    }

    pub(super) fn head(path: String) -> Self {
        Self { method: Method::HEAD, ..Self::get(path) }
    }

    pub(super) fn upload(method: Method, to: To, body: Body<'a>) -> Self {
        Self { method, to, headers: Vec::new(), body, once: false }
    }
}

/// A repository at a site, what is done there, and in whose words to fail.
#[derive(Clone)]
pub(super) struct Task {
    pub(super) site: Site,
    /// Without the site's prefix; empty for the registry as a whole.
    pub(super) repository: String,
    pub(super) scopes: Vec<String>,
    /// What is asked for, after "cannot".
    pub(super) asked: String,
}

impl Task {
    pub(super) fn new(site: Site, repository: &str, actions: &str, asked: String) -> Self {
        let scopes = vec![format!("repository:{}{repository}:{actions}", site.prefix)];
        Self { site, repository: repository.to_owned(), scopes, asked }
    }

    pub(super) fn asked(&self, asked: impl Into<String>) -> Self {
        Self { asked: asked.into(), ..self.clone() }
    }

    /// A path in the repository.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("{}{}/{rest}", self.site.prefix, self.repository)
    }

    pub(super) fn error(&self, problem: impl Into<Problem>) -> Error {
        Error {
            registry: self.site.registry.clone(),
            repository: (!self.repository.is_empty()).then(|| self.repository.clone()),
            asked: self.asked.clone(),
            problem: problem.into(),
        }
    }

    /// The error that a refusal is.
    pub(super) fn refused(&self, answer: Answer) -> Error {
        let (status, host) = (answer.status, self.site.registry.clone());
        let said = Said::read(&answer.refusal());
        self.error(match status {
            403 => Problem::Denied { host, said },
            404 => Problem::NotFound { said },
            _ => Problem::Refused { status, said },
        })
    }
}

impl Client {
    /// A client with these settings; no registry is spoken to yet.
    ///
    /// # Errors
    /// When a setting can't be used.
    pub fn new(mut settings: Settings) -> Result<Self, Error> {
        settings.credentials = settings.credentials.remembering();
        let transport = Transport::new(&settings).map_err(|problem| Error {
            registry: "registries".to_owned(),
            repository: None,
            asked: "be reached".to_owned(),
            problem: Problem::Setting(problem),
        })?;
        Ok(Self {
            settings,
            transport,
            auth: Auth::default(),
            endpoints: Endpoints::default(),
            seen: Mutex::default(),
            pushing: Pushing::default(),
            down: Mutex::default(),
        })
    }

    /// A task at the registry itself.
    pub(super) fn task(&self, name: &ImageName, actions: &str, asked: String) -> Task {
        Task::new(Site::of(&self.settings, &name.registry), &name.repository, actions, asked)
    }

    /// The same task at every place that may have the answer: the mirrors, then the registry.
    pub(super) fn sources(&self, name: &ImageName, asked: &str) -> Vec<Task> {
        let mut sites = Site::mirrors(&self.settings, &name.registry);
        sites.push(Site::of(&self.settings, &name.registry));
        let task = |site| Task::new(site, &name.repository, "pull", asked.to_owned());
        sites.into_iter().map(task).collect()
    }

    /// Asks each source until one has an answer. The last one's failure counts: it is the registry's own.
    pub(super) fn first<T>(
        &self,
        tasks: &[Task],
        mut ask: impl FnMut(&Task) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some((own, mirrors)) = tasks.split_last() else {
            return Err(no_source());
        };
        for mirror in mirrors.iter().filter(|mirror| !self.is_down(mirror)) {
            match ask(mirror) {
                Err(error) => self.failed_at(mirror, &error.problem),
                done => return done,
            }
        }
        ask(own)
    }

    pub(super) fn is_down(&self, mirror: &Task) -> bool {
        locked(&self.down).contains(&mirror.site.host)
    }

    /// Remembers a mirror that does not answer: to wait for it once is enough.
    pub(super) fn failed_at(&self, mirror: &Task, problem: &Problem) {
        if problem.may_pass().is_some()
            || matches!(problem, Problem::Tls { .. } | Problem::NotARegistry { .. })
        {
            locked(&self.down).insert(mirror.site.host.clone());
        }
    }

    /// Sends a request, with a new token when the old one is refused. What comes back is no 401, and nothing that may
    /// pass by itself.
    pub(super) fn ask(&self, task: &Task, request: &Request<'_>) -> Result<Answer, Error> {
        let tries = if request.once { 1 } else { self.settings.retry.tries };
        self.ask_with(task, request, tries).map_err(|problem| task.error(problem))
    }

    fn ask_with(&self, task: &Task, request: &Request<'_>, tries: u32) -> Result<Answer, Problem> {
        let endpoint = self.endpoint(task)?;
        let url = match &request.to {
            To::Path(path) => endpoint.base.join(path).map_err(|_| bad_address())?,
            To::Url(url) => url.clone(),
        };
        let is_own = same_server(&endpoint.base, &url);
        let mut challenge = endpoint.challenge;
        let mut refused: Option<(Secret, Said)> = None;
        loop {
            let wish = Wish {
                site: &task.site,
                repository: &task.repository,
                scopes: &task.scopes,
                refused: refused.as_ref().map(|(header, _)| header),
            };
            let header = match (self.authorization(&wish, challenge.as_ref()), &refused) {
                (Err(Problem::Unauthorized { host, known, .. }), Some((header, said)))
                    if !header.is_empty() =>
                {
                    return Err(Problem::Unauthorized { host, known, said: said.clone() });
                }
                (header, _) => header?,
            };
            let answer = self.steadily(tries, || {
                self.transport.send(&Outgoing {
                    method: request.method.clone(),
                    url: url.clone(),
                    headers: &request.headers,
                    authorization: header.as_ref().filter(|_| is_own),
                    body: request.body,
                    strict: task.site.strict,
                })
            })?;
            if answer.status != 401 {
                return Ok(answer);
            }
            let known = self.is_known(&task.site, &task.repository);
            let host = task.site.registry.clone();
            let wanted = challenges(&answer).or(challenge);
            let is_elsewhere = answer.is_elsewhere || !is_own;
            let said = Said::read(&answer.refusal());
            let is_hopeless = match &wanted {
                None => true,
                // Nothing was shown, and there is nothing to show.
                Some(Challenge::Basic) => !known,
                Some(Challenge::Bearer { .. }) => false,
            };
            if is_hopeless || is_elsewhere {
                return Err(Problem::Unauthorized { host, known, said });
            }
            match refused {
                None => {}
                // With a token as new as can be it is not the user who is wrong.
                Some(_) if known => return Err(Problem::Denied { host, said }),
                Some(_) => return Err(Problem::Unauthorized { host, known, said }),
            }
            // Without a header, one that equals no other.
            refused = Some((header.unwrap_or_else(|| Secret::new("")), said));
            self.learn(task, wanted.as_ref());
            challenge = wanted;
        }
    }

    /// Sends until there is an answer that stays, so often without one.
    pub(super) fn steadily(
        &self,
        tries: u32,
        mut send: impl FnMut() -> Result<Answer, Fault>,
    ) -> Result<Answer, Problem> {
        let retry = &self.settings.retry;
        let mut tried = 0;
        loop {
            tried += 1;
            let is_last = tried >= tries;
            let pause = match send() {
                Ok(answer) if !is_passing(answer.status) => return Ok(answer),
                Ok(answer) => {
                    let asked = answer.header("retry-after").and_then(|it| retry_after(it, Timestamp::now()));
                    if is_last || asked.is_some_and(|it| it > retry.longest_asked) {
                        return Err(trouble(answer, tried, asked));
                    }
                    asked.unwrap_or_default().max(retry.pause(tried))
                }
                Err(fault) if is_last => return Err(problem_of(fault, tried)),
                Err(fault @ (Fault::Tls(_) | Fault::Final(_))) => return Err(problem_of(fault, tried)),
                Err(_) => retry.pause(tried),
            };
            std::thread::sleep(pause);
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn trouble(answer: Answer, tries: u32, wait: Option<std::time::Duration>) -> Problem {
    let (status, host) = (answer.status, server(&answer.url));
    let said = Said::read(&answer.refusal());
    match status {
        429 => Problem::TooManyRequests { host, wait, said },
        _ => Problem::Unavailable { status, tries, wait, said },
    }
}

pub(super) fn problem_of(fault: Fault, tries: u32) -> Problem {
    match fault {
        Fault::Connection(reason) => Problem::Connection { reason, tries },
        Fault::Stalled(what) => Problem::Stalled { what, tries },
        Fault::Tls(reason) => Problem::Tls { reason },
        Fault::Final(reason) => Problem::BadAnswer(reason),
    }
}

pub(super) fn bad_address() -> Problem {
    Problem::BadAnswer("an address is not valid".to_owned())
}

fn no_source() -> Error {
    let problem = Problem::Setting("no registry was named".to_owned());
    Error { registry: "registries".to_owned(), repository: None, asked: "be asked".to_owned(), problem }
}
