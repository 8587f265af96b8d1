//! When something is tried again.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use jiff::Timestamp;

use super::settings::Retry;

impl Retry {
    /// The wait after so many tries without progress: longer each time, and never the same for two who failed together.
    pub(super) fn pause(&self, tries: u32) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1)));
        let most = doubled.min(self.longest);
        // Keys of a new hasher are random.
        let random = RandomState::new().hash_one(tries) % 1024;
        most / 2 + most.mul_f64(random as f64 / 2048.0)
    }
}

/// The wait that `Retry-After` asks for: seconds, or a date (<https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>).
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    // HTTP's dates are those of mail, with a name for the zone.
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// Whether a status says that the same request may succeed later.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504 | 507 | 509 | 520..=530)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_have_an_end() {
        let retry =
            Retry { first: Duration::from_millis(100), longest: Duration::from_secs(1), ..Retry::default() };
        for (tries, most) in [(1, 100), (2, 200), (3, 400), (10, 1000), (200, 1000)] {
            for _ in 0..50 {
                let pause = retry.pause(tries).as_millis();
                assert!((most / 2..=most).contains(&pause), "{tries}: {pause}");
            }
        }
        let pauses: std::collections::BTreeSet<_> = (0..20).map(|_| retry.pause(10)).collect();
        assert!(pauses.len() > 1, "no jitter");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2015-10-21T07:27:30Z".parse().unwrap();
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-3", now), None);
    }

    #[test]
    fn only_passing_trouble_is_passing() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(is_passing(status));
        }
        for status in [200, 307, 400, 401, 403, 404, 405, 413, 416, 501, 505] {
            assert!(!is_passing(status));
        }
    }
}
