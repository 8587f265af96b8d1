//! What uv says when it cannot, turned into what the user can do about it.

use crate::errors;
use buildpack::{ToolFailure, UserError};
use std::collections::BTreeMap;
use std::path::Path;

/// What uv was working on.
#[derive(Debug)]
pub(crate) struct About<'a> {
    pub(crate) app: &'a Path,
    /// `requirements.txt`, for people.
    pub(crate) source: String,
    /// `3.13`.
    pub(crate) minor: &'a str,
    /// Requirements files, for positions.
    pub(crate) files: &'a BTreeMap<String, Vec<u8>>,
}

/// Finds the cause in what a tool printed.
pub(crate) fn explain(failure: &ToolFailure, about: &About) -> UserError {
    let text = failure.stderr.trim();
    if text.contains("needs to be updated") && text.contains("--locked") {
        return errors::lock_outgrown();
    }
    syntax(text, about)
        .or_else(|| build_failure(text, about))
        .or_else(|| connection(text))
        .or_else(|| unknown_package(text, about))
        .or_else(|| conflict(text, about))
        .or_else(|| wrong_hash(text, about))
        .unwrap_or_else(|| errors::tool_failed(failure, "install the app's packages"))
}

/// Why pip could not install uv. Where an index cannot be reached pip ends with "from versions: none", as it does where
/// the index does not have it; what went wrong stands in the warnings before, if anywhere.
pub(crate) fn pip_failed(version: &str, failure: &ToolFailure) -> UserError {
    let lines: Vec<&str> = failure.stderr.lines().map(str::trim).collect();
    let index = failure.stdout.lines().find_map(|it| it.strip_prefix("Looking in indexes: "));
    let host = index.and_then(|it| it.split("://").nth(1)?.split(['/', ',']).next()?.rsplit('@').next());
    let broken =
        lines.iter().rev().find_map(|it| it.split_once("after connection broken by '")?.1.rsplit_once('\''));
    let said: Vec<&str> = lines.iter().copied().filter(|it| it.starts_with("ERROR")).collect();
    let said = if said.is_empty() { failure.stderr.trim().to_owned() } else { said.join("\n") };
    let nothing_found = said.contains("from versions: none");
    match broken {
        // Python's name of a connection, with its address in memory, helps nobody.
        Some((why, _)) => {
            let why = why.rsplit_once(">: ").map_or(why, |(_, why)| why);
            errors::uv_index_unreachable(version, host, why.trim_end_matches(['\'', '"', ')']))
        }
        None if nothing_found => errors::uv_index_unreachable(version, host, &said),
        None => errors::uv_not_installed(version, &said),
    }
}

/// "Couldn't parse requirement in `more.txt` at position 6": the last such line is the file where it is.
fn syntax(text: &str, about: &About) -> Option<UserError> {
    let (_, rest) = text.rsplit_once(" in `").filter(|_| text.contains(" at position "))?;
    let (file, rest) = rest.split_once("` at position ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let position: usize = digits.parse().ok()?;
    let name = file.strip_prefix(&format!("{}/", about.app.display())).unwrap_or(file);
    let bytes = about.files.get(name).map(Vec::as_slice).unwrap_or_default();
    let before = &bytes[..position.min(bytes.len())];
    let line = before.iter().filter(|it| **it == b'\n').count() + 1;
    let written = String::from_utf8_lossy(bytes).lines().nth(line - 1).unwrap_or_default().trim().to_owned();
    let why =
        rest.lines().nth(1).map(|it| it.trim().trim_start_matches("cause: ").to_owned()).unwrap_or_default();
    Some(errors::requirements_syntax(name, line, &written, &why))
}

fn unknown_package(text: &str, about: &About) -> Option<UserError> {
    let (before, _) = text.split_once(" was not found in the package registry")?;
    let name = before.rsplit(char::is_whitespace).next()?.to_owned();
    let place = place_of(&name, about);
    Some(errors::unknown_package(&name, place.as_deref().unwrap_or(&about.source)))
}

/// `requirements.txt:3`, where a package is listed.
fn place_of(name: &str, about: &About) -> Option<String> {
    about.files.iter().find_map(|(file, bytes)| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let at =
            text.lines().position(|it| crate::requirements::name_of(it.trim()).as_deref() == Some(name))?;
        Some(format!("{file}:{}", at + 1))
    })
}

