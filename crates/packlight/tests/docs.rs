//! The documentation against the program: what can be generated is, what can be counted is counted.
//!
//! After a change of the command line: `UPDATE_DOCS=1 cargo test -p packlight --test docs`.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use source::{files, sources, top};

/// What `packlight` prints with these arguments, on a terminal of a fixed width.
fn packlight(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_packlight"));
    let output = command.args(arguments).env("COLUMNS", "100").env("NO_COLOR", "1").output().unwrap();
    assert!(output.status.success(), "packlight {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Compares a generated page with the committed one, or writes it when asked.
fn check(page: &str, generated: &str) {
    let path = top().join(page);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, generated).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "{page} is not what the program says; UPDATE_DOCS=1 writes it anew");
}

fn trimmed(help: &str) -> String {
    help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// The help of a verb without what every verb takes, which the page says once.
fn without_globals(help: &str) -> String {
    let Some((before, globals)) = help.split_once("\nOutput, and where things are kept:\n") else {
        return trimmed(help);
    };
    let after = globals.lines().skip_while(|line| line.is_empty() || line.starts_with(' '));
    trimmed(&format!("{before}\n{}", after.collect::<Vec<_>>().join("\n")))
}

/// The verbs of a help text, in its order.
fn verbs(help: &str) -> Vec<String> {
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    commands
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|it| !it.starts_with(' ')))
        .map(|line| line.split_whitespace().next().unwrap_or_default().to_owned())
        .filter(|verb| verb != "help")
        .collect()
}

#[test]
fn the_page_of_commands_is_what_help_says() {
    let mut page = "# Commands\n\nGenerated from `packlight --help`; a test compares. What every verb takes stands under \
                    `packlight`.\n".to_owned();
    let mut open: Vec<Vec<String>> = vec![vec![]];
    while !open.is_empty() {
        let words = open.remove(0);
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = packlight(&arguments);
        let title =
            ["packlight"].into_iter().chain(words.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
        let text = if words.is_empty() { trimmed(&help) } else { without_globals(&help) };
        page.push_str(&format!("\n## {title}\n\n```text\n{}\n```\n", text.trim_end()));
        let below = verbs(&help).into_iter().map(|verb| [words.clone(), vec![verb]].concat());
        open.splice(0..0, below);
    }
    assert!(page.contains("## packlight build\n") && page.contains("## packlight store check\n"), "{page}");
    check("docs/reference/commands.md", &page);
}

#[test]
fn the_page_of_exit_codes_is_what_the_program_says() {
    let mut page = "# Exit codes\n\nGenerated from `packlight exit-codes`; a test compares.\n\n".to_owned();
    page.push_str("| code | meaning |\n| --- | --- |\n");
    for line in packlight(&["exit-codes"]).lines() {
        let (code, meaning) = line.trim_start().split_once("  ").unwrap();
        page.push_str(&format!("| {code} | {meaning} |\n"));
    }
    page.push_str("\n`packlight run` ends with the app's own exit code, or 128 and the number of the signal that ended it.\n");
    check("docs/reference/exit-codes.md", &page);
}

#[test]
fn every_event_is_on_its_page() {
    let page = fs::read_to_string(top().join("docs/reference/events.md")).unwrap();
    let text = fs::read_to_string(top().join("crates/platform/src/event.rs")).unwrap();
    let body = text.split("pub enum Event {").nth(1).unwrap().split("\n}").next().unwrap();
    let variants: Vec<String> = body
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.strip_suffix(" {"))
        .filter(|it| it.starts_with(char::is_uppercase))
        .map(kebab)
        .collect();
    assert!(variants.len() > 5, "{variants:?}");
    let missing: Vec<_> = variants.iter().filter(|it| !page.contains(&format!("| `{it}` |"))).collect();
    assert!(missing.is_empty(), "docs/reference/events.md lacks {missing:?}");
}

fn kebab(name: &str) -> String {
    let letter = |(at, c): (usize, char)| match c {
        'A'..='Z' if at > 0 => format!("-{}", c.to_ascii_lowercase()),
        _ => c.to_ascii_lowercase().to_string(),
    };
    name.char_indices().map(letter).collect()
}

#[test]
fn every_variable_of_ours_is_on_its_page() {
    let page = fs::read_to_string(top().join("docs/reference/environment.md")).unwrap();
    let mut missing = BTreeSet::new();
    for source in sources() {
        // What stands in texts, in code that is no test.
        let end = source.text.find("#[cfg(test)]\nmod ").unwrap_or(source.text.len());
        for word in source.text[..end].split('"').skip(1).step_by(2) {
            let is_name = word.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_');
            if is_name && word.starts_with("PACKLIGHT_") && !page.contains(&format!("`{word}`")) {
                missing.insert(format!("{word} ({})", source.path));
            }
        }
    }
    assert!(missing.is_empty(), "docs/reference/environment.md lacks {missing:#?}");
}

#[test]
fn every_variable_of_paketos_is_on_its_page() {
    let page = fs::read_to_string(top().join("docs/reference/paketo.md")).unwrap();
    let mut missing = BTreeSet::new();
    let mut found = 0;
    for file in ["crates/buildpack/src/paketo.rs", "buildpacks/python/src/paketo.rs"] {
        let text = fs::read_to_string(top().join(file)).unwrap();
        for word in text.split("#[cfg(test)]").next().unwrap().split('"').skip(1).step_by(2) {
            let is_name = word.bytes().all(|c| c.is_ascii_uppercase() || c == b'_');
            if is_name && word.starts_with("BP_") && word.len() > 3 {
                found += 1;
                if !page.contains(&format!("`{word}`")) {
                    missing.insert(word.to_owned());
                }
            }
        }
    }
    assert!(found > 30, "{found}");
    assert!(missing.is_empty(), "docs/reference/paketo.md lacks {missing:#?}");
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let pages: Vec<_> =
        files().into_iter().filter(|path| path.extension().is_some_and(|it| it == "md")).collect();
    assert!(pages.len() > 10, "{pages:?}");
    let mut broken = Vec::new();
    for page in pages {
        let text = fs::read_to_string(top().join(&page)).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            let outside = target.contains("://") || path.is_empty();
            let folder = page.parent().unwrap_or(Path::new(""));
            if !outside && !top().join(folder).join(path).exists() {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
