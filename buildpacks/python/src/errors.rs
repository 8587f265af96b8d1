//! All that this buildpack tells a user who must do something: the words of its errors, and nothing else.

mod interpreter;

use buildpack::{ToolFailure, UserError};
pub(crate) use interpreter::*;

const DOCS_TODAY: &str =
    "What works today: requirements.txt, uv.lock, or a pyproject.toml with a [project] table.";

fn quoted(list: &[&str]) -> String {
    list.iter().map(|it| format!("\"{it}\"")).collect::<Vec<_>>().join(", ")
}

// What the app is

pub(crate) fn not_yet(manager: &str, file: &str) -> UserError {
    let export = match manager {
        "Poetry" => "poetry self add poetry-plugin-export\n  poetry export -o requirements.txt",
        "PDM" => "pdm export --prod -o requirements.txt",
        "Pipenv" => "pipenv requirements > requirements.txt",
        "conda" => "pip list --format=freeze > requirements.txt      (in the active environment)",
        "Pixi" => "pixi run pip list --format=freeze > requirements.txt",
        "PEP 751" => "uv pip compile pyproject.toml -o requirements.txt",
        _ => "echo . > requirements.txt",
    };
    UserError::new(
        format!("{manager} is not supported yet"),
        format!("{file} was found: this app is managed with {manager}.\n{DOCS_TODAY}"),
    )
    .cure(format!(
        "Write a requirements.txt from what you have, and keep it in the repository:\n\n  {export}"
    ))
    .cure("Or move the project to uv:\n\n  uvx migrate-to-uv")
}

pub(crate) fn misspelt(name: &str) -> UserError {
    UserError::new(
        format!("`{name}` is not requirements.txt"),
        format!("The app's folder has a file called `{name}`, which no Python tool looks for."),
    )
    .cure(format!("Rename it:\n\n  mv '{name}' requirements.txt"))
    .cure("If it has another purpose and the app needs no packages, add an empty requirements.txt:\n\n  touch requirements.txt")
}

pub(crate) fn no_marker(first: &str, count: usize) -> UserError {
    let others = match count {
        0 | 1 => String::new(),
        2 => " and one other Python file".to_owned(),
        count => format!(" and {} other Python files", count - 1),
    };
    UserError::new(
        "nothing says which packages the app needs",
        format!("{first}{others} found, but no requirements.txt, uv.lock or pyproject.toml with a [project] table."),
    )
    .cure("List the packages that the app imports, one a line, in a file called requirements.txt. If it needs none, the file is empty:\n\n  touch requirements.txt")
}

pub(crate) fn two_lists(one: &str, two: &str) -> UserError {
    UserError::new(
        format!("both {one} and {two} list the app's packages"),
        "They can say different things, and there is no telling which one is meant.",
    )
    .cure(format!("Keep {two}, and delete {one}."))
    .cure(format!("Or write {one} from {two} whenever that changes; a file that says so in its first lines is fine:\n\n  uv export --no-dev -o {one}"))
    .cure(format!("Or keep {one}, and delete {two}."))
}

pub(crate) fn uv_lock_alone() -> UserError {
    UserError::new(
        "uv.lock has no pyproject.toml beside it",
        "A uv.lock is read together with the pyproject.toml that it was made from.",
    )
    .cure("Add pyproject.toml to the app's folder, or check that project.toml does not exclude it.")
}

pub(crate) fn lock_outgrown() -> UserError {
    UserError::new(
        "uv.lock and pyproject.toml disagree",
        "pyproject.toml was changed, and uv.lock was not made anew from it.",
    )
    .cure("Bring uv.lock up to date, and keep it in the repository:\n\n  uv lock")
}

pub(crate) fn requirements_lack(missing: &[&str]) -> UserError {
    UserError::new(
        "requirements.txt and pyproject.toml disagree",
        format!("pyproject.toml lists under `dependencies` what requirements.txt lacks: {}.", missing.join(", ")),
    )
    .cure("Write requirements.txt anew from pyproject.toml:\n\n  uv pip compile pyproject.toml -o requirements.txt")
    .cure("Or delete requirements.txt: then pyproject.toml decides.")
}

