//! The story of detect and build.

use crate::agent_toml::{self, Agent, Config};
use crate::attach::python::{self, Room, Venv};
use crate::attach::python_code;
use crate::attach::python_found::{self, Found};
use crate::attach::python_resolve::{Question, resolve};
use crate::lock::{Fragment, Pins};
use crate::vendors::{Inventory, PythonAgent, PythonData, VENDORS, Vendor};
use crate::{errors, identity};
use buildpack::digest::{Digest, sha256};
use buildpack::program::{alternative, require};
use buildpack::sbom::{Package, Sbom};
use buildpack::{
    Build, BuildPlan, Built, Context, Decision, Detect, Detected, Failure, Label, LayerTypes, lock,
};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The setting that names the agents: a comma between them, `none` for none.
pub const SETTING: &str = "PACKLIGHT_AGENT";
/// The launch program, where a payload puts programs.
pub const LAUNCH_PROGRAM: &str = "bin/packlight-agent";
/// Process types that do one thing and leave.
const SKIP_PROCESSES: &[&str] = &["release", "migrate", "postdeploy", "predeploy", "shell", "console"];

/// What brings uv where nobody has: an image that stands already has no pip, since its app needs none.
const PIP: &[&str] = &["python3-pip-whl"];

const CACHED: LayerTypes = LayerTypes { build: false, launch: true, cache: true };

/// Passes unless agents are switched off; whether there is something to do shows when the app has been built.
///
/// # Errors
/// When the setting names an agent that is not there.
pub fn detect(context: &Detect) -> Result<Detected, Failure> {
    let vendors = vendors(context)?;
    if vendors.is_empty() {
        return Ok(Detected::Fail);
    }
    let run: Vec<&str> = vendors.iter().flat_map(|it| it.debian).copied().collect();
    let build: &[&str] = if python_found::is_python(&context.app) { PIP } else { &[] };
    if run.is_empty() && build.is_empty() {
        return Ok(Detected::pass());
    }
    let lists = [("run", run.as_slice()), ("build", build)].into_iter().filter(|it| !it.1.is_empty());
    let metadata = lists.map(|(name, it)| (name.to_owned(), it.to_vec().into())).collect();
    let debian = require("debian", metadata);
    // A builder of others has no such entry: its images have what is needed, or the agent says that it failed.
    let (first, or) = (alternative(&[], vec![debian]), vec![alternative(&[], Vec::new())]);
    Ok(Detected::Pass(BuildPlan { first, or }))
}

/// Puts each agent that was asked for into a layer of its own.
///
/// # Errors
/// When packages cannot be had or layers not be written.
pub fn build(build: &Build) -> Result<Built, Failure> {
    let (mut fragment, mut labels) = (Fragment::default(), Vec::new());
    for vendor in vendors(build)? {
        build.log.heading(format_args!("Agent: {}", vendor.id));
        let (data, venv) = match (vendor.python, app(build)?) {
            (Some(data), Found::App(venv)) => (data, venv),
            (_, Found::None(why)) => {
                build.log.step(format_args!("no agent: {why}"));
                continue;
            }
            (None, _) => {
                build.log.step("no agent: this vendor has none for Python");
                continue;
            }
        };
        let pins = python_agent(build, vendor, data, &venv)?;
        if !pins.instrumented.is_empty() {
            labels.push(Label { key: format!("{LABEL}.{}", vendor.id), value: shown(&pins) });
        }
        fragment.agent.insert(vendor.id.to_owned(), pins);
    }
    if !fragment.agent.is_empty() {
        lock::write_fragment(&build.layers, &fragment)?;
    }
    let mut built = Built::default();
    if labels.is_empty() {
        buildpack::layer::clear(&build.layers, agent_toml::LAYER)?;
    } else {
        write_config(build)?;
        built.launch.labels = labels;
    }
    Ok(built)
}

/// The app's environment, whoever has made it.
fn app(build: &Build) -> Result<Found, Failure> {
    match Venv::of_packlight(build)? {
        Some(venv) => Ok(Found::App(Box::new(venv))),
        None => python_found::find(build),
    }
}

/// What an agent's label says, for people: its version, and what of the app it observes.
fn shown(pins: &Pins) -> String {
    let names: Vec<String> = pins.instrumented.iter().map(agent_toml::Library::shown).collect();
    format!("{} for {}", pins.version, names.join(", "))
}

