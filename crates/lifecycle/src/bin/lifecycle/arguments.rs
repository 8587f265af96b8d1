//! Command lines as Go's `flag` package reads them, since platforms were written against it: `-name value`,
//! `-name=value`, one dash or two, switches only with `=`; the first argument that is no flag ends them.

use crate::exit::{Code, Failure, fail};

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Switch,
    Number,
    /// Given several times.
    List,
}

/// Flags in the order in which they were given, and what follows them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) flags: Vec<(String, String)>,
    pub(crate) rest: Vec<String>,
}

/// Reads a command line; `kind` says what a flag takes, `None` for one that is not known.
pub(crate) fn parse(args: Vec<String>, kind: impl Fn(&str) -> Option<Kind>) -> Result<Parsed, Failure> {
    let mut parsed = Parsed::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let Some(flag) = flag_of(&arg) else {
            if arg != "--" {
                parsed.rest.push(arg);
            }
            parsed.rest.extend(args);
            break;
        };
        let (name, given) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        if name.is_empty() || name.starts_with('-') {
            return Err(fail(Code::Usage, format!("`{arg}` is no flag")));
        }
        let Some(kind) = kind(name) else {
            return Err(fail(Code::Usage, format!("the flag -{name} is not known here")));
        };
        let value = match (kind, given) {
            (Kind::Switch, given) => switch(given.as_deref().unwrap_or("true"))
                .ok_or_else(|| fail(Code::Usage, format!("{arg}: write true or false")))?
                .to_string(),
            (_, Some(value)) => value,
            (_, None) => {
                args.next().ok_or_else(|| fail(Code::Usage, format!("the flag -{name} wants a value")))?
            }
        };
        if kind == Kind::Number && value.parse::<u32>().is_err() {
            return Err(fail(Code::Usage, format!("-{name} {value}: write a number")));
        }
        parsed.flags.push((name.to_owned(), value));
    }
    Ok(parsed)
}

fn flag_of(arg: &str) -> Option<&str> {
    if arg == "--" || arg == "-" {
        return None;
    }
    arg.strip_prefix("--").or_else(|| arg.strip_prefix('-'))
}

/// As Go's `strconv.ParseBool`.
pub(crate) fn switch(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// `-version`, which is answered before anything else is looked at.
pub(crate) fn asks_for_version(args: &[String]) -> bool {
    args.first().is_some_and(|it| matches!(it.as_str(), "-version" | "--version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<Parsed, Failure> {
        parse(args.iter().map(|it| (*it).to_owned()).collect(), |name| match name {
            "layers" => Some(Kind::Text),
            "daemon" => Some(Kind::Switch),
            "uid" => Some(Kind::Number),
            "tag" => Some(Kind::List),
            _ => None,
        })
    }

    #[test]
    fn flags_are_read_as_go_reads_them() {
        let parsed =
            read(&["-layers", "/l", "--uid=3", "-daemon", "-tag", "a", "-tag=b", "image", "-daemon"])
                .unwrap();
        let flags: Vec<_> = parsed.flags.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(flags, [("layers", "/l"), ("uid", "3"), ("daemon", "true"), ("tag", "a"), ("tag", "b")]);
        assert_eq!(parsed.rest, ["image", "-daemon"]);
        assert_eq!(read(&["-daemon=false", "--", "-x"]).unwrap().rest, ["-x"]);
        assert_eq!(read(&["-layers", "-uid"]).unwrap().flags[0].1, "-uid");
    }

    #[test]
    fn what_is_not_known_or_not_whole_is_refused_by_name() {
        for (args, words) in [
            (&["-nope"][..], "-nope"),
            (&["-layers"], "-layers wants a value"),
            (&["-uid", "x"], "-uid x"),
            (&["-daemon=maybe"], "-daemon=maybe"),
            (&["---x"], "---x"),
        ] {
            let failure = read(args).unwrap_err();
            assert!(failure.code == Code::Usage && failure.text.contains(words), "{failure:?}");
        }
    }
}
