//! The lifecycle's events, as the platform's.

use crate::event::{Event, Events};
use lifecycle::Stream;

/// Passes on what a caller of the platform cares for.
pub(crate) struct Relay<'a>(pub(crate) Events<'a>);

impl lifecycle::Events for Relay<'_> {
    fn event(&self, event: &lifecycle::Event<'_>) {
        match event {
            // What detect prints is shown only when nothing passes, with the verdicts.
            lifecycle::Event::Output { who, phase: lifecycle::Phase::Build, stream, bytes } => {
                (self.0)(Event::Output {
                    buildpack: (*who).to_owned(),
                    error: *stream == Stream::Err,
                    text: String::from_utf8_lossy(bytes).into_owned(),
                });
            }
            lifecycle::Event::LayerDiscarded { buildpack, layer, reason } => {
                (self.0)(Event::Notice { text: format!("layer {buildpack}:{layer} is made anew: {reason}") });
            }
            lifecycle::Event::LayerExported(layer) => (self.0)(Event::LayerExported {
                name: layer.name.clone(),
                size: layer.size,
                reused: layer.reused,
            }),
            lifecycle::Event::Warning(text) => (self.0)(Event::Warning { text: (*text).to_owned() }),
            _ => {}
        }
    }
}
