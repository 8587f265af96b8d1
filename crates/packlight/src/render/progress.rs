//! What moves on a terminal: the phase that runs, and a bar for what is downloaded.

use super::downloads::Downloads;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Mutex;
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

pub(super) struct Bars {
    all: MultiProgress,
    phase: Mutex<Option<ProgressBar>>,
    download: Mutex<Option<ProgressBar>>,
}

impl Bars {
    pub(super) fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { all, phase: Mutex::default(), download: Mutex::default() }
    }

    /// A phase runs.
    pub(super) fn phase(&self, name: &str) {
        let bar = ProgressBar::new_spinner().with_style(style("{spinner:.green} {msg} {elapsed:.dim}"));
        let bar = self.all.add(bar.with_message(name.to_owned()));
        bar.enable_steady_tick(TICK);
        replace(&self.phase, Some(bar));
    }

    pub(super) fn no_phase(&self) {
        replace(&self.phase, None);
    }

    pub(super) fn downloads(&self, downloads: &Downloads) {
        let Some((received, size, words)) = downloads.progress() else {
            return replace(&self.download, None);
        };
        let Ok(mut download) = self.download.lock() else { return };
        let bar = download.get_or_insert_with(|| {
            self.all.add(ProgressBar::new(0).with_style(style(
                "  {bar:24.cyan/dim} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec:.dim} {msg}",
            )))
        });
        bar.set_length(size);
        bar.set_position(received);
        bar.set_message(words);
    }

    /// Writes something above the bars.
    pub(super) fn aside(&self, write: impl FnOnce()) {
        self.all.suspend(write);
    }

    /// Nothing moves any more.
    pub(super) fn gone(self) {
        replace(&self.phase, None);
        replace(&self.download, None);
        drop(self.all.clear());
    }
}

fn replace(place: &Mutex<Option<ProgressBar>>, bar: Option<ProgressBar>) {
    if let Ok(mut place) = place.lock()
        && let Some(old) = std::mem::replace(&mut *place, bar)
    {
        old.finish_and_clear();
    }
}

/// A wrong template shows the plain bar: nothing to fail for.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
