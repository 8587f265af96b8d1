//! Rate, errors and duration of each route.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::quantile;
use crate::store::{SpanKind, Store, StoredSpan};

/// How requests of one route went: spans of servers and of consumers.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Of that service.
    pub service: Arc<str>,
    /// The method; none where it is no HTTP.
    pub method: Option<Arc<str>>,
    /// The route or, where there is none, the span's name.
    pub route: Arc<str>,
    /// How many requests.
    pub count: u64,
    /// How many of them failed.
    pub failed: u64,
    /// When the first of them began and the last of them ended, in nanoseconds since 1970.
    pub from: u64,
    /// See `from`.
    pub until: u64,
    /// Half of them took at most this, in nanoseconds.
    pub p50: u64,
    /// 95 of 100 took at most this.
    pub p95: u64,
    /// 99 of 100 took at most this.
    pub p99: u64,
    /// The longest took this.
    pub longest: u64,
}

impl Route {
    /// Requests in a second, between the first and the last of them; none where that is no time.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate is an approximation")]
    pub fn rate(&self) -> Option<f64> {
        let nanoseconds = self.until.saturating_sub(self.from);
        (self.count > 1 && nanoseconds > 0).then(|| self.count as f64 * 1e9 / nanoseconds as f64)
    }
}

type Key = (Arc<str>, Arc<str>, Option<Arc<str>>);

impl Store {
    /// The routes of what is kept and ended at `since` or later, in nanoseconds since 1970; by service and route.
    #[must_use]
    pub fn routes(&self, since: u64) -> Vec<Route> {
        let kinds = [SpanKind::Server, SpanKind::Consumer];
        let spans = self.spans_that(|it| kinds.contains(&it.kind) && it.end >= since);
        let mut by_route: BTreeMap<Key, Vec<Arc<StoredSpan>>> = BTreeMap::new();
        for span in spans {
            let route = Arc::clone(span.route.as_ref().unwrap_or(&span.name));
            let key = (Arc::clone(span.source.origin().service()), route, span.method.clone());
            by_route.entry(key).or_default().push(span);
        }
        by_route.into_iter().map(|(key, spans)| Route::of(key, &spans)).collect()
    }
}

impl Route {
    fn of((service, route, method): Key, spans: &[Arc<StoredSpan>]) -> Self {
        let mut durations: Vec<_> = spans.iter().map(|it| it.duration()).collect();
        durations.sort_unstable();
        let at = |part| quantile(&durations, part).unwrap_or_default();
        Self {
            service,
            method,
            route,
            count: spans.len() as u64,
            failed: spans.iter().filter(|it| it.has_failed()).count() as u64,
            from: spans.iter().map(|it| it.start).min().unwrap_or_default(),
            until: spans.iter().map(|it| it.end).max().unwrap_or_default(),
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            longest: at(1.0),
        }
    }
}