fn conflict(text: &str, about: &About) -> Option<UserError> {
    let (_, reason) = text.split_once("No solution found when resolving dependencies")?;
    let reason: Vec<&str> = reason
        .lines()
        .map(|it| it.trim().trim_start_matches("cause: "))
        .filter(|it| !it.is_empty() && *it != ":")
        .collect();
    Some(errors::conflict(&about.source, &reason.join("\n"), about.minor))
}

fn wrong_hash(text: &str, about: &About) -> Option<UserError> {
    (text.contains("Hash mismatch") || text.contains("hash mismatch"))
        .then(|| errors::wrong_hash(&about.source, text))
}

/// What a failed connection looks like in uv's words.
const CONNECTION: &[&str] = &[
    "error sending request",
    "Could not connect",
    "tcp connect error",
    "dns error",
    "operation timed out",
    "invalid peer certificate",
    "401 Unauthorized",
    "403 Forbidden",
    "Network connectivity is disabled",
];

fn connection(text: &str) -> Option<UserError> {
    CONNECTION.iter().find(|it| text.contains(**it))?;
    let host = text.split("://").nth(1).and_then(|it| it.split(['/', '`', ' ', '\n']).next());
    let host = host.map(|it| it.rsplit('@').next().unwrap_or(it)).unwrap_or("the package index");
    let last = text.lines().last().unwrap_or_default().trim().trim_start_matches("cause: ");
    Some(match () {
        () if text.contains("peer certificate") => errors::certificate(host, last),
        () if text.contains("401 Unauthorized") || text.contains("403 Forbidden") => {
            errors::not_allowed(host)
        }
        () => errors::no_network(host, last),
    })
}

/// What is missing to build a package from source, as its build says it, and the Debian packages that have it.
struct Missing {
    said: &'static str,
    what: &'static str,
    build: &'static [&'static str],
    run: &'static [&'static str],
}

/// Debian's pg_config is a Perl script, and Perl is in no base unasked.
const PG: &[&str] = &["libpq-dev", "perl-base"];

const COMPILER: &[&str] = &["gcc", "libc6-dev"];

/// Libraries before compilers: a library's message is more to the point. `{dev}` is Python's own headers.
const MISSING: &[Missing] = &[
    Missing { said: "pg_config", what: "PostgreSQL's library", build: PG, run: &["libpq5"] },
    Missing { said: "libpq-fe.h", what: "PostgreSQL's library", build: PG, run: &["libpq5"] },
    Missing {
        said: "mysqlclient",
        what: "MariaDB's or MySQL's library",
        build: &["libmariadb-dev", "pkgconf"],
        run: &["libmariadb3"],
    },
    Missing {
        said: "valid pkg-config name",
        what: "MySQL's library",
        build: &["libmariadb-dev", "pkgconf"],
        run: &["libmariadb3"],
    },
    Missing {
        said: "mysql_config",
        what: "MySQL's library",
        build: &["libmariadb-dev", "pkgconf"],
        run: &["libmariadb3"],
    },
    Missing {
        said: "libmemcached/memcached.h",
        what: "libmemcached",
        build: &["libmemcached-dev", "zlib1g-dev"],
        run: &[],
    },
    Missing { said: "ffi.h", what: "libffi", build: &["libffi-dev"], run: &["libffi8"] },
    Missing { said: "openssl/", what: "OpenSSL", build: &["libssl-dev", "pkgconf"], run: &[] },
    Missing {
        said: "libxml/",
        what: "libxml2 and libxslt",
        build: &["libxml2-dev", "libxslt1-dev"],
        run: &["libxml2", "libxslt1.1"],
    },
    Missing {
        said: "xmlsec",
        what: "xmlsec",
        build: &["libxmlsec1-dev", "pkgconf"],
        run: &["libxmlsec1-openssl"],
    },
    Missing { said: "lber.h", what: "OpenLDAP's library", build: &["libldap-dev", "libsasl2-dev"], run: &[] },
    Missing {
        said: "gssapi/gssapi.h",
        what: "Kerberos' library",
        build: &["libkrb5-dev"],
        run: &["libgssapi-krb5-2"],
    },
    Missing {
        said: "krb5-config",
        what: "Kerberos' library",
        build: &["libkrb5-dev"],
        run: &["libgssapi-krb5-2"],
    },
    Missing {
        said: "jpeglib.h",
        what: "libjpeg",
        build: &["libjpeg-dev", "zlib1g-dev"],
        run: &["libjpeg62-turbo"],
    },
    Missing {
        said: "sqlite3.h",
        what: "SQLite's library",
        build: &["libsqlite3-dev"],
        run: &["libsqlite3-0"],
    },
    Missing { said: "zlib.h", what: "zlib", build: &["zlib1g-dev"], run: &[] },
    Missing {
        said: "curl-config",
        what: "libcurl",
        build: &["libcurl4-openssl-dev", "libssl-dev"],
        run: &[],
    },
    Missing { said: "sql.h", what: "unixODBC", build: &["unixodbc-dev"], run: &["unixodbc"] },
    Missing { said: "Rust", what: "a Rust compiler", build: &["cargo", "rustc"], run: &[] },
    Missing { said: "rustc", what: "a Rust compiler", build: &["cargo", "rustc"], run: &[] },
    Missing { said: "cargo", what: "a Rust compiler", build: &["cargo", "rustc"], run: &[] },
    Missing { said: "cmake", what: "CMake", build: &["cmake", "make", "g++"], run: &[] },
    Missing { said: "gfortran", what: "a Fortran compiler", build: &["gfortran"], run: &[] },
    Missing { said: "g++", what: "a C++ compiler", build: &["g++"], run: &["libstdc++6"] },
    Missing { said: "c++", what: "a C++ compiler", build: &["g++"], run: &["libstdc++6"] },
    Missing { said: "Python.h", what: "Python's headers", build: &[], run: &[] },
    Missing { said: "gcc", what: "a C compiler", build: &[], run: &[] },
    Missing { said: "'cc'", what: "a C compiler", build: &[], run: &[] },
    Missing { said: "clang", what: "a C compiler", build: &[], run: &[] },
    Missing { said: "make", what: "make", build: &["make"], run: &[] },
];

