//! Questions about what is kept. Each takes what it needs out of the store in small pieces, and looks at it without the
//! store's lock: a question that takes long holds up no writer.

mod logs;
mod metrics;
mod routes;
mod samples;
mod traces;
mod tree;

pub use logs::LogFilter;
pub use metrics::{MetricFilter, SeriesInfo};
pub use routes::Route;
pub use samples::{Sample, Spread};
pub use traces::{Outcome, TraceFilter, TracePage, TraceSummary};
pub use tree::{Oddity, Row, Tree};

/// A quantile of numbers that are sorted, 0 to 1, by the nearest rank; nothing of none.
fn quantile(sorted: &[u64], quantile: f64) -> Option<u64> {
    #[expect(clippy::cast_precision_loss, reason = "a rank among numbers that are in memory")]
    let rank = (sorted.len() as f64 * quantile).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the length")]
    let rank = rank as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied()
}
