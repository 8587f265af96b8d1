//! What people and programs see: results on standard output, everything else on standard error.
//!
//! `text.rs` is for people, `json` is one line of serde here; `lines.rs` makes lines of what buildpacks print,
//! `summary.rs` says what a build made.

mod downloads;
mod lines;
mod progress;
mod style;
pub(crate) mod summary;
mod text;

#[cfg(test)]
mod tests;

use crate::cli::{Format, Globals};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use lines::Lines;
use platform::event::{Event, Phase};
use platform::settings::Environment;
use serde::Serialize;
use std::io::{IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::Duration;
use style::Styles;
use text::Text;

/// Where everything is shown. Events come from several threads.
pub(crate) struct Screen {
    state: Mutex<State>,
}

struct State {
    voice: Voice,
    lines: Lines,
    times: Vec<(Phase, f64)>,
    out: Box<dyn Write + Send>,
    out_style: Styles,
    /// Whether nobody reads the result any more.
    closed: bool,
}

/// How events are said.
enum Voice {
    Text(Text),
    Json,
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Volume {
    Quiet,
    Normal,
    Verbose,
}

impl Screen {
    pub(crate) fn new(globals: &Globals, env: &Environment) -> Self {
        let err_is_terminal = std::io::stderr().is_terminal();
        let style = |terminal| Styles::choose(globals.color, env, terminal);
        let volume = match (globals.quiet, globals.verbose) {
            (true, _) => Volume::Quiet,
            (_, true) => Volume::Verbose,
            _ => Volume::Normal,
        };
        let voice = match globals.format {
            Format::Json => Voice::Json,
            Format::Text => {
                let bars = err_is_terminal && volume != Volume::Quiet && !style::dumb(env);
                Voice::Text(Text::new(Box::new(std::io::stderr()), style(err_is_terminal), volume, bars))
            }
        };
        Self::with(voice, Box::new(std::io::stdout()), style(std::io::stdout().is_terminal()))
    }

    fn with(voice: Voice, out: Box<dyn Write + Send>, out_style: Styles) -> Self {
        let state =
            State { voice, lines: Lines::default(), times: Vec::new(), out, out_style, closed: false };
        Self { state: Mutex::new(state) }
    }

    /// Says what happens.
    pub(crate) fn event(&self, event: Event) {
        self.state().event(event);
    }

    /// Says what came of it: for people, for programs, and the one word that `--quiet` leaves.
    pub(crate) fn result(
        &self,
        kind: &str,
        value: &impl Serialize,
        text: impl FnOnce(&Styles) -> String,
        word: &str,
    ) {
        let mut state = self.state();
        state.rest();
        let shown = match &state.voice {
            Voice::Json => json_line(kind, value),
            Voice::Text(text) if text.volume == Volume::Quiet => lines_of(word),
            Voice::Text(_) => text(&state.out_style),
        };
        state.write(&shown);
    }

    /// Says what went wrong.
    pub(crate) fn failed(&self, failure: &Failure) -> ExitCode {
        self.state().failed(failure);
        failure.code
    }

    /// Says that a signal ends everything: at once, even while another thread is writing to somebody who does not read.
    pub(crate) fn interrupted(&self, failure: &Failure) {
        const PATIENCE: u32 = 20;
        for _ in 0..PATIENCE {
            match self.state.try_lock() {
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
                Err(TryLockError::Poisoned(_)) => return,
                Ok(mut state) => {
                    state.failed(failure);
                    return;
                }
            }
        }
    }

    /// Standard output is an app's from now on: what programs read goes to standard error.
    pub(crate) fn leave_output_to_the_app(&self) {
        self.state().out = Box::new(std::io::stderr());
    }

    /// Says where the time went.
    pub(crate) fn timings(&self, total: Duration) {
        let mut state = self.state();
        state.rest();
        let times = std::mem::take(&mut state.times);
        if let Voice::Text(text) = &mut state.voice {
            text.timings(&times, total);
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn event(&mut self, event: Event) {
        if let Event::PhaseFinished { phase, seconds } = &event {
            self.rest();
            self.times.push((*phase, *seconds));
        }
        for event in self.lines.take(event) {
            self.show(&event);
        }
    }

    fn failed(&mut self, failure: &Failure) {
        self.rest();
        match &mut self.voice {
            Voice::Text(text) => text.failed(failure),
            Voice::Json => {
                let line = json_line("failed", failure);
                self.write(&line);
            }
        }
    }

    /// What a buildpack printed without ending the line.
    fn rest(&mut self) {
        for event in self.lines.rest() {
            self.show(&event);
        }
    }

    fn show(&mut self, event: &Event) {
        match &mut self.voice {
            Voice::Text(text) => text.event(event),
            // Chunks of a download are for bars; what is complete has an event of its own.
            Voice::Json if matches!(event, Event::Downloading { .. }) => {}
            Voice::Json => {
                let mut line = serde_json::to_string(event).unwrap_or_default();
                line.push('\n');
                self.write(&line);
            }
        }
    }

    fn write(&mut self, text: &str) {
        // `packlight … | head -1` has read enough: that is no error.
        if !self.closed {
            self.closed = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).is_err();
        }
    }
}

/// `{"event": kind, …value}`.
fn json_line(kind: &str, value: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Line<'a, T> {
        event: &'a str,
        #[serde(flatten)]
        value: &'a T,
    }
    let mut line = serde_json::to_string(&Line { event: kind, value }).unwrap_or_default();
    line.push('\n');
    line
}

fn lines_of(text: &str) -> String {
    match text {
        "" => String::new(),
        text if text.ends_with('\n') => text.to_owned(),
        text => format!("{text}\n"),
    }
}

/// A number of bytes, for people.
pub(crate) fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let amount = count as f64;
    match count {
        0..1000 => format!("{count} B"),
        1000..1_000_000 => format!("{:.1} kB", amount / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", amount / 1e6),
        _ => format!("{:.1} GB", amount / 1e9),
    }
}

/// Words as a shell would take them.
pub(crate) fn quoted<S: AsRef<str>>(words: &[S]) -> String {
    let plain = |word: &str| {
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "_@%+=:,./-".contains(it);
        !word.is_empty() && word.chars().all(is_plain)
    };
    let word = |it: &str| if plain(it) { it.to_owned() } else { format!("'{}'", it.replace('\'', r"'\''")) };
    words.iter().map(|it| word(it.as_ref())).collect::<Vec<_>>().join(" ")
}

/// Columns side by side.
pub(crate) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}