/// Lines in which a build says what it lacks.
const SAYS_MISSING: &[&str] = &[
    "No such file or directory",
    "not found",
    "Can not find",
    "Unable to find",
    "cannot find",
    "could not find",
    "Could not find",
    "unable to execute",
    "failed: ",
    "is not installed",
    "requires Rust",
    "Is the ",
    "Unknown compiler",
];

fn build_failure(text: &str, about: &About) -> Option<UserError> {
    let start =
        ["Failed to build `", "Failed to download and build `"].iter().find_map(|it| text.split_once(it))?;
    let package = start.1.split('`').next()?.split(" @ ").next()?.to_owned();
    if text.contains("/usr/bin/git")
        || text.contains("Git executable")
        || text.contains("Git operation failed")
    {
        return Some(errors::git(&package, last_line(text)));
    }
    let lacking: Vec<&str> =
        text.lines().filter(|line| SAYS_MISSING.iter().any(|it| line.contains(it))).map(str::trim).collect();
    // A build that looks for something optional says so too: what is known, and said last, is the cause.
    let known = MISSING.iter().find(|it| lacking.iter().any(|line| line.contains(it.said)));
    let Some(missing) = known else {
        let header =
            lacking.iter().find_map(|it| it.split(": ").find(|it| it.ends_with(".h"))).map(str::to_owned);
        return Some(match header {
            Some(header) => errors::header(&package, &header, about.minor),
            None if connection(text).is_some() => return None,
            None => errors::source_build(&package, &tail(text)),
        });
    };
    let headers = format!("python{}-dev", about.minor);
    let mut build: Vec<&str> = COMPILER.to_vec();
    build.push(&headers);
    build.extend(missing.build.iter().filter(|it| !COMPILER.contains(it)));
    let said = lacking.iter().find(|line| line.contains(missing.said)).copied().unwrap_or_default();
    Some(errors::needs_debian(&package, (missing.what, said), &build, missing.run))
}

