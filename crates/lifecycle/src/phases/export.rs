//! Export: the image is put together from the run image, the layers for launch, the application and the launcher.
//!
//! <https://github.com/buildpacks/spec/blob/b745fcf/platform.md#exporter>

mod labels;
mod record;
mod spec;

pub use spec::config_layer;
pub(crate) use spec::{of_bills, of_directory, sbom_layer};

use crate::beneath::{Beneath, BeneathError};
use crate::cache::Cache;
use crate::dirs::Dirs;
use crate::events::{Event, Events};
use crate::images::{AppSource, Images, ImagesError};
use crate::layers::{self, OnDisk};
use crate::phases::analyze::Previous;
use cnb::api::{ApiVersion, PlatformFeatures};
use cnb::group::{Chosen, GroupToml};
use cnb::labels::LauncherMetadata;
use cnb::layer::StoreToml;
use cnb::metadata::BuildMetadata;
use cnb::report::{Report, ReportImage};
use oci::{Added, Digest, History, Image, LayerRecord, LayerRef, LayerSpec, Owner};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

/// What export is asked.
#[derive(Debug)]
pub struct ExportRequest<'a> {
    /// Where everything is.
    pub dirs: &'a Dirs,
    /// The buildpacks that built.
    pub group: &'a GroupToml,
    /// What build made.
    pub metadata: &'a BuildMetadata,
    /// The application.
    pub app: &'a AppSource,
    /// The launcher.
    pub launcher: &'a Launcher,
    /// What the image stands on.
    pub base: &'a RunBase<'a>,
    /// The previous image.
    pub previous: &'a Previous,
    /// What the last build recorded.
    pub cache: &'a Cache,
    /// The process type to start by default; `None`: what the buildpacks say.
    pub process_type: Option<&'a str>,
    /// The value of `io.buildpacks.project.metadata`.
    pub project: &'a serde_json::Value,
    /// Who owns the application and the layers in the image.
    pub owner: Owner,
    /// The execution environment.
    pub exec_env: &'a str,
    /// The Platform API that the image is made for.
    pub api: ApiVersion,
    /// When it is made, in RFC 3339; `None`: the same time for all images.
    pub created: Option<&'a str>,
    /// All names of the image, for the report.
    pub tags: &'a [String],
}

impl ExportRequest<'_> {
    fn features(&self) -> PlatformFeatures {
        cnb::api::platform_features(self.api).unwrap_or_default()
    }
}

/// The launcher that goes into the image.
#[derive(Debug, Clone)]
pub struct Launcher {
    /// The program on this machine.
    pub program: PathBuf,
    /// What the labels say of it.
    pub metadata: LauncherMetadata,
}

/// The run image.
#[derive(Debug, Clone)]
pub struct RunBase<'a> {
    /// The image.
    pub image: &'a Image,
    /// A digest reference or an image id.
    pub reference: String,
    /// The name by which it can be found; empty: local to one store.
    pub name: String,
    /// Other names of it.
    pub mirrors: Vec<String>,
}

/// What export made.
#[derive(Debug)]
pub struct Exported {
    /// The image.
    pub image: Image,
    /// `report.toml`.
    pub report: Report,
    /// The layers that are ours, in their order in the image.
    pub layers: Vec<ExportedLayer>,
    /// What the next build needs to know; to be kept once the image is.
    pub cache: Cache,
}

/// A layer of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedLayer {
    /// `packlight/python:venv`, `app-slice-1`, `app`, `launcher`, `config`, `process-types`, `sbom`.
    pub name: String,
    /// Bytes, compressed.
    pub size: u64,
    /// The digest of the tar.
    pub diff_id: Digest,
    /// Whether it is the last build's layer.
    pub reused: bool,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A layer is to be reused that the previous image does not have.
    #[error(
        "{who} wants to keep its layer `{layer}` of the previous image, which does not have it; build again with an \
         empty cache"
    )]
    NothingToReuse {
        /// `id@version`.
        who: String,
        /// The layer.
        layer: String,
    },
    /// What a buildpack left can't be used.
    #[error("{who}: {reason}")]
    Left {
        /// `id@version`.
        who: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The process type asked for is not there.
    #[error("there is no process type `{asked}`; the buildpacks define: {defined}")]
    NoProcess {
        /// What was asked.
        asked: String,
        /// What there is.
        defined: String,
    },
    /// The application can't be divided into slices.
    #[error("{0}")]
    Slices(String),
    /// A file could not be read.
    #[error(transparent)]
    Files(#[from] BeneathError),
    /// A layer could not be added, or the image not be put together.
    #[error(transparent)]
    Images(#[from] ImagesError),
    /// A directory could not be walked.
    #[error(transparent)]
    Walk(#[from] oci::LayerError),
    /// Something could not be written as JSON or TOML.
    #[error("{what}: {reason}")]
    Print {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

/// Puts the image together.
///
/// # Errors
/// When a layer can't be read or written.
pub fn export(
    request: &ExportRequest<'_>,
    images: &dyn Images,
    events: &dyn Events,
) -> Result<Exported, ExportError> {
    let entrypoint = labels::entrypoint(request)?;
    let buildpacks = read_layers(request)?;
    let jobs = spec::jobs(request, &buildpacks, events)?;
    let made = run(&jobs, images, events)?;
    let metadata = labels::lifecycle_metadata(request, &buildpacks, &made);
    let config = labels::config(request, entrypoint, &metadata)?;
    let mut refs = request.base.image.layers();
    refs.extend(made.iter().map(|it| it.layer.clone()));
    let image = images.put(&config, &refs)?;
    let report = report(&image, request.tags);
    let cache = record::new_cache(request, &buildpacks, &made)?;
    Ok(Exported { image, report, layers: made.iter().map(Made::exported).collect(), cache })
}

/// What `report.toml` says of an image with these names.
#[must_use]
pub fn report(image: &Image, tags: &[String]) -> Report {
    Report {
        image: ReportImage {
            tags: tags.to_vec(),
            digest: image.digest().to_string(),
            image_id: image.id().to_string(),
            manifest_size: Some(image.manifest_json().len() as u64),
        },
    }
}

/// What one buildpack left.
struct Buildpack<'a> {
    chosen: &'a Chosen,
    layers: Vec<OnDisk>,
    store: Option<StoreToml>,
    /// By layer: its bills of materials.
    sbom: layers::Bills,
}

fn read_layers<'a>(request: &ExportRequest<'a>) -> Result<Vec<Buildpack<'a>>, ExportError> {
    let layers_dir = Beneath::open(&request.dirs.layers)?;
    request.group.group.iter().map(|chosen| read_one(&layers_dir, chosen)).collect()
}

fn read_one<'a>(layers_dir: &Beneath, chosen: &'a Chosen) -> Result<Buildpack<'a>, ExportError> {
    let left =
        |error: layers::LayersError| ExportError::Left { who: chosen.full_name(), reason: error.to_string() };
    let Some(dir) = layers_dir.dir(cnb::id::escape(&chosen.id))? else {
        return Ok(Buildpack { chosen, layers: Vec::new(), store: None, sbom: BTreeMap::new() });
    };
    let layers = layers::read(&dir).map_err(left)?;
    let store = layers::toml_file(&dir, "store.toml").map_err(left)?;
    let sbom = layers::bills(&dir)?;
    Ok(Buildpack { chosen, layers, store, sbom })
}

