//! Names near to one that does not exist, for error messages.

/// At most three of `names` that a person may have meant by `wanted`, the nearest first.
pub(crate) fn near<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let limit = (wanted.len() / 3).clamp(1, 3);
    let mut found: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let distance = if plain(name) == plain(wanted) || is_other_version(name, wanted) {
                0
            } else {
                distance(name, wanted, limit)?
            };
            Some((distance, name))
        })
        .collect();
    found.sort_unstable();
    found.truncate(3);
    found.into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// Without what people leave out or mix up: `libpq-5`, `LibPQ5`.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| !matches!(letter, '-' | '_' | '.')).flat_map(char::to_lowercase).collect()
}

/// `libssl3` and `libssl3t64`: the renaming of the year 2038.
fn is_other_version(name: &str, wanted: &str) -> bool {
    name.strip_suffix("t64") == Some(wanted) || wanted.strip_suffix("t64") == Some(name)
}

/// Levenshtein's distance, if it is at most `limit`.
fn distance(left: &str, right: &str, limit: usize) -> Option<usize> {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len().abs_diff(right.len()) > limit {
        return None;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, letter) in left.iter().enumerate() {
        let mut diagonal = at;
        let mut before = at + 1;
        for (column, other) in right.iter().enumerate() {
            let above = row.get(column + 1).copied().unwrap_or(usize::MAX);
            let best = (diagonal + usize::from(letter != other)).min(above + 1).min(before + 1);
            diagonal = above;
            if let Some(cell) = row.get_mut(column) {
                *cell = before;
            }
            before = best;
        }
        if let Some(last) = row.last_mut() {
            *last = before;
        }
    }
    row.last().copied().filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_neighbours_and_nothing_far_away() {
        let names = ["libpq5", "libpq-dev", "ffmpeg", "python3", "libssl3t64"];
        assert_eq!(near("ffmpg", names.into_iter()), ["ffmpeg"]);
        assert_eq!(near("libpq-5", names.into_iter()), ["libpq5"]);
        assert_eq!(near("pyhton3", names.into_iter()), ["python3"]);
        assert_eq!(near("python", names.into_iter()), ["python3"]);
        assert_eq!(near("libssl3", names.into_iter()), ["libssl3t64"]);
        assert!(near("completely-different", names.into_iter()).is_empty());
    }
}
