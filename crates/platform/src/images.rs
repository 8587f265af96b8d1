//! The capability to read and make images, over the store; and how an image gets into it.

mod obtain;
pub(crate) mod part;
mod source;

pub use obtain::{Found, ImageError, PullPolicy};
pub(crate) use obtain::{Progress, obtain, platform, pull};
pub use source::Source;

use lifecycle::ImagesError;
use oci::{Added, Digest, Image, ImageConfig, ImageName, LayerRecord, LayerRef, LayerSpec, Store};

/// The images of one store, as the phases of one build see them.
#[derive(Debug)]
pub(crate) struct StoreImages<'a> {
    store: &'a Store,
    previous: &'a ImageName,
}

impl<'a> StoreImages<'a> {
    /// The store, with the name of the image that the build takes layers from.
    #[must_use]
    pub(crate) fn new(store: &'a Store, previous: &'a ImageName) -> Self {
        Self { store, previous }
    }
}

fn boxed(error: impl std::error::Error + Send + Sync + 'static) -> ImagesError {
    ImagesError::from(Box::<dyn std::error::Error + Send + Sync>::from(crate::error::chain(&error)))
}

impl lifecycle::Images for StoreImages<'_> {
    fn previous(&self) -> Result<Option<(String, Image)>, ImagesError> {
        let image = self.store.image(self.previous).map_err(boxed)?;
        Ok(image.map(|image| (image.digest().to_string(), image)))
    }

    fn previous_layer(&self, diff_id: &Digest) -> Result<Option<LayerRef>, ImagesError> {
        let image = self.store.image(self.previous).map_err(boxed)?;
        Ok(image.and_then(|image| image.layers().into_iter().find(|it| it.diff_id == *diff_id)))
    }

    fn add_layer(&self, spec: &LayerSpec, known: Option<&LayerRecord>) -> Result<Added, ImagesError> {
        self.store.add_layer(spec, known).map_err(boxed)
    }

    fn put(&self, config: &ImageConfig, layers: &[LayerRef]) -> Result<Image, ImagesError> {
        self.store.put_image(config.clone(), layers).map_err(boxed)
    }
}
