//! What happens at every launch of an image: is the agent to wake, with which variables, and what is said about it.
//!
//! It is pure: the program in `src/bin/packlight-agent.rs` reads and writes. Nothing is sent from here, and no
//! secret is shown.

use crate::agent_toml::{Agent, Config, Library};
use crate::place;
use crate::vendor_words::{WORDS, Words};
use destinations::{Binding, Resolved, Signal, Variables, otel};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where the launcher's own process says which process type it starts.
/// <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#launch>
pub const PROCESS_DIR: &str = "/cnb/process/";
/// The variable with the process types in which agents sleep.
const SKIP: &str = "PACKLIGHT_AGENT_SKIP_PROCESSES";
/// The variable that has a sleeping agent say why it sleeps.
const EXPLAIN: &str = "PACKLIGHT_AGENT_EXPLAIN";

/// What the launch program finds.
#[derive(Debug, Clone)]
pub struct Launch<'a> {
    /// The environment of the app to be.
    pub variables: &'a Variables,
    /// What the platform has bound.
    pub bindings: &'a [Binding],
    /// What of it could not be read.
    pub notes: &'a [String],
    /// The launcher's `argv[0]`.
    pub started_as: &'a str,
    /// The image's process types.
    pub processes: &'a [String],
    /// The launcher's process id, which becomes the app's.
    pub pid: u32,
    /// The image's agents, in the order of their names.
    pub agents: &'a [Installed],
    /// What the build knew of the app.
    pub config: &'a Config,
}

/// An agent of the image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Installed {
    /// Its layer.
    pub layer: PathBuf,
    /// What goes in front of PYTHONPATH, where the app's environment has no hook.
    pub path: Option<PathBuf>,
    /// What the build wrote about it.
    pub about: Agent,
}

/// What it does: variables for the app, and lines for a person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Variables to set; none: the agent sleeps.
    pub set: BTreeMap<String, String>,
    /// Lines for stderr.
    pub lines: Vec<String>,
}

/// Decides.
#[must_use]
pub fn answer(launch: &Launch) -> Answer {
    let Some(process) = process_type(launch) else {
        return asleep(
            launch,
            "the launcher starts a command of somebody's own, and no process type of the image",
        );
    };
    if sleeps(launch, process) {
        return asleep(
            launch,
            &format!("agents sleep in the process type {process}; {SKIP} says in which others instead"),
        );
    }
    let vendors: Vec<&str> = launch.agents.iter().map(|it| it.about.vendor.as_str()).collect();
    let resolved = destinations::resolve(launch.variables, launch.bindings, &vendors);
    let claims = claims(launch, &resolved);
    let mut lines: Vec<String> = launch.notes.iter().map(|it| format!("packlight: {it}")).collect();
    if claims.iter().any(|it| it.words.is_none()) || claims.is_empty() {
        lines.extend(resolved.plan.notes.iter().map(|it| format!("packlight: {it}")));
    }
    let Some((first, others)) = claims.split_first() else {
        lines.extend(asleep(launch, &unnamed(launch)).lines);
        return Answer { lines, ..Answer::default() };
    };
    let mut set = resolved.bound.clone();
    set.extend(wake(launch, first.agent));
    match first.words {
        None => {
            set.extend(resolved.told.clone());
            set.extend(Signal::ALL.into_iter().map(|it| otel::exporter_variable(&resolved.plan, it)));
            identify(launch, &mut set);
        }
        Some(words) => tell(launch, words, &mut set),
    }
    lines.insert(0, format!("packlight: {}", line(first, others)));
    Answer { set, lines }
}

/// No agent wakes, which is said to who wants to know: everybody else has a process with nothing to say.
fn asleep(launch: &Launch, reason: &str) -> Answer {
    let is_asked = launch.variables.get(EXPLAIN).is_some_and(|it| !it.is_empty());
    let lines = is_asked.then(|| format!("packlight: asleep: {reason}")).into_iter().collect();
    Answer { lines, ..Answer::default() }
}

