//! `packlight build`.

mod builder;
mod cache;
mod conditions;
mod pack;
mod papers;

use super::Here;
use crate::environment;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, not_yet};
use crate::render::summary;
use builder::BuilderArguments;
use cache::{CacheArguments, Published};
use clap::{Args, ValueEnum};
use conditions::ConditionArguments;
use pack::PackArguments;
use papers::PapersArguments;
use platform::ImageName;
use platform::build::{BuildCache, BuildNetwork, BuildRequest, Locking};
use platform::event::Event;
use platform::output::Output;
use std::path::PathBuf;

/// Which agents an image gets, for the agents' buildpack.
const AGENT_VARIABLE: &str = "PACKLIGHT_AGENT";

const EXAMPLES: &str = "\
Examples:
  In the app's folder; the image is in the store, and in the Docker engine where there is one.
      packlight build my-app

  Another folder, another name for the same image, into a file that `docker load` reads.
      packlight build my-app --path ./web --tag my-app:1.4 --output docker-archive:my-app.tar

  Tell the buildpacks something: here, which Python.
      packlight build my-app -e BP_CPYTHON_VERSION=3.11

  With somebody else's builder, straight into a registry.
      packlight build registry.example.com/team/my-app --builder heroku/builder:24 --publish

  The same image everywhere: keep the lock beside the source, in version control.
      packlight build my-app --lock
  Newer versions of everything that the lock holds.
      packlight build my-app --update --lock";

/// Make an image of an app's source
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The image's name, such as my-app, my-app:1.4 or registry.example.com/team/my-app
    name: String,
    /// The app's folder
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    path: PathBuf,
    /// The project descriptor [default: project.toml in the app's folder, where there is one]
    #[arg(long, short, value_name = "FILE")]
    descriptor: Option<PathBuf>,
    /// Where the image goes besides the store: registry, docker, oci:DIR, oci-archive:FILE, docker-archive:FILE, or nowhere
    /// (store) [default: the Docker engine, where one answers]
    #[arg(long, short, value_name = "WHERE", value_parser = output)]
    output: Vec<Output>,
    /// A variable for the buildpacks; `-e NAME` takes the value from here
    #[arg(long, short, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Variables for the buildpacks, one NAME=VALUE a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// A further name for the image
    #[arg(long, short, value_name = "NAME", value_delimiter = ',')]
    tag: Vec<String>,
    /// The process type that the image starts, in place of the buildpacks' choice
    #[arg(long, short = 'D', value_name = "TYPE")]
    default_process: Option<String>,
    /// The APM agents of the image; `none` leaves them out. With another builder, one that is named here is put beside
    /// its buildpacks [default: opentelemetry, with another builder none]
    #[arg(long, value_name = "AGENT", value_delimiter = ',')]
    agent: Vec<String>,
    /// Start the image before it goes anywhere, ask for a page and wait for its span: without one the build fails
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = "/", require_equals = true)]
    verify: Option<String>,
    /// What buildpacks reach while they build
    #[arg(long, value_enum, default_value_t, value_name = "NETWORK")]
    network: Reach,
    /// Leave the layers that the last build kept aside
    #[arg(long)]
    clear_cache: bool,
    /// Write packlight.lock, which says what this image is made of, beside the source
    #[arg(long)]
    lock: bool,
    /// Take newer versions than those that the last build settled on
    #[arg(long)]
    update: bool,
    /// Show where the time went
    #[arg(long)]
    timings: bool,
    /// The same as --verbose
    #[arg(short = 'v')]
    pub(crate) more: bool,
    /// Push the image to the registry in its name, the same as `--output registry`
    #[arg(long)]
    publish: bool,
    /// An image whose layers may be used again, in place of the last one of the same name
    #[arg(long, value_name = "NAME")]
    previous_image: Option<String>,
    #[command(flatten)]
    cache: CacheArguments,
    #[command(flatten)]
    papers: PapersArguments,
    #[command(flatten)]
    conditions: ConditionArguments,
    #[command(flatten)]
    other: BuilderArguments,
    #[command(flatten)]
    pack: PackArguments,
    /// The machine that the image is for: linux/amd64 (linux/arm64: not yet)
    #[arg(long, value_name = "OS/ARCH", hide_short_help = true)]
    platform: Option<String>,
}

/// What buildpacks reach while they build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Reach {
    /// Our own buildpacks what this machine reaches, somebody else's the way out alone, where `pasta` is installed.
    #[default]
    Auto,
    /// What this machine reaches, its loopback included.
    Host,
    /// Nothing.
    None,
}

impl Reach {
    pub(super) fn of_build(self) -> BuildNetwork {
        match self {
            Self::Auto => BuildNetwork::Best,
            Self::Host => BuildNetwork::Host,
            Self::None => BuildNetwork::None,
        }
    }
}

pub(super) fn run(here: &Here<'_>, arguments: &Arguments) -> Result<ExitCode, Failure> {
    refuse_promises(arguments)?;
    let request = request(here, arguments)?;
    let begin = std::time::Instant::now();
    let mut world = here.world()?;
    arguments.pack.add_to(&mut world.settings);
    for text in arguments.pack.notices() {
        here.screen.event(Event::Notice { text });
    }
    let built = platform::build::build(&world, &request, &|event| here.screen.event(event));
    let built = built.map_err(|error| match platform::housekeeping::is_full(&world.store) {
        true => Failure::from(error).on_a_full_disk(),
        false => Failure::from(error),
    })?;
    if arguments.timings {
        here.screen.timings(begin.elapsed());
    }
    here.screen.result(
        "built",
        &built,
        |styles| summary::text(&built, begin.elapsed(), *styles),
        &built.digest,
    );
    Ok(ExitCode::OK)
}