pub(crate) fn given_requirements_missing(file: &str) -> UserError {
    UserError::new(
        format!("BP_PIP_REQUIREMENT names `{file}`, which is not there"),
        "Each name is relative to the app's folder; several are separated by spaces.",
    )
    .cure("Correct the name, or unset BP_PIP_REQUIREMENT to use requirements.txt.")
}

pub(crate) fn not_toml(file: &str, why: &str) -> UserError {
    UserError::new(format!("{file} is not TOML"), why.to_owned())
        .cure(format!("Correct {file} at that line."))
}

// Requirements files

pub(crate) fn include_missing(from: &str, line: usize, file: &str) -> UserError {
    UserError::new(
        format!("{from}:{line}: `{file}` is not there"),
        format!("{from} includes it, and paths are relative to the file that includes."),
    )
    .cure(format!(
        "Correct the path in {from}, add the file, or check that project.toml does not exclude it."
    ))
}

pub(crate) fn include_by_url(file: &str, line: usize, url: &str) -> UserError {
    UserError::new(
        format!("{file}:{line}: a requirements file cannot be included by URL"),
        format!("{url}\nWhat is there can change from one build to the next, so it cannot be locked."),
    )
    .cure("Keep a copy of that file in the repository, and include the copy.")
}

pub(crate) fn utf16(file: &str) -> UserError {
    UserError::new(format!("{file} is written in UTF-16"), "It begins with UTF-16's mark, as PowerShell's `>` writes it; Python's tools expect UTF-8.")
        .cure(format!("Write it again as UTF-8, in PowerShell:\n\n  Get-Content {file} | Set-Content -Encoding utf8 new.txt; Move-Item -Force new.txt {file}"))
}

pub(crate) fn requirements_syntax(file: &str, line: usize, written: &str, why: &str) -> UserError {
    UserError::new(format!("{file}:{line}: this line is not a requirement"), format!("  {written}\n\n{why}"))
        .cure(format!("Correct {file} at line {line}. A requirement looks like one of these:\n\n  flask\n  flask>=3,<4\n  uvicorn[standard]==0.38.0"))
}

pub(crate) fn password_in_requirement(file: &str, line: usize, name: &str) -> UserError {
    UserError::new(
        format!("{file}:{line}: the URL of `{name}` has a password in it"),
        "It would be kept in the image's layers and in packlight.lock, where others can read it.",
    )
    .cure("Put a variable in its place, and set that for the build:\n\n  https://user:${TOKEN}@...")
    .cure("Or take the package from an index, whose password pip's settings hold (PIP_INDEX_URL, pip.conf).")
}

// Which Python

pub(crate) fn no_pip(dir: &str) -> UserError {
    UserError::new(
        "the build image has no pip",
        format!(
            "{dir} holds no pip wheel. This buildpack asks for Debian's `python3-pip-whl` in its build plan."
        ),
    )
    .cure("Build with Packlight's own builder, or with one that has the extension packlight/debian.")
}

const PIP_SETTINGS: &str = "Behind a proxy or with a mirror, set PIP_INDEX_URL, PIP_CERT and HTTPS_PROXY, or pip.conf: the build is given them.";

pub(crate) fn uv_not_installed(version: &str, said: &str) -> UserError {
    UserError::new(
        format!("pip could not install uv {version}"),
        format!("{said}\n\npip's own settings decide where it comes from: pip.conf and PIP_* variables."),
    )
    .cure("See that pip works on this machine:\n\n  pip download --no-deps uv")
    .cure(PIP_SETTINGS)
}

pub(crate) fn uv_index_unreachable(version: &str, host: Option<&str>, why: &str) -> UserError {
    let index = host.unwrap_or("pip's index");
    UserError::new(
        format!("{index} has no uv {version}, or cannot be reached"),
        format!("uv installs the app's packages, and pip fetches it from where its settings say. pip says:\n\n{why}"),
    )
    .cure("Check the network of this machine, and the build's (`--network none` has none):\n\n  pip download --no-deps uv")
    .cure(PIP_SETTINGS)
}

