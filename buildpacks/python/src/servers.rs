//! The servers that a default command can use, and their command lines. All listen on every address at `$PORT`.

use crate::candidates::{Candidate, Kind};
use crate::scan::Interface;

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    /// The package's normalised name.
    pub(crate) package: &'static str,
    /// The program that a Procfile starts.
    pub(crate) program: &'static str,
    interfaces: &'static [Interface],
    command: fn(&Candidate) -> Vec<String>,
}

/// In order of preference, where the app lists several. The first for each interface is the one that is added.
pub(crate) const SERVERS: &[Server] = &[
    Server { package: "gunicorn", program: "gunicorn", interfaces: &[Interface::Wsgi], command: gunicorn },
    Server { package: "uvicorn", program: "uvicorn", interfaces: &[Interface::Asgi], command: uvicorn },
    Server {
        package: "waitress",
        program: "waitress-serve",
        interfaces: &[Interface::Wsgi],
        command: waitress,
    },
    Server {
        package: "hypercorn",
        program: "hypercorn",
        interfaces: &[Interface::Asgi, Interface::Wsgi],
        command: hypercorn,
    },
    Server { package: "daphne", program: "daphne", interfaces: &[Interface::Asgi], command: daphne },
    Server {
        package: "granian",
        program: "granian",
        interfaces: &[Interface::Asgi, Interface::Wsgi],
        command: granian,
    },
];

impl Server {
    /// Those that can serve `interface`, the preferred one first.
    pub(crate) fn of(interface: Interface) -> impl Iterator<Item = &'static Self> {
        SERVERS.iter().filter(move |it| it.interfaces.contains(&interface))
    }

    /// The command that serves `app`.
    pub(crate) fn command(&self, app: &Candidate) -> Vec<String> {
        (self.command)(app)
    }
}

/// gunicorn reads PORT itself: `0.0.0.0:$PORT` is its default address. WEB_CONCURRENCY is its number of workers.
/// <https://docs.gunicorn.org/en/stable/settings.html#bind>
fn gunicorn(app: &Candidate) -> Vec<String> {
    let mut words = vec!["gunicorn".to_owned()];
    if !app.root.is_empty() {
        words.extend(["--pythonpath".to_owned(), app.root.clone()]);
    }
    words.push(if app.kind == Kind::Factory {
        format!("{}:{}()", app.module, app.object)
    } else {
        target(app)
    });
    words
}

/// uvicorn does not read PORT; WEB_CONCURRENCY is its number of workers too.
/// <https://www.uvicorn.org/settings/>
fn uvicorn(app: &Candidate) -> Vec<String> {
    let dir = if app.root.is_empty() { String::new() } else { format!(" --app-dir {}", quote(&app.root)) };
    let factory = if app.kind == Kind::Factory { " --factory" } else { "" };
    shell(&format!("uvicorn --host 0.0.0.0 --port \"$PORT\"{dir}{factory} {}", target(app)))
}

fn waitress(app: &Candidate) -> Vec<String> {
    let call = if app.kind == Kind::Factory { " --call" } else { "" };
    shell(&format!(
        "{}waitress-serve --host 0.0.0.0 --port \"$PORT\"{call} {}",
        python_path(app),
        target(app)
    ))
}

fn hypercorn(app: &Candidate) -> Vec<String> {
    let call = if app.kind == Kind::Factory { "()" } else { "" };
    let prefix = if app.interface == Interface::Wsgi { "wsgi:" } else { "" };
    shell(&format!("{}hypercorn --bind \"0.0.0.0:$PORT\" '{prefix}{}{call}'", python_path(app), target(app)))
}

fn daphne(app: &Candidate) -> Vec<String> {
    shell(&format!("{}daphne -b 0.0.0.0 -p \"$PORT\" {}", python_path(app), target(app)))
}

fn granian(app: &Candidate) -> Vec<String> {
    let interface = if app.interface == Interface::Wsgi { "wsgi" } else { "asgi" };
    let factory = if app.kind == Kind::Factory { " --factory" } else { "" };
    shell(&format!(
        "{}granian --interface {interface} --host 0.0.0.0 --port \"$PORT\"{factory} {}",
        python_path(app),
        target(app)
    ))
}

fn target(app: &Candidate) -> String {
    format!("{}:{}", app.module, app.object)
}

fn python_path(app: &Candidate) -> String {
    if app.root.is_empty() {
        String::new()
    } else {
        format!("env PYTHONPATH={}:\"$PYTHONPATH\" ", quote(&app.root))
    }
}

/// `exec`, so that the server is the process that gets the signals.
fn shell(line: &str) -> Vec<String> {
    vec!["bash".to_owned(), "-c".to_owned(), format!("exec {line}")]
}

fn quote(text: &str) -> String {
    match text.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.".contains(c)) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_told_where_to_listen_and_what_to_serve() {
        let app = |kind, root: &str| Candidate {
            root: root.into(),
            module: "shop.server".into(),
            object: "api".into(),
            kind,
            framework: "x".into(),
            interface: Interface::Asgi,
            path: String::new(),
            line: 1,
            needs_arguments: false,
        };
        let mut lines = Vec::new();
        for server in SERVERS {
            lines.push(server.command(&app(Kind::Object, "")).join(" | "));
            lines.push(server.command(&app(Kind::Factory, "src")).join(" | "));
        }
        insta::assert_snapshot!(lines.join("\n"));
    }
}
