//! Log records by what is asked of them, the youngest first.

use std::sync::Arc;

use crate::id::{SpanId, TraceId};
use crate::store::{Store, StoredLog};

/// Records that are looked at while the store is held.
const PIECE: usize = 5000;

/// What is asked of a log record.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// Of that trace.
    pub trace: Option<TraceId>,
    /// Of that span.
    pub span: Option<SpanId>,
    /// Of that service.
    pub service: Option<String>,
    /// Of that severity at least, 1 to 24.
    pub severity: Option<i32>,
    /// With that text in its body, whatever the case of its letters.
    pub text: Option<String>,
}

impl Store {
    /// Log records that pass, the first `limit` of those that arrived before the record `before`.
    #[must_use]
    pub fn logs(&self, filter: &LogFilter, before: Option<u64>, limit: usize) -> Vec<Arc<StoredLog>> {
        let text = filter.text.as_ref().map(|it| it.to_lowercase());
        let mut before = before.unwrap_or(u64::MAX);
        let mut found = Vec::new();
        while found.len() < limit {
            let piece = self.logs_before(before, PIECE);
            let Some(last) = piece.last() else { break };
            before = last.sequence;
            let passing = piece.into_iter().filter(|it| filter.passes(it, text.as_deref()));
            found.extend(passing.take(limit - found.len()));
        }
        found
    }
}

impl LogFilter {
    fn passes(&self, log: &StoredLog, text: Option<&str>) -> bool {
        let body = || log.record().body.unwrap_or_default().to_string().to_lowercase();
        self.trace.is_none_or(|it| log.trace == Some(it))
            && self.span.is_none_or(|it| log.span == Some(it))
            && self.service.as_deref().is_none_or(|it| **log.source.origin().service() == *it)
            && self.severity.is_none_or(|it| log.severity >= it)
            && text.is_none_or(|it| body().contains(it))
    }
}