pub(crate) fn unknown_package(name: &str, place: &str) -> UserError {
    UserError::new(format!("{place}: there is no package `{name}`"), "The package index does not have it.")
        .cure("Check the spelling; the name to import can differ from the name to install (`import yaml` is `pyyaml`).")
        .cure("If it is a package of your own, add its index: PIP_EXTRA_INDEX_URL, or pip.conf.")
}

pub(crate) fn conflict(source: &str, reason: &str, minor: &str) -> UserError {
    UserError::new(
        format!("the versions in {source} do not fit together"),
        format!("{reason}\n\n(With Python {minor}.)"),
    )
    .cure(format!("Loosen one of these versions in {source}."))
}

pub(crate) fn wrong_hash(source: &str, said: &str) -> UserError {
    UserError::new("a package is not the one that the lock names", said.to_owned())
        .cure(format!("If {source} was written by hand, correct its hash."))
        .cure("Else do not use that index until it is known why: the file is damaged, or was replaced.")
}

pub(crate) fn no_network(host: &str, why: &str) -> UserError {
    UserError::new(format!("{host} cannot be reached"), format!("{why}\n\nIt is where pip's settings say that packages come from."))
        .cure("Check the network of this machine, and the build's (`--network none` has none).")
        .cure("Behind a proxy, set HTTPS_PROXY. For another index, set PIP_INDEX_URL or pip.conf: the build is given them.")
}

pub(crate) fn certificate(host: &str, why: &str) -> UserError {
    UserError::new(format!("the certificate of {host} is not trusted"), why.to_owned()).cure(
        "If your company has a certificate of its own, name its file in PIP_CERT (or `cert` in pip.conf).",
    )
}

pub(crate) fn not_allowed(host: &str) -> UserError {
    UserError::new(format!("{host} asks for a user name and a password"), "It answered with HTTP status 401 or 403: it refused the ones that it was given, or was given none.")
        .cure("Put them into PIP_INDEX_URL or pip.conf (https://user:password@host/...). They are kept out of the image.")
}

pub(crate) fn git(package: &str, why: &str) -> UserError {
    UserError::new(format!("`{package}` could not be fetched with git"), why.to_owned())
        .cure("Check that its address can be reached without a password, and that the branch, tag or commit exists.")
        .cure("Or list a released version of it.")
}

pub(crate) fn needs_debian(
    package: &str,
    (what, said): (&str, &str),
    build: &[&str],
    run: &[&str],
) -> UserError {
    let mut lines = format!("[com.packlight.debian]\nbuild = [{}]", quoted(build));
    if !run.is_empty() {
        lines.push_str(&format!("\nrun = [{}]", quoted(run)));
    }
    let lines: String = lines.lines().map(|it| format!("\n  {it}")).collect();
    let error = UserError::new(
        format!("`{package}` needs {what} to be built"),
        format!("There is no ready-made wheel of it for this Python, so it is built from source, which says:\n\n  {said}"),
    )
    .cure(format!("Add the Debian packages that have it, in project.toml:\n{lines}"));
    match package.split("==").next().unwrap_or_default() {
        "psycopg2" => error.cure("Or use psycopg2-binary or psycopg[binary], which bring it with them."),
        _ => error.cure("Or ask for a version of it that has a wheel for this Python."),
    }
}

pub(crate) fn header(package: &str, header: &str, minor: &str) -> UserError {
    UserError::new(
        format!("`{package}` needs the header `{header}` to be built"),
        "There is no ready-made wheel of it for this Python, so it is built from source.",
    )
    .cure(format!(
        "Find the Debian package that has the header (its name ends in -dev):\n\n  apt-file search {header}\n\nand add it in project.toml:\n\n  [com.packlight.debian]\n  build = [\"gcc\", \"libc6-dev\", \"python{minor}-dev\", \"...-dev\"]"
    ))
}