fn last_line(text: &str) -> &str {
    text.lines().map(str::trim).rfind(|it| !it.is_empty() && !it.starts_with("hint:")).unwrap_or_default()
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with("hint:")).collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(stderr: &str) -> String {
        let files = BTreeMap::from([
            ("requirements.txt".to_owned(), b"flask\n# x\nno-such-thing\n-r more.txt\n".to_vec()),
            ("more.txt".to_owned(), b"six\nfla sk\n".to_vec()),
        ]);
        let about = About {
            app: Path::new("/workspace"),
            source: "requirements.txt".into(),
            minor: "3.13",
            files: &files,
        };
        let failure = ToolFailure {
            name: "uv".into(),
            why: "ended with exit code 1".into(),
            stdout: String::new(),
            stderr: stderr.into(),
        };
        explain(&failure, &about).to_string()
    }

    #[test]
    fn a_syntax_error_names_file_and_line_of_an_included_file_too() {
        let text = explained(
            "error: Error parsing included file in `requirements.txt` at position 20\n  cause: Couldn't parse requirement in `more.txt` at position 4\n  cause: Expected one of `@`, `(`, found `s`\n         fla sk\n             ^",
        );
        assert!(text.contains("more.txt:2"), "{text}");
        assert!(text.contains("fla sk"), "{text}");
    }

    #[test]
    fn an_unknown_package_names_the_line_that_lists_it() {
        let text = explained(
            "error: No solution found when resolving dependencies\n  cause: Because no-such-thing was not found in the package registry and you require no-such-thing, we can conclude that your requirements are unsatisfiable.",
        );
        assert!(text.contains("requirements.txt:3"), "{text}");
    }

    #[test]
    fn a_conflict_keeps_the_resolvers_reasons() {
        let text = explained(
            "error: No solution found when resolving dependencies\n  cause: Because flask==3.1.2 depends on werkzeug>=3.1.0 and you require flask==3.1.2, we can conclude that you require werkzeug>=3.1.0.\n         And because you require werkzeug<1, we can conclude that your requirements are unsatisfiable.",
        );
        assert!(text.contains("flask==3.1.2 depends on werkzeug>=3.1.0"), "{text}");
        assert!(text.contains("you require werkzeug<1"), "{text}");
    }

    #[test]
    fn what_a_build_lacks_becomes_lines_for_project_toml() {
        let postgres = explained(
            "error: Failed to build `psycopg2==2.9.13`\n  cause: The build backend returned an error\n\n         Error: pg_config executable not found.\n\n         pg_config is required to build psycopg2 from source.",
        );
        assert!(
            postgres.contains(
                "build = [\"gcc\", \"libc6-dev\", \"python3.13-dev\", \"libpq-dev\", \"perl-base\"]"
            ),
            "{postgres}"
        );
        assert!(postgres.contains("run = [\"libpq5\"]"), "{postgres}");
        let mysql = explained(
            "error: Failed to build `mysqlclient==2.3.1`\n         /bin/sh: 1: pkg-config: not found\n         Exception: Can not find valid pkg-config name.\n         Command 'pkg-config --exists mysqlclient' not found",
        );
        assert!(mysql.contains("libmariadb-dev"), "{mysql}");
        let cpp = explained(
            "error: Failed to build `greenlet==3.2`\n         error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-g++'",
        );
        assert!(cpp.contains("\"g++\""), "{cpp}");
        let c = explained(
            "error: Failed to build `x==1`\n         error: command 'gcc' failed: No such file or directory",
        );
        assert!(c.contains("a C compiler"), "{c}");
        let header = explained(
            "error: Failed to build `x==1`\n         a.c:1:10: fatal error: odd/thing.h: No such file or directory",
        );
        assert!(header.contains("odd/thing.h"), "{header}");
    }

    #[test]
    fn pip_says_which_index_and_why_in_its_warnings() {
        let failure = ToolFailure {
            name: "python3.13".into(),
            why: "ended with exit code 1".into(),
            stdout: "Looking in indexes: https://me:****@index.example/simple\n".into(),
            stderr: "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('x: Connection refused')': /simple/uv/\nERROR: Could not find a version that satisfies the requirement uv==1 (from versions: none)\n".into(),
        };
        let text = pip_failed("1", &failure).to_string();
        assert!(text.contains("index.example"), "{text}");
        assert!(text.contains("Connection refused"), "{text}");
        assert!(!text.contains("me:"), "{text}");
    }

    #[test]
    fn a_failed_connection_names_the_host_and_no_password() {
        let text = explained(
            "error: Failed to fetch: `https://me:****@index.example/simple/flask/`\n  cause: error sending request for url (x)\n  cause: dns error\n  cause: failed to lookup address information",
        );
        assert!(text.contains("index.example"), "{text}");
        let text = explained(
            "error: Failed to fetch: `https://index.example/simple/flask/`\n  cause: error sending request\n  cause: invalid peer certificate: UnknownIssuer",
        );
        assert!(text.contains("certificate"), "{text}");
        let text = explained(
            "error: Failed to fetch: `https://index.example/simple/flask/`\n  cause: HTTP status client error (401 Unauthorized) for url (https://index.example/simple/flask/)",
        );
        assert!(text.contains("user name"), "{text}");
    }
}
