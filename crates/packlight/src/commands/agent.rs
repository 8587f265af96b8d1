//! `packlight agent`.

use super::Here;
use super::build::Reach;
use super::rebase::names;
use crate::environment;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, not_yet};
use crate::render::table;
use clap::{Args, Subcommand};
use platform::ImageName;
use platform::agent::{self, Agent, AgentRequest, Amended, Change, Outcome, Place};
use platform::images::Source;
use platform::isolation::Foreign;
use platform::rebase::{self, Run};
use platform::world::World;

/// Look after the APM agents of images that stand already
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show which agents images have, and what of their apps they observe
    List(ListArguments),
    /// Put agents into images, without the source and without a build of the app
    Add(ChangeArguments),
    /// Choose the agents of images anew: the newest that fit their apps
    Upgrade(ChangeArguments),
    /// Take agents out of images
    Remove(ChangeArguments),
}

#[derive(Debug, Args)]
struct ListArguments {
    /// The images: names (of the store, else of their registries), docker:NAME, oci:DIR, oci-archive:FILE or
    /// docker-archive:FILE
    #[arg(required = true)]
    images: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Every layer that is no agent's stays as it is, byte for byte, and the labels say what is in the image: it can be rebased
and built again as before. A build by a platform whose builder has no buildpack packlight/apm drops the agents.

Examples:
  See what would happen, then do it, for all of a team's images.
      packlight agent add --all 'registry.example.com/team/*' --dry-run
      packlight agent add --all 'registry.example.com/team/*'

  An image of the Docker engine, made from a Dockerfile: the launcher is put in front of the program that it starts.
      packlight agent add docker:my-app

