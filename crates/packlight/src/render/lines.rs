//! Whole lines of what buildpacks print, which comes in chunks of any size from two streams.

use platform::event::Event;
use std::collections::BTreeMap;

/// The beginnings of lines, per buildpack and stream.
#[derive(Debug, Default)]
pub(super) struct Lines {
    open: BTreeMap<(String, bool), String>,
}

/// A line that never ends is cut here, so that memory stays flat.
const LONGEST: usize = 64 * 1024;

impl Lines {
    /// The events to show instead of this one: whole lines for chunks, anything else as it is.
    pub(super) fn take(&mut self, event: Event) -> Vec<Event> {
        let Event::Output { buildpack, error, text } = event else { return vec![event] };
        let open = self.open.entry((buildpack.clone(), error)).or_default();
        open.push_str(&text);
        let mut lines = Vec::new();
        while let Some(end) = open.find('\n') {
            let line: String = open.drain(..=end).collect();
            lines.push(output(&buildpack, error, &line));
        }
        if open.len() > LONGEST {
            lines.push(output(&buildpack, error, &std::mem::take(open)));
        }
        lines
    }

    /// What is left when nothing more comes.
    pub(super) fn rest(&mut self) -> Vec<Event> {
        let open = std::mem::take(&mut self.open).into_iter();
        open.filter(|(_, text)| !text.is_empty())
            .map(|((buildpack, error), text)| output(&buildpack, error, &text))
            .collect()
    }
}

fn output(buildpack: &str, error: bool, line: &str) -> Event {
    let line = line.trim_end_matches(['\n', '\r']);
    // What a progress bar overwrote is not shown again.
    let line = line.rsplit('\r').next().unwrap_or(line);
    Event::Output { buildpack: buildpack.to_owned(), error, text: line.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(buildpack: &str, error: bool, text: &str) -> Event {
        Event::Output { buildpack: buildpack.to_owned(), error, text: text.to_owned() }
    }

    #[test]
    fn chunks_become_lines_per_buildpack_and_stream() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(chunk("a", false, "on")), []);
        assert_eq!(lines.take(chunk("a", true, "warn\n")), [chunk("a", true, "warn")]);
        assert_eq!(
            lines.take(chunk("a", false, "e\ntwo\r\nthr")),
            [chunk("a", false, "one"), chunk("a", false, "two")]
        );
        assert_eq!(lines.rest(), [chunk("a", false, "thr")]);
        assert_eq!(lines.rest(), []);
    }

    #[test]
    fn what_a_carriage_return_overwrote_is_gone() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(chunk("a", false, "10%\r100%\n")), [chunk("a", false, "100%")]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(chunk("a", false, &"x".repeat(LONGEST + 1))).len(), 1);
        assert_eq!(lines.rest(), []);
    }
}
