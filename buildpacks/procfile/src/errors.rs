//! All that this buildpack tells a user who must do something: the words of its errors, and nothing else.

use crate::procfile::Entry;
use buildpack::UserError;

const EXAMPLE: &str = "A line is a name, a colon and a command:\n\n  web: gunicorn myapp:app";

pub(crate) fn no_colon(line: usize, text: &str) -> UserError {
    UserError::new(format!("Procfile:{line}: this line has no colon"), format!("  {text}")).cure(EXAMPLE)
}

pub(crate) fn bad_type(line: usize, kind: &str, text: &str) -> UserError {
    UserError::new(
        format!("Procfile:{line}: `{kind}` cannot name a process type"),
        format!("  {text}\n\nA name has letters, digits, `-`, `_` and `.`."),
    )
    .cure(EXAMPLE)
}

pub(crate) fn no_command(line: usize, kind: &str) -> UserError {
    UserError::new(format!("Procfile:{line}: `{kind}` has no command"), "Nothing stands after the colon.")
        .cure(EXAMPLE)
}

pub(crate) fn open_quote(line: usize, quote: char, text: &str) -> UserError {
    UserError::new(format!("Procfile:{line}: a quote ({quote}) is not closed"), format!("  {text}"))
        .cure("Close it, or put a backslash in front of it if it is meant as it is.")
}

pub(crate) fn twice(line: usize, kind: &str, first: usize) -> UserError {
    UserError::new(
        format!("Procfile:{line}: `{kind}` is there twice"),
        format!("It is in line {first} already."),
    )
    .cure("Delete one of the lines, or give one another name.")
}

pub(crate) fn empty() -> UserError {
    UserError::new("the Procfile is empty", "It has no line that names a process type.")
        .cure(EXAMPLE)
        .cure("Or delete it: then the start command is found in the code, where that is possible.")
}

pub(crate) fn utf16() -> UserError {
    UserError::new("the Procfile is written in UTF-16", "It begins with UTF-16's mark, as PowerShell's `>` writes it.")
        .cure("Write it again as UTF-8, in PowerShell:\n\n  Get-Content Procfile | Set-Content -Encoding utf8 new; Move-Item -Force new Procfile")
}

pub(crate) fn no_default(entries: &[Entry]) -> String {
    let names: Vec<&str> = entries.iter().map(|it| it.kind.as_str()).collect();
    format!(
        "the Procfile has no `web`, and several other types: the image starts nothing by itself.\nChoose one when it is run: {}",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_every_error() {
        let all = [
            no_colon(2, "nonsense"),
            bad_type(1, "we b", "we b: a"),
            no_command(1, "web"),
            open_quote(1, '\'', "web: a 'b"),
            twice(3, "web", 1),
            empty(),
            utf16(),
        ];
        let mut text: Vec<String> = all.iter().map(ToString::to_string).collect();
        let entries = crate::procfile::parse(b"a: x\nb: y\n").unwrap();
        text.push(no_default(&entries));
        insta::assert_snapshot!(text.join("\n----\n\n"));
    }
}