pub(crate) fn source_build(package: &str, tail: &str) -> UserError {
    UserError::new(format!("`{package}` could not be built"), format!("There is no ready-made wheel of it for this Python, and its build ended with:\n\n{tail}"))
        .cure("Ask for a version of it that has a wheel for this Python, or for another Python (.python-version).")
        .cure("If it lacks a program or a library, add the Debian package in project.toml:\n\n  [com.packlight.debian]\n  build = [\"...\"]")
}

pub(crate) fn tool_failed(failure: &ToolFailure, to: &str) -> UserError {
    UserError::new(
        format!("`{}` could not {to}", failure.name),
        format!("It {}:\n\n{}", failure.why, failure.stderr.trim()),
    )
    .cure("Correct what it names.")
}

// The start command

const EXAMPLES: &str = "web: gunicorn --bind 0.0.0.0:$PORT myapp:app\nweb: uvicorn --host 0.0.0.0 --port $PORT myapp:app\nweb: python main.py";

pub(crate) fn no_start_command(files: usize) -> UserError {
    let looked = match files {
        0 => "The app's folder has no Python file that could be it.".to_owned(),
        1 => "One Python file was read:".to_owned(),
        count => format!("{count} Python files were read:"),
    };
    let tail = match files {
        0 => "",
        _ => {
            " none has a Flask, FastAPI, Starlette or other WSGI or ASGI object,\nDjango's manage.py, or is a script of its own (`if __name__ == \"__main__\":`, or main.py or app.py)."
        }
    };
    let examples: String = EXAMPLES.lines().map(|it| format!("\n  {it}")).collect();
    UserError::new("no start command was found", format!("{looked}{tail}")).cure(format!(
        "Say how the app is started, in a file called Procfile, with a line like one of these:\n{examples}"
    ))
}

pub(crate) fn several_apps(found: &[String]) -> UserError {
    let list: String = found.iter().map(|it| format!("\n  {it}")).collect();
    let first = found.first().and_then(|it| it.split_whitespace().next()).unwrap_or("module:app");
    UserError::new("more than one start command is possible", format!("These look equally good:\n{list}"))
        .cure(format!("Say which, in a file called Procfile:\n\n  web: gunicorn --bind 0.0.0.0:$PORT {first}"))
        .cure("Or name the one module wsgi.py, asgi.py, main.py or app.py: they are taken first, in that order.")
}

pub(crate) fn several_scripts(found: &[String]) -> UserError {
    let list: String = found.iter().map(|it| format!("\n  {it}")).collect();
    let first = found.first().map_or("main.py", String::as_str);
    UserError::new("more than one script could be the app", format!("Each of these can be started:\n{list}"))
        .cure(format!("Say which, in a file called Procfile:\n\n  web: python {first}"))
        .cure("Or call it main.py.")
}

pub(crate) fn syntax_error(file: &str, line: u32, why: &str, minor: &str) -> UserError {
    UserError::new(
        format!("{file}:{line}: {why}"),
        format!("Python {minor} cannot read the app: it would fail as soon as it starts."),
    )
    .cure(format!("Correct {file} at line {line}."))
    .cure("Or, if it is written for another Python, name that in .python-version.")
}

pub(crate) fn factory_needs_arguments(place: &str, name: &str) -> UserError {
    UserError::new(
        format!("{place}: `{name}` makes the app, but needs arguments"),
        "A server can call it only without.",
    )
    .cure(format!("Give its parameters defaults, or add a wsgi.py that calls it:\n\n  from ... import {name}\n  app = {name}(...)"))
}

