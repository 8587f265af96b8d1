//! `exporter`: the image, the cache for the next build, and the report.

use crate::analyzer::output_names;
use crate::cache::Cache;
use crate::detector::{self, Work};
use crate::exit::{Code, Failure, OrFail as _, fail};
use crate::images::{self, PlacedImages, Workbench};
use crate::place::{Found, Parts, Place, Places};
use crate::version::VERSION;
use crate::{Site, analyzer, builder, files, names, privileges, project, run_image, tell};
use cnb::analyzed::Analyzed;
use cnb::group::GroupToml;
use cnb::labels::LauncherMetadata;
use cnb::metadata::BuildMetadata;
use cnb::report::Report;
use lifecycle::{
    AppSource, AppTree, Dirs, ExportRequest, Exported, KeepRequest, Launcher, Previous, RunBase,
};
use oci::{Compression, ImageName, Modes, Owner};
use std::collections::BTreeSet;

pub(crate) fn run(site: &Site) -> Result<(), Failure> {
    let Some((image, more)) = site.inputs.arguments.split_first() else {
        return Err(fail(Code::Arguments, "the name of an image is wanted"));
    };
    if site.inputs.is_given("run-image") || site.inputs.is_given("image") {
        return Err(fail(
            Code::Arguments,
            "the run image is the analyzer's to choose; give -run-image there",
        ));
    }
    let output = output_names(site, image, more)?;
    let analyzed: Analyzed = files::need(site, &site.inputs.path("analyzed"), "analyzer")?;
    let places = Places::open(site)?;
    privileges::drop(site, &["cache-dir", "launch-cache"])?;
    let group: GroupToml = files::need(site, &site.inputs.path("group"), "detector")?;
    builder::known_apis(&group)?;
    let place = places.images()?;
    if site.inputs.switch("parallel") {
        site.log.debug("layers are made side by side in any case; -parallel changes nothing");
    }
    let base = base(site, place, &analyzed)?;
    warn_of_another_registry(site, image, &base.reference);
    let reference = analyzed.image.as_ref().map(|it| it.reference.clone()).filter(|it| !it.is_empty());
    // A previous image that is gone by now is as good as none, until a layer is wanted from it.
    let previous_image = reference.as_deref().and_then(|it| place.find(it).ok().flatten());
    let metadata = analyzed.metadata.clone().unwrap_or_default();
    let made = Made {
        group: &group,
        analyzed: &analyzed,
        previous: &Previous { reference, metadata },
        previous_image: previous_image.as_ref(),
        base: &base,
    };
    export(site, place, &made, (&output, &Cache::open(site, &places)?))
}

fn base(site: &Site, place: &dyn Place, analyzed: &Analyzed) -> Result<Found, Failure> {
    let run_image = analyzed.run_image.clone().unwrap_or_default();
    if run_image.reference.is_empty() {
        let path = site.inputs.path("analyzed");
        return Err(fail(Code::Arguments, format!("{} names no run image", path.display())));
    }
    if run_image.extend {
        return Err(fail(
            Code::Export,
            "the run image is to be extended, and extending images is not there yet",
        ));
    }
    images::need(place, "the run image", &run_image.reference, Code::Export)
}

/// Layers of a run image that is in another registry than the app image have to be moved, and so they have at each rebase.
///
/// <https://github.com/buildpacks/spec/blob/b745fcf/buildpack.md#phase-6-export>
pub(crate) fn warn_of_another_registry(site: &Site, image: &str, run_image: &str) {
    if site.inputs.switch("daemon") || site.inputs.switch("layout") {
        return;
    }
    if let Some((here, there)) = names::in_two_registries(image, run_image) {
        site.log.warning(&format!(
            "the run image is in another registry ({there}) than the app image ({here}): its layers are copied, now and \
             whenever the image is rebased; a mirror of the run image in {here} is faster"
        ));
    }
}

/// What the phases before made.
pub(crate) struct Made<'a> {
    pub(crate) group: &'a GroupToml,
    pub(crate) analyzed: &'a Analyzed,
    pub(crate) previous: &'a Previous,
    pub(crate) previous_image: Option<&'a Found>,
    pub(crate) base: &'a Found,
}

