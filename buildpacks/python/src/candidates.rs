//! Which object of which module is the app: all that could be, and the rule that picks one.
//!
//! The rule, in order: an object before a function that makes one; fewer dots in the module's name; a module called
//! `wsgi`, `asgi`, `main`, `app`, `application`, `server`, `api`, `web`, `run`, `index` (first of these), then any other; an object
//! called `app`, `application`, `api`, `server` (first of these), then any other. What is still equal is the user's to decide.

use crate::scan::{Found, Interface, Scanned};
use std::collections::{BTreeMap, BTreeSet};

/// Something a server can be pointed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The folder that the module is imported from, relative to the app's; empty: the app's own.
    pub(crate) root: String,
    /// `pkg.server`.
    pub(crate) module: String,
    /// `api`, or the factory's name.
    pub(crate) object: String,
    pub(crate) kind: Kind,
    pub(crate) framework: String,
    pub(crate) interface: Interface,
    pub(crate) path: String,
    pub(crate) line: u32,
    pub(crate) needs_arguments: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Object,
    Factory,
}

const MODULES: &[&str] =
    &["wsgi", "asgi", "main", "app", "application", "server", "api", "web", "run", "index"];
const OBJECTS: &[&str] = &["app", "application", "api", "server"];

impl Candidate {
    /// `server:api (FastAPI, server.py:3)`.
    pub(crate) fn description(&self) -> String {
        let call = if self.kind == Kind::Factory { "()" } else { "" };
        format!("{}:{}{call} ({}, {}:{})", self.module, self.object, self.framework, self.path, self.line)
    }

    fn rank(&self) -> (Kind, Rank, usize) {
        (self.kind, module_rank(&self.module), position(OBJECTS, &self.object))
    }
}

/// Dots, then the place in the list of names.
pub(crate) type Rank = (usize, usize);

/// How good a module's name is; lower is better.
pub(crate) fn module_rank(module: &str) -> Rank {
    let last = module.rsplit('.').next().unwrap_or(module);
    (module.matches('.').count(), position(MODULES, last))
}

fn position(list: &[&str], name: &str) -> usize {
    list.iter().position(|it| *it == name).unwrap_or(list.len())
}

/// Where a file is imported from, and under which name.
///
/// Folders with `__init__.py` are packages; one without is a package too where some module imports it by its name.
pub(crate) fn place(path: &str, files: &[Scanned]) -> (String, String) {
    let all: BTreeSet<&str> = files.iter().map(|it| it.path.as_str()).collect();
    let imported: BTreeSet<&str> = files.iter().flat_map(|it| &it.imports).map(String::as_str).collect();
    let mut parts: Vec<&str> = path.split('/').collect();
    let file = parts.pop().unwrap_or_default();
    let stem = file.strip_suffix(".py").unwrap_or(file);
    let mut names: Vec<&str> = if stem == "__init__" { Vec::new() } else { vec![stem] };
    while let Some(folder) = parts.last() {
        let regular = all.contains(format!("{}/__init__.py", parts.join("/")).as_str());
        if !regular && (*folder == "src" || !imported.contains(folder)) {
            break;
        }
        names.push(folder);
        parts.pop();
    }
    names.reverse();
    (parts.join("/"), names.join("."))
}

/// All that could be the app.
pub(crate) fn all(files: &[Scanned]) -> Vec<Candidate> {
    let places: Vec<(String, String)> = files.iter().map(|it| place(&it.path, files)).collect();
    let mut factories: BTreeMap<String, &Found> = BTreeMap::new();
    for (file, (_, module)) in files.iter().zip(&places) {
        factories.extend(file.factories.iter().map(|it| (format!("{module}.{}", it.name), it)));
    }
    let mut all = Vec::new();
    for (file, place) in files.iter().zip(&places) {
        let candidate = |kind, object: &str, line, made: &Found| Candidate {
            root: place.0.clone(),
            module: place.1.clone(),
            object: object.to_owned(),
            kind,
            framework: made.framework.clone(),
            interface: made.interface,
            path: file.path.clone(),
            line,
            needs_arguments: kind == Kind::Factory && made.needs_arguments,
        };
        all.extend(file.objects.iter().map(|it| candidate(Kind::Object, &it.name, it.line, it)));
        all.extend(file.factories.iter().map(|it| candidate(Kind::Factory, &it.name, it.line, it)));
        for call in &file.calls {
            let name = absolute(&call.called, &place.1, file.path.ends_with("__init__.py"));
            if let Some(made) = factories.get(&name) {
                all.push(candidate(Kind::Object, &call.name, call.line, made));
            }
        }
    }
    all.retain(|it| !it.module.is_empty());
    all
}

