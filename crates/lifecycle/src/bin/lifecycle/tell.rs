//! What happens in the phases, told as it happens.

use crate::log::Log;
use lifecycle::{Event, Phase, Stream};
use std::io::Write as _;

pub(crate) struct Events<'a>(pub(crate) &'a Log);

impl lifecycle::Events for Events<'_> {
    fn event(&self, event: &Event<'_>) {
        let log = self.0;
        match event {
            // What detect prints is told with the verdicts.
            Event::Output { phase: Phase::Build, stream, bytes, .. } => pass_on(*stream, bytes),
            Event::GroupFailed { members, reason } => {
                log.debug(&format!("group {}: {reason}", members.join(", ")));
            }
            Event::LayerRestored { buildpack, layer, with_files: true } => {
                log.info(&format!("Restoring data for \"{buildpack}:{layer}\" from cache"));
            }
            Event::LayerRestored { buildpack, layer, with_files: false } => {
                log.info(&format!("Restoring metadata for \"{buildpack}:{layer}\""));
            }
            Event::LayerDiscarded { buildpack, layer, reason } => {
                log.info(&format!("Removing \"{buildpack}:{layer}\": {reason}"));
            }
            Event::LayerExported(layer) => {
                let word = if layer.reused { "Reusing" } else { "Adding" };
                log.info(&format!("{word} layer '{}'", layer.name));
                log.debug(&format!("Layer '{}' SHA: {}", layer.name, layer.diff_id));
            }
            Event::Warning(text) => log.warning(text),
            _ => {}
        }
    }
}

/// A buildpack's words are passed on as they are.
fn pass_on(stream: Stream, bytes: &[u8]) {
    let _ = match stream {
        Stream::Out => std::io::stdout().write_all(bytes).and_then(|()| std::io::stdout().flush()),
        Stream::Err => std::io::stderr().write_all(bytes),
    };
}
