//! The order of Debian versions, as dpkg has it.
//!
//! By hand, because the published crate orders a few versions wrongly; the algorithm is twenty lines of policy
//! (<https://www.debian.org/doc/debian-policy/ch-controlfields.html#version>).

use std::cmp::Ordering;

/// Compares two Debian versions (`[epoch:]upstream[-revision]`) as `dpkg --compare-versions` does.
#[must_use]
pub fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (Parts::of(left), Parts::of(right));
    number(left.epoch, right.epoch)
        .then_with(|| part(left.upstream, right.upstream))
        .then_with(|| part(left.revision, right.revision))
}

struct Parts<'a> {
    epoch: &'a [u8],
    upstream: &'a [u8],
    revision: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(version: &'a str) -> Self {
        let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
        // An absent revision sorts as "0" would, which is also how an empty part compares.
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Self { epoch: epoch.as_bytes(), upstream: upstream.as_bytes(), revision: revision.as_bytes() }
    }
}

/// Alternates a run of non-digits and a run of digits until both are used up.
fn part(mut left: &[u8], mut right: &[u8]) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let (left_text, left_rest) = split(left, |byte| !byte.is_ascii_digit());
        let (right_text, right_rest) = split(right, |byte| !byte.is_ascii_digit());
        let (left_digits, left_next) = split(left_rest, u8::is_ascii_digit);
        let (right_digits, right_next) = split(right_rest, u8::is_ascii_digit);
        let order = text(left_text, right_text).then_with(|| number(left_digits, right_digits));
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (left_next, right_next);
    }
    Ordering::Equal
}

fn split(bytes: &[u8], belongs: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().position(|byte| !belongs(byte)).unwrap_or(bytes.len()))
}

/// `~` before the end, the end before letters, letters before everything else.
fn text(left: &[u8], right: &[u8]) -> Ordering {
    let weight = |bytes: &[u8], at: usize| match bytes.get(at) {
        Some(b'~') => -1,
        None => 0,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
        Some(other) => i32::from(*other) + 256,
    };
    (0..left.len().max(right.len()))
        .map(|at| weight(left, at).cmp(&weight(right, at)))
        .find(|order| *order != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

/// Compares numbers of any length.
fn number(left: &[u8], right: &[u8]) -> Ordering {
    let significant =
        |digits: &'_ [u8]| digits.iter().skip_while(|digit| **digit == b'0').copied().collect::<Vec<_>>();
    let (left, right) = (significant(left), significant(right));
    left.len().cmp(&right.len()).then_with(|| left.cmp(&right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_policy_says() {
        for (left, right, order) in [
            ("1.0", "1.0", Ordering::Equal),
            ("1.0", "1.0-0", Ordering::Equal),
            ("0:1.0", "1.0", Ordering::Equal),
            ("1:0.1", "9.9", Ordering::Greater),
            ("1.0~rc1", "1.0", Ordering::Less),
            ("1.0~~", "1.0~", Ordering::Less),
            ("1.0~~a", "1.0~", Ordering::Less),
            ("1.0a", "1.0+", Ordering::Less),
            ("1.10", "1.9", Ordering::Greater),
            ("1.09", "1.9", Ordering::Equal),
            ("3.13.5-2+deb13u5", "3.13.5-2", Ordering::Greater),
            // The pair that a published crate orders the other way round.
            ("1.1.1+dfsg-1+b1", "1.1.1+dfsg0-1", Ordering::Greater),
            ("2.41-12+deb13u10", "2.41-12+deb13u9", Ordering::Greater),
            ("99999999999999999999999", "99999999999999999999998", Ordering::Greater),
        ] {
            assert_eq!(compare(left, right), order, "{left} against {right}");
            assert_eq!(compare(right, left), order.reverse(), "{right} against {left}");
        }
    }
}
