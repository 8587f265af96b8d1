//! Lists of packages, their relations and versions: what is resolved is in the list, and nothing takes for ever.
#![no_main]

use debian::{RELEASES, compare_versions, fuzzing, resolve, resolve_uncut};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // Versions are in one order, whatever they are.
    let mut words: Vec<&str> = text.split_whitespace().take(12).collect();
    for left in &words {
        assert!(compare_versions(left, left).is_eq());
        for right in &words {
            assert_eq!(compare_versions(left, right), compare_versions(right, left).reverse());
        }
    }
    // Panics where the order is none.
    words.sort_by(|left, right| compare_versions(left, right));
    assert!(words.is_sorted_by(|left, right| compare_versions(left, right).is_le()));

    // What is well formed is printed as it was read.
    for (printed, name, constraint) in fuzzing::relations(text) {
        let plain = |text: &str| !text.contains(|c: char| c.is_whitespace() || "()|,:".contains(c));
        let known = |operator: &str| ["<<", "<=", "=", ">=", ">>", "<", ">"].contains(&operator);
        let version = |it: &str| !it.is_empty() && !it.starts_with(['<', '=', '>']) && plain(it);
        if plain(name) && !name.is_empty() && constraint.is_none_or(|(how, it)| known(how) && version(it)) {
            assert_eq!(fuzzing::relations(&printed), [(printed.clone(), name, constraint)]);
        }
    }

    let _ = fuzzing::slim(text.as_bytes());
    let Ok(index) = fuzzing::index(&RELEASES[0], text) else { return };
    for wanted in ["a", "b"] {
        for found in [resolve(&index, &[wanted], &[]), resolve_uncut(&index, &[wanted], &[])] {
            let Ok(found) = found else { continue };
            assert!(!found.is_empty());
            assert!(found.iter().all(|it| text.contains(&it.name) && text.contains(&it.filename)));
            assert!(found.is_sorted_by(|one, next| one.name < next.name));
            // With all of it there, nothing is left to be had.
            assert_eq!(resolve_uncut(&index, &[wanted], &found).ok().filter(|it| !it.is_empty()), None);
        }
    }
});