/// Why nobody has named a destination, and what would.
fn unnamed(launch: &Launch) -> String {
    let is = |name: &str, value: &str| {
        launch.variables.get(name).is_some_and(|it| it.trim().eq_ignore_ascii_case(value))
    };
    if is("OTEL_SDK_DISABLED", "true") {
        return "OTEL_SDK_DISABLED is true".to_owned();
    }
    let by = launch.agents.iter().flat_map(|agent| {
        let words = WORDS.iter().find(|it| it.vendor == agent.about.vendor);
        let claims = words.map_or(&["OTEL_EXPORTER_OTLP_ENDPOINT"][..], |it| it.claims);
        claims.iter().take(1).map(move |it| format!("{it} ({})", agent.about.vendor))
    });
    let by = by.collect::<Vec<_>>().join(", ");
    format!(
        "nothing names a destination; PACKLIGHT_DESTINATION=otlp=http://HOST:4318 would, a service binding, or {by}"
    )
}

/// An agent that somebody has named a destination for.
struct Claim<'a> {
    agent: &'a Installed,
    /// Its vendor's vocabulary; `None`: OpenTelemetry's.
    words: Option<&'static Words>,
    /// What named it, for a person.
    by: String,
}

/// All claims; the first one counts: a destination that is named in so many words, a binding, a vendor's own variables,
/// OpenTelemetry's. Of several bindings or vendors, those in the order of the table.
fn claims<'a>(launch: &Launch<'a>, resolved: &Resolved) -> Vec<Claim<'a>> {
    let agent_of = |vendor: &str| launch.agents.iter().find(|it| it.about.vendor == vendor);
    let has = |variables: &Variables, name: &str| variables.get(name).is_some_and(|it| !it.trim().is_empty());
    let own = WORDS.iter().filter_map(|words| {
        let agent = agent_of(words.vendor)?;
        let bound = words.claims.iter().find(|it| has(&resolved.bound, it));
        let by = bound.or_else(|| words.claims.iter().find(|it| has(launch.variables, it)))?;
        let rank = if bound.is_some() { Rank::Binding } else { Rank::Vendor };
        Some((rank, Claim { agent, words: Some(words), by: format!("by {by}") }))
    });
    let rank = match resolved.by_binding {
        _ if has(launch.variables, destinations::resolve::VARIABLE) => Rank::Named,
        true => Rank::Binding,
        false => Rank::OpenTelemetry,
    };
    let otlp = agent_of("opentelemetry").filter(|_| !resolved.plan.is_empty());
    let otlp = otlp.map(|agent| (rank, Claim { agent, words: None, by: resolved.plan.to_string() }));
    let mut all: Vec<_> = own.chain(otlp).collect();
    all.sort_by_key(|it| it.0);
    all.into_iter().map(|it| it.1).collect()
}

/// How a claim was made; the first counts most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// By `PACKLIGHT_DESTINATION`.
    Named,
    /// By a binding.
    Binding,
    /// By a vendor's own variable.
    Vendor,
    /// By OpenTelemetry's variables, which many set for other reasons.
    OpenTelemetry,
}

/// What wakes any agent.
fn wake(launch: &Launch, agent: &Installed) -> BTreeMap<String, String> {
    let mut set = BTreeMap::from([
        ("PACKLIGHT_AGENT_VENDOR".to_owned(), agent.about.vendor.clone()),
        ("PACKLIGHT_PYTHON_AGENT".to_owned(), agent.layer.join("python").display().to_string()),
        ("PACKLIGHT_AGENT_PID".to_owned(), launch.pid.to_string()),
    ]);
    if let Some(path) = &agent.path {
        let old = launch.variables.get("PYTHONPATH").filter(|it| !it.is_empty());
        let rest = old.map(|it| format!(":{it}")).unwrap_or_default();
        set.insert("PYTHONPATH".to_owned(), format!("{}{rest}", path.display()));
    }
    set
}

