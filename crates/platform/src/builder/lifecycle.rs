//! A lifecycle as a part of a builder, and as an image of its own, in which `pack` runs the phases that need root or
//! a registry's password when it does not trust a builder.

use cnb::builder::{BUILDER_METADATA, LIFECYCLE_APIS, LIFECYCLE_VERSION, LifecycleMetadata, LifecycleToml};
use oci::{
    ContainerConfig, ImageConfig, ImageName, LayerError, LayerSpec, Modes, Owner, Store, StoreError,
    TreeRules, layout,
};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Where the programs are, inside.
const PROGRAMS: &str = "/cnb/lifecycle";

/// A lifecycle on the disk.
#[derive(Debug)]
pub(super) struct Lifecycle {
    /// What it says of itself.
    pub(super) about: LifecycleToml,
    /// The descriptor's text.
    text: String,
    /// The folder of its programs.
    programs: PathBuf,
}

/// A folder that is no lifecycle, or one that cannot be made an image.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// Its descriptor cannot be understood.
    #[error(transparent)]
    Descriptor(#[from] cnb::ParseError),
    /// A program is missing.
    #[error("{} is missing", .0.display())]
    Missing(PathBuf),
    /// The image has no valid name.
    #[error(transparent)]
    Name(#[from] oci::NameError),
    /// Its files cannot be read.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The image cannot be made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A label cannot be written.
    #[error("the labels of the lifecycle's image cannot be written")]
    Label(#[from] serde_json::Error),
    /// A file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Lifecycle {
    /// Reads the lifecycle in a folder with `lifecycle.toml` and `lifecycle/`.
    pub(super) fn open(folder: &Path) -> Result<Self, LifecycleError> {
        let descriptor = folder.join("lifecycle.toml");
        let text = oci::bounded::read_text(&descriptor)?;
        let about = cnb::parse(&descriptor.display().to_string(), &text)?;
        let programs = folder.join("lifecycle");
        for name in
            ["analyzer", "builder", "creator", "detector", "exporter", "launcher", "rebaser", "restorer"]
        {
            let program = programs.join(name);
            if !program.exists() {
                return Err(LifecycleError::Missing(program));
            }
        }
        Ok(Self { about, text, programs })
    }

    /// Its programs, where platforms start them, and under the name from before.
    pub(super) fn layer(&self) -> LayerSpec {
        self.files().symlink("/lifecycle", PROGRAMS, Owner::ROOT)
    }

    fn files(&self) -> LayerSpec {
        let rules = TreeRules::new(Owner::ROOT, Modes::Normalise);
        let words = format!("Lifecycle {}", self.about.lifecycle.version);
        LayerSpec::new(words).tree(&self.programs, PROGRAMS, rules)
    }
}

/// Writes the lifecycle in `folder` as an image that platforms take, in one file: an OCI archive.
///
/// The certificates that a registry needs are not in it: whom to trust is the user's word.
///
/// # Errors
/// When the folder holds no lifecycle, or something cannot be read or written.
pub fn write_image(folder: &Path, file: &Path) -> Result<(), LifecycleError> {
    let lifecycle = Lifecycle::open(folder)?;
    let scratch = tempfile::tempdir()?;
    let store = Store::open(&scratch.path().join("store"))?;
    let spec = lifecycle
        .files()
        .file("/cnb/lifecycle.toml", 0o644, Owner::ROOT, lifecycle.text.as_str())
        .file("/etc/passwd", 0o644, Owner::ROOT, "root:x:0:0:root:/root:/sbin/nologin\n")
        .dir("/root", 0o700, Owner::ROOT)
        .dir("/tmp", 0o1777, Owner::ROOT);
    let layer = store.add_layer(&spec, None)?.record.layer_ref();
    let LifecycleToml { apis, api, lifecycle } = lifecycle.about;
    let labels = BTreeMap::from([
        (LIFECYCLE_VERSION.to_owned(), lifecycle.version.clone()),
        (LIFECYCLE_APIS.to_owned(), serde_json::to_string(&apis)?),
        (BUILDER_METADATA.to_owned(), serde_json::to_string(&LifecycleMetadata { lifecycle, api })?),
    ]);
    let name = format!("localhost/packlight/lifecycle:{}", labels[LIFECYCLE_VERSION]);
    let config =
        ContainerConfig { labels, working_dir: crate::room::inside::LAYERS.to_owned(), ..Default::default() };
    let image = store.put_image(ImageConfig { config, ..ImageConfig::default() }, &[layer])?;
    let name = ImageName::parse(&name, "localhost")?;
    Ok(layout::write_archive(&store, &image, &[name], file)?)
}
