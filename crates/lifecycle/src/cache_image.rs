//! A cache image as the reference lifecycle has it: its layers are the cache's, a label says which is whose.

use crate::phases::keep::ToKeep;
use cnb::labels::{CACHE_METADATA, CacheMetadata};
use oci::{Image, ImageConfig, LayerRecord, LayerRef};

/// Why there is no cache image.
pub type CacheImageError = Box<dyn std::error::Error + Send + Sync>;

/// What a cache image has; one that can't be understood counts as none.
#[must_use]
pub fn cache_metadata(image: &Image) -> CacheMetadata {
    let label = image.config().config.labels.get(CACHE_METADATA);
    label.and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default()
}

/// The cache image of these layers. Those that the old one has are its blobs, so that nothing has to be sent for them;
/// of the others `own` says where they are. `nothing` makes an empty layer, for want of any: some registries take no image
/// without layers.
///
/// # Errors
/// When the empty layer can't be made, or the label not be written.
pub fn cache_image(
    kept: &ToKeep,
    old: Option<&Image>,
    own: &dyn Fn(&LayerRecord) -> LayerRef,
    nothing: &dyn Fn() -> Result<LayerRef, CacheImageError>,
) -> Result<Image, CacheImageError> {
    let old: Vec<LayerRef> = old.map(Image::layers).unwrap_or_default();
    let of_record = |record: &LayerRecord| {
        old.iter().find(|it| it.diff_id == record.diff_id).cloned().unwrap_or_else(|| own(record))
    };
    let mut layers: Vec<LayerRef> = kept.layers.iter().map(of_record).collect();
    if layers.is_empty() {
        layers.push(nothing()?);
    }
    let mut config = ImageConfig::default();
    config.config.labels.insert(CACHE_METADATA.to_owned(), serde_json::to_string(&kept.metadata)?);
    Ok(Image::new(config, &layers)?)
}
