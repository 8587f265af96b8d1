//! A buildpack as one file that other platforms take: a buildpackage
//! (<https://github.com/buildpacks/spec/blob/b745fcf/distribution.md#buildpackage>), as `pack buildpack package --format
//! file` writes it. `bin/package-buildpack.rs` makes ours with it; `builder/added.rs` reads anybody's.
//!
//! The same folder gives the same bytes, whatever its times, owners and umask.

use crate::room::inside;
use cnb::buildpack_toml::{About, BuildpackToml};
use cnb::package::{BUILDPACK_LAYERS, PACKAGE_METADATA, PackageLayer, PackageLayers, PackageMetadata};
use fs_err as fs;
use oci::{
    ContainerConfig, ImageConfig, ImageName, LayerError, LayerRef, LayerSpec, Modes, NameError, Owner, Store,
    StoreError, TreeRules, layout,
};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Where a package says that it is from, to engines that want to hear that: from no registry.
const REGISTRY: &str = "localhost";

/// A folder of which no package can be made.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Its descriptor cannot be understood.
    #[error(transparent)]
    Descriptor(#[from] cnb::ParseError),
    /// Its id would be a path somewhere else.
    #[error("{}: `{id}` can't be the id of a buildpack", descriptor.display())]
    BadId {
        /// The `buildpack.toml`.
        descriptor: PathBuf,
        /// What it says.
        id: String,
    },
    /// A package has all that its buildpack needs, and this one needs others.
    #[error("`{0}` is a composite of other buildpacks, which are not in its folder; package each of them")]
    Composite(String),
    /// Its id and version name no image.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Its files cannot be read.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The image cannot be made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A label cannot be written.
    #[error("the labels of the package cannot be written")]
    Label(#[from] serde_json::Error),
    /// A file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A buildpack as a layer: what a package has of it, and a builder.
#[derive(Debug)]
pub(crate) struct Packed {
    /// Its descriptor.
    pub(crate) buildpack: BuildpackToml,
    /// Its files, where builders have them.
    pub(crate) layer: LayerRef,
}

impl Packed {
    /// Makes a layer of the component buildpack in `folder`.
    pub(crate) fn new(store: &Store, folder: &Path) -> Result<Self, PackageError> {
        let descriptor = folder.join("buildpack.toml");
        let text = oci::bounded::read_text(&descriptor)?;
        let buildpack: BuildpackToml = cnb::parse(&descriptor.display().to_string(), &text)?;
        let About { id, version, .. } = &buildpack.buildpack;
        if !cnb::id::is_valid(id) {
            return Err(PackageError::BadId { descriptor, id: id.clone() });
        }
        if !buildpack.order.is_empty() {
            return Err(PackageError::Composite(id.clone()));
        }
        // Checks the version too: what a tag may be is no path.
        name(&buildpack)?;
        let at = Path::new(inside::BUILDPACKS).join(cnb::id::escape(id)).join(version);
        let rules = TreeRules::new(Owner::ROOT, Modes::Normalise);
        let spec = LayerSpec::new(format!("Buildpack {id} {version}")).tree(folder, at, rules);
        let layer = store.add_layer(&spec, None)?.record.layer_ref();
        Ok(Self { buildpack, layer })
    }

    /// Enters it in the label that says which layer is which buildpack.
    pub(crate) fn list_in(&self, layers: &mut PackageLayers) {
        let About { id, version, .. } = &self.buildpack.buildpack;
        let placed = PackageLayer::of(&self.buildpack, self.layer.diff_id.to_string());
        layers.entry(id.clone()).or_default().insert(version.clone(), placed);
    }
}

fn name(buildpack: &BuildpackToml) -> Result<ImageName, NameError> {
    let About { id, version, .. } = &buildpack.buildpack;
    ImageName::parse(&format!("{REGISTRY}/{id}:{version}"), REGISTRY)
}

/// Writes the buildpack in `folder` as `<into>/<id>-<version>.cnb`, with `/` of the id as `_`; the file.
///
/// # Errors
/// When the folder holds no component buildpack, or something cannot be read or written.
pub fn write(folder: &Path, into: &Path) -> Result<PathBuf, PackageError> {
    let scratch = tempfile::tempdir()?;
    let store = Store::open(&scratch.path().join("store"))?;
    let packed = Packed::new(&store, folder)?;
    let mut layers = PackageLayers::new();
    packed.list_in(&mut layers);
    let Packed { buildpack, layer } = packed;
    let labels = BTreeMap::from([
        (PACKAGE_METADATA.to_owned(), serde_json::to_string(&PackageMetadata::of(&buildpack))?),
        (BUILDPACK_LAYERS.to_owned(), serde_json::to_string(&layers)?),
    ]);
    let config = ContainerConfig { labels, ..ContainerConfig::default() };
    let image = store.put_image(ImageConfig { config, ..ImageConfig::default() }, &[layer])?;

    fs::create_dir_all(into)?;
    let About { id, version, .. } = &buildpack.buildpack;
    let file = into.join(format!("{}-{version}.cnb", cnb::id::escape(id)));
    layout::write_archive(&store, &image, &[name(&buildpack)?], &file)?;
    Ok(file)
}
