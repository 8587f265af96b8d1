//! Host names, looked up once for many requests, by whoever here is a client of HTTP. The library asks before each request,
//! whether or not a connection is open: a rebase of a thousand images would ask the name server six thousand times, and
//! of a volley of questions, as downloads that start together ask, a name server drops one, which costs five seconds.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ureq::{
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::NextTimeout,
    },
};

/// A name may lead elsewhere after a while; shorter than what most name servers say of how long an answer holds.
const KEPT: Duration = Duration::from_secs(30);

/// A resolver that remembers. Each name has a lock of its own, held while it is looked up: the others want to know the
/// same, or do not care.
#[derive(Debug, Default)]
pub struct Names<R = DefaultResolver> {
    inner: R,
    known: Mutex<HashMap<String, Known>>,
}

type Known = Arc<Mutex<Option<(Instant, Vec<SocketAddr>)>>>;

fn locked<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<R: Resolver> Resolver for Names<R> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = format!("{:?}://{:?}", uri.scheme(), uri.authority());
        let known = Arc::clone(locked(&self.known).entry(host).or_default());
        let mut known = locked(&known);
        if let Some((since, addresses)) = known.as_ref()
            && since.elapsed() < KEPT
        {
            let mut answer = self.empty();
            addresses.iter().for_each(|address| answer.push(*address));
            return Ok(answer);
        }
        let answer = self.inner.resolve(uri, config, timeout)?;
        *known = Some((Instant::now(), answer.to_vec()));
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use ureq::{Agent, Error};

    use super::*;

    /// Knows nothing the first time, and one address from then on.
    #[derive(Debug, Default)]
    struct Asked(AtomicUsize);

    impl Resolver for Asked {
        fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
            if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
                return Err(Error::HostNotFound);
            }
            let mut answer = self.empty();
            answer.push("127.0.0.1:1".parse().unwrap());
            Ok(answer)
        }
    }

    #[test]
    fn a_name_is_looked_up_once_for_many_requests_and_again_after_a_failure() {
        let names = Names { inner: Asked::default(), known: Mutex::default() };
        let config = Agent::config_builder().build();
        let resolve = |uri: &'static str| {
            names.resolve(&Uri::from_static(uri), &config, NextTimeout::default()).map(|it| it.to_vec())
        };
        assert!(resolve("https://r.example/v2/").is_err());
        let found = resolve("https://r.example/v2/").unwrap();
        assert_eq!(resolve("https://r.example/v2/a/manifests/b").unwrap(), found);
        assert_eq!(names.inner.0.load(Ordering::Relaxed), 2);
        resolve("https://other.example/v2/").unwrap();
        assert_eq!(names.inner.0.load(Ordering::Relaxed), 3);
    }
}