  Datadog's agent beside the one that is there; then a newer one; then without it.
      packlight agent add --agent datadog registry.example.com/team/my-app --publish
      packlight agent upgrade registry.example.com/team/my-app --publish
      packlight agent remove --agent datadog registry.example.com/team/my-app --publish")]
struct ChangeArguments {
    /// The images: names, or docker:NAME for those of the Docker engine; `-` reads their names from standard input, one a line
    #[arg(required_unless_present = "all")]
    images: Vec<String>,
    /// The agents [default: for `add` opentelemetry, else all that are in the image]
    #[arg(long, value_name = "AGENT", value_delimiter = ',')]
    agent: Vec<String>,
    /// All images of a registry whose names match; `*` stands for anything. They are changed in the registry
    #[arg(long, value_name = "PATTERN", conflicts_with = "images")]
    all: Option<String>,
    /// Change the images in their registries, not those of the store
    #[arg(long)]
    publish: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// A command that signs an image of a registry once it is changed: it is given `NAME@DIGEST`
    #[arg(long, value_name = "COMMAND")]
    sign: Option<String>,
    /// A variable for the buildpack that puts agents into images, such as PIP_INDEX_URL
    #[arg(long, short, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// What an image's own programs, which are asked what is in it, reach meanwhile
    #[arg(long, value_enum, default_value_t, value_name = "NETWORK")]
    network: Reach,
    /// Run an image's own programs even where this machine allows no full isolation
    #[arg(long)]
    allow_unisolated: bool,
}

pub(super) fn run(here: &Here<'_>, arguments: &Arguments) -> Result<ExitCode, Failure> {
    match &arguments.verb {
        Verb::List(arguments) => list(here, &arguments.images),
        Verb::Add(arguments) => {
            let default = vec!["opentelemetry".to_owned()];
            let agents = if arguments.agent.is_empty() { default } else { known(&arguments.agent)? };
            change(here, arguments, Change::Add(agents))
        }
        Verb::Upgrade(arguments) => change(here, arguments, Change::Upgrade(known(&arguments.agent)?)),
        Verb::Remove(arguments) => change(here, arguments, Change::Remove(known(&arguments.agent)?)),
    }
}

fn list(here: &Here<'_>, images: &[String]) -> Result<ExitCode, Failure> {
    let world = here.world()?;
    let registry = here.default_registry()?;
    let mut listed: Vec<(String, Vec<Agent>)> = Vec::new();
    for image in images {
        let source = Source::parse(image, &registry)?;
        let agents = agent::list(&world, &source).map_err(|error| match &source {
            Source::Registry(name) if !matches!(world.store.image(name), Ok(Some(_))) => {
                Failure::from(error).not_in_store()
            }
            _ => error.into(),
        })?;
        listed.push((source.to_string(), agents));
    }
    let value: Vec<_> =
        listed.iter().map(|(name, agents)| serde_json::json!({"name": name, "agents": agents})).collect();
    let text = table(&rows(&listed));
    here.screen.result("agents", &serde_json::json!({"images": value}), |_| text.clone(), &text);
    Ok(ExitCode::OK)
}

fn rows(listed: &[(String, Vec<Agent>)]) -> Vec<[String; 4]> {
    let head = ["IMAGE", "AGENT", "VERSION", "OBSERVES"].map(str::to_owned);
    let none = |name: &String| [name.as_str(), "none", "", ""].map(str::to_owned);
    let row = |name: &String, it: &Agent| {
        [name.clone(), it.vendor.clone(), it.version.clone(), it.observes.join(", ")]
    };
    let of = |(name, agents): &(String, Vec<Agent>)| match agents.as_slice() {
        [] => vec![none(name)],
        agents => agents.iter().map(|it| row(name, it)).collect(),
    };
    std::iter::once(head).chain(listed.iter().flat_map(of)).collect()
}

fn change(here: &Here<'_>, arguments: &ChangeArguments, change: Change) -> Result<ExitCode, Failure> {
    let world = here.world()?;
    let request = AgentRequest {
        images: targets(here, &world, arguments)?,
        change,
        run: if arguments.dry_run { Run::Dry } else { Run::Real },
        env: environment::resolve(&[], &arguments.env, &here.env)?,
        unisolated: if arguments.allow_unisolated { Foreign::Allowed } else { Foreign::Refused },
        network: arguments.network.of_build(),
        sign: arguments.sign.clone(),
    };
    if request.sign.is_some() && request.images.iter().any(|it| it.1 != Place::Registry) {
        return Err(Failure::usage("--sign is for images of a registry; add --publish"));
    }
    let done = agent::amend(&world, &request, &|event| here.screen.event(event))?;
    let value = serde_json::json!({"images": done, "dry-run": arguments.dry_run});
    let is_changed = |it: &&Amended| matches!(it.outcome, Outcome::Amended { .. });
    let changed: Vec<&str> = done.iter().filter(is_changed).map(|it| it.name.as_str()).collect();
    here.screen.result("amended", &value, |_| text(&done, arguments.dry_run), &changed.join("\n"));
    let refused = done.iter().any(|it| matches!(it.outcome, Outcome::Refused { .. }));
    Ok(if refused { ExitCode::AGENT } else { ExitCode::OK })
}

/// The images, and where they are.
fn targets(
    here: &Here<'_>,
    world: &World,
    arguments: &ChangeArguments,
) -> Result<Vec<(ImageName, Place)>, Failure> {
    if let Some(pattern) = &arguments.all {
        return Ok(rebase::matching(world, pattern)?.into_iter().map(|it| (it, Place::Registry)).collect());
    }
    let registry = here.default_registry()?;
    let target = |text: &String| match (Source::parse(text, &registry)?, arguments.publish) {
        (Source::Registry(name), true) => Ok((name, Place::Registry)),
        (Source::Registry(name), false) => Ok((name, Place::Store)),
        (Source::Engine(name), false) => Ok((name, Place::Engine)),
        (Source::Engine(_), true) => {
            Err(Failure::usage("--publish is for images of a registry, and docker: is not"))
        }
        _ => Err(Failure::usage(&format!(
            "{text} is a file: the agents of images in the store, a registry or the Docker engine can be changed"
        ))),
    };
    names(&arguments.images)?.iter().map(target).collect()
}

fn text(done: &[Amended], dry: bool) -> String {
    let count = |which: fn(&Outcome) -> bool| done.iter().filter(|it| which(&it.outcome)).count();
    let amended = count(|it| matches!(it, Outcome::Amended { .. }));
    let unchanged = count(|it| matches!(it, Outcome::Unchanged));
    let refused = count(|it| matches!(it, Outcome::Refused { .. }));
    let verb = if dry { "to be changed" } else { "changed" };
    format!("{amended} {verb}, {unchanged} as they should be already, {refused} refused\n")
}

/// The agents that packlight/apm has; a test compares.
const AGENTS: &[&str] = &["opentelemetry", "datadog", "newrelic", "elastic", "sentry"];

/// The agents that are named, if there are such.
///
/// # Errors
/// When there is no such agent, or not yet.
pub(super) fn known(asked: &[String]) -> Result<Vec<String>, Failure> {
    const LATER: &[&str] = &["dynatrace", "appdynamics", "splunk"];
    for agent in asked {
        match agent.as_str() {
            known if AGENTS.contains(&known) => {}
            later if LATER.contains(&later) => {
                return Err(not_yet(&format!("the agent {later}"))
                    .hint("`--agent opentelemetry` sends OTLP, which most vendors take"));
            }
            other => {
                let there = AGENTS.join(", ");
                return Err(Failure::usage(&format!("there is no agent `{other}`: there are {there}")));
            }
        }
    }
    Ok(asked.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_known_promised_or_refused() {
        let ask = |name: &str| known(&[name.to_owned()]);
        assert_eq!(ask("datadog").unwrap(), ["datadog"]);
        assert_eq!(ask("splunk").unwrap_err().code, ExitCode::NOT_YET);
        assert_eq!(ask("opentelemtry").unwrap_err().code, ExitCode::USAGE);
    }

    #[test]
    fn the_agents_are_those_of_the_buildpack() {
        let vendors = concat!(env!("CARGO_MANIFEST_DIR"), "/../../buildpacks/apm/src/vendors");
        let entries = fs_err::read_dir(vendors).unwrap().map(|it| it.unwrap().path());
        let mut there: Vec<String> = entries
            .filter(|it| it.is_dir())
            .map(|it| it.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        let mut known = AGENTS.to_vec();
        there.sort_unstable();
        known.sort_unstable();
        assert_eq!(there, known);
    }

    #[test]
    fn every_agent_has_a_line_and_an_image_without_one_too() {
        let agent = |vendor: &str| Agent {
            vendor: vendor.to_owned(),
            version: "1.2".to_owned(),
            observes: vec!["flask 3.1".to_owned(), "sqlite3".to_owned()],
        };
        let listed =
            [("a".to_owned(), vec![agent("datadog"), agent("elastic")]), ("b".to_owned(), Vec::new())];
        assert_eq!(
            table(&rows(&listed)),
            "IMAGE  AGENT    VERSION  OBSERVES\n\
             a      datadog  1.2      flask 3.1, sqlite3\n\
             a      elastic  1.2      flask 3.1, sqlite3\n\
             b      none\n"
        );
    }
}
