//! The project's own files as tests read them: which there are, and their code without comments, texts and tests.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(dead_code, reason = "each test program uses a part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One source file.
pub(crate) struct Source {
    /// Its path from the top of the checkout.
    pub(crate) path: String,
    /// As it is.
    pub(crate) text: String,
    /// Line by line the same, without comments, texts and what is compiled for tests only.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = without_tests(&code_only(text));
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }

    /// The crate's folder: `crates/oci`.
    pub(crate) fn room(&self) -> &str {
        self.path.split_once("/src/").map_or(self.path.as_str(), |(room, _)| room)
    }

    /// `path:line: what` for each line of code that contains one of `words`.
    pub(crate) fn lines_with(&self, words: &[&str], what: &str) -> Vec<String> {
        let hit = |line: &&str| words.iter().any(|word| has_word(line, word));
        let lines = self.code.lines().enumerate().filter(|(_, line)| hit(line));
        lines.map(|(at, line)| format!("{}:{}: {what}: {}", self.path, at + 1, line.trim())).collect()
    }
}

/// The top of the checkout.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every file of the project with its path from the top; not what was built, and not git's own.
pub(crate) fn files() -> Vec<PathBuf> {
    let (top, mut found) = (top(), Vec::new());
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let built = folder == top && matches!(name.as_str(), "target" | "dist" | ".git")
                || folder == top.join("fuzz") && matches!(name.as_str(), "target" | "corpus" | "artifacts");
            if built || name == "__pycache__" || path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(&top).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The Rust files below the `src` of every crate.
pub(crate) fn sources() -> Vec<Source> {
    let rust = files().into_iter().filter(|path| path.extension().is_some_and(|it| it == "rs"));
    let found: Vec<_> = rust
        .filter(|path| path.components().any(|part| part.as_os_str() == "src"))
        .map(|path| Source::new(path.to_str().unwrap(), &fs::read_to_string(top().join(&path)).unwrap()))
        .collect();
    assert!(found.len() > 20, "the sources were not found: {}", found.len());
    found
}

/// What cargo knows of the workspace; `arguments` say how much.
pub(crate) fn metadata(arguments: &[&str]) -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked"])
        .args(arguments)
        .current_dir(top())
        .output()
        .unwrap();
    if !output.status.success() {
        panic!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Whether `line` has `word` with no letter, digit or underscore where the word itself begins or ends with one.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let part = |it: Option<char>| it.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let joins = |inner: Option<char>, outer: Option<char>| part(inner) && part(outer);
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (line[..at].chars().next_back(), line[at + word.len()..].chars().next());
        !joins(word.chars().next(), before) && !joins(word.chars().next_back(), after)
    })
}

/// The text with comments, strings and characters blanked; lines stay where they are.
pub(crate) fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skip(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            code.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// Where the comment, string or character that begins at `at` ends; `at` when none does.
fn skip(chars: &[char], at: usize) -> usize {
    let starts = |it: &str| it.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    let find = |from: usize, it: &[char]| {
        let rest = chars.get(from..).unwrap_or_default();
        rest.windows(it.len()).position(|w| w == it).map_or(chars.len(), |i| from + i + it.len())
    };
    let in_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match chars[at] {
        '/' if starts("//") => find(at, &['\n']) - usize::from(find(at, &['\n']) < chars.len()),
        '/' if starts("/*") => find(at + 2, &['*', '/']),
        'r' if !in_word => {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            if chars.get(at + 1 + hashes) != Some(&'"') {
                return at;
            }
            let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            find(at + 2 + hashes, &close)
        }
        '"' => {
            let mut end = at + 1;
            while end < chars.len() && chars[end] != '"' {
                end += 1 + usize::from(chars[end] == '\\');
            }
            (end + 1).min(chars.len())
        }
        // A character, not a lifetime: 'x' or an escape.
        '\'' if chars.get(at + 1) == Some(&'\\') => find(at + 3, &['\'']),
        '\'' if chars.get(at + 2) == Some(&'\'') => at + 3,
        _ => at,
    }
}

/// The code with each item that follows `#[cfg(test)]` blanked.
fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut kept = String::with_capacity(code.len());
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        let item = &rest[at..];
        let open = item.find('{').unwrap_or(item.len());
        let mut end = item.find(';').filter(|it| *it < open).map_or(item.len(), |it| it + 1);
        if end == item.len() {
            let mut depth = 0_i32;
            for (i, c) in item.char_indices().skip_while(|(i, _)| *i < open) {
                depth += i32::from(c == '{') - i32::from(c == '}');
                if depth == 0 {
                    end = i + 1;
                    break;
                }
            }
        }
        kept.extend(item[..end].chars().filter(|c| *c == '\n'));
        rest = &item[end..];
    }
    kept.push_str(rest);
    kept
}
