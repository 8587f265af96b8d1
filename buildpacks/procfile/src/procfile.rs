//! A Procfile: `type: command` lines, comments and blank lines between.
//!
//! A command without anything that a shell would act upon is split into words here and started directly, so that the
//! app is the process that gets the signals. Every other command goes to `bash -c`, with `exec` left to its author.

use crate::errors;
use buildpack::UserError;

/// One process type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: String,
    /// The command as it is written.
    pub(crate) line: String,
    pub(crate) run: Run,
}

/// How a command is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Run {
    /// As these words.
    Direct(Vec<String>),
    /// By bash, because of this.
    Shell(&'static str),
}

/// Reads a Procfile.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Entry>, UserError> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(errors::utf16());
    }
    let text = String::from_utf8_lossy(bytes);
    let mut entries: Vec<(usize, Entry)> = Vec::new();
    for (number, line) in joined(text.trim_start_matches('\u{feff}')) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let entry = parse_line(number, line)?;
        if let Some((first, _)) = entries.iter().find(|(_, it)| it.kind == entry.kind) {
            return Err(errors::twice(number, &entry.kind, *first));
        }
        entries.push((number, entry));
    }
    if entries.is_empty() {
        return Err(errors::empty());
    }
    Ok(entries.into_iter().map(|(_, it)| it).collect())
}

/// Lines with their numbers; one that ends in a backslash goes on in the next.
fn joined(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        let (bare, continues) = match line.strip_suffix('\\') {
            Some(bare) if !line.trim_start().starts_with('#') => (bare, true),
            _ => (line, false),
        };
        match lines.last_mut().filter(|_| open) {
            Some((_, last)) => last.push_str(bare.trim_start()),
            None => lines.push((index + 1, bare.to_owned())),
        }
        open = continues;
    }
    lines
}

fn parse_line(number: usize, line: &str) -> Result<Entry, UserError> {
    let Some((kind, command)) = line.split_once(':') else {
        return Err(errors::no_colon(number, line));
    };
    let (kind, command) = (kind.trim_end(), command.trim());
    // Heroku's rule: letters, digits, `-` and `_`; the launcher makes a file of the name.
    if kind.is_empty()
        || !kind.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        || kind.starts_with('.')
    {
        return Err(errors::bad_type(number, kind, line));
    }
    if command.is_empty() {
        return Err(errors::no_command(number, kind));
    }
    let run = run(command).map_err(|quote| errors::open_quote(number, quote, line))?;
    Ok(Entry { kind: kind.to_owned(), line: command.to_owned(), run })
}

/// The words of a command, or why it needs a shell; `Err` with a quote that is not closed.
fn run(command: &str) -> Result<Run, char> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = command.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err('\''),
                    }
                }
            }
            '"' => match double_quoted(&mut chars, word.get_or_insert_default())? {
                Some(reason) => return shell(command, reason),
                None => continue,
            },
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c if c.is_whitespace() => words.extend(word.take()),
            c => {
                if let Some(reason) = shell_character(c, word.is_none()) {
                    return shell(command, reason);
                }
                word.get_or_insert_default().push(c);
            }
        }
    }
    words.extend(word);
    if words.first().is_some_and(|it| is_assignment(it)) {
        return Ok(Run::Shell("it sets a variable"));
    }
    match words.first().map(String::as_str) {
        // No program has this name: bash itself does it.
        Some(
            "exec" | "cd" | "source" | "." | "export" | "eval" | "ulimit" | "umask" | "set" | "trap" | "wait"
            | "if" | "for" | "while",
        ) => Ok(Run::Shell("it is a command of the shell")),
        Some(_) => Ok(Run::Direct(words)),
        None => Ok(Run::Shell("it is empty")),
    }
}

