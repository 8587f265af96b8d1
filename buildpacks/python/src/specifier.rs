//! Which Python versions a text asks for: `3.13`, `3.13.2`, `3.13.*`, `>=3.11,<3.14`, `~=3.12`, `^3.11`.
//!
//! Only releases are compared (PEP 440's numbers and operators); pre-releases of Python are not asked for this way.

use std::fmt;
use std::str::FromStr;

/// A text that asks for Python versions, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Specifier {
    text: String,
    clauses: Vec<Clause>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    operator: Operator,
    numbers: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// As many numbers as were given are the same.
    Prefix,
    NotPrefix,
    AtLeast,
    AtMost,
    Above,
    Below,
    /// At least, and all numbers but the last are the same.
    Compatible,
    /// At least, and the first number is the same.
    Caret,
}

const OPERATORS: &[(&str, Operator)] = &[
    ("===", Operator::Prefix),
    ("==", Operator::Prefix),
    ("~=", Operator::Compatible),
    ("!=", Operator::NotPrefix),
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    (">", Operator::Above),
    ("<", Operator::Below),
    ("^", Operator::Caret),
    ("~", Operator::Compatible),
    ("=", Operator::Prefix),
];

impl FromStr for Specifier {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.trim();
        // `python-3.13.2` in runtime.txt; `cpython@3.13` is uv's way.
        let bare = ["python-", "cpython-", "cpython@", "python@", "cpython", "python"]
            .iter()
            .find_map(|it| text.strip_prefix(it))
            .unwrap_or(text);
        let clauses = bare.split(',').map(clause).collect::<Option<Vec<_>>>().ok_or(())?;
        Ok(Self { text: text.to_owned(), clauses })
    }
}

fn clause(text: &str) -> Option<Clause> {
    let text = text.trim();
    let found = OPERATORS.iter().find_map(|(sign, operator)| Some((*operator, text.strip_prefix(sign)?)));
    let (operator, rest) = found.unwrap_or((Operator::Prefix, text));
    let rest = rest.trim();
    let rest = rest.strip_suffix(".*").or_else(|| rest.strip_suffix(".x")).unwrap_or(rest);
    let numbers: Vec<u32> = rest.split('.').map(|it| it.parse().ok()).collect::<Option<_>>()?;
    (numbers.len() <= 3).then_some(Clause { operator, numbers })
}

impl Clause {
    fn accepts(&self, version: [u32; 3]) -> bool {
        let mut wanted = [0; 3];
        wanted[..self.numbers.len()].copy_from_slice(&self.numbers);
        let same = |count: usize| version[..count] == wanted[..count];
        match self.operator {
            Operator::Prefix => same(self.numbers.len()),
            Operator::NotPrefix => !same(self.numbers.len()),
            Operator::AtLeast => version >= wanted,
            Operator::AtMost => version <= wanted || (self.numbers.len() < 3 && same(self.numbers.len())),
            // `>3.12` means no 3.12.x either.
            Operator::Above => version > wanted && !same(self.numbers.len()),
            Operator::Below => version < wanted,
            Operator::Compatible => version >= wanted && same(self.numbers.len().saturating_sub(1).max(1)),
            Operator::Caret => version >= wanted && same(1),
        }
    }
}

impl Specifier {
    /// Whether `version` is asked for.
    pub(crate) fn accepts(&self, version: [u32; 3]) -> bool {
        self.clauses.iter().all(|it| it.accepts(version))
    }

    /// Whether some patch release of `major.minor` is asked for.
    pub(crate) fn accepts_minor(&self, (major, minor): (u32, u32)) -> bool {
        (0..=99).any(|patch| self.accepts([major, minor, patch]))
    }

    /// The exact version, where just one is asked for.
    pub(crate) fn exact(&self) -> Option<[u32; 3]> {
        match self.clauses.as_slice() {
            [Clause { operator: Operator::Prefix, numbers }] => numbers.as_slice().try_into().ok(),
            _ => None,
        }
    }
}

impl fmt::Display for Specifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operator_accepts_what_it_says() {
        for (text, yes, no) in [
            ("3.13", [3, 13, 5], [3, 12, 9]),
            ("python-3.13.2", [3, 13, 2], [3, 13, 3]),
            ("3.13.*", [3, 13, 0], [3, 14, 0]),
            ("3.12.x", [3, 12, 1], [3, 13, 0]),
            (">=3.11,<3.13", [3, 12, 0], [3, 13, 0]),
            (">3.12", [3, 13, 0], [3, 12, 5]),
            ("<=3.12", [3, 12, 9], [3, 13, 0]),
            ("~=3.12", [3, 14, 0], [3, 11, 0]),
            ("~=3.12.1", [3, 12, 4], [3, 13, 0]),
            ("^3.11", [3, 13, 0], [4, 0, 0]),
            ("!=3.12.*", [3, 13, 0], [3, 12, 0]),
            ("== 3.11", [3, 11, 0], [3, 12, 0]),
            ("3", [3, 13, 0], [2, 7, 0]),
        ] {
            let it: Specifier = text.parse().unwrap();
            assert!(it.accepts(yes), "{text} refuses {yes:?}");
            assert!(!it.accepts(no), "{text} accepts {no:?}");
        }
    }

    #[test]
    fn other_interpreters_and_words_are_refused() {
        for text in ["pypy3.10", "latest", "", "3.13t", "3.13.0rc1", "3.1.2.3"] {
            assert!(text.parse::<Specifier>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_three_numbers_are_exact() {
        assert_eq!("3.13.2".parse::<Specifier>().unwrap().exact(), Some([3, 13, 2]));
        assert_eq!("3.13".parse::<Specifier>().unwrap().exact(), None);
        assert_eq!(">=3.13.2".parse::<Specifier>().unwrap().exact(), None);
    }
}
