//! Analyze: what is known of the previous image and of the run image.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#analyzer>

use crate::images::{Images, ImagesError};
use cnb::analyzed::{Analyzed, ImageReference, RunImage};
use cnb::labels::{self, LifecycleMetadata};

/// What analyze is asked.
#[derive(Debug, Clone)]
pub struct AnalyzeRequest<'a> {
    /// The run image, when it is known already; `None` where the build plan decides it later.
    pub run_image: Option<RunImage>,
    /// The execution environment of this build.
    pub exec_env: &'a str,
}

/// The previous image, as far as the next phases care.
#[derive(Debug, Clone, Default)]
pub struct Previous {
    /// Whether there is one.
    pub reference: Option<String>,
    /// What its label says of its layers; empty when there is none or nobody could read it.
    pub metadata: LifecycleMetadata,
}

impl Previous {
    /// The same without its layers: nothing but each buildpack's `store.toml` is restored, as a user wants who asks
    /// for an empty cache.
    #[must_use]
    pub fn without_layers(mut self) -> Self {
        for buildpack in &mut self.metadata.buildpacks {
            buildpack.layers.clear();
        }
        self
    }
}

/// The previous image can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the previous image can't be read: {0}")]
pub struct AnalyzeError(#[from] ImagesError);

/// Looks at the previous image.
///
/// # Errors
/// When it is there but can't be read. A label that can't be understood counts as no previous image.
pub fn analyze(
    request: AnalyzeRequest<'_>,
    images: &dyn Images,
) -> Result<(Analyzed, Previous), AnalyzeError> {
    let mut analyzed = Analyzed { run_image: request.run_image, ..Analyzed::default() };
    let mut previous = Previous::default();
    if let Some((reference, image)) = images.previous()? {
        let labels = &image.config().config.labels;
        analyzed.image = Some(ImageReference { reference: reference.clone() });
        previous.reference = Some(reference);
        let built_for = labels.get(labels::EXEC_ENV).map_or("production", String::as_str);
        if built_for == request.exec_env
            && let Some(text) = labels.get(labels::LIFECYCLE_METADATA)
            && let Ok(metadata) = serde_json::from_str::<LifecycleMetadata>(text)
        {
            analyzed.metadata = Some(metadata.clone());
            previous.metadata = metadata;
        }
    }
    Ok((analyzed, previous))
}