/// Who the app is, in the vendor's words, where the user has not used them. Where OTLP goes, and with which secrets, is
/// none of the vendor's business: ddtrace 4 would even send its spans there instead of to Datadog.
fn tell(launch: &Launch, words: &Words, set: &mut BTreeMap<String, String>) {
    for (attribute, variable) in words.facts {
        let is_set = launch.variables.get(*variable).is_some_and(|it| !it.is_empty());
        if let (Some(value), false) = (fact(launch, attribute), is_set) {
            set.insert((*variable).to_owned(), value);
        }
    }
    for (name, _) in launch.variables.iter().filter(|(_, value)| !value.is_empty()) {
        if name.starts_with("OTEL_") && (name.ends_with("_EXPORTER") || name.contains("_OTLP_")) {
            set.insert(name.clone(), String::new());
        }
    }
}

/// An attribute by what the user says in OpenTelemetry's words, else as the build knew it.
fn fact(launch: &Launch, attribute: &str) -> Option<String> {
    let named = launch.variables.get("OTEL_SERVICE_NAME").filter(|it| !it.is_empty());
    if let (Some(name), "service.name") = (named, attribute) {
        return Some(name.clone());
    }
    let given = launch.variables.get("OTEL_RESOURCE_ATTRIBUTES").map_or("", String::as_str);
    let mut items = given.split(',').filter_map(|it| it.split_once('='));
    let item = items.find(|(key, _)| key.trim() == attribute).map(|(_, value)| value.trim().to_owned());
    item.or_else(|| launch.config.identity.get(attribute).cloned())
}

/// The process type; `None` when the launcher runs a shell or somebody's own command. With `--entrypoint web` the engine
/// looks for the name in the `PATH`, and it comes without its directory.
fn process_type<'a>(launch: &Launch<'a>) -> Option<&'a str> {
    let by_path = launch.started_as.strip_prefix(PROCESS_DIR).filter(|it| !it.is_empty());
    let by_name = || Some(launch.started_as).filter(|it| launch.processes.iter().any(|known| known == it));
    by_path.or_else(by_name)
}

fn sleeps(launch: &Launch, process: &str) -> bool {
    match launch.variables.get(SKIP) {
        Some(list) => list.split([',', ' ']).any(|it| it == process),
        None => launch.config.skip_processes.iter().any(|it| it == process),
    }
}

/// `opentelemetry 1.45.1: traces → console; instruments flask 3.1.2, jinja2 3.1.6; skipped sqlalchemy 2.1.0 (…)`.
fn line(claim: &Claim, others: &[Claim]) -> String {
    let about = &claim.agent.about;
    let mut text = format!("{} {}: {}; instruments ", about.vendor, about.version, claim.by);
    let names: Vec<String> = about.instrumented.iter().map(Library::shown).collect();
    text.push_str(if names.is_empty() { "nothing" } else { "" });
    text.push_str(&names.join(", "));
    if !about.skipped.is_empty() {
        let skipped: Vec<String> =
            about.skipped.iter().map(|it| format!("{} ({})", it.shown(), it.reason)).collect();
        text.push_str("; skipped ");
        text.push_str(&skipped.join(", "));
    }
    for other in others {
        text.push_str(&format!(
            "; {} is named too ({}) and stays asleep",
            other.agent.about.vendor, other.by
        ));
    }
    text
}

/// Who the app is: what the user says wins, item by item; then what the place that it runs in says, then the image.
fn identify(launch: &Launch, set: &mut BTreeMap<String, String>) {
    let given = launch.variables.get("OTEL_RESOURCE_ATTRIBUTES").map_or("", String::as_str);
    let has = |key: &str| given.split(',').any(|it| it.split('=').next().is_some_and(|it| it.trim() == key));
    let named = launch.variables.get("OTEL_SERVICE_NAME").is_some_and(|it| !it.is_empty());
    let mut known = launch.config.identity.clone();
    known.extend(place::attributes(launch.variables));
    if let (Some(name), false, false) = (known.remove("service.name"), named, has("service.name")) {
        set.insert("OTEL_SERVICE_NAME".to_owned(), name);
    }
    let mut items: Vec<String> = known
        .iter()
        .filter(|(key, _)| !has(key))
        .map(|(key, value)| format!("{key}={}", destinations::percent_encoded(value)))
        .collect();
    if !given.trim().is_empty() {
        items.push(given.trim().trim_matches(',').to_owned());
    }
    if !items.is_empty() {
        set.insert("OTEL_RESOURCE_ATTRIBUTES".to_owned(), items.join(","));
    }
}