fn request(here: &Here<'_>, arguments: &Arguments) -> Result<BuildRequest, Failure> {
    let mut names = here.names(std::slice::from_ref(&arguments.name))?;
    names.extend(here.names(&arguments.tag)?);
    let mut names = names.into_iter();
    let name: ImageName = names.next().ok_or_else(|| Failure::usage("the image needs a name"))?;
    let mut env = environment::resolve(&arguments.env_file, &arguments.env, &here.env)?;
    if let Some(agents) = agents(&arguments.agent)? {
        env.push((AGENT_VARIABLE.to_owned(), agents));
    }
    let wants_agents =
        |(name, value): &(String, String)| name == AGENT_VARIABLE && !value.is_empty() && value != "none";
    let wants_agents = env.iter().any(wants_agents);
    let previous = here.names(arguments.previous_image.as_slice())?;
    let switch = |on: bool| on.then_some(());
    Ok(BuildRequest {
        name,
        tags: names.collect(),
        path: arguments.path.clone(),
        descriptor: arguments.descriptor.clone(),
        env,
        previous_image: previous.into_iter().next(),
        builder: arguments.other.choice(&here.default_registry()?, wants_agents)?,
        volumes: arguments.other.volumes(&arguments.conditions.conditions().workspace)?,
        outputs: outputs(arguments),
        default_process: arguments.default_process.clone(),
        network: arguments.network.of_build(),
        cache: cache(arguments, &here.default_registry()?)?,
        clear_cache: arguments.clear_cache,
        locking: Locking::from_switches(switch(arguments.lock), switch(arguments.update)),
        verify: arguments.verify.clone(),
        papers: arguments.papers.papers(),
        conditions: arguments.conditions.conditions(),
    })
}

fn cache(arguments: &Arguments, default_registry: &str) -> Result<BuildCache, Failure> {
    let published = match outputs(arguments).contains(&Output::Registry) {
        true => Published::Yes,
        false => Published::No,
    };
    arguments.cache.cache(published, default_registry)
}

fn outputs(arguments: &Arguments) -> Vec<Output> {
    let mut outputs = arguments.output.clone();
    if arguments.publish && !outputs.contains(&Output::Registry) {
        outputs.push(Output::Registry);
    }
    if outputs.is_empty() {
        outputs.push(Output::DockerIfThere);
    }
    outputs
}

fn output(text: &str) -> Result<Output, String> {
    let (kind, path) = text.split_once(':').map_or((text, ""), |(kind, path)| (kind, path));
    let path = || match path {
        "" => Err(format!("`{text}` lacks its path: {kind}:PATH")),
        path => Ok(PathBuf::from(path)),
    };
    match kind {
        "store" if !text.contains(':') => Ok(Output::Store),
        "docker" if !text.contains(':') => Ok(Output::Docker),
        "registry" if !text.contains(':') => Ok(Output::Registry),
        "oci" => path().map(Output::Layout),
        "oci-archive" => path().map(Output::OciArchive),
        "docker-archive" => path().map(Output::DockerArchive),
        _ => {
            Err("it is store, registry, docker, oci:DIR, oci-archive:FILE or docker-archive:FILE".to_owned())
        }
    }
}

/// The value of the agents' variable; none when the user did not say.
fn agents(asked: &[String]) -> Result<Option<String>, Failure> {
    let named: Vec<String> = asked.iter().filter(|it| *it != "none").cloned().collect();
    if !named.is_empty() && named.len() < asked.len() {
        return Err(Failure::usage("`--agent none` and another agent exclude each other"));
    }
    super::agent::known(&named)?;
    Ok((!asked.is_empty()).then(|| asked.join(",")))
}

fn refuse_promises(arguments: &Arguments) -> Result<(), Failure> {
    arguments.pack.refuse()?;
    match arguments.platform.as_deref() {
        None | Some("linux/amd64") => Ok(()),
        Some(other) => {
            Err(not_yet(&format!("an image for {other}")).hint("images are for linux/amd64 today"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_named_by_kind_and_path() {
        assert_eq!(output("docker"), Ok(Output::Docker));
        assert_eq!(output("oci:a:b"), Ok(Output::Layout("a:b".into())));
        assert_eq!(output("oci-archive:x.tar"), Ok(Output::OciArchive("x.tar".into())));
        assert_eq!(output("docker-archive:x.tar"), Ok(Output::DockerArchive("x.tar".into())));
        assert!(output("oci").unwrap_err().contains("lacks its path"));
        assert!(output("docker:x").unwrap_err().contains("it is store, registry, docker, oci:DIR"));
    }

    #[test]
    fn agents_are_one_value_and_none_stands_alone() {
        let ask = |names: &[&str]| agents(&names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
        assert_eq!(ask(&[]).unwrap(), None);
        assert_eq!(ask(&["none"]).unwrap().as_deref(), Some("none"));
        assert_eq!(ask(&["none", "none"]).unwrap().as_deref(), Some("none,none"));
        let two = ask(&["opentelemetry", "datadog"]).unwrap();
        assert_eq!(two.as_deref(), Some("opentelemetry,datadog"));
        assert_eq!(ask(&["none", "opentelemetry"]).unwrap_err().code, ExitCode::USAGE);
        assert_eq!(ask(&["opentelemtry"]).unwrap_err().code, ExitCode::USAGE);
    }
}