pub(crate) fn django_without_application(manage: &str, settings: &str) -> UserError {
    UserError::new(
        "Django's application was not found",
        format!("{manage} names the settings `{settings}`, but they say neither WSGI_APPLICATION nor ASGI_APPLICATION,\nand no module calls get_wsgi_application() or get_asgi_application()."),
    )
    .cure("Add to the settings what `django-admin startproject` writes:\n\n  WSGI_APPLICATION = \"mysite.wsgi.application\"")
    .cure("Or say how the app is started, in a Procfile:\n\n  web: gunicorn --bind 0.0.0.0:$PORT mysite.wsgi")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> ToolFailure {
        ToolFailure {
            name: "uv".into(),
            why: "ended with exit code 2".into(),
            stdout: String::new(),
            stderr: "error: odd\n".into(),
        }
    }

    #[test]
    fn the_words_of_every_error() {
        let wish = |from: &str, text: &str| (from.to_owned(), text.to_owned());
        let known = ["3.13".to_owned(), "3.11".to_owned()];
        let all = [
            not_yet("Poetry", "poetry.lock"),
            not_yet("PDM", "pdm.lock"),
            not_yet("Pipenv", "Pipfile"),
            not_yet("conda", "environment.yml"),
            not_yet("setuptools", "setup.py"),
            misspelt("requirments.txt"),
            no_marker("app.py", 1),
            no_marker("app.py", 3),
            two_lists("requirements.txt", "uv.lock"),
            uv_lock_alone(),
            lock_outgrown(),
            requirements_lack(&["flask>=3"]),
            given_requirements_missing("prod.txt"),
            not_toml("pyproject.toml", "line 1"),
            include_missing("requirements.txt", 2, "base.txt"),
            include_by_url("requirements.txt", 2, "https://example.com/r.txt"),
            utf16("requirements.txt"),
            requirements_syntax("requirements.txt", 2, "gunicorn=>2", "no such comparison operator \"=>\""),
            password_in_requirement("requirements.txt", 4, "mine"),
            not_a_python_version("runtime.txt", "pypy3"),
            versions_disagree(&wish(".python-version", "3.13"), &wish("runtime.txt", "python-3.11.9")),
            no_such_python(".python-version", "3.12", &known),
            no_inventory("pythons.toml"),
            bad_inventory("pythons.toml", "missing field `sha256`"),
            python_not_fetched("3.12.13", "file:///mirror/x.tar.gz", "<urlopen error>"),
            python_wrong_digest("file:///mirror/x.tar.gz", "aa", "bb"),
            no_interpreter("/usr/bin/python3.13", "3.13"),
            no_pip("/usr/share/python-wheels"),
            uv_not_installed("0.13.9", "ERROR: odd"),
            uv_index_unreachable("0.13.9", Some("index.example"), "Connection refused"),
            uv_index_unreachable("0.13.9", None, "ERROR: No matching distribution found"),
            unknown_package("flaskk", "requirements.txt:1"),
            conflict("requirements.txt", "Because flask==3.1.2 depends on werkzeug>=3.1.0", "3.13"),
            wrong_hash("requirements.txt", "Hash mismatch for `x==1`"),
            no_network("index.example", "dns error"),
            certificate("index.example", "invalid peer certificate: UnknownIssuer"),
            not_allowed("index.example"),
            git("mine", "fatal: unable to access"),
            needs_debian(
                "psycopg2==2.9.13",
                ("PostgreSQL's library", "Error: pg_config executable not found."),
                &["gcc", "libpq-dev"],
                &["libpq5"],
            ),
            header("x==1", "odd/thing.h", "3.13"),
            source_build("x==1", "error: odd"),
            tool_failed(&failure(), "install the app's packages"),
            no_start_command(0),
            no_start_command(3),
            several_apps(&["one:app (Flask, one.py:3)".to_owned(), "two:app (Flask, two.py:3)".to_owned()]),
            several_scripts(&["a.py".to_owned(), "b.py".to_owned()]),
            syntax_error("app.py", 3, "invalid syntax", "3.13"),
            factory_needs_arguments("app.py:4", "create_app"),
            django_without_application("manage.py", "mysite.settings"),
        ];
        let text: Vec<String> = all.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(text.join("\n----\n\n"));
    }
}
