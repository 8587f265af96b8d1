//! The Software Bills of Materials of an image, as files of the user's.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#software-bill-of-materials>

use crate::event::Events;
use crate::files::{self, FilesError};
use crate::images::part::{self, PartError};
use crate::images::{self, ImageError, PullPolicy, Source};
use crate::world::World;
use cnb::labels::{LIFECYCLE_METADATA, Sha};
use lifecycle::Dir;
use lifecycle::beneath::Beneath;
use oci::{Image, ImageName};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where an image is looked for that is named without saying where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// In the store, else in its registry.
    StoreFirst,
    /// In its registry.
    Registry,
}

/// Bills of materials that are files now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bills {
    /// The image.
    pub image: String,
    /// `store` or `registry`.
    pub found_in: &'static str,
    /// The files.
    pub files: Vec<PathBuf>,
}

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub enum SbomError {
    /// The image cannot be had.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// It is asked for in a registry, and lies elsewhere.
    #[error("--remote takes the name of an image in a registry; {0} is something else")]
    NotRemote(String),
    /// Nobody wrote one.
    #[error("{0} has no bill of materials: its label {LIFECYCLE_METADATA} names no layer of them")]
    None(String),
    /// What the image has cannot be used.
    #[error("the bills of materials of {image} cannot be used: {reason}")]
    Unusable {
        /// The image.
        image: String,
        /// Why.
        reason: String,
    },
    /// They cannot be handed over.
    #[error(transparent)]
    Files(#[from] FilesError),
}

/// Writes the bills of materials of an image beneath `dir`, under the paths that they have in the image. Of an image in
/// a registry only their layer is fetched.
///
/// # Errors
/// When there is no such image, it has none, or something in them is no plain file; nothing is written then.
pub fn download(
    world: &World,
    source: &Source,
    place: Where,
    dir: &Path,
    events: Events<'_>,
) -> Result<Bills, SbomError> {
    let name = source.to_string();
    let (image, registry) = find(world, source, place)?;
    let failed = |error: PartError| match error {
        PartError::Image(error) => SbomError::Image(error),
        PartError::Unusable(reason) => SbomError::Unusable { image: name.clone(), reason },
    };
    let diff_id = diff_id(&image).ok_or_else(|| SbomError::None(name.clone()))?;
    let at = part::layers_dir(&image).map_err(failed)?.join("sbom");
    let scratch = world.store.scratch().map_err(ImageError::from)?;
    let into = scratch.path().join("sbom");
    let place = part::Place { image: &image, registry };
    part::unpack(world, place, (&diff_id, &at), &into, events).map_err(failed)?;
    let beneath = at.strip_prefix("/").unwrap_or(&at);
    let unpacked = Beneath::open(&Dir::new(&into, &at)).map_err(FilesError::from)?;
    let files = files::spread(&unpacked, &dir.join(beneath))?;
    Ok(Bills {
        image: name,
        found_in: if registry.is_some() { "registry" } else { "store" },
        files: files.into_iter().map(|it| dir.join(beneath).join(it)).collect(),
    })
}

/// The image, and its name where its layers are still in a registry.
fn find<'a>(
    world: &World,
    source: &'a Source,
    place: Where,
) -> Result<(Image, Option<&'a ImageName>), SbomError> {
    let Source::Registry(name) = source else {
        if place == Where::Registry {
            return Err(SbomError::NotRemote(source.to_string()));
        }
        return Ok((images::obtain(world, source, PullPolicy::Always, &|_| {})?.image, None));
    };
    if place == Where::StoreFirst
        && let Some(image) = world.store.image(name).map_err(ImageError::from)?
    {
        return Ok((image, None));
    }
    let client = world.registries().map_err(|error| ImageError::from(Box::new(error)))?;
    Ok((client.image(name, &images::platform()).map_err(ImageError::from)?, Some(name)))
}

/// What the label says; whatever else is in it matters to nobody here.
pub(crate) fn diff_id(image: &Image) -> Option<String> {
    #[derive(Deserialize)]
    struct Label {
        sbom: Option<Sha>,
    }
    let label = image.config().config.labels.get(LIFECYCLE_METADATA)?;
    let label: Label = serde_json::from_str(label).ok()?;
    label.sbom.map(|it| it.sha).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::{ImageConfig, LayerSpec, Owner};

    /// A store with an image that has these bills of materials.
    fn world(spec: &LayerSpec, dir: &Path) -> World {
        let payload = dir.join("payload");
        fs_err::create_dir_all(payload.join("buildpacks")).unwrap();
        fs_err::create_dir_all(payload.join("extensions")).unwrap();
        fs_err::write(payload.join("launcher"), "").unwrap();
        fs_err::write(payload.join("order.toml"), "").unwrap();
        let env = [("PACKLIGHT_PAYLOAD".into(), payload.into())].into();
        let world = World::open(env, Some(&dir.join("store"))).unwrap();
        let layer = world.store.add_layer(spec, None).unwrap().record;
        let mut config = ImageConfig::default();
        let label =
            serde_json::json!({"sbom": {"sha": layer.diff_id.to_string()}, "app": "not what it should be"});
        config.config.labels.insert(LIFECYCLE_METADATA.to_owned(), label.to_string());
        let image = world.store.put_image(config, &[layer.layer_ref()]).unwrap();
        world.store.tag(&name("my-app"), &image).unwrap();
        let image = world.store.put_image(ImageConfig::default(), &[layer.layer_ref()]).unwrap();
        world.store.tag(&name("bare"), &image).unwrap();
        world
    }

    fn name(text: &str) -> ImageName {
        ImageName::parse(text, "docker.io").unwrap()
    }

    fn get(world: &World, text: &str, to: &Path) -> Result<Bills, SbomError> {
        download(world, &Source::Registry(name(text)), Where::StoreFirst, to, &|_| {})
    }

    #[test]
    fn they_lie_under_the_paths_that_they_have_in_the_image() {
        let dir = tempfile::tempdir().unwrap();
        let at = "/layers/sbom/launch/a_b/sbom.cdx.json";
        let world = world(&LayerSpec::new("").file(at, 0o644, Owner::ROOT, "{}"), dir.path());
        let to = dir.path().join("to");
        let bills = get(&world, "my-app", &to).unwrap();
        assert_eq!(bills.files, [to.join("layers/sbom/launch/a_b/sbom.cdx.json")]);
        assert_eq!(fs_err::read_to_string(&bills.files[0]).unwrap(), "{}");
        assert!(matches!(get(&world, "bare", &to).unwrap_err(), SbomError::None(_)));
    }

    #[test]
    fn what_leads_out_of_them_is_refused_and_nothing_is_written() {
        let link = LayerSpec::new("").symlink("/layers/sbom/launch/x", "/etc/passwd", Owner::ROOT);
        let elsewhere = LayerSpec::new("").file("/layers/other", 0o644, Owner::ROOT, "x");
        for (spec, words) in
            [(link, "/layers/sbom/launch/x is neither a file nor a folder"), (elsewhere, "layers/other")]
        {
            let dir = tempfile::tempdir().unwrap();
            let world = world(&spec, dir.path());
            let said = get(&world, "my-app", &dir.path().join("to")).unwrap_err().to_string();
            assert!(said.contains(words), "{said}");
            assert!(!dir.path().join("to").exists());
        }
    }
}
