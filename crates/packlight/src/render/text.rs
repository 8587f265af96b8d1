//! Events as a person reads them: a phase with what happens in it, then how long it took.

use super::downloads::{Downloads, done};
use super::progress::Bars;
use super::style::Styles;
use super::{Volume, bytes, table};
use crate::failure::Failure;
use platform::agent::{self, Amended};
use platform::event::{Event, Phase};
use platform::rebase::{Outcome, Rebased};
use std::collections::VecDeque;
use std::io::Write;
use std::time::Duration;

/// How many lines a quiet build keeps, to be shown when it fails.
const KEPT: usize = 60;

/// Names of files and words of others may hold what a terminal would obey.
fn visible(text: &str) -> String {
    let shown = |it: char| if it.is_control() && it != '\n' { '\u{fffd}' } else { it };
    text.chars().map(shown).collect()
}

/// What became of one image.
fn one_image(rebased: &Rebased) -> String {
    let what = match &rebased.outcome {
        Outcome::Rebased { to, .. } => format!("is {to}"),
        Outcome::Unchanged => "is on its run image already".to_owned(),
        Outcome::Refused { reason } => format!("stays as it is: {reason}"),
    };
    format!("{} {what}", rebased.name)
}

/// What became of one image's agents.
fn amended_image(amended: &Amended) -> String {
    let agents = || match amended.agents.as_slice() {
        [] => "no agent".to_owned(),
        agents => {
            agents.iter().map(|it| format!("{} {}", it.vendor, it.version)).collect::<Vec<_>>().join(", ")
        }
    };
    let what = match &amended.outcome {
        agent::Outcome::Amended { to, .. } => format!("is {to}, with {}", agents()),
        agent::Outcome::Unchanged => format!("has {} already", agents()),
        agent::Outcome::Refused { reason } => format!("stays as it is: {reason}"),
    };
    format!("{} {what}", amended.name)
}

pub(super) struct Text {
    to: Box<dyn Write + Send>,
    style: Styles,
    pub(super) volume: Volume,
    bars: Option<Bars>,
    downloads: Downloads,
    /// The phase that runs, and whether its name has been printed.
    phase: Option<(Phase, bool)>,
    kept: VecDeque<String>,
}

impl Text {
    pub(super) fn new(to: Box<dyn Write + Send>, style: Styles, volume: Volume, bars: bool) -> Self {
        let bars = bars.then(Bars::new);
        Self { to, style, volume, bars, downloads: Downloads::default(), phase: None, kept: VecDeque::new() }
    }

    pub(super) fn event(&mut self, event: &Event) {
        if self.downloads.take(event) {
            if let Some(bars) = &self.bars {
                bars.downloads(&self.downloads);
            }
            if let (Volume::Verbose, Event::Downloaded { kind, name, bytes: count }) = (self.volume, event) {
                self.inside(&format!("{} {name}, {}", done(kind), bytes(*count)));
            }
            return;
        }
        self.downloaded(matches!(event, Event::PhaseFinished { .. }));
        match event {
            Event::PhaseStarted { phase } => {
                self.phase = Some((*phase, false));
                if let Some(bars) = &self.bars {
                    bars.phase(phase.word());
                }
            }
            Event::PhaseFinished { phase, seconds } => self.finished(*phase, *seconds),
            Event::Output { buildpack, text, .. } => {
                let prefix = self.style.dim(&format!("[{}]", short(buildpack)));
                self.inside(&format!("{prefix} {text}"));
            }
            Event::Notice { text } => self.inside(&visible(text)),
            Event::Warning { text } => {
                let word = self.style.yellow("warning:");
                self.inside(&format!("{word} {}", visible(text)));
            }
            Event::Unchanged => self.inside(
                "nothing has changed since the last build, whose image stands (--clear-cache builds anew)",
            ),
            Event::Detected { buildpack } => self.inside(buildpack),
            Event::ImageRebased { rebased } => self.inside(&one_image(rebased)),
            Event::ImageAmended { amended } => self.inside(&amended_image(amended)),
            Event::Sending { layers, of, bytes: count } => {
                self.inside(&format!("sending {layers} of {of} layers, {}", bytes(*count)));
            }
            Event::LayerExported { name, size, reused } if self.volume == Volume::Verbose => {
                let what = if *reused { "unchanged" } else { "new" };
                self.inside(&format!("layer {name}: {}, {what}", bytes(*size)));
            }
            _ => {}
        }
    }

