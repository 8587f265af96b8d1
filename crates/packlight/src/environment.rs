//! Variables that the user gives: `-e NAME=VALUE`, `-e NAME` and `--env-file`, by Docker's rules.
//!
//! <https://docs.docker.com/reference/cli/docker/container/run/#env>

use crate::failure::Failure;
use platform::settings::Environment;
use std::ffi::OsStr;
use std::path::PathBuf;

/// The variables of the files, then those of the command line; of two with one name the later is meant.
pub(crate) fn resolve(
    files: &[PathBuf],
    given: &[String],
    own: &Environment,
) -> Result<Vec<(String, String)>, Failure> {
    let mut variables = Vec::new();
    for file in files {
        let text = fs_err::read_to_string(file)
            .map_err(|error| Failure::usage(&format!("--env-file: {}", platform::error::chain(&error))))?;
        for (index, line) in text.lines().enumerate() {
            // Docker leaves the value as it is, quotes and trailing blanks included.
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let at = || format!("{}:{}", file.display(), index + 1);
            variables
                .extend(one(line, own).map_err(|reason| Failure::usage(&format!("{}: {reason}", at())))?);
        }
    }
    for text in given {
        variables.extend(one(text, own).map_err(|reason| Failure::usage(&format!("-e {text}: {reason}")))?);
    }
    Ok(variables)
}

/// One variable; none when it is to come from here and is not set here.
fn one(text: &str, own: &Environment) -> Result<Option<(String, String)>, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err("a variable needs a name: NAME=VALUE".to_owned());
    }
    if name.contains(char::is_whitespace) || name.contains('\0') {
        return Err(format!("the name {name:?} has a blank in it"));
    }
    let value = match value {
        Some(value) => value,
        None => match own.get(OsStr::new(name)) {
            None => return Ok(None),
            Some(value) => {
                value.to_str().ok_or_else(|| format!("the value of {name} is not UTF-8"))?.to_owned()
            }
        },
    };
    if value.contains('\0') {
        return Err(format!("the value of {name} has a NUL in it"));
    }
    Ok(Some((name.to_owned(), value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Environment {
        [("HERE".into(), "value".into())].into()
    }

    fn given(texts: &[&str]) -> Result<Vec<(String, String)>, Failure> {
        resolve(&[], &texts.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>(), &own())
    }

    #[test]
    fn a_variable_has_its_value_or_takes_the_one_from_here() {
        let pairs = given(&["A=b=c", "EMPTY=", "HERE", "NOT_HERE"]).unwrap();
        let text: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        assert_eq!(text, ["A:b=c", "EMPTY:", "HERE:value"]);
    }

    #[test]
    fn a_name_that_no_variable_can_have_is_refused() {
        assert!(given(&["=x"]).unwrap_err().message.contains("needs a name"));
        assert!(given(&["A B=x"]).unwrap_err().message.contains("\"A B\" has a blank"));
    }

    #[test]
    fn a_file_has_comments_and_values_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("app.env");
        fs_err::write(&file, "# comment\n\n  A= \"x\" \nHERE\n").unwrap();
        let pairs = resolve(std::slice::from_ref(&file), &["A=later".to_owned()], &own()).unwrap();
        let text: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        assert_eq!(text, ["A: \"x\" ", "HERE:value", "A:later"]);
        fs_err::write(&file, "A=1\nB C=2\n").unwrap();
        let error = resolve(&[file], &[], &own()).unwrap_err();
        assert!(error.message.contains("app.env:2: the name \"B C\""), "{}", error.message);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = resolve(&["/nonexistent/app.env".into()], &[], &own()).unwrap_err();
        assert!(error.message.contains("/nonexistent/app.env"), "{}", error.message);
    }
}
