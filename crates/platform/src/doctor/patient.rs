//! An image that is started here, link by link.

use super::tried::{Answer, Tried, exit, try_out};
use super::{DoctorRequest, Link, Stop, broken, probe};
use crate::agent;
use crate::run::trial::Trial;
use crate::run::{RunError, RunRequest};
use crate::trees::{self, Trees};
use crate::world::World;
use oci::Image;
use sandbox::Exit;
use std::time::Instant;

/// Whoever is started here.
pub(super) struct Patient<'a> {
    pub(super) world: &'a World,
    pub(super) image: &'a Image,
    pub(super) request: &'a DoctorRequest,
    pub(super) run: RunRequest,
}

impl Patient<'_> {
    pub(super) fn examine(&self, holds: &mut Vec<String>) -> Result<(), Stop> {
        holds.push(self.agents()?);
        self.launcher()?;
        if self.names_a_destination() {
            holds.push(self.wakes()?);
            holds.extend(probe::destinations(&self.variables())?);
        } else {
            holds.push("nothing names a destination, so it is woken here with one of ours".to_owned());
        }
        holds.push(self.delivers()?);
        Ok(())
    }

    pub(super) fn agents(&self) -> Result<String, Stop> {
        let there = agent::agents(self.image);
        let name = self.request.subject.name();
        if there.is_empty() {
            let cure = format!("packlight agent add {name}");
            return Err(broken(Link::Agent, "the image has no agent", cure));
        }
        let all: Vec<String> = there.iter().map(|it| format!("{} {}", it.vendor, it.version)).collect();
        Ok(format!("the image has {}", all.join(", ")))
    }

    /// The launcher wakes agents; who starts the app's program without it has none.
    fn launcher(&self) -> Result<(), Stop> {
        let own = self.image.config().config.entrypoint.first();
        let Some(started) = self.run.entrypoint.as_ref().or(own) else { return Ok(()) };
        let name = started.rsplit('/').next().unwrap_or_default();
        let is_process = Trees(&trees::unpacked(&self.world.store, self.image)?)
            .find(&std::path::Path::new("cnb/process").join(name))
            .is_some();
        let is_full = !started.contains('/') || started.starts_with("/cnb/process/");
        if name == "launcher" || (is_process && is_full) {
            return Ok(());
        }
        Err(broken(
            Link::Launcher,
            format!("the app is started as `{started}`, past the launcher, which would wake the agent"),
            "leave the entrypoint as the image has it: in Kubernetes set `args:` and not `command:`, with `docker run` no \
             --entrypoint; a process type is started by /cnb/process/TYPE, another command by `launcher -- COMMAND`; a \
             `docker exec` or `kubectl exec` is never observed",
        ))
    }

    fn variables(&self) -> destinations::Variables {
        let own = self.image.config().config.env.iter().filter_map(|it| it.split_once('='));
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        own.chain(self.run.env.iter().cloned()).collect()
    }

    /// Whether anybody tried: a variable of an agent's, or a binding.
    fn names_a_destination(&self) -> bool {
        const ABOUT: &[&str] = &[
            "OTEL_",
            crate::run::DESTINATION,
            "DD_",
            "NEW_RELIC_",
            "ELASTIC_",
            "SENTRY_",
            "VCAP_",
            "SERVICE_BINDING_ROOT",
        ];
        let speaks = |name: &str| ABOUT.iter().any(|it| name.starts_with(it));
        self.run.env.iter().any(|(name, _)| speaks(name)) || !self.run.volumes.is_empty()
    }

    /// Started as the user starts it, the agent says that it is awake.
    fn wakes(&self) -> Result<String, Stop> {
        let mut run = self.run.clone();
        run.env.push(("PACKLIGHT_AGENT_EXPLAIN".to_owned(), "1".to_owned()));
        let wrong = |text: String| broken(Link::Destination, text, "name another one, as the message says");
        let mut trial = match Trial::start(&self.world.store, (self.image, &run), &self.world.env) {
            Err(RunError::Destination(text)) => return Err(wrong(text)),
            other => other?,
        };
        let deadline = Instant::now() + self.request.patience;
        let said = trial.says(|it| it.starts_with(SAYS), deadline);
        trial.end();
        let printed = trial.printed();
        let Some(first) = said else {
            return Err(self.silent(&printed, trial.ended()));
        };
        let first = first.trim_start_matches(SAYS).to_owned();
        if let Some(reason) = first.strip_prefix("asleep: ") {
            return Err(broken(Link::Awake, format!("the agent sleeps: {reason}"), "set what would wake it"));
        }
        if let Some(text) = first.strip_prefix("nothing is sent: ") {
            return Err(wrong(text.to_owned()));
        }
        match asleep(&printed) {
            Some(line) => Err(broken(Link::Awake, line, "the line says what keeps it asleep")),
            None => Ok(format!("it wakes: {first}")),
        }
    }

    fn silent(&self, printed: &str, ended: Option<Exit>) -> Stop {
        let cure = "look at what the app printed, and start the image by one of its process types";
        let how = ended.map_or("it says nothing".to_owned(), |it| format!("the app {}", exit(it)));
        broken(Link::Awake, format!("the agent was not asked to wake: {how}{}", last_lines(printed)), cure)
    }

    /// With a receiver of ours in place of the destination the request's span arrives.
    pub(super) fn delivers(&self) -> Result<String, Stop> {
        let tried = try_out(self.world, self.image, &self.run, (&self.request.path, self.request.patience))?;
        match &tried.span {
            Some(span) => Ok(format!(
                "a request to {} gives the span `{}` of the service {}",
                self.request.path, span.0, span.1
            )),
            None => Err(self.missing(&tried)),
        }
    }

    /// The span did not come: the first reason that there is.
    fn missing(&self, tried: &Tried) -> Stop {
        let printed = last_lines(&tried.printed);
        let listed = || {
            let mut names: Vec<String> =
                agent::agents(self.image).into_iter().flat_map(|it| it.observes).collect();
            names.dedup();
            names.join(", ")
        };
        if let Answer::None(why) = &tried.answer {
            let cure =
                "an app is told its port in PORT; another one is named with --port, another path with --path";
            return broken(Link::App, format!("{why}{printed}"), cure);
        }
        if let Some(line) = asleep(&tried.printed) {
            return broken(Link::Awake, line, "the line says what keeps it asleep");
        }
        if let Some(refused) = &tried.refused {
            return broken(
                Link::Delivery,
                format!("what the agent sent was refused: {refused}"),
                "an agent other than the image's own sends it; see what the app brings along",
            );
        }
        if let Some(sampler) = self.samples_nothing() {
            return broken(
                Link::Sampling,
                format!("{sampler} takes no span"),
                "take it away, or a ratio above 0",
            );
        }
        if let Some(variable) = self.leaves_path_out() {
            let why = format!("{variable} leaves {} out", self.request.path);
            return broken(Link::Sampling, why, "ask for another path with --path, or change the variable");
        }
        if tried.spans > 0 {
            let why = format!(
                "{} spans came, none of them of a request that is answered: the agent observes {}, and not what serves \
                 the app{}",
                tried.spans,
                listed(),
                skipped(&tried.printed)
            );
            return broken(
                Link::Instrumentation,
                why,
                "packlight agent upgrade, or a version of the framework that is supported",
            );
        }
        let why = format!(
            "the app answered {}, and no span came: the agent observes {}{}",
            tried.answer,
            listed(),
            skipped(&tried.printed)
        );
        let cure =
            "is the app's framework among them? `packlight agent upgrade` takes the newest agent that fits";
        broken(Link::Instrumentation, format!("{why}{printed}"), cure)
    }

    fn samples_nothing(&self) -> Option<String> {
        let all = self.variables();
        let sampler = all.get("OTEL_TRACES_SAMPLER")?.trim().to_lowercase();
        let ratio = all.get("OTEL_TRACES_SAMPLER_ARG").and_then(|it| it.trim().parse::<f64>().ok());
        let never = sampler.ends_with("always_off")
            || (sampler.ends_with("traceidratio") && ratio.is_some_and(|it| it <= 0.001));
        let ratio = ratio.map(|it| format!(" with OTEL_TRACES_SAMPLER_ARG={it}")).unwrap_or_default();
        never.then(|| format!("OTEL_TRACES_SAMPLER={sampler}{ratio}"))
    }

    fn leaves_path_out(&self) -> Option<String> {
        let all = self.variables();
        let mut named =
            all.iter().filter(|(name, _)| name.ends_with("EXCLUDED_URLS") && name.starts_with("OTEL_"));
        let hits = |list: &str| {
            let mut parts = list.split(',').map(str::trim).filter(|it| !it.is_empty());
            parts.any(|it| self.request.path.contains(it.trim_start_matches('^').trim_end_matches('$')))
        };
        named.find(|(_, value)| hits(value)).map(|(name, value)| format!("{name}={value}"))
    }
}

/// What begins each line of the agent's.
pub(super) const SAYS: &str = "packlight: ";

/// The line with which an agent went back to sleep.
fn asleep(printed: &str) -> Option<String> {
    let mut lines = printed.lines().filter_map(|it| it.strip_prefix(SAYS));
    lines.rfind(|it| it.contains("asleep") || it.contains("failed")).map(str::to_owned)
}

/// What the startup line says of libraries that are not observed.
fn skipped(printed: &str) -> String {
    let line = printed.lines().find(|it| it.starts_with(SAYS) && it.contains("skipped ")).unwrap_or_default();
    let rest = line.split_once("skipped ").map_or("", |it| it.1);
    if rest.is_empty() {
        String::new()
    } else {
        format!("; it skips {}", rest.split("; ").next().unwrap_or(rest))
    }
}

fn last_lines(printed: &str) -> String {
    let lines: Vec<&str> = printed.lines().rev().filter(|it| !it.trim().is_empty()).take(5).collect();
    if lines.is_empty() {
        return String::new();
    }
    format!("; its last lines:\n  {}", lines.into_iter().rev().collect::<Vec<_>>().join("\n  "))
}