/// A layer of the image to be.
struct Job<'a> {
    name: String,
    part: Part<'a>,
    how: How<'a>,
}

/// What a layer is, for labels and for the record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    Buildpack { id: &'a str, layer: &'a str },
    Sbom,
    App,
    Launcher,
    Config,
    ProcessTypes,
}

enum How<'a> {
    /// From files; nothing is read where the record still describes them.
    Add(LayerSpec, Option<&'a LayerRecord>),
    /// From the previous image.
    Reuse { who: String, layer: &'a str, sha: &'a str, words: String },
}

/// A layer that is in the store.
struct Made<'a> {
    name: String,
    part: Part<'a>,
    layer: LayerRef,
    /// `None` for a layer of the previous image.
    record: Option<LayerRecord>,
    /// Nothing was read.
    reused: bool,
    /// It is the last build's, read or not.
    unchanged: bool,
}

impl Made<'_> {
    fn exported(&self) -> ExportedLayer {
        let (size, diff_id) = (self.layer.size, self.layer.diff_id);
        ExportedLayer { name: self.name.clone(), size, diff_id, reused: self.unchanged }
    }
}

/// Layers are made side by side; a large one compresses on several threads by itself.
fn run<'a>(jobs: &[Job<'a>], images: &dyn Images, events: &dyn Events) -> Result<Vec<Made<'a>>, ExportError> {
    let queue = Mutex::new(jobs.iter().enumerate());
    let results: Mutex<Vec<_>> = Mutex::new(jobs.iter().map(|_| None).collect());
    let threads = std::thread::available_parallelism().map_or(2, |it| it.get().max(2)).min(jobs.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().ok().and_then(|mut it| it.next());
                    let Some((i, job)) = next else { return };
                    let result = make(job, images, events);
                    if let Ok(mut results) = results.lock() {
                        results[i] = Some(result);
                    }
                }
            });
        }
    });
    let lost = || ExportError::Print { what: "a layer", reason: "its thread is gone".to_owned() };
    let results = results.into_inner().unwrap_or_default();
    let made: Result<Vec<_>, _> = results.into_iter().map(|it| it.unwrap_or_else(|| Err(lost()))).collect();
    let made = made?;
    for it in &made {
        events.event(&Event::LayerExported(&it.exported()));
    }
    Ok(made)
}

fn make<'a>(job: &Job<'a>, images: &dyn Images, events: &dyn Events) -> Result<Made<'a>, ExportError> {
    let (name, part) = (job.name.clone(), job.part);
    match &job.how {
        How::Add(spec, known) => {
            let Added { record, reused, notices } = images.add_layer(spec, *known)?;
            for notice in notices {
                events.event(&Event::Warning(&notice.to_string()));
            }
            // Files that a buildpack writes anew in each build, such as SBOMs, are read again and may be the same.
            let unchanged = reused || known.is_some_and(|it| it.diff_id == record.diff_id);
            Ok(Made { name, part, layer: record.layer_ref(), record: Some(record), reused, unchanged })
        }
        How::Reuse { who, layer, sha, words } => {
            let found = sha.parse().ok().map(|it| images.previous_layer(&it)).transpose()?.flatten();
            match found {
                Some(mut layer) => {
                    // Not every place of images tells what it knows of a layer's history.
                    layer.history = vec![History::created_by(words)];
                    Ok(Made { name, part, layer, record: None, reused: true, unchanged: true })
                }
                None => Err(ExportError::NothingToReuse { who: who.clone(), layer: (*layer).to_owned() }),
            }
        }
    }
}