/// The answer's variables as the TOML that goes to file descriptor 3.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#execd>
#[must_use]
pub fn toml_of(set: &BTreeMap<String, String>) -> String {
    use std::fmt::Write as _;
    set.iter().fold(String::new(), |mut text, (key, value)| {
        let _ = write!(text, "{key} = \"");
        for char in value.chars() {
            match char {
                '"' | '\\' => {
                    text.push('\\');
                    text.push(char);
                }
                it if it.is_control() => {
                    let _ = write!(text, "\\u{:04X}", u32::from(it));
                }
                it => text.push(it),
            }
        }
        text.push_str("\"\n");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agents() -> Vec<Installed> {
        let about = toml::from_str(
            r#"
            vendor = "opentelemetry"
            version = "1.45.1"
            instrumented = [{ name = "flask", version = "3.1.2" }, { name = "sqlite3" }]
            skipped = [{ name = "sqlalchemy", version = "2.1.0", reason = "supports <2.1.0" }]
            "#,
        )
        .unwrap();
        vec![Installed { layer: "/layers/packlight_apm/opentelemetry".into(), path: None, about }]
    }

    fn ask(started_as: &str, variables: &[(&str, &str)]) -> Answer {
        ask_of(&agents(), started_as, variables)
    }

    fn ask_of(agents: &[Installed], started_as: &str, variables: &[(&str, &str)]) -> Answer {
        let variables = variables.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let config = toml::from_str(
            r#"
            skip-processes = ["release"]
            [identity]
            "service.name" = "my-app"
            "service.version" = "1.0"
            "vcs.ref.head.name" = "a,b"
            "deployment.environment.name" = "production"
            "#,
        )
        .unwrap();
        let processes = ["web".to_owned(), "release".to_owned()];
        answer(&Launch {
            variables: &variables,
            bindings: &[],
            notes: &[],
            started_as,
            processes: &processes,
            pid: 7,
            agents,
            config: &config,
        })
    }

    fn three() -> Vec<Installed> {
        let of = |vendor: &str| Installed {
            layer: format!("/l/{vendor}").into(),
            path: None,
            about: Agent { vendor: vendor.to_owned(), version: "1".to_owned(), ..Agent::default() },
        };
        ["datadog", "newrelic", "opentelemetry"].map(of).into()
    }

    #[test]
    fn a_vendors_own_variable_wakes_its_agent_which_is_told_who_the_app_is_and_nothing_of_otlp() {
        let on = [
            ("DD_AGENT_HOST", "h"),
            ("DD_ENV", "mine"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.version=2"),
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "k=secret"),
        ];
        let answer = ask_of(&three(), "web", &on);
        assert_eq!(
            answer.lines,
            ["packlight: datadog 1: by DD_AGENT_HOST; instruments nothing; opentelemetry is named too \
              (traces → http://localhost:4318) and stays asleep"]
        );
        assert_eq!(
            toml_of(&answer.set),
            r#"DD_SERVICE = "my-app"
DD_VERSION = "2"
OTEL_EXPORTER_OTLP_HEADERS = ""
OTEL_TRACES_EXPORTER = ""
PACKLIGHT_AGENT_PID = "7"
PACKLIGHT_AGENT_VENDOR = "datadog"
PACKLIGHT_PYTHON_AGENT = "/l/datadog/python"
"#
        );
    }

    #[test]
    fn one_agent_wakes_and_only_one_that_is_in_the_image() {
        let vendor = |agents: &[Installed], on: &[(&str, &str)]| {
            ask_of(agents, "web", on).set.get("PACKLIGHT_AGENT_VENDOR").cloned()
        };
        let key = ("NEW_RELIC_LICENSE_KEY", "k");
        assert_eq!(vendor(&three(), &[key]).as_deref(), Some("newrelic"));
        assert_eq!(vendor(&three(), &[key, ("DD_API_KEY", "k")]).as_deref(), Some("datadog"));
        assert_eq!(vendor(&three(), &[key, ("DD_API_KEY", " ")]).as_deref(), Some("newrelic"));
        assert_eq!(vendor(&three(), &[("SENTRY_DSN", "x")]), None);
        // Without its own agent a vendor is reached by OTLP, which most of them take.
        assert_eq!(vendor(&agents(), &[key]).as_deref(), Some("opentelemetry"));
        assert_eq!(vendor(&three()[..1], &[key]), None);
        let named = [("PACKLIGHT_DESTINATION", "jaeger=http://j"), key];
        assert_eq!(vendor(&three(), &named).as_deref(), Some("opentelemetry"));
        let both = [key, ("OTEL_TRACES_EXPORTER", "console")];
        assert_eq!(vendor(&agents(), &both).as_deref(), Some("opentelemetry"));
    }

    #[test]
    fn a_binding_goes_before_variables_and_both_before_opentelemetrys_own() {
        let bound = |kind: &str, entry: &str, value: &str| Binding {
            name: "it".to_owned(),
            words: vec![kind.to_owned()],
            entries: [(entry.to_owned(), value.to_owned())].into(),
        };
        let vendor = |bindings: &[Binding], on: &[(&str, &str)]| {
            let variables = on.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            let (agents, config) = (three(), Config::default());
            let started_as = "/cnb/process/web";
            let (processes, notes, pid) = (&[][..], &[][..], 7);
            let launch = Launch {
                variables: &variables,
                bindings,
                notes,
                started_as,
                processes,
                pid,
                agents: &agents,
                config: &config,
            };
            answer(&launch).set.remove("PACKLIGHT_AGENT_VENDOR").unwrap_or_default()
        };
        let (host, otlp) = (("DD_AGENT_HOST", "h"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"));
        let (newrelic, jaeger) = (bound("NewRelic", "license-key", "k"), bound("jaeger", "url", "http://j"));
        assert_eq!(vendor(std::slice::from_ref(&newrelic), &[host, otlp]), "newrelic");
        assert_eq!(vendor(std::slice::from_ref(&jaeger), &[host]), "opentelemetry");
        assert_eq!(vendor(&[jaeger, newrelic], &[host]), "newrelic");
        assert_eq!(vendor(&[], &[otlp, host]), "datadog");
    }

    #[test]
    fn a_named_destination_wakes_the_agent_and_the_line_is_honest() {
        let answer = ask("/cnb/process/web", &[("OTEL_TRACES_EXPORTER", "console")]);
        assert_eq!(
            answer.lines,
            ["packlight: opentelemetry 1.45.1: traces → console; instruments flask 3.1.2, sqlite3; \
              skipped sqlalchemy 2.1.0 (supports <2.1.0)"]
        );
        assert_eq!(
            toml_of(&answer.set),
            r#"OTEL_LOGS_EXPORTER = "none"
OTEL_METRICS_EXPORTER = "none"
OTEL_RESOURCE_ATTRIBUTES = "deployment.environment.name=production,service.version=1.0,vcs.ref.head.name=a%2Cb"
OTEL_SERVICE_NAME = "my-app"
OTEL_TRACES_EXPORTER = "console"
PACKLIGHT_AGENT_PID = "7"
PACKLIGHT_AGENT_VENDOR = "opentelemetry"
PACKLIGHT_PYTHON_AGENT = "/layers/packlight_apm/opentelemetry/python"
"#
        );
    }

    #[test]
    fn without_a_destination_nothing_is_set_and_nothing_said() {
        assert_eq!(ask("/cnb/process/web", &[("OTEL_SERVICE_NAME", "x")]), Answer::default());
    }

    #[test]
    fn without_a_hook_a_folder_goes_in_front_of_what_the_user_has() {
        let mut agents = agents();
        agents[0].path = Some("/a/path/3.11".into());
        let with = |variables: &[(&str, &str)]| {
            let all = [variables, &[("OTEL_TRACES_EXPORTER", "console")]].concat();
            ask_of(&agents, "/cnb/process/web", &all)
        };
        assert_eq!(with(&[]).set["PYTHONPATH"], "/a/path/3.11");
        assert_eq!(with(&[("PYTHONPATH", "/x:/y")]).set["PYTHONPATH"], "/a/path/3.11:/x:/y");
    }

    #[test]
    fn who_asks_is_told_why_no_agent_wakes() {
        let why = |started_as: &str, more: &[(&str, &str)]| {
            let answer = ask(started_as, &[&[(EXPLAIN, "1")], more].concat());
            assert!(answer.set.is_empty());
            answer.lines.join("\n")
        };
        let console = ("OTEL_TRACES_EXPORTER", "console");
        assert!(
            why("/cnb/process/release", &[console])
                .contains("asleep: agents sleep in the process type release")
        );
        assert!(why("/cnb/lifecycle/launcher", &[console]).contains("a command of somebody's own"));
        assert!(why("web", &[]).contains("asleep: nothing names a destination; PACKLIGHT_DESTINATION=otlp"));
        assert!(why("web", &[console, ("OTEL_SDK_DISABLED", "true")]).contains("OTEL_SDK_DISABLED is true"));
        assert_eq!(ask("web", &[]), Answer::default());
    }

    #[test]
    fn a_process_type_may_come_without_its_directory() {
        let console = [("OTEL_TRACES_EXPORTER", "console")];
        assert_eq!(ask("web", &console), ask("/cnb/process/web", &console));
        assert_eq!(ask("release", &console), Answer::default());
        assert_eq!(ask("bash", &console), Answer::default());
    }

    #[test]
    fn a_shell_and_a_listed_process_type_stay_untouched() {
        let on = ("OTEL_TRACES_EXPORTER", "console");
        assert_eq!(ask("launcher", &[on]), Answer::default());
        assert_eq!(ask("/cnb/lifecycle/launcher", &[on]), Answer::default());
        assert_eq!(ask("/cnb/process/release", &[on]), Answer::default());
        let listed = ("PACKLIGHT_AGENT_SKIP_PROCESSES", "web,worker");
        assert_eq!(ask("/cnb/process/web", &[on, listed]), Answer::default());
        assert!(!ask("/cnb/process/release", &[on, listed]).set.is_empty());
    }

    #[test]
    fn what_the_user_says_of_the_app_wins_item_by_item() {
        let on = ("OTEL_TRACES_EXPORTER", "console");
        let own = ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=mine,x=y,");
        let set = ask("/cnb/process/web", &[on, own]).set;
        assert!(!set.contains_key("OTEL_SERVICE_NAME"));
        assert_eq!(
            set["OTEL_RESOURCE_ATTRIBUTES"],
            "service.version=1.0,vcs.ref.head.name=a%2Cb,deployment.environment.name=test,service.name=mine,x=y"
        );
    }

    #[test]
    fn a_destination_by_name_wakes_it_and_a_wrong_one_is_said() {
        let answer = ask("/cnb/process/web", &[("PACKLIGHT_DESTINATION", "jaeger=http://jaeger")]);
        assert!(answer.lines[0].contains("traces → http://jaeger:4318; instruments"), "{:?}", answer.lines);
        assert_eq!(answer.set["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"], "http://jaeger:4318/v1/traces");
        assert_eq!(answer.set["OTEL_METRICS_EXPORTER"], "none");
        let answer = ask("/cnb/process/web", &[("PACKLIGHT_DESTINATION", "jaeger=http://jaeger:16686")]);
        assert!(answer.set.is_empty());
        assert!(answer.lines[0].starts_with("packlight: nothing is sent: destination jaeger: 16686 is"));
    }

    #[test]
    fn a_value_that_cannot_be_used_is_said_and_nothing_wakes() {
        let answer = ask("/cnb/process/web", &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://u:secret@h")]);
        assert!(answer.set.is_empty());
        assert!(answer.lines[0].contains("does not begin with http://"), "{:?}", answer.lines);
        assert!(!answer.lines[0].contains("secret"));
    }

    #[test]
    fn the_toml_parses_whatever_a_value_holds() {
        let set = BTreeMap::from([("A".to_owned(), "\"\\\n\u{7f}é".to_owned())]);
        let table: toml::Table = toml::from_str(&toml_of(&set)).unwrap();
        assert_eq!(table["A"].as_str(), Some("\"\\\n\u{7f}é"));
    }
}