/// The agents that are asked for; OpenTelemetry when nobody says.
fn vendors(context: &Context) -> Result<Vec<&'static Vendor>, Failure> {
    let asked = context.var(SETTING).unwrap_or("opentelemetry").to_lowercase();
    let mut found: Vec<&Vendor> = Vec::new();
    for name in asked.split([',', ' ']).filter(|it| !it.is_empty() && *it != "none") {
        let vendor = VENDORS.iter().find(|it| it.id == name);
        let vendor = vendor.ok_or_else(|| Failure::from(errors::unknown_vendor(name)))?;
        if !found.iter().any(|it| it.id == vendor.id) {
            found.push(vendor);
        }
    }
    Ok(found)
}

/// The labels of the image that say which agents are in it: this, a dot, the vendor. One each, so that an agent comes and
/// goes without the others.
pub const LABEL: &str = "io.packlight.agent";

/// What a layer was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Made {
    digest: String,
    /// The agent's lock for people and scanners who have the image alone: `name==version`. It is in the image's label
    /// `io.buildpacks.lifecycle.metadata`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    packages: Vec<String>,
}

fn python_agent(build: &Build, vendor: &Vendor, data: PythonData, venv: &Venv) -> Result<Pins, Failure> {
    let agent: PythonAgent = cnb_parse("python.toml", data.table)?;
    let inventory: Inventory = cnb_parse("inventory.toml", data.inventory)?;
    let room = Room::new(build, venv)?;
    let question = Question { venv, agent: &agent, inventory: &inventory, earlier: None, room: &room };
    let pins = pins(build, vendor, &question, data)?;
    tell(build, vendor, &pins);
    if !venv.hooked && !pins.instrumented.is_empty() {
        build
            .log
            .detail("woken through PYTHONPATH at launch: another buildpack has made the app's environment");
    }
    if pins.instrumented.is_empty() {
        buildpack::layer::clear(&build.layers, vendor.id)?;
        return Ok(pins);
    }
    let digest = Digest::new()
        .part("pins", pins.digest().as_bytes())
        .part("table", data.table.as_bytes())
        .part("code", python_code::digest().as_bytes())
        .part("hooked", venv.hooked.to_string().as_bytes())
        .hex();
    let layer = build.layer(vendor.id, CACHED, |made: &Made| match made.digest == digest {
        true => Decision::Keep,
        false => Decision::Recreate("the app's packages or the agent have changed".to_owned()),
    })?;
    if layer.is_empty() {
        python::fill(build, &question, vendor.id, &pins, &layer.path)?;
        fs::write(layer.path.join(agent_toml::FILE), toml::to_string(&about(vendor, &pins))?)?;
        layer.write_sbom(&sbom(&agent, &pins))?;
    }
    let packages = pins.packages.iter().map(|it| format!("{}=={}", it.name, it.version)).collect();
    layer.finish(&Made { digest, packages })?;
    Ok(pins)
}

/// What the launch program is told of an agent.
fn about(vendor: &Vendor, pins: &Pins) -> Agent {
    Agent {
        vendor: vendor.id.to_owned(),
        version: pins.version.clone(),
        languages: vec!["python".to_owned()],
        instrumented: pins.instrumented.clone(),
        skipped: pins.skipped.clone(),
    }
}

/// The pins of the lock while nothing they were resolved from has changed, else new ones, near to the old.
fn pins(build: &Build, vendor: &Vendor, question: &Question, data: PythonData) -> Result<Pins, Failure> {
    let installed: String =
        question.venv.installed.iter().map(|(name, version)| format!("{name}=={version}\n")).collect();
    let inputs = Digest::new()
        .part("version", env!("CARGO_PKG_VERSION").as_bytes())
        .part("table", data.table.as_bytes())
        .part("inventory", data.inventory.as_bytes())
        .part("python", question.venv.minor.as_bytes())
        .part("installed", installed.as_bytes())
        .hex();
    let earlier: Option<Pins> =
        lock::effective_in_build(build)?.and_then(|it| it.section(&format!("agent.{}", vendor.id)));
    match earlier {
        Some(pins) if pins.inputs == inputs => Ok(pins),
        earlier => {
            let question = Question { earlier: earlier.as_ref(), ..*question };
            let chosen = build
                .log
                .timed("Choosing the agent's packages to fit the app's", || resolve(build, &question))?;
            Ok(Pins { inputs, ..chosen })
        }
    }
}