    /// One line for a group of downloads that is over.
    fn downloaded(&mut self, all: bool) {
        for line in self.downloads.finished(all) {
            self.inside(&line);
        }
        if let Some(bars) = &self.bars {
            bars.downloads(&self.downloads);
        }
    }

    fn finished(&mut self, phase: Phase, seconds: f64) {
        let time = self.style.dim(&format!("{seconds:.1} s"));
        match self.phase.take() {
            Some((_, true)) => self.line(&format!("  {time}")),
            _ => {
                let name = self.style.green(&format!("{:8}", phase.word()));
                self.line(&format!("{name} {time}"));
            }
        }
        if let Some(bars) = &self.bars {
            bars.no_phase();
        }
    }

    /// Something that happened in the phase that runs.
    fn inside(&mut self, text: &str) {
        match self.phase {
            None => self.line(text),
            Some((phase, headed)) => {
                if !headed {
                    let name = self.style.green(phase.word());
                    self.line(&name);
                    self.phase = Some((phase, true));
                }
                self.line(&format!("    {text}"));
            }
        }
    }

    fn line(&mut self, text: &str) {
        if self.volume == Volume::Quiet {
            if self.kept.len() == KEPT {
                self.kept.pop_front();
            }
            self.kept.push_back(text.to_owned());
            return;
        }
        self.write(&format!("{text}\n"));
    }

    fn write(&mut self, text: &str) {
        let to = &mut self.to;
        // A closed standard error leaves nobody to complain to.
        let mut write = || drop(to.write_all(text.as_bytes()).and_then(|()| to.flush()));
        match &self.bars {
            Some(bars) => bars.aside(write),
            None => write(),
        }
    }

    pub(super) fn failed(&mut self, failure: &Failure) {
        self.downloaded(true);
        if let Some(bars) = self.bars.take() {
            bars.gone();
        }
        let mut text: String = self.kept.drain(..).map(|it| format!("{it}\n")).collect();
        text.push_str(&format!("{} {}\n", self.style.red("error:"), failure.message));
        for line in &failure.details {
            text.push_str(&format!("  {line}\n"));
        }
        for hint in &failure.hints {
            let hint = hint.replace('\n', "\n      ");
            text.push_str(&format!("{} {hint}\n", self.style.cyan("hint:")));
        }
        self.write(&text);
    }

    pub(super) fn timings(&mut self, times: &[(Phase, f64)], total: Duration) {
        let total = total.as_secs_f64();
        let share =
            |seconds: f64| format!("{:3.0} %", if total > 0.0 { 100.0 * seconds / total } else { 0.0 });
        let row = |name: &str, seconds: f64| [name.to_owned(), format!("{seconds:8.3} s"), share(seconds)];
        let mut rows: Vec<_> = times.iter().map(|(phase, seconds)| row(phase.word(), *seconds)).collect();
        let inside: f64 = times.iter().map(|(_, seconds)| seconds).sum();
        rows.push(row("between", (total - inside).max(0.0)));
        rows.push(row("total", total));
        self.write(&table(&rows));
    }
}

/// A buildpack's name for the eye: without its version, and ours without their vendor.
fn short(buildpack: &str) -> &str {
    let id = buildpack.split('@').next().unwrap_or(buildpack);
    id.strip_prefix("packlight/").unwrap_or(id)
}