pub(crate) fn export(
    site: &Site,
    place: &dyn Place,
    made: &Made<'_>,
    (output, cache): (&[ImageName], &Cache),
) -> Result<(), Failure> {
    let work = Work::new()?;
    let dirs = detector::dirs(site, &work);
    project::copy_own_bills(site, &dirs)?;
    let bench = bench(place, cache)?;
    let (kept, takes_tars) = (cache.volume(), place.takes_tars());
    let images = PlacedImages { bench: &bench, previous: made.previous_image, kept, takes_tars };
    let untouched = cache.untouched(made.group);
    let exported = export_image(site, &dirs, made, (&images, &untouched))?;
    let mut all = vec![made.base];
    all.extend(made.previous_image);
    let parts = Parts { store: &bench.store, images: &all, kept };
    site.log.info(&format!("Saving {}...", output.first().map(ImageName::short).unwrap_or_default()));
    let saved = place.save(&exported.image, &parts, output).map_err(|it| fail(Code::Export, it))?;
    let mut report: Report = exported.report.clone();
    report.image.digest.clone_from(&saved.digest);
    report.image.image_id.clone_from(&saved.image_id);
    if saved.digest.is_empty() {
        report.image.manifest_size = None;
    }
    let id = if saved.digest.is_empty() { &saved.image_id } else { &saved.digest };
    site.log.info(&format!("*** Images ({id}):"));
    report.image.tags.iter().for_each(|it| site.log.info(&format!("      {it}")));
    files::write(&site.inputs.path("report"), &report)?;
    if cache.exists() {
        // The image is there: a cache that could not be written costs time, and no more.
        let records = Records { image: &exported.cache, restored: &untouched };
        if let Err(failure) = keep(site, &dirs, made, (&images, &records, cache)) {
            site.log.warning(&format!("the cache could not be written: {}", failure.text));
        }
    }
    Ok(())
}

/// Where layers are made. An engine takes tars, and so does a cache directory: there they are made, and then moved. For a
/// registry they are compressed, and the tars that the cache wants come out of the same pass.
fn bench(place: &dyn Place, cache: &Cache) -> Result<Workbench, Failure> {
    match cache {
        Cache::Volume(volume) if place.takes_tars() => {
            Workbench::within(&volume.making().or_fail(Code::Export)?, Compression::None)
        }
        Cache::None if place.takes_tars() => Workbench::within(&std::env::temp_dir(), Compression::None),
        Cache::Volume(volume) => Workbench::new()?.with_tars_in(&volume.making().or_fail(Code::Export)?),
        _ => Workbench::new(),
    }
}

/// Layers that need not be read again.
struct Records<'a> {
    /// Those of the image.
    image: &'a lifecycle::Cache,
    /// Those that were restored and are untouched.
    restored: &'a lifecycle::Cache,
}

/// Whose the app and its layers are. A platform that starts everything as that user need not say so.
pub(crate) fn owner(site: &Site) -> Owner {
    let (uid, gid) = privileges::ids();
    let or = |said: u32, own: u32| if said == 0 { own } else { said };
    Owner::new(or(site.inputs.number("uid"), uid), or(site.inputs.number("gid"), gid))
}

fn export_image(
    site: &Site,
    dirs: &Dirs,
    made: &Made<'_>,
    (images, untouched): (&PlacedImages<'_>, &lifecycle::Cache),
) -> Result<Exported, Failure> {
    let config = site.inputs.path("layers").join("config/metadata.toml");
    let metadata: BuildMetadata = files::need(site, &config, "builder")?;
    let tree = AppTree { host: dirs.app.host.clone(), skip: BTreeSet::new() };
    let app = AppSource { trees: vec![tree], modes: Modes::Keep, root: None };
    let asked = made.analyzed.run_image.as_ref().map(|it| it.image.clone()).unwrap_or_default();
    let names = run_image::for_label(site, &asked)?;
    let version = VERSION.to_owned();
    let metadata_of_launcher = LauncherMetadata { version, ..LauncherMetadata::default() };
    let launcher = Launcher { program: site.inputs.path("launcher"), metadata: metadata_of_launcher };
    let (image, reference) = (&made.base.image, made.base.reference.clone());
    let base = RunBase { image, reference, name: names.image, mirrors: names.mirrors };
    let created = project::created(site);
    let project = project::metadata(site)?;
    let tags = site.inputs.arguments.iter().chain(site.inputs.list("tag")).cloned().collect::<Vec<_>>();
    let request = ExportRequest {
        dirs,
        group: made.group,
        metadata: &metadata,
        app: &app,
        launcher: &launcher,
        base: &base,
        previous: made.previous,
        cache: untouched,
        process_type: site.inputs.some("process-type"),
        project: &project,
        owner: owner(site),
        exec_env: analyzer::exec_env(site),
        api: site.api,
        created: created.as_deref(),
        tags: &tags,
    };
    lifecycle::export(&request, images, &tell::Events(&site.log)).or_fail(Code::Export)
}

fn keep(
    site: &Site,
    dirs: &Dirs,
    made: &Made<'_>,
    (images, records, cache): (&PlacedImages<'_>, &Records<'_>, &Cache),
) -> Result<(), Failure> {
    let request = KeepRequest {
        dirs,
        group: made.group,
        owner: owner(site),
        record: records.image,
        restored: records.restored,
        features: site.features,
    };
    let kept = lifecycle::keep(&request, images, &tell::Events(&site.log)).or_fail(Code::Export)?;
    for buildpack in &kept.metadata.buildpacks {
        for layer in buildpack.layers.keys() {
            site.log.info(&format!("Adding cache layer '{}:{layer}'", buildpack.key));
        }
    }
    cache.replace(&kept, images.bench)
}