/// The full name of what a module calls: `.app.make` in `pkg.wsgi` is `pkg.app.make`, `make` is `pkg.wsgi.make`.
fn absolute(called: &str, module: &str, is_package: bool) -> String {
    let dots = called.len() - called.trim_start_matches('.').len();
    if dots == 0 {
        return if called.contains('.') { called.to_owned() } else { format!("{module}.{called}") };
    }
    let mut package: Vec<&str> = module.split('.').collect();
    let up = if is_package { dots - 1 } else { dots };
    package.truncate(package.len().saturating_sub(up));
    package.push(called.trim_start_matches('.'));
    package.join(".")
}

/// The best candidate; `Err` with all that are equally good; `None` when there is none.
pub(crate) fn best(mut all: Vec<Candidate>) -> Option<Result<Candidate, Vec<Candidate>>> {
    all.sort_by_key(|it| (it.rank(), it.path.clone(), it.line));
    // The same name assigned twice is one object.
    all.dedup_by(|a, b| (&a.module, &a.object) == (&b.module, &b.object));
    let best = all.first()?.rank();
    let equal: Vec<Candidate> = all.into_iter().take_while(|it| it.rank() == best).collect();
    Some(match <[Candidate; 1]>::try_from(equal) {
        Ok([one]) => Ok(one),
        Err(several) => Err(several),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Scanned {
        Scanned { path: path.to_owned(), ..Scanned::default() }
    }

    fn with_object(path: &str, name: &str) -> Scanned {
        Scanned { objects: vec![found(name)], ..file(path) }
    }

    fn found(name: &str) -> Found {
        Found {
            name: name.into(),
            framework: "Flask".into(),
            interface: Interface::Wsgi,
            line: 1,
            needs_arguments: false,
        }
    }

    fn picked(files: &[Scanned]) -> String {
        match best(all(files)) {
            Some(Ok(it)) => format!("{}|{}:{}", it.root, it.module, it.object),
            Some(Err(several)) => format!("{} equal", several.len()),
            None => "none".into(),
        }
    }

    #[test]
    fn the_real_module_and_object_are_named() {
        assert_eq!(picked(&[with_object("server.py", "api")]), "|server:api");
        assert_eq!(picked(&[file("shop/__init__.py"), with_object("shop/web.py", "site")]), "|shop.web:site");
        assert_eq!(
            picked(&[file("src/shop/__init__.py"), with_object("src/shop/web.py", "app")]),
            "src|shop.web:app"
        );
        assert_eq!(picked(&[with_object("backend/app.py", "app")]), "backend|app:app");
        let importing = Scanned { imports: vec!["backend".into()], ..file("cli.py") };
        assert_eq!(picked(&[importing, with_object("backend/app.py", "app")]), "|backend.app:app");
    }

    #[test]
    fn the_rule_prefers_objects_then_shallow_then_known_names() {
        let factory = Scanned { factories: vec![found("create_app")], ..file("main.py") };
        assert_eq!(picked(std::slice::from_ref(&factory)), "|main:create_app");
        assert_eq!(picked(&[factory, with_object("zoo.py", "x")]), "|zoo:x");
        assert_eq!(picked(&[with_object("app.py", "app"), with_object("main.py", "app")]), "|main:app");
        assert_eq!(picked(&[with_object("one.py", "app"), with_object("two.py", "app")]), "2 equal");
        let two = Scanned { objects: vec![found("admin"), found("app")], ..file("main.py") };
        assert_eq!(picked(&[two]), "|main:app");
    }

    #[test]
    fn an_object_made_by_a_factory_of_another_module_is_found() {
        let factory = Scanned { factories: vec![found("create_app")], ..file("shop/__init__.py") };
        let call = |called: &str| {
            vec![super::super::scan::Call { name: "app".into(), called: called.into(), line: 3 }]
        };
        let absolute = Scanned { calls: call("shop.create_app"), ..file("wsgi.py") };
        assert_eq!(picked(&[factory.clone(), absolute]), "|wsgi:app");
        let relative = Scanned { calls: call(".create_app"), ..file("shop/wsgi.py") };
        assert_eq!(picked(&[factory, relative]), "|shop.wsgi:app");
    }
}