/// A shell's line is bash's business, but a quote that is never closed is an error there too.
fn shell(command: &str, reason: &'static str) -> Result<Run, char> {
    let mut open: Option<char> = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match (c, open) {
            ('\\', None | Some('"')) => drop(chars.next()),
            ('\'' | '"', None) => open = Some(c),
            (c, Some(quote)) if c == quote => open = None,
            // Its rest is a comment, or a document: no more is known of quotes.
            ('#' | '`', None) => return Ok(Run::Shell(reason)),
            _ => {}
        }
    }
    // `$(...)` inside quotes can nest quotes of its own.
    match open {
        Some(quote) if !command.contains("$(") => Err(quote),
        _ => Ok(Run::Shell(reason)),
    }
}

fn double_quoted(
    chars: &mut std::iter::Peekable<std::str::Chars>,
    word: &mut String,
) -> Result<Option<&'static str>, char> {
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok(None),
            '$' => return Ok(Some("it uses a variable")),
            '`' => return Ok(Some("it runs a command in another")),
            '\\' if chars.peek().is_some_and(|it| "\"\\$`".contains(*it)) => word.extend(chars.next()),
            c => word.push(c),
        }
    }
    Err('"')
}

fn shell_character(c: char, begins_word: bool) -> Option<&'static str> {
    match c {
        '$' => Some("it uses a variable"),
        '`' => Some("it runs a command in another"),
        '|' => Some("it is a pipe"),
        '&' | ';' => Some("it is several commands"),
        '<' | '>' => Some("it redirects"),
        '(' | ')' | '{' | '}' => Some("it groups commands or words"),
        '*' | '?' | '[' | ']' => Some("it has a pattern of file names"),
        '~' if begins_word => Some("it names a home folder"),
        '#' if begins_word => Some("it has a comment"),
        '!' if begins_word => Some("it negates a command"),
        _ => None,
    }
}

/// `FOO=1`: what a shell takes for a variable of the command after it.
fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else { return false };
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct(command: &str) -> Vec<String> {
        match run(command) {
            Ok(Run::Direct(words)) => words,
            other => panic!("{command}: {other:?}"),
        }
    }

    fn is_shell(command: &str) -> bool {
        matches!(run(command), Ok(Run::Shell(_)))
    }

    #[test]
    fn words_are_split_as_a_shell_does() {
        assert_eq!(direct("gunicorn my-app:app"), ["gunicorn", "my-app:app"]);
        assert_eq!(direct("a 'b c'\"d e\" f\\ g ''"), ["a", "b cd e", "f g", ""]);
        assert_eq!(direct("a \"x \\\" \\n\""), ["a", "x \" \\n"]);
        assert_eq!(direct("a '$HOME' b#c x=1"), ["a", "$HOME", "b#c", "x=1"]);
    }

    #[test]
    fn what_a_shell_would_act_upon_goes_to_a_shell() {
        for command in [
            "gunicorn -b :$PORT app",
            "a | b",
            "a && b",
            "a; b",
            "a > b",
            "a *.py",
            "FOO=1 gunicorn app",
            "exec a",
            "cd x",
            "a \"$X\"",
            "a `b`",
            "a ~/x",
            "(a)",
            "a {b,c}",
            "a # why",
            "a \"`b`\"",
        ] {
            assert!(is_shell(command), "{command}");
        }
    }

    #[test]
    fn comments_blank_lines_carriage_returns_and_a_byte_order_mark_are_no_matter() {
        let text = "\u{feff}# types\r\n\r\nweb: a b\r\n  # more\r\nrelease : c \\\r\n   d\r\n";
        let entries = parse(text.as_bytes()).unwrap();
        let all: Vec<_> = entries.iter().map(|it| (it.kind.as_str(), it.line.as_str())).collect();
        assert_eq!(all, [("web", "a b"), ("release", "c d")]);
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (text, words) in [
            ("web: a\nnonsense\n", "Procfile:2"),
            ("web:\n", "Procfile:1"),
            ("we b: a\n", "Procfile:1"),
            ("web: a\n\nweb: b\n", "Procfile:3"),
            ("web: a 'b\n", "Procfile:1"),
            ("web: a $X 'b\n", "Procfile:1"),
            ("# nothing\n", "Procfile"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }
}
