//! The start command of an app without a Procfile: what its code says, never a guess at `main:app`.
//!
//! Nothing of the app is imported; see `scan.py`. The answer is kept with a digest of all Python files, so that a build
//! where none has changed starts no interpreter.

use crate::candidates::{self, Candidate, Kind};
use crate::errors;
use crate::resolve::Listed;
use crate::scan::{Files, Interface, Scanned};
use crate::servers::{SERVERS, Server};
use buildpack::{Build, Command, Decision, Failure, LayerTypes, Process, UserError};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Where an app listens when PORT is not set.
pub(crate) const DEFAULT_PORT: &str = "8000";

const CACHE: LayerTypes = LayerTypes { build: false, launch: false, cache: true };

/// How the app is started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Start {
    /// Empty: another buildpack says (a Procfile).
    pub(crate) command: Vec<String>,
    /// What was found, for the log.
    pub(crate) found: String,
    /// Packages that are added to the app's, and why.
    pub(crate) added: Vec<String>,
    pub(crate) why_added: String,
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StartLayer {
    digest: String,
    start: Start,
}

impl Start {
    /// The process type of `launch.toml`.
    pub(crate) fn processes(&self) -> Vec<Process> {
        if self.command.is_empty() {
            return Vec::new();
        }
        let command = Command(self.command.clone());
        vec![Process { kind: "web".to_owned(), command, default: true, ..Process::default() }]
    }

    /// Tells the user.
    pub(crate) fn log(&self, build: &Build) {
        if !self.command.is_empty() {
            build.log.step(format_args!("Start command: {}", shown(&self.command)));
            build.log.detail(&self.found);
        }
        if !self.added.is_empty() {
            build.log.step(format_args!("{} is added: {}", self.added.join(", "), self.why_added));
        }
        for warning in &self.warnings {
            build.log.warning(warning);
        }
    }
}

fn shown(command: &[String]) -> String {
    match command {
        [shell, flag, line] if shell == "bash" && flag == "-c" => line.trim_start_matches("exec ").to_owned(),
        words => words.join(" "),
    }
}

/// Finds the start command, or what a Procfile's commands lack.
pub(crate) fn find(build: &Build, listed: &Listed, python: &Path, minor: &str) -> Result<Start, Failure> {
    if let Some(bytes) = build.read_app("Procfile")? {
        return Ok(from_procfile(&String::from_utf8_lossy(&bytes), listed));
    }
    let files = Files::find(&build.app)?;
    let servers: Vec<&str> =
        SERVERS.iter().map(|it| it.package).filter(|it| has_server(listed, it)).collect();
    let digest =
        files.digest().part("servers", servers.join(" ").as_bytes()).part("python", minor.as_bytes()).hex();
    let old = build.layer("start", CACHE, |old: &StartLayer| match old.digest == digest {
        true => Decision::Keep,
        false => Decision::Recreate("the app's modules have changed".to_owned()),
    })?;
    let start = match &old.state {
        buildpack::State::Kept(kept) => kept.start.clone(),
        buildpack::State::Empty(_) => decide(&files.scan(build, python)?, listed, minor)?,
    };
    old.finish(&StartLayer { digest, start: start.clone() })?;
    Ok(start)
}

/// A Procfile says how the app is started; a server that it starts and the app does not list is added.
fn from_procfile(text: &str, listed: &Listed) -> Start {
    let words: Vec<&str> = text.split(char::is_whitespace).collect();
    let missing: Vec<String> = SERVERS
        .iter()
        .filter(|it| words.contains(&it.program) && !has_server(listed, it.package))
        .map(|it| it.package.to_owned())
        .collect();
    let why_added = format!("the Procfile starts it, and {} does not list it", listed.source.name());
    Start { added: missing, why_added, ..Start::default() }
}

fn has_server(listed: &Listed, package: &str) -> bool {
    let comes_with =
        |name: &str, extras: &[&str]| listed.requirements.extras(name).iter().any(|it| extras.contains(it));
    listed.names.contains(package) || (package == "uvicorn" && comes_with("fastapi", &["standard", "all"]))
}

fn decide(files: &[Scanned], listed: &Listed, minor: &str) -> Result<Start, UserError> {
    if let Some(app) = django(files, listed)? {
        return Ok(serve(&app, listed, files));
    }
    match candidates::best(candidates::all(files)) {
        Some(Ok(app)) => {
            refuse_broken(files, Some(&app), minor)?;
            if app.needs_arguments {
                return Err(errors::factory_needs_arguments(
                    &format!("{}:{}", app.path, app.line),
                    &app.object,
                ));
            }
            Ok(serve(&app, listed, files))
        }
        Some(Err(several)) => {
            refuse_broken(files, several.first(), minor)?;
            Err(errors::several_apps(&several.iter().map(Candidate::description).collect::<Vec<_>>()))
        }
        None => {
            refuse_broken(files, None, minor)?;
            script(files)
        }
    }
}

/// A module that cannot be parsed is an error where it could be the app's own: nothing was found, or its name ranks higher.
fn refuse_broken(files: &[Scanned], app: Option<&Candidate>, minor: &str) -> Result<(), UserError> {
    for file in files {
        let Some(error) = &file.error else { continue };
        let (_, module) = candidates::place(&file.path, files);
        let ranks_higher =
            app.is_none_or(|it| candidates::module_rank(&module) < candidates::module_rank(&it.module));
        if ranks_higher {
            return Err(errors::syntax_error(&file.path, error.line, &error.text, minor));
        }
    }
    Ok(())
}

