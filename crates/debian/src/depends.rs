//! Dependency fields: `a (>= 1) | b, c:any`.

use std::cmp::Ordering;

use crate::version;

/// One name in a dependency field, with the versions it accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Relation<'a> {
    /// Package name, without an architecture qualifier.
    pub(crate) name: &'a str,
    /// `<<`, `<=`, `=`, `>=` or `>>`, and the version.
    pub(crate) constraint: Option<(&'a str, &'a str)>,
}

/// The comma-separated groups of a field; within a group any one relation satisfies.
pub(crate) fn groups(field: &str) -> impl Iterator<Item = Vec<Relation<'_>>> {
    field
        .split(',')
        .map(str::trim)
        .filter(|group| !group.is_empty())
        .map(|group| group.split('|').map(Relation::parse).collect())
}

impl<'a> Relation<'a> {
    /// Reads `name[:arch] [(op version)]`; what cannot be read has a constraint that nothing satisfies.
    pub(crate) fn parse(text: &'a str) -> Self {
        let (name, constraint) = match text.trim().split_once('(') {
            Some((name, constraint)) => {
                (name.trim(), Some(constraint.trim_end().trim_end_matches(')').trim()))
            }
            None => (text.trim(), None),
        };
        let constraint = constraint.map(|constraint| {
            let digits = constraint.find(|letter: char| !matches!(letter, '<' | '>' | '=')).unwrap_or(0);
            let (operator, version) = constraint.split_at(digits);
            (operator.trim(), version.trim())
        });
        Self { name: name.split(':').next().unwrap_or(name), constraint }
    }

    /// Whether `version` is one that the relation accepts.
    pub(crate) fn accepts(self, version: &str) -> bool {
        let Some((operator, wanted)) = self.constraint else { return true };
        let order = version::compare(version, wanted);
        match operator {
            "<<" => order == Ordering::Less,
            // A lone `<` or `>` is the old spelling of the inclusive form.
            "<=" | "<" => order != Ordering::Greater,
            "=" => order == Ordering::Equal,
            ">=" | ">" => order != Ordering::Less,
            ">>" => order == Ordering::Greater,
            _ => false,
        }
    }
}

impl std::fmt::Display for Relation<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.constraint {
            Some((operator, version)) => write!(out, "{} ({operator} {version})", self.name),
            None => out.write_str(self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_alternatives_qualifiers_and_versions_are_told_apart() {
        let all: Vec<_> =
            groups("libc6 (>= 2.38), debconf (>= 0.5) | debconf-2.0, python3:any (<< 3.14~),").collect();
        assert_eq!(all.len(), 3);
        assert_eq!(all[0], [Relation { name: "libc6", constraint: Some((">=", "2.38")) }]);
        assert_eq!(all[1][1], Relation { name: "debconf-2.0", constraint: None });
        assert_eq!(all[2][0].name, "python3");
        assert!(all[2][0].accepts("3.13.5-1") && !all[2][0].accepts("3.14.0"));
        assert!(!Relation::parse("a (>> 1.0)").accepts("1.0"));
        assert!(!Relation::parse("a (!! 1.0)").accepts("1.0"));
    }
}