fn tell(build: &Build, vendor: &Vendor, pins: &Pins) {
    let names: Vec<String> = pins.instrumented.iter().map(agent_toml::Library::shown).collect();
    if !names.is_empty() {
        build.log.step(format_args!("version {}, for {}", pins.version, names.join(", ")));
        build.log.detail(format_args!(
            "asleep until a destination is named at launch, such as {}",
            vendor.named_by
        ));
    }
    for library in &pins.skipped {
        build.log.step(format_args!("left out: {} ({})", library.shown(), library.reason));
    }
}

/// What the agent brings; what was left out is a property of the agent itself.
fn sbom(agent: &PythonAgent, pins: &Pins) -> Sbom {
    let mut packages: Vec<Package> =
        pins.packages.iter().map(|it| Package::pypi(&it.name, &it.version)).collect();
    let skipped = pins
        .skipped
        .iter()
        .map(|it| (format!("packlight:skipped:{}", it.name), format!("{}: {}", it.shown(), it.reason)));
    if let Some(first) = packages.iter_mut().find(|it| agent.core.contains(&it.name)) {
        first.properties.extend(skipped);
    }
    Sbom::new(packages)
}

/// The launch program and what is true of the app whichever agent wakes: a new version of an agent leaves it as it is.
fn write_config(build: &Build) -> Result<(), Failure> {
    let config = Config {
        skip_processes: SKIP_PROCESSES.iter().map(|it| (*it).to_owned()).collect(),
        identity: identity::attributes(build)?,
    };
    let (text, program) = (toml::to_string(&config)?, launch_program(build)?);
    let digest = Digest::new()
        .part("config", text.as_bytes())
        .part("launch", sha256(&fs::read(&program)?).as_bytes())
        .hex();
    let made = Made { digest, packages: Vec::new() };
    let layer = build.layer(agent_toml::LAYER, CACHED, |old: &Made| match *old == made {
        true => Decision::Keep,
        false => Decision::Recreate("who the app is or the launch program has changed".to_owned()),
    })?;
    if layer.is_empty() {
        fs::write(layer.path.join(agent_toml::CONFIG_FILE), text)?;
        layer.add_exec_d("packlight-agent", &program)?;
    }
    layer.finish(&made)
}

fn launch_program(build: &Build) -> Result<PathBuf, Failure> {
    let path = build.buildpack_dir.join(LAUNCH_PROGRAM);
    if path.is_file() { Ok(path) } else { Err(errors::incomplete(&path.display().to_string()).into()) }
}

/// A file that this program carries; a test parses each one.
fn cnb_parse<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> Result<T, Failure> {
    toml::from_str(text)
        .map_err(|it| errors::incomplete(&format!("a readable {name} ({})", it.message())).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_carried_tables_parse_and_every_class_is_named_in_full() {
        for data in VENDORS.iter().filter_map(|it| it.python) {
            let agent: PythonAgent = toml::from_str(data.table).unwrap();
            let inventory: Inventory = toml::from_str(data.inventory).unwrap();
            assert!(agent.library.iter().all(|it| it.class.contains(':') == agent.trains), "module:Class");
            for core in &agent.core {
                assert!(inventory.package.iter().any(|it| it.name == *core), "{core} is in the inventory");
            }
            assert!(inventory.package.iter().flat_map(|it| &it.sha256).all(|it| it.len() == 64));
            let mut names: Vec<&String> = inventory.package.iter().map(|it| &it.name).collect();
            names.dedup();
            assert_eq!(names.len(), inventory.package.len(), "one version of each, or none fits");
            // Machine code comes in a wheel for each of five Pythons.
            assert!(inventory.package.iter().all(|it| it.sha256.len() == 1 || it.sha256.len() >= 5));
            let ddtrace = inventory.package.iter().find(|it| it.name == "ddtrace");
            assert!(
                ddtrace.is_none_or(|it| it.sha256.len() >= 5),
                "ddtrace has no wheel without machine code"
            );
        }
    }
}