fn warnings(files: &[Scanned]) -> Vec<String> {
    let warning = |file: &Scanned| {
        file.error
            .as_ref()
            .map(|it| format!("{}:{}: {}; importing this module will fail", file.path, it.line, it.text))
    };
    files.iter().filter_map(warning).collect()
}

fn serve(app: &Candidate, listed: &Listed, files: &[Scanned]) -> Start {
    let mut servers = Server::of(app.interface);
    let first = servers.next();
    let chosen = first.into_iter().chain(servers).find(|it| has_server(listed, it.package));
    let Some(server) = chosen.or(first) else { return Start::default() };
    let interface = if app.interface == Interface::Wsgi { "a WSGI" } else { "an ASGI" };
    let what = if app.kind == Kind::Factory { "makes" } else { "is" };
    let (added, why_added) = match chosen {
        Some(_) => (Vec::new(), String::new()),
        None => (
            vec![server.package.to_owned()],
            format!("{interface} app needs a server, and {} lists none", listed.source.name()),
        ),
    };
    Start {
        command: server.command(app),
        found: format!("{}:{}: `{}` {what} the app ({})", app.path, app.line, app.object, app.framework),
        added,
        why_added,
        warnings: warnings(files),
    }
}

/// Django names its application in the settings that `manage.py` names.
fn django(files: &[Scanned], listed: &Listed) -> Result<Option<Candidate>, UserError> {
    let is_manage = |it: &&Scanned| it.path == "manage.py" || it.path.ends_with("/manage.py");
    let manage = files.iter().filter(is_manage).min_by_key(|it| it.path.matches('/').count());
    let Some((manage, name)) = manage.and_then(|it| Some((it, it.django_settings.as_deref()?))) else {
        return Ok(None);
    };
    let root = manage.path.rsplit_once('/').map(|(dir, _)| dir).unwrap_or_default();
    let below = |path: &str| match root {
        "" => path.to_owned(),
        root => format!("{root}/{path}"),
    };
    let top = name.split('.').next().unwrap_or_default();
    let exact = [
        below(&format!("{}.py", name.replace('.', "/"))),
        below(&format!("{}/__init__.py", name.replace('.', "/"))),
    ];
    // Settings split over several files: any of the same package may say it.
    let mut settings: Vec<&Scanned> =
        files.iter().filter(|it| it.path.starts_with(&below(&format!("{top}/")))).collect();
    settings.sort_by_key(|it| !exact.contains(&it.path));
    let said =
        |key: &str| settings.iter().find_map(|it| Some((it.path.clone(), it.settings.get(key)?.clone())));
    let object_of = |interface| {
        let found =
            |it: &&Scanned| it.objects.iter().any(|it| it.framework == "Django" && it.interface == interface);
        let file = settings.iter().find(|it| found(it))?;
        let module = file.path.strip_prefix(&below(""))?.strip_suffix(".py")?.replace('/', ".");
        Some((file.path.clone(), format!("{module}.application")))
    };
    let wsgi = said("WSGI_APPLICATION").or_else(|| object_of(Interface::Wsgi));
    let asgi = said("ASGI_APPLICATION").or_else(|| object_of(Interface::Asgi));
    let lists = |interface| Server::of(interface).any(|it| has_server(listed, it.package));
    let prefers_asgi = asgi.is_some() && lists(Interface::Asgi) && !lists(Interface::Wsgi);
    let (interface, chosen) = match (wsgi, asgi) {
        (Some(wsgi), _) if !prefers_asgi => (Interface::Wsgi, wsgi),
        (_, Some(asgi)) => (Interface::Asgi, asgi),
        _ => return Err(errors::django_without_application(&manage.path, name)),
    };
    let (path, application) = chosen;
    let (module, object) = application.rsplit_once('.').unwrap_or((&application, "application"));
    Ok(Some(Candidate {
        root: root.to_owned(),
        module: module.to_owned(),
        object: object.to_owned(),
        kind: Kind::Object,
        framework: "Django".to_owned(),
        interface,
        path,
        line: 1,
        needs_arguments: false,
    }))
}

/// Scripts that are tried by name, in this order.
const SCRIPTS: &[&str] = &[
    "main.py",
    "app.py",
    "__main__.py",
    "run.py",
    "server.py",
    "start.py",
    "bot.py",
    "index.py",
    "hello.py",
];

fn script(files: &[Scanned]) -> Result<Start, UserError> {
    let top: Vec<&Scanned> = files.iter().filter(|it| !it.path.contains('/')).collect();
    let guarded: Vec<&Scanned> = top.iter().copied().filter(|it| it.main_guard).collect();
    let acting: Vec<&Scanned> = top.iter().copied().filter(|it| it.acts).collect();
    let named = |list: &[&Scanned], names: &[&str]| {
        names.iter().find(|name| list.iter().any(|it| it.path == **name)).map(|it| (*it).to_owned())
    };
    let one = |list: &[&Scanned]| match list {
        [one] => Some(one.path.clone()),
        _ => None,
    };
    let chosen = named(&guarded, SCRIPTS)
        .or_else(|| one(&guarded))
        .or_else(|| named(&acting, &SCRIPTS[..2]))
        .or_else(|| if guarded.is_empty() { one(&acting) } else { None });
    match chosen {
        Some(path) => Ok(Start {
            found: format!("{path} is a script; a server in it is to listen on PORT itself"),
            command: vec!["python".to_owned(), path],
            warnings: warnings(files),
            ..Start::default()
        }),
        None if guarded.len() > 1 => {
            Err(errors::several_scripts(&guarded.iter().map(|it| it.path.clone()).collect::<Vec<_>>()))
        }
        None => Err(errors::no_start_command(files.len())),
    }
}
